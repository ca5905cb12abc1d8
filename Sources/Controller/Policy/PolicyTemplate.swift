internal import Core
internal import Inventory
internal import Ruleset

/// One family of a policy, parsed once: restore text in lines, some of which stand for one line per management source.
struct PolicyTemplate: Sendable {
  /// The word that stands for the addresses a host's managers come from.
  static let controllersWord = "controllers"
  /// Our own chains on hosts begin so.
  private static let reservedPrefix = "PCL"
  /// What the parser of rules files, and so every agent, takes as one line; the longest address and prefix.
  private static let lineLimit = 1024
  private static let addressLimit = 43

  enum Line: Sendable {
    case fixed([UInt8])
    case perSource(head: [UInt8], tail: [UInt8])
  }

  /// Without line feeds, each with the place in the policy it comes from.
  private(set) var lines: [(line: Line, source: SourceLocation)] = []
  /// The first rule that names the controllers.
  private(set) var firstControllersRule: SourceLocation?
  /// Forwarded packets that no rule accepts are dropped or rejected.
  private(set) var dropsForward = false

  private init() {}

  static func parse(
    _ bytes: [UInt8], file: String, family: Family, mode: HostPolicy.Mode
  ) throws(Diagnostics) -> PolicyTemplate {
    let ruleset = try Ruleset.parse(policy: bytes, file: file, family: family, allowing: [controllersWord])
    var template = PolicyTemplate()
    template.dropsForward = ruleset[table: "filter"]?[chain: "FORWARD"]?.dropsTheRest ?? false
    var problems = Problems()
    let places = TablePlaces(bytes, file: file)
    for table in ruleset.declaringAllBuiltInChains().tables {
      template.append(table, at: places, mode, &problems)
    }
    try problems.throwIfAny()
    return template
  }

  /// `ipv6: drop-all`: nothing in, out or through, except the host with itself.
  static func droppingAll(at source: SourceLocation) -> PolicyTemplate {
    var template = PolicyTemplate()
    template.dropsForward = true
    template.lines = [
      "*filter", ":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT DROP [0:0]", "-A INPUT -i lo -j ACCEPT",
      "-A OUTPUT -o lo -j ACCEPT", "COMMIT",
    ].map { (.fixed(Array($0.utf8)), source) }
    return template
  }

  /// Puts the rules for containers into table filter, or returns false where there is none.
  mutating func add(_ containers: ContainerRules, _ family: Family) -> Bool {
    func line(_ text: String) -> (Line) -> Bool {
      { line in if case .fixed(let bytes) = line { bytes.elementsEqual(text.utf8) } else { false } }
    }
    guard let table = lines.firstIndex(where: { line("*filter")($0.line) }),
      let end = lines[table...].firstIndex(where: { line("COMMIT")($0.line) })
    else { return false }
    let rules = lines[table..<end].firstIndex { entry in
      guard case .fixed(let bytes) = entry.line else { return true }
      return bytes.first == UInt8(ascii: "-")
    }
    lines.insert(contentsOf: containers.rules(family), at: end)
    let declaration = Line.fixed(Array(":\(ContainerRules.chain) - [0:0]".utf8))
    lines.insert((declaration, containers.location), at: rules ?? end)
    return true
  }

  /// The restore text for these sources, all of this family: printable ASCII, chains before rules, built-in chains first
  /// and all of them there, so that both backends make the same of it.
  func render(_ sources: [NumericAddress]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(lines.count * 80)
    for (line, _) in lines {
      switch line {
      case .fixed(let bytes):
        text += bytes
        text.append(UInt8(ascii: "\n"))
      case .perSource(let head, let tail):
        for source in sources {
          text += head
          text += "\(source)/\(source.family == .ipv4 ? 32 : 128)".utf8
          text += tail
          text.append(UInt8(ascii: "\n"))
        }
      }
    }
    return text
  }

  /// Where a line of the rendered text, counted from 1, comes from; nil behind its end.
  func source(ofLine number: Int, sources: Int) -> SourceLocation? {
    var left = number
    guard left > 0 else { return nil }
    for (line, source) in lines {
      if case .perSource = line { left -= sources } else { left -= 1 }
      if left <= 0 { return source }
    }
    return nil
  }

