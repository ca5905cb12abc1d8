internal import Core
internal import Inventory
internal import Ruleset

/// One family's restore text that a person wrote, taken apart once: `raw:` of a policy, or a rules file beside it.
struct RawRules: Sendable {
  struct Chain: Sendable {
    let name: String
    /// Of a built-in chain that the text declares; nil where it says nothing, and for chains that are not built in.
    let policy: String?
    let isBuiltIn: Bool
    let place: SourceLocation
  }

  struct Line: Sendable {
    let chain: String
    /// `-A CHAIN …`, perhaps with `controllers` between the two.
    let head: [UInt8]
    let tail: [UInt8]?
    let place: SourceLocation
  }

  struct Table: Sendable {
    let name: String
    let place: SourceLocation
    let chains: [Chain]
    let lines: [Line]
  }

  let tables: [Table]
  /// The first rule that names the controllers.
  let controllersPlace: SourceLocation?

  func lines(of chain: String, in table: String) -> [Line] {
    tables.first { $0.name == table }?.lines.filter { $0.chain == chain } ?? []
  }

  func namesEstablished(in chain: String) -> Bool {
    lines(of: chain, in: "filter").contains { ($0.head + ($0.tail ?? [])).contains("ESTABLISHED".utf8) }
  }

  static func parse(
    _ bytes: [UInt8], from origin: RawOrigin, family: Family, mode: BesideOthers.Mode
  ) throws(Diagnostics) -> RawRules {
    let ruleset: Ruleset
    do throws(Diagnostics) {
      ruleset = try Ruleset.parse(
        policy: bytes, file: origin.start.file, family: family, allowing: [OperandReader.controllersWord],
        declaringBuiltInChains: true)
    } catch {
      throw error.moved(to: origin)
    }
    var reader = RawRulesReader(places: TablePlaces(bytes, origin), mode: mode)
    let tables = ruleset.tables.map { reader.table($0) }
    try reader.problems.throwIfAny()
    return RawRules(tables: tables, controllersPlace: reader.controllersPlace)
  }
}

/// Where a text of rules was written, to turn its own lines and columns into those of the file.
enum RawOrigin {
  /// A file of its own.
  case file(String)
  /// A block of YAML that begins here: its lines stand below each other, all as far in.
  case block(SourceLocation)
  /// A text in quotes, which may have its line ends as escapes: only where it begins is known.
  case quoted(SourceLocation)

  var start: SourceLocation {
    switch self {
    case .file(let file): SourceLocation(file: file, line: 1, column: 1)
    case .block(let start), .quoted(let start): start
    }
  }

  /// Both counted from 1.
  func place(line: Int, column: Int) -> SourceLocation {
    if case .quoted(let start) = self { return start }
    return SourceLocation(file: start.file, line: start.line + line - 1, column: start.column + column - 1)
  }
}

extension Diagnostics {
  fileprivate func moved(to origin: RawOrigin) -> Diagnostics {
    Diagnostics(
      all.map { diagnostic in
        var moved = diagnostic
        moved.location = origin.place(line: moved.location.line, column: moved.location.column)
        return moved
      }) ?? self
  }
}

private struct RawRulesReader {
  let places: TablePlaces
  let mode: BesideOthers.Mode
  var problems = Problems()
  var controllersPlace: SourceLocation?

  /// Our own chains on hosts begin so.
  private static let reservedPrefix = "PCL"
  /// What the parser of rules files, and so every agent, takes as one line; the longest address and prefix.
  private static let lineLimit = 1024
  private static let addressLimit = 43
  private static let addressOptions: Set<String> = ["-s", "--source", "--src", "-d", "--destination", "--dst"]

