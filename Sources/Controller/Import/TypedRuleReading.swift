package import Core
internal import Lint
package import Ruleset

extension TypedRule {
  /// Nil unless the language says exactly this rule, byte for byte.
  package init?(_ rule: Rule, table: String, chain: String, _ family: Family) {
    guard rule.bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }), let words = try? rule.words(), words.count > 3 else {
      return nil
    }
    var reader = TypedRuleReader(words: words, family: family)
    guard let typed = reader.read(), typed.fits(table: table, chain: chain),
      rule.bytes.elementsEqual(typed.text(chain: chain, family))
    else { return nil }
    self = typed
  }

  private func fits(table: String, chain: String) -> Bool {
    switch verdict {
    case .masquerade, .snat:
      // Of these the language knows only whose packets, and where they leave.
      return table == "nat" && chain == "POSTROUTING" && input == nil && destination == nil && transport == nil
        && states.isEmpty && rate == nil
    case .log: break
    // Only a log takes a plain rate.
    case .accept, .drop, .reject: guard rate == nil else { return false }
    }
    if verdict == .reject(.tcpReset), !hasTCP { return false }
    return table == "filter" && (chain != "INPUT" || output == nil) && (chain != "OUTPUT" || input == nil)
  }

  private var hasTCP: Bool {
    switch transport {
    case .tcp, .named("tcp"): true
    case .udp, .named, nil: false
    }
  }
}

/// Reads a rule's words from left to right. It takes what may be typed; whether it was said in the right order is told
/// by writing it again.
private struct TypedRuleReader {
  let words: [RuleWord]
  let family: Family
  private var index = 2
  private var typed = TypedRule(.accept)

  init(words: [RuleWord], family: Family) {
    self.words = words
    self.family = family
  }

  mutating func read() -> TypedRule? {
    var transport: String?
    var ports: [ClosedRange<UInt16>] = []
    while let option = next() {
      guard let value = next() else { return nil }
      switch option {
      case "-s": typed.source = prefix(value)
      case "-d": typed.destination = prefix(value)
      case "-i": typed.input = interface(value)
      case "-o": typed.output = interface(value)
      case "-p": transport = value
      case "-m":
        switch value {
        case "tcp" where transport == value, "udp" where transport == value:
          guard next() == "--dport", let list = next(), let read = Self.ports(list), read.count == 1 else {
            return nil
          }
          ports = read
        case "multiport":
          guard next() == "--dports", let list = next(), let read = Self.ports(list) else { return nil }
          ports = read
        case "conntrack":
          guard next() == "--ctstate", let list = next(), let states = Self.states(list) else { return nil }
          typed.states = states
        case "limit":
          guard next() == "--limit", let text = next(), var rate = Self.rate(text) else { return nil }
          if index < words.count, words[index].says("--limit-burst") {
            index += 1
            guard let burst = next().flatMap({ Int($0) }), (1...10_000).contains(burst), burst != 5 else { return nil }
            rate.burst = burst
          }
          // The language bounds bursts by what a day lets through: more overflows in the kernel.
          guard (rate.burst ?? 5) <= rate.largestBurst else { return nil }
          typed.rate = rate
        case "comment":
          guard next() == "--comment", let text = next(), TypedRule.isPlain(text, atMost: 255) else {
            return nil
          }
          typed.comment = text
        default: return nil
        }
      case "-j":
        guard let verdict = verdict(value), index == words.count else { return nil }
        typed.verdict = verdict
        switch (transport, ports.isEmpty) {
        case (nil, true): break
        case ("tcp", false): typed.transport = .tcp(ports)
        case ("udp", false): typed.transport = .udp(ports)
        case (let name?, true):
          guard isTransport(name) else { return nil }
          typed.transport = .named(name)
        default: return nil
        }
        return typed
      default: return nil
      }
    }
    return nil
  }

  private mutating func next() -> String? {
    guard index < words.count else { return nil }
    index += 1
    return words[index - 1].text
  }

  /// One that says something, and that the language takes as of this family.
  private func prefix(_ text: String) -> AddressPrefix? {
    guard let prefix = AddressPrefix(matched: text, family), !prefix.isWhole else { return nil }
    let mapped = AddressPrefix(matched: "::ffff:0:0/96", .ipv6)
    return mapped?.isDisjoint(from: prefix) == false ? nil : prefix
  }

  /// A name of it that the language writes in the same way, or a number that has none.
  private func isTransport(_ name: String) -> Bool {
    if TypedRule.names[name] != nil || TypedRule.namesOfFamilies[name]?.family == family { return true }
    guard let number = UInt8(name), number > 0, "\(number)" == name else { return false }
    return !TypedRule.names.values.contains(Int(number))
      && !TypedRule.namesOfFamilies.values.contains { $0.number == Int(number) }
  }

  /// A name that means the same in YAML, on a command line and to the kernel.
  private func interface(_ text: String) -> String? {
    let name = text.hasSuffix("+") ? text.dropLast() : text[...]
    let isPlain = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
        UInt8(ascii: "@"):
        true
      default: false
      }
    }
    return isPlain && !name.isEmpty && !name.hasPrefix("-") && text.utf8.count <= 15 ? text : nil
  }

  private static func ports(_ list: String) -> [ClosedRange<UInt16>]? {
    var ranges: [ClosedRange<UInt16>] = []
    for part in list.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { UInt16($0) }
      guard let first = ends[0], let last = ends[ends.count - 1], first > 0, first <= last,
        !ranges.contains(first...last)
      else { return nil }
      ranges.append(first...last)
    }
    // What the kernel keeps of one list; a range counts as two.
    return ranges.reduce(0) { $0 + ($1.count == 1 ? 1 : 2) } <= 15 ? ranges : nil
  }

  private static func states(_ list: String) -> [TypedRule.State]? {
    let words = list.split(separator: ",", omittingEmptySubsequences: false).map { $0.lowercased() }
    let states = words.compactMap { TypedRule.State(rawValue: $0) }
    return states.count == words.count && Set(states).count == words.count ? states : nil
  }

  private static func rate(_ text: String) -> TypedRule.Rate? {
    let parts = text.split(separator: "/", maxSplits: 1)
    guard parts.count == 2, let count = Int(parts[0]), (1...10_000).contains(count),
      let unit = TypedRule.Rate.Unit.allCases.first(where: { $0.short == parts[1] })
    else { return nil }
    return TypedRule.Rate(count: count, unit: unit)
  }

  private mutating func verdict(_ name: String) -> TypedRule.Verdict? {
    switch name {
    case "ACCEPT": return .accept
    case "DROP": return .drop
    case "MASQUERADE": return .masquerade
    case "REJECT":
      guard next() == "--reject-with", let kind = next() else { return nil }
      return Rejection.allCases.first { $0.option(family) == kind }.map { .reject($0) }
    case "SNAT":
      guard next() == "--to-source", let address = next(), let prefix = prefix(address), prefix.description == address
      else {
        return nil
      }
      return .snat(to: address)
    case "LOG":
      var prefix: String?
      var level: TypedRule.LogLevel?
      while let option = next(), let value = next() {
        switch option {
        case "--log-prefix":
          guard TypedRule.isPlain(value, atMost: 29) else { return nil }
          prefix = value
        case "--log-level": level = UInt8(value).flatMap(TypedRule.LogLevel.init)
        default: return nil
        }
      }
      return .log(prefix: prefix, level: level)
    default: return nil
    }
  }
}
