package import Core
internal import Lint
internal import Policy
package import Ruleset

extension TypedRule {
  /// Nil unless the language says what this rule says. How it is spelled does not matter: the order of matches that keep
  /// no count, words that mean the same, and what is written although the kernel means it anyway.
  package init?(_ rule: Rule, table: String, chain: String, _ family: Family) {
    guard rule.bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }), let words = try? rule.words(), words.count > 3 else {
      return nil
    }
    var reader = TypedRuleReader(words: words, family: family)
    guard var typed = reader.read() else { return nil }
    if table == "nat", typed.verdict == .accept { typed.verdict = .exempt }
    guard typed.fits(table: table, chain: chain) else { return nil }
    self = typed
  }

  private func fits(table: String, chain: String) -> Bool {
    switch verdict {
    case .masquerade, .snat, .exempt:
      // Of these the language knows only whose packets, and where they leave.
      return table == "nat" && chain == "POSTROUTING" && input == nil && transport == nil && states.isEmpty
        && rate == nil && !isLocal && share == nil && (destination == nil || verdict == .exempt)
    case .dnat, .redirect:
      return table == "nat" && chain == "PREROUTING" && output == nil && destination == nil && namesPorts
        && states.isEmpty && rate == nil && isLocal == (input == nil)
    case .log: break
    // Only a log takes a plain rate.
    case .accept, .drop, .reject: guard rate == nil else { return false }
    }
    if verdict == .reject(.tcpReset), !hasTCP { return false }
    return table == "filter" && (chain != "INPUT" || output == nil) && (chain != "OUTPUT" || input == nil) && !isLocal
      && share == nil
  }

  private var hasTCP: Bool {
    transport == .named("tcp") || transport.map { if case .tcp = $0 { true } else { false } } ?? false
  }

  private var namesPorts: Bool {
    switch transport {
    case .tcp, .udp: true
    case .named, .icmp, nil: false
    }
  }
}

/// Reads a rule's words from left to right. It takes only words that it knows all of, each once.
private struct TypedRuleReader {
  private enum Module: String {
    case tcp, udp, icmp, icmp6, multiport, conntrack, state, limit, comment, addrtype, statistic
  }

  let words: [RuleWord]
  let family: Family
  private var index = 2
  private var typed = TypedRule(.accept)
  private var seen: Set<String> = []
  private var modules: Set<Module> = []
  /// Those that said nothing yet.
  private var idle: Set<Module> = []
  private var transport: String?
  private var ports: [ClosedRange<UInt16>] = []
  private var icmp: ICMPType?

  init(words: [RuleWord], family: Family) {
    self.words = words
    self.family = family
  }

  private static let spellings: [String: String] = [
    "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d", "--in-interface": "-i",
    "--out-interface": "-o", "--protocol": "-p", "--proto": "-p", "--match": "-m", "--jump": "-j",
    "--destination-port": "--dport", "--destination-ports": "--dports",
  ]

  mutating func read() -> TypedRule? {
    while let option = next(isOption: true) {
      let name = Self.spellings[option] ?? option
      if name == "-m" {
        guard let value = next(), load(value) else { return nil }
        continue
      }
      guard seen.insert(name).inserted, let value = next() else { return nil }
      if name == "-j" {
        guard let verdict = verdict(value), index == words.count, idle.isEmpty else { return nil }
        typed.verdict = verdict
        return finish()
      }
      guard core(name, value) ?? match(name, value) else { return nil }
    }
    return nil
  }

  /// False for a value that cannot be typed, nil for an option that is no core one.
  private mutating func core(_ name: String, _ value: String) -> Bool? {
    switch name {
    case "-s":
      typed.source = prefix(value)
      return typed.source != nil
    case "-d":
      typed.destination = prefix(value)
      return typed.destination != nil
    case "-i":
      typed.input = interface(value)
      return typed.input != nil
    case "-o":
      typed.output = interface(value)
      return typed.output != nil
    case "-p":
      transport = value == "icmpv6" ? "ipv6-icmp" : value
      return true
    default: return nil
    }
  }