  mutating func table(_ table: RuleTable) -> RawRules.Table {
    let builtIn = BuiltInChains.chains(of: table.name) ?? []
    let tablePlace = places.place(table: table.name)
    let chains = table.chains.map { chain in
      let place = places.place(table: table.name, chain: chain.name) ?? tablePlace
      checkName(chain.name, at: place)
      return RawRules.Chain(
        name: chain.name, policy: chain.policy, isBuiltIn: builtIn.contains(chain.name), place: place)
    }
    let lines = table.chains.flatMap { chain in chain.rules.compactMap { line($0, chain.name) } }
    return RawRules.Table(name: table.name, place: tablePlace, chains: chains, lines: lines)
  }

  private mutating func checkName(_ name: String, at place: SourceLocation) {
    if name == OperandReader.controllersWord {
      problems.add(place, "a chain cannot be called controllers, which means the management sources")
    } else if name.hasPrefix(Self.reservedPrefix) {
      problems.add(
        place, "chain \(quoted(name)): names beginning with PCL are those of our own chains on a host",
        hint: "give it another name; the agent makes one of its own of it")
    } else if mode == .owned, name == ContainerRules.chain {
      problems.add(
        place, "the chain CONTAINERS is made of the section containers of policy.yaml",
        hint: "move its rules there, or give the chain another name")
    }
  }

  private mutating func line(_ rule: Rule, _ chain: String) -> RawRules.Line? {
    func place(_ offset: Int) -> SourceLocation { places.place(line: rule.line, column: offset + 1) }
    let words: [RuleWord]
    do throws(RuleWordProblem) {
      words = try rule.words()
    } catch {
      problems.add(place(error.offset), error.message, hint: error.hint)
      return nil
    }
    var found: RuleWord?
    for (index, word) in words.enumerated() where Self.namesControllers(word) {
      let isAddress =
        index > 0 && Self.addressOptions.contains(words[index - 1].text) && word.says(OperandReader.controllersWord)
      if !isAddress {
        problems.add(
          place(word.range.lowerBound), "the word controllers can stand only for an address",
          hint: "write -s controllers or -d controllers, alone; a comment of this one word needs quotes")
      } else if found != nil {
        problems.add(
          place(word.range.lowerBound), "controllers twice in one rule",
          hint: "traffic between two controllers is not this host's")
      } else {
        found = word
      }
    }
    let text = rule.text
    guard let found else { return RawRules.Line(chain: chain, head: text, tail: nil, place: place(0)) }
    if text.count + Self.addressLimit > Self.lineLimit {
      problems.add(place(0), "the rule is too long for an address in place of controllers")
    }
    controllersPlace = controllersPlace ?? place(found.range.lowerBound)
    return RawRules.Line(
      chain: chain, head: Array(text[..<found.range.lowerBound]), tail: Array(text[found.range.upperBound...]),
      place: place(0))
  }

  /// Unquoted, alone or in a list or with a mask, where iptables would look the name up.
  private static func namesControllers(_ word: RuleWord) -> Bool {
    !word.isQuoted
      && word.value.split(separator: UInt8(ascii: ",")).contains {
        $0.prefix { $0 != UInt8(ascii: "/") }.elementsEqual(OperandReader.controllersWord.utf8)
      }
  }
}

/// Where a rules text declares its tables and chains, which the ruleset itself does not remember.
private struct TablePlaces {
  private let origin: RawOrigin
  private var tables: [String: Int] = [:]
  private var chains: [String: Int] = [:]

  init(_ bytes: [UInt8], _ origin: RawOrigin) {
    self.origin = origin
    var table = ""
    for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      switch line.first {
      case UInt8(ascii: "*"):
        table = String(decoding: line.dropFirst(), as: UTF8.self)
        tables[table] = index + 1
      case UInt8(ascii: ":"):
        let name = String(decoding: line.dropFirst().prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
        chains[table + " " + name] = index + 1
      default: break
      }
    }
  }

  func place(line: Int, column: Int) -> SourceLocation { origin.place(line: line, column: column) }

  func place(table: String) -> SourceLocation { place(line: tables[table] ?? 1, column: 1) }

  func place(table: String, chain: String) -> SourceLocation? {
    chains[table + " " + chain].map { place(line: $0, column: 1) }
  }
}
