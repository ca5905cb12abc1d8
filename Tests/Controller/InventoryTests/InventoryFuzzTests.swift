import Core
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Inventory

/// Damaged inventories of every format: each gives an inventory or an error with its place, soon, and never a crash.
@Suite("Damaged inventories", .serialized)
struct InventoryFuzzTests {
  private static let count = Fuzzing.count(24_000)

  private static let yaml = [
    """
    all:
      hosts:
        web[01:03]: {ansible_port: 22, x: &a [1, 0644, 22:30, no]}
        'db': {y: *a, portcullis_labels: [a, b]}
      children:
        prod: {children: {web: {hosts: {w1: , "w2:2022": }}}, vars: {<<: {q: 1}, v: !vault |-
            $ANSIBLE_VAULT
          }}
      vars: {a: |
          text
        , b: "\\u00e9{{ x }}"}
    """,
    "base: &b {k: 1}\nm: {<<: [*b, {k: 2}], l: *b}\nd: 2026-01-31 08:00:00.5 +01:00\nf: 1_0.5e+3\n? q\n: r\n",
    "{\"web\": {\"hosts\": {\"w1\": {\"x\": 1.5e3}}, \"vars\": {\"p\": [true, null]}}}",
  ]
  private static let ini = [
    """
    lone ansible_host=10.0.0.1 x="a b" y='[1, {"k": (2,)}]'
    web[01:50:2]:2222 ansible_user=root # comment
    [web]
    [1:3]x z=0x1F w=b'\\x41' v=1_000,
    [prod:children]
    web
    [web:vars]
    l = ['a', None, -1.5e-7, "\\u00e9" 'c']
    portcullis_jump=bastion
    ansible_group_priority=10
    """
  ]
  private static let json = [
    """
    {"_meta": {"hostvars": {"w1": {"x": [1, -2.5E+3, "\\ud83d\\udc4d", {"__ansible_unsafe": "{{"}]}}},
     "web": {"hosts": ["w1", "w2"], "vars": {"y": null}, "children": ["db"]}, "db": ["d1"], "old": {"z": true}}
    """
  ]
  private static let patterns = [
    "web[0:2],&prod:!w1", "~w(eb|1)[0-9]*$,!db", "a*b?[!c-f]:x[-1]", "web[01-50/2,60],n[8:11:2]", "@/dev/null,all",
  ]
  private static let alphabet =
    Array("[]{}():,-?&*!|>'\"%@`#=;~<>.\\ \n\r\t_0a9zxe+\u{e9}\u{2028}".utf8) + [0, 0xff, 0x80]

  private enum Kind: CaseIterable { case yaml, variables, ini, json, pattern }

  @Test("Mutations of valid inventories end in time, in an inventory or in errors with their places")
  func mutations() throws {
    let seed = Random.seed(for: "damaged inventories")
    var random = Random(seed: seed)
    let fleet = try inventory(
      "all: {hosts: {\"web[01:60]\": , w1: , db: }, children: {web: {hosts: {web01: }}, prod: }}")
    var slowest = Duration.zero
    var accepted = 0
    for round in 0..<Self.count {
      let kind = try #require(Kind.allCases.randomElement(using: &random))
      let corpus =
        switch kind {
        case .yaml, .variables: Self.yaml
        case .ini: Self.ini
        case .json: Self.json
        case .pattern: Self.patterns
        }
      let bytes = Self.mutated(Array(try #require(corpus.randomElement(using: &random)).utf8), &random)
      let start = ProcessorTime.now
      let problems = Self.read(bytes, as: kind, fleet)
      let took = ProcessorTime.now - start
      slowest = max(slowest, took)
      if problems.isEmpty { accepted += 1 }
      let place = Comment(rawValue: "seed \(seed), round \(round): \(SafeText.escape(bytes))")
      #expect(took < .seconds(1), place)
      #expect(problems.allSatisfy { $0.location.line >= 1 && $0.location.column >= 1 && !$0.message.isEmpty }, place)
    }
    print("damaged inventories: \(Self.count) inputs, seed \(seed), \(accepted) accepted, slowest \(slowest)")
    // A mutation that never spares anything would show that the corpus itself is refused.
    #expect(accepted > Self.count / 50 && accepted < Self.count)
  }

  private static func read(_ bytes: [UInt8], as kind: Kind, _ fleet: HostInventory) -> [Diagnostic] {
    do throws(Diagnostics) {
      var draft = InventoryDraft()
      // Two hundred thousand hosts are no damage, and take their time.
      draft.hostLimit = 2000
      switch kind {
      case .yaml: try InventorySources.readYAML(bytes, "f.yaml", into: &draft)
      case .variables:
        for entry in try VariableText.root(bytes, file: "v.yml")?.entries(&draft.problems) ?? [] {
          draft.set(RawVariable(entry), ofGroup: 0)
        }
      case .ini: try INIReader.read(bytes, file: "f.ini", into: &draft)
      case .json: ProgramReader.read("/x", InventoryPrograms { _, _ in .success(bytes) }, into: &draft)
      case .pattern:
        do throws(Failure) {
          _ = try fleet.hosts(matching: String(decoding: bytes, as: UTF8.self))
        } catch {
          return [Diagnostic(SourceLocation(file: "", line: 1, column: 1), "\(error.operation)")]
        }
        return []
      }
      let inventory = try InventoryBuilder(draft).build()
      // What was read can be printed, whatever it is.
      _ = AnsibleJSON.text(inventory.listing(of: inventory.hosts))
      if let all = inventory.group(named: "all") { _ = inventory.graph(from: all, limit: 1000) }
      return []
    } catch {
      return error.all
    }
  }

  /// Bytes changed, put in, taken out, repeated, or moved.
  private static func mutated(_ valid: [UInt8], _ random: inout Random) -> [UInt8] {
    var bytes = valid
    for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
      let position = Int.random(in: 0..<bytes.count, using: &random)
      let end = min(bytes.count, position + Int.random(in: 1...20, using: &random))
      switch Int.random(in: 0..<7, using: &random) {
      case 0...1: bytes[position] = alphabet.randomElement(using: &random)!
      case 2...3: bytes.insert(alphabet.randomElement(using: &random)!, at: position)
      case 4: bytes.removeSubrange(position..<end)
      case 5:
        let part = Array(bytes[position..<end])
        let count = Int.random(in: 1...40, using: &random)
        bytes.insert(contentsOf: repeatElement(part, count: count).joined(), at: position)
      default:
        let part = Array(bytes[position..<end])
        bytes.insert(contentsOf: part, at: Int.random(in: 0...bytes.count, using: &random))
      }
    }
    return bytes
  }
}