  private mutating func append(
    _ table: RuleTable, at places: TablePlaces, _ mode: HostPolicy.Mode, _ problems: inout Problems
  ) {
    let tablePlace = places.place(table: table.name)
    func place(_ chain: RuleChain) -> SourceLocation {
      places.place(table: table.name, chain: chain.name) ?? tablePlace
    }
    let order = BuiltInChains.chains(of: table.name) ?? []
    let builtIn = order.compactMap { name in table.chains.first { $0.name == name } }
    let chains = builtIn + table.chains.filter { !order.contains($0.name) }
    lines.append((.fixed(Array("*\(table.name)".utf8)), tablePlace))
    for chain in chains {
      if chain.name == Self.controllersWord {
        problems.add(place(chain), "a chain cannot be called controllers, which means the management sources")
      } else if chain.name.hasPrefix(Self.reservedPrefix) {
        problems.add(
          place(chain), "chain \(quoted(chain.name)): names beginning with PCL are those of our own chains on a host",
          hint: "give it another name; the agent makes one of its own of it")
      } else if mode == .owned, chain.name == ContainerRules.chain {
        problems.add(
          place(chain), "the chain CONTAINERS is made of the section containers of policy.yaml",
          hint: "move its rules there, or give the chain another name")
      }
      lines.append((.fixed(Array(":\(chain.name) \(chain.policy ?? "-") [0:0]".utf8)), place(chain)))
    }
    for chain in chains {
      for rule in chain.rules { append(rule, file: places.file, &problems) }
    }
    lines.append((.fixed(Array("COMMIT".utf8)), tablePlace))
  }

  private mutating func append(_ rule: Rule, file: String, _ problems: inout Problems) {
    func place(_ offset: Int) -> SourceLocation { SourceLocation(file: file, line: rule.line, column: offset + 1) }
    let words: [RuleWord]
    do throws(RuleWordProblem) {
      words = try rule.words()
    } catch {
      problems.add(place(error.offset), error.message, hint: error.hint)
      return
    }
    var found: RuleWord?
    for (index, word) in words.enumerated() where Self.namesControllers(word) {
      let isAddress =
        index > 0 && Self.addressOptions.contains(words[index - 1].text) && word.says(Self.controllersWord)
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
    guard let found else {
      lines.append((.fixed(text), place(0)))
      return
    }
    if text.count + Self.addressLimit > Self.lineLimit {
      problems.add(place(0), "the rule is too long for an address in place of controllers")
    }
    firstControllersRule = firstControllersRule ?? place(found.range.lowerBound)
    lines.append(
      (
        .perSource(head: Array(text[..<found.range.lowerBound]), tail: Array(text[found.range.upperBound...])),
        place(0)
      ))
  }

  private static let addressOptions: Set<String> = ["-s", "--source", "--src", "-d", "--destination", "--dst"]

  /// Unquoted, alone or in a list or with a mask, where iptables would look the name up.
  private static func namesControllers(_ word: RuleWord) -> Bool {
    !word.isQuoted
      && word.value.split(separator: UInt8(ascii: ",")).contains {
        $0.prefix { $0 != UInt8(ascii: "/") }.elementsEqual(controllersWord.utf8)
      }
  }
}

extension RuleChain {
  /// Its policy is DROP, or its last rule drops or rejects whatever comes to it.
  fileprivate var dropsTheRest: Bool {
    let text = rules.last.map { String(decoding: $0.bytes, as: UTF8.self) } ?? ""
    return policy == "DROP" || text == "-A \(name) -j DROP" || text.hasPrefix("-A \(name) -j REJECT")
  }
}

/// Where a rules file declares its tables and chains, which the ruleset itself does not remember.
private struct TablePlaces {
  let file: String
  private var tables: [String: Int] = [:]
  private var chains: [String: Int] = [:]

  init(_ bytes: [UInt8], file: String) {
    self.file = file
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

  func place(table: String) -> SourceLocation {
    SourceLocation(file: file, line: tables[table] ?? 1, column: 1)
  }

  func place(table: String, chain: String) -> SourceLocation? {
    chains[table + " " + chain].map { SourceLocation(file: file, line: $0, column: 1) }
  }
}
