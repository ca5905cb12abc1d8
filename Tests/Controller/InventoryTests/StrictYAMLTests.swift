import Core
import TestSupport
import Testing

@testable import Inventory

@Suite("Strict YAML")
struct StrictYAMLTests {
  private func parse(_ text: String) throws(Diagnostics) -> YAMLNode {
    try StrictYAML.parse(Array(text.utf8), file: "f.yaml")
  }

  private func problems(_ text: String) -> [String] {
    messages { () throws(Diagnostics) in try parse(text) }
  }

  @Test(
    "What is not one plain document is refused at its place",
    arguments: [
      ("", "1:1 the document is empty"),
      ("# only a comment\n", "1:1 the document is empty"),
      ("---\n...\n", "1:1 the document is empty"),
      ("a: 1\n---\nb: 2\n", "2:1 a second document begins here"),
      ("a: 1\nb: 2\na: 3\n", "1:1 the key \"a\" is given twice in this mapping"),
      ("a: 1\n\"a\": 2\n", "1:1 the key \"a\" is given twice in this mapping"),
      ("a: &x 1\nb: *x\n", "1:4 anchors and aliases (&name, *name) are not accepted"),
      ("<<: {a: 1}\n", "1:1 merge keys (<<) are not accepted"),
      ("? [a]\n: 1\n", "1:3 a key must be plain text, found a list"),
      ("a: b\u{202e}c\n", "1:5 holds the hidden character U+202e"),
      ("a: b\u{7}c\n", "1:5 holds the hidden character U+7"),
      ("\u{feff}a: b\n", "1:1 holds the hidden character U+feff"),
      ("a: b\rc: d\n", "1:5 holds the hidden character U+d"),
      ("é: {a: [}\n", "1:10 while parsing a flow node, did not find expected node content"),
    ])
  func refused(text: String, message: String) {
    #expect(problems(text).first == message)
  }

  @Test("A tab in the indentation is named as what it is")
  func tabs() {
    #expect(hints { () throws(Diagnostics) in try parse("a:\n\tb: 1\n") } == ["indent with spaces, not with tabs"])
  }

  @Test("Bytes that are not UTF-8 are refused where they stand")
  func notUTF8() {
    let found = messages { () throws(Diagnostics) in
      try StrictYAML.parse(Array("a: 1\nb: x".utf8) + [0xff, 0x0a], file: "f")
    }
    #expect(found == ["2:5 is not UTF-8 text"])
  }

  @Test("Columns count bytes, as editors and compilers do, where libyaml counts characters")
  func byteColumns() throws {
    var problems = Problems()
    let entries = try parse("\"ééé\": {wrong: 1}\n").entries(&problems)
    _ = entries?[0].value.mapping(allowing: ["right"], &problems)
    #expect(problems.all.map(\.description) == ["f.yaml:1:12: unknown key \"wrong\""])
  }

  @Test("Alias bombs are refused at once, as values and as keys", arguments: [": *l29\n", "? *l29\n: 1\n"])
  func aliasBombs(use: String) {
    var text = "l0: &l0 [x, x]\n"
    for level in 1..<30 { text += "l\(level): &l\(level) [*l\(level - 1), *l\(level - 1)]\n" }
    text += use.hasPrefix(":") ? "end\(use)" : use
    let start = ProcessorTime.now
    #expect(problems(text) == ["1:5 anchors and aliases (&name, *name) are not accepted"])
    #expect(ProcessorTime.now - start < .seconds(1))
  }

  @Test("Deep nesting is refused, and too deep for the parser's stack as well", arguments: [65, 900, 100_000])
  func deepNesting(depth: Int) {
    let text = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    #expect(problems("a: " + text).count == 1)
  }

  @Test("Values are their own text, whatever YAML 1.1 makes of it")
  func ownText() throws {
    var problems = Problems()
    let text = "- 22:30\n- no\n- 0644\n- 1_000\n- 1e3\n- 2026-01-01\n- 0x1F\n- '~'\n- =\n"
    let values = try parse(text).strings(&problems)
    #expect(values == ["22:30", "no", "0644", "1_000", "1e3", "2026-01-01", "0x1F", "~", "="])
    #expect(problems.isEmpty)
  }

  @Test(
    "Numbers are decimal digits in range",
    arguments: [
      ("22", 22), ("\"22\"", 22), ("022", nil), ("0x16", nil), ("22:30", nil), ("1_0", nil), ("65536", nil),
      ("-1", nil), ("+22", nil), ("", nil), ("[22]", nil), ("99999999999999999999", nil),
    ] as [(String, Int?)])
  func numbers(text: String, value: Int?) throws {
    var problems = Problems()
    var entryProblems = Problems()
    let node = try parse("a: \(text)\n").entries(&entryProblems)![0].value
    #expect(node.integer(in: 1...65535, &problems) == value)
    #expect(problems.isEmpty == (value != nil))
  }