  /// A limit counts the packets that came as far as it: what is matched behind it stays there.
  private mutating func load(_ name: String) -> Bool {
    guard let module = Module(rawValue: name == "icmpv6" ? "icmp6" : name), modules.insert(module).inserted,
      module == .comment || !modules.contains(.limit) || module == .limit
    else { return false }
    switch module {
    case .tcp, .udp: guard transport == name else { return false }
    case .icmp: guard transport == "icmp", family == .ipv4 else { return false }
    case .icmp6: guard transport == "ipv6-icmp", family == .ipv6 else { return false }
    case .multiport, .conntrack, .state, .limit, .comment, .addrtype, .statistic: break
    }
    idle.insert(module)
    return true
  }

  private mutating func match(_ name: String, _ value: String) -> Bool {
    switch name {
    case "--dport", "--icmp-type", "--icmpv6-type":
      // The protocol's own match need not be named.
      guard let transport, let module = Module(rawValue: transport == "ipv6-icmp" ? "icmp6" : transport),
        modules.contains(module) || load(module.rawValue)
      else { return false }
      idle.remove(module)
      return own(module, name, value)
    case "--dports":
      guard said(.multiport), ports.isEmpty, let read = Self.ports(value) else { return false }
      ports = read
    case "--ctstate", "--state":
      guard said(name == "--state" ? .state : .conntrack), typed.states.isEmpty, let states = Self.states(value) else {
        return false
      }
      typed.states = states
    case "--limit":
      guard said(.limit), let rate = Self.rate(value) else { return false }
      typed.rate = TypedRule.Rate(count: rate.count, unit: rate.unit, burst: typed.rate?.burst)
    case "--limit-burst":
      guard said(.limit), let burst = Int(value), (1...10_000).contains(burst), typed.rate != nil else { return false }
      // The kernel's own.
      if burst != 5 { typed.rate?.burst = burst }
    case "--comment":
      guard said(.comment), TypedRule.isPlain(value, atMost: 255) else { return false }
      typed.comment = value
    case "--dst-type":
      guard said(.addrtype), value == "LOCAL" else { return false }
      typed.isLocal = true
    case "--mode": return said(.statistic) && share(value)
    default: return false
    }
    return true
  }

  private mutating func said(_ module: Module) -> Bool {
    idle.remove(module)
    return modules.contains(module)
  }

  private mutating func own(_ module: Module, _ option: String, _ value: String) -> Bool {
    switch (module, option) {
    case (.tcp, "--dport"), (.udp, "--dport"):
      guard ports.isEmpty, let read = Self.ports(value), read.count == 1 else { return false }
      ports = read
    case (.icmp, "--icmp-type"), (.icmp6, "--icmpv6-type"):
      icmp = ICMPType(value, family)
      return icmp != nil
    default: return false
    }
    return true
  }

  /// As iptables-save prints it: the mode is followed by what it needs.
  private mutating func share(_ mode: String) -> Bool {
    switch mode {
    case "nth":
      guard next() == "--every", let every = next().flatMap({ Int($0) }), (2...64).contains(every),
        next() == "--packet", next() == "0"
      else { return false }
      typed.share = .nth(every: every)
    case "random":
      guard next() == "--probability", let probability = next() else { return false }
      typed.share = .random(probability: probability)
    default: return false
    }
    return true
  }

  private mutating func finish() -> TypedRule? {
    // The language bounds bursts by what a day lets through: more overflows in the kernel.
    if let rate = typed.rate, (rate.burst ?? 5) > rate.largestBurst { return nil }
    switch (transport, ports.isEmpty) {
    case (nil, true): break
    case ("tcp", false): typed.transport = .tcp(ports)
    case ("udp", false): typed.transport = .udp(ports)
    case (let name?, true):
      if let icmp {
        typed.transport = .icmp(icmp, family)
        break
      }
      guard isTransport(name) else { return nil }
      typed.transport = .named(name)
    default: return nil
    }
    return typed
  }

