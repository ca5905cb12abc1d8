internal import Core

/// What `iptables-save -c` prints: rules with the packets that each has seen.
struct CountedRules: Hashable, Sendable {
  struct Rule: Hashable, Sendable {
    var table: String
    var chain: String
    /// As it is printed, without its counters.
    var text: String
    var packets: UInt64
    let words: [String]

    /// Of `-j` or `-g`; nil for a rule that only counts.
    var target: String? {
      words.firstIndex { $0 == "-j" || $0 == "-g" }.flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
    }

    var matches: [String] {
      words.indices.filter { words[$0] == "-m" && $0 + 1 < words.count }.map { words[$0 + 1] }
    }

    /// For another protocol than TCP, so that it takes none of our packets.
    var isForOthers: Bool {
      guard let index = words.firstIndex(of: "-p"), index + 1 < words.count else { return false }
      return !(index > 0 && words[index - 1] == "!") && !["tcp", "6", "all"].contains(words[index + 1])
    }

    /// For none of these ports. One that names several, or none, may be for any.
    func isForPorts(otherThan ports: Set<UInt16>) -> Bool {
      guard let index = words.firstIndex(of: "--dport"), index > 0, index + 1 < words.count, words[index - 1] != "!",
        let port = UInt16(words[index + 1])
      else { return false }
      return !ports.contains(port)
    }

    /// As it is shown: its table is named when it is not the usual one.
    var shown: String { table == "filter" ? text : "-t \(table) \(text)" }
  }

  struct Policy: Hashable, Sendable {
    var table: String
    var chain: String
    var policy: String
    /// Always 0 where the programs do not print it (nft).
    var packets: UInt64
  }

  var rules: [Rule] = []
  var policies: [Policy] = []

  init(_ saved: [UInt8]) {
    var table = ""
    for line in saved.split(separator: UInt8(ascii: "\n")) {
      switch line.first {
      case UInt8(ascii: "*"): table = String(decoding: line.dropFirst(), as: UTF8.self)
      case UInt8(ascii: ":"):
        let words = RuleText.words(line.dropFirst())
        guard words.count == 3, words[1] != "-" else { continue }
        policies.append(
          Policy(table: table, chain: words[0], policy: words[1], packets: Self.packets(words[2].utf8)))
      case UInt8(ascii: "["):
        guard let end = line.firstIndex(of: UInt8(ascii: " ")) else { continue }
        let text = line[(end + 1)...]
        let words = RuleText.words(text)
        guard words.count >= 2, words[0] == "-A" else { continue }
        rules.append(
          Rule(
            table: table, chain: words[1], text: SafeText.escape(text), packets: Self.packets(line[..<end]),
            words: words))
      default: continue
      }
    }
  }

  /// "[12:720]"
  private static func packets(_ counters: some Collection<UInt8>) -> UInt64 {
    counters.dropFirst().prefix { $0 != UInt8(ascii: ":") }.reduce(0) { $0 &* 10 &+ UInt64($1 &- 48) }
  }

  /// Which rules saw packets since an earlier reading of the same rules; none when they are not the same.
  func moved(since earlier: CountedRules) -> [Rule] {
    guard earlier.rules.map(\.text) == rules.map(\.text) else { return [] }
    return zip(earlier.rules, rules).filter { $0.packets != $1.packets }.map { $1 }
  }

  /// Rules that a packet to the host, or its answer, can come to.
  var onTheWay: [Rule] {
    var jumps: [String: [String]] = [:]
    for rule in rules {
      if let target = rule.target {
        jumps["\(rule.table) \(rule.chain)", default: []].append("\(rule.table) \(target)")
      }
    }
    var reached = Set<String>()
    var next = policies.filter { $0.chain != "FORWARD" }.map { "\($0.table) \($0.chain)" }
    while let chain = next.popLast() {
      if reached.insert(chain).inserted { next += jumps[chain] ?? [] }
    }
    return rules.filter { reached.contains("\($0.table) \($0.chain)") }
  }
}