  @Test(
    "Time spans name their unit",
    arguments: [
      ("90s", 90), ("15m", 900), ("12h", 43_200), ("7d", 604_800), ("15", nil), ("0s", nil), ("1.5h", nil),
      ("9999999d", nil), ("-1s", nil), ("m", nil),
    ] as [(String, Int?)])
  func durations(text: String, seconds: Int?) throws {
    var problems = Problems()
    let node = try parse("[\(text)]\n").list(&problems)![0]
    #expect(node.duration(&problems) == seconds.map { .seconds($0) })
  }

  @Test("Every wrong type says what was expected, what was found and where; all of them at once")
  func wrongTypes() throws {
    var problems = Problems()
    let top = try parse("list: {a: 1}\ntext: [1]\nmapping: word\nnumber:\nbool: yes\ntag: !vault x\n")
      .mapping(allowing: ["list", "text", "mapping", "number", "bool", "tag", "gone"], &problems)!
    _ = top["list"]!.list(&problems)
    _ = top["text"]!.string(&problems)
    _ = top["mapping"]!.mapping(allowing: [], &problems)
    _ = top["number"]!.integer(in: 0...9, &problems)
    _ = top["bool"]!.bool(&problems)
    _ = top["tag"]!.string(&problems)
    _ = top.required("gone", &problems)
    #expect(
      messages { () throws(Diagnostics) in try problems.throwIfAny() } == [
        "1:1 the key \"gone\" is missing",
        "1:7 expected a list, found a mapping",
        "2:7 expected a text, found a list",
        "3:10 expected a mapping, found the text \"word\"",
        "4:8 expected a number, found nothing",
        "5:7 expected true or false, found the text \"yes\"",
        "6:6 expected a text, found a value tagged \"!vault\"",
      ])
  }

  @Test("An unknown key comes with the nearest known one, or with all of them")
  func unknownKeys() throws {
    var problems = Problems()
    _ = try parse("aplies_to: x\nzzz: 1\n").mapping(allowing: ["policy", "applies_to"], &problems)
    #expect(
      problems.all.map(\.description) == ["f.yaml:1:1: unknown key \"aplies_to\"", "f.yaml:2:1: unknown key \"zzz\""])
    #expect(problems.all.map(\.hint) == ["did you mean \"applies_to\"?", "known here: policy, applies_to"])
  }

  @Test("Files that are missing, too large or no files are refused with their name")
  func files() throws {
    let folder = try TemporaryFolder()
    let large = try folder.write("large.yaml", "a: " + String(repeating: "x", count: StrictYAML.sizeLimit))
    func problem(_ path: String) -> String? {
      messages { () throws(Diagnostics) in try StrictYAML.load(path: path) }.first
    }
    #expect(problem(large) == "1:1 cannot read the file: is larger than 8 MiB")
    #expect(problem(folder.path + "/none.yaml") == "1:1 cannot read the file: no such file")
    #expect(problem(folder.path) == "1:1 cannot read the file: is a directory, not a file")
    #expect(problem("/dev/zero") == "1:1 cannot read the file: is not a regular file")
  }

  @Test("Mutations of a valid file give a tree or an error, never a crash")
  func mutations() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed of StrictYAML mutations: \(seed)")
    var random = Random(seed: seed)
    let valid = Array(
      "all:\n  hosts:\n    web[01:03]: {ansible_port: 22}\n    'db': \"x\\u00e9\"\n  vars: [a, |\n".utf8)
    let alphabet = Array("[]{}:,-?&*!|>'\"%@`# \n\t\\~<0a\u{e9}\u{2028}".utf8) + [0, 0xff, 0x80]
    for _ in 0..<3000 {
      var bytes = valid
      for _ in 0...Int.random(in: 0..<6, using: &random) {
        let position = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[position] = alphabet.randomElement(using: &random)!
        case 1: bytes.insert(alphabet.randomElement(using: &random)!, at: position)
        default: if bytes.count > 1 { bytes.remove(at: position) }
        }
      }
      do throws(Diagnostics) {
        _ = try HostInventory.parse(bytes, file: "f")
      } catch {
        #expect(error.all.allSatisfy { $0.location.line >= 1 && $0.location.column >= 1 }, "seed \(seed)")
      }
    }
  }
}