  private mutating func next(isOption: Bool = false) -> String? {
    guard index < words.count, !isOption || !words[index].isQuoted else { return nil }
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
    // Headers before the content in IPv6: the language means packets that have them, wherever they stand.
    if family == .ipv6, ["43", "44", "51", "60", "ah"].contains(name) { return false }
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

  /// A number as it is printed: with a zero before it, it would be octal.
  private static func port(_ text: Substring) -> UInt16? { UInt16(text).flatMap { "\($0)" == text ? $0 : nil } }

  private static func ports(_ list: String) -> [ClosedRange<UInt16>]? {
    var ranges: [ClosedRange<UInt16>] = []
    for part in list.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(Self.port)
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
    guard states.count == words.count, Set(states).count == words.count else { return nil }
    return TypedRule.State.allCases.filter(states.contains)
  }

  private static func rate(_ text: String) -> TypedRule.Rate? {
    let parts = text.split(separator: "/", maxSplits: 1)
    guard parts.count == 2, let count = Int(parts[0]), "\(count)" == parts[0], (1...10_000).contains(count),
      let unit = TypedRule.Rate.Unit.allCases.first(where: { $0.short == parts[1] || $0.rawValue == parts[1] })
    else { return nil }
    return TypedRule.Rate(count: count, unit: unit)
  }

  private mutating func verdict(_ name: String) -> TypedRule.Verdict? {
    switch name {
    case "ACCEPT": return .accept
    case "DROP": return .drop
    case "MASQUERADE": return .masquerade
    case "REJECT":
      guard index < words.count else { return .reject(.portUnreachable) }
      guard next() == "--reject-with", let kind = next() else { return nil }
      return Rejection.allCases.first { $0.option(family) == kind }.map { .reject($0) }
    case "SNAT":
      guard next() == "--to-source", let address = next(), let prefix = prefix(address), prefix.description == address,
        TranslationCompiler.canTranslate(to: prefix)
      else { return nil }
      return .snat(to: address)
    case "DNAT":
      guard next() == "--to-destination", let target = next(), isTarget(target) else { return nil }
      return .dnat(to: target, family)
    case "REDIRECT":
      guard ["--to-ports", "--to-port"].contains(next()), let text = next(), let port = UInt16(text), port > 0,
        "\(port)" == text
      else { return nil }
      return .redirect(to: port)
    case "LOG": return log()
    default: return nil
    }
  }

  /// One address, perhaps with one port, as iptables-save prints it.
  private func isTarget(_ text: String) -> Bool {
    var address = text[...]
    if family == .ipv6, text.hasPrefix("["), let end = text.firstIndex(of: "]") {
      address = text[..<end].dropFirst()
      guard Self.isPort(text[end...].dropFirst()) else { return false }
    } else if family == .ipv4, let colon = text.firstIndex(of: ":") {
      address = text[..<colon]
      guard Self.isPort(text[colon...]) else { return false }
    }
    return prefix(String(address)).map {
      $0.isOneAddress && $0.description == address && TranslationCompiler.canTranslate(to: $0)
    } ?? false
  }

  private static func isPort(_ text: Substring) -> Bool {
    guard text.hasPrefix(":"), let port = UInt16(text.dropFirst()) else { return false }
    return port > 0 && ":\(port)" == text
  }

  private mutating func log() -> TypedRule.Verdict? {
    var prefix: String?
    var level: TypedRule.LogLevel?
    while let option = next() {
      guard let value = next() else { return nil }
      switch option {
      case "--log-prefix":
        guard prefix == nil, TypedRule.isPlain(value, atMost: 29) else { return nil }
        prefix = value
      case "--log-level":
        guard level == nil, let named = TypedRule.LogLevel(printed: value) else { return nil }
        level = named
      default: return nil
      }
    }
    return .log(prefix: prefix, level: level)
  }
}

extension TypedRule.LogLevel {
  /// A number, or the language's own name of it, which iptables knows too.
  fileprivate init?(printed text: String) {
    let names: [String: Self] = ["info": .info, "notice": .notice, "debug": .debug, "error": .error, "alert": .alert]
    guard let level = names[text] ?? UInt8(text).flatMap({ "\($0)" == text ? Self(rawValue: $0) : nil }) else {
      return nil
    }
    self = level
  }
}
