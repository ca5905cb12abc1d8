internal import Core
internal import Ruleset

/// What a host cannot live without, asked of its rules by following packets through them. Only what is surely dropped
/// is a finding.
struct ReachLints {
  let subject: LintSubject

  init(_ subject: LintSubject) { self.subject = subject }

  /// Ports that no service has.
  static let clientPort: UInt16 = 50123
  static let otherPort: UInt16 = 50321

  func run() -> [LintFinding] {
    Family.allCases.flatMap { loopback($0) + established($0) + dhcp($0) } + ssh() + neighbours()
  }

  func walk(_ probe: PacketProbe) -> Passage {
    var probe = probe
    probe.now = subject.now
    return Walk(subject.rules[probe.family], sets: subject.sets).run(probe)
  }

  /// The rule that drops, or the chain whose policy does.
  func place(of passage: Passage, _ family: Family, chain: String) -> SourceLocation {
    passage.decidingRule.flatMap { subject.place(family, $0) }
      ?? subject.place(family, table: passage.end?.table ?? "filter", chain: passage.end?.chain ?? chain)
  }

  /// The family lets nothing in but what the host says to itself: it is meant to be shut.
  func isShut(_ family: Family) -> Bool {
    guard let filter = subject.rules[family][table: "filter"] else { return false }
    var knock = PacketProbe(family, .input, .tcp, state: .new, from: .stranger, to: .own)
    knock.sourcePort = Self.clientPort
    knock.destinationPort = Self.otherPort
    guard walk(knock).verdict == .dropped else { return false }
    let loopback = InterfacePattern("lo")
    return !filter.chains.filter { $0.name != "OUTPUT" }.flatMap(\.rules).contains { rule in
      !rule.isClear
        || rule.target == .jump("ACCEPT")
          && rule.input?.positive != loopback && rule.output?.positive != loopback
    }
  }

  // MARK: Loopback and answers

  private func loopback(_ family: Family) -> [LintFinding] {
    guard let address = AddressPrefix(matched: family == .ipv4 ? "127.0.0.1" : "::1", family) else { return [] }
    return [(PacketProbe.Way.input, "INPUT"), (.output, "OUTPUT")].compactMap { way, chain in
      var probe = PacketProbe(family, way, .tcp, state: .new, from: .address(address), to: .address(address))
      if way == .input { probe.input = .named("lo") } else { probe.output = .named("lo") }
      probe.sourcePort = Self.clientPort
      probe.destinationPort = Self.otherPort
      let passage = walk(probe)
      guard passage.verdict == .dropped else { return nil }
      let verb = way == .input ? "accept: { in: lo }" : "accept: { out: lo }"
      return LintFinding(
        .noLoopback, at: place(of: passage, family, chain: chain),
        "\(chain) drops what the host sends to itself over \(family.words)", hint: "begin with `\(verb)`",
        subject: "\(family) \(chain)")
    }
  }

  private func established(_ family: Family) -> [LintFinding] {
    guard !isShut(family), !(family == .ipv6 && subject.facts.closesIPv6) else { return [] }
    var findings: [LintFinding] = []
    func check(_ asking: PacketProbe, _ answering: PacketProbe, chain: String, _ what: String) {
      guard walk(asking).fates.contains(.accepted) else { return }
      let passage = walk(answering)
      guard passage.verdict == .dropped else { return }
      findings.append(
        LintFinding(
          .noEstablished, at: place(of: passage, family, chain: chain), "\(chain) drops \(what) over \(family.words)",
          hint: "begin with `accept: established`", subject: "\(family) \(chain)"))
    }
    var request = PacketProbe(family, .output, .tcp, state: .new, from: .own, to: .stranger)
    request.sourcePort = Self.clientPort
    request.destinationPort = 443
    var answer = PacketProbe(family, .input, .tcp, state: .established, from: .stranger, to: .own)
    answer.sourcePort = 443
    answer.destinationPort = Self.clientPort
    answer.isReply = true
    check(request, answer, chain: "INPUT", "answers to what the host asks")

    for peer in controllers(family) + [.stranger] where findings.allSatisfy({ !$0.subject.hasSuffix("OUTPUT") }) {
      for port in subject.sshPorts.prefix(1) {
        var login = PacketProbe(family, .input, .tcp, state: .new, from: peer, to: .own)
        login.sourcePort = Self.clientPort
        login.destinationPort = port
        var reply = PacketProbe(family, .output, .tcp, state: .established, from: .own, to: peer)
        reply.sourcePort = port
        reply.destinationPort = Self.clientPort
        reply.isReply = true
        check(login, reply, chain: "OUTPUT", "the host's answers to those whom it lets in")
      }
    }
    return findings
  }

  private func controllers(_ family: Family) -> [PacketProbe.Peer] {
    subject.controllers.compactMap { AddressPrefix(matched: $0, family) }.map { .address($0) }
  }

  // MARK: What IPv6 lives on

  private func neighbours() -> [LintFinding] {
    guard !subject.facts.closesIPv6, !isShut(.ipv6) else { return [] }
    // Router solicitations come only to those that forward.
    var discovery: [UInt8] = [134, 135, 136]
    if subject.facts.forwards.ipv6 == true { discovery.insert(133, at: 0) }
    var findings: [LintFinding] = []
    for (way, chain, types) in [
      (PacketProbe.Way.input, "INPUT", discovery), (.output, "OUTPUT", [135, 136]),
    ] {
      let dropped = types.compactMap { type in dropping(type, way).map { (type, $0) } }
      guard let first = dropped.first else { continue }
      findings.append(
        LintFinding(
          .icmpv6Dropped, at: place(of: first.1, .ipv6, chain: chain),
          "\(chain) drops neighbour discovery (ICMPv6 type \(dropped.map { String($0.0) }.joined(separator: ", ")))",
          hint: "begin with `accept: icmp-essential`", subject: "discovery \(chain)"))
    }
    var tooBig = PacketProbe(.ipv6, .input, .icmpv6, state: .related, from: .stranger, to: .own)
    tooBig.icmp = ICMPKind(type: 2, code: 0)
    let passage = walk(tooBig)
    if passage.verdict == .dropped {
      findings.append(
        LintFinding(
          .icmpv6Dropped, at: place(of: passage, .ipv6, chain: "INPUT"), "INPUT drops packet-too-big (ICMPv6 type 2)",
          hint: "accept `icmp-essential` or `established`", subject: "too-big INPUT"))
    }
    return findings
  }

  /// How a neighbour's packet of this type is dropped, to one address of the host and to many; nil when it may pass.
  /// Connection tracking leaves these packets alone.
  private func dropping(_ type: UInt8, _ way: PacketProbe.Way) -> Passage? {
    guard let neighbour = AddressPrefix(matched: "fe80::1", .ipv6), let group = AddressPrefix(matched: "ff02::1", .ipv6)
    else {
      return nil
    }
    var last: Passage?
    for peer in [way == .input ? PacketProbe.Peer.own : .address(neighbour), .address(group)] {
      let source = way == .input ? PacketProbe.Peer.address(neighbour) : .own
      var probe = PacketProbe(.ipv6, way, .icmpv6, state: .untracked, from: source, to: peer)
      probe.icmp = ICMPKind(type: type, code: 0)
      let passage = walk(probe)
      guard passage.verdict == .dropped else { return nil }
      last = passage
    }
    return last
  }

  private func dhcp(_ family: Family) -> [LintFinding] {
    guard subject.facts.hasLeases[family] == true, !(family == .ipv6 && subject.facts.closesIPv6) else { return [] }
    let link = AddressPrefix(matched: "fe80::1", .ipv6).map { PacketProbe.Peer.address($0) }
    let server = family == .ipv6 ? link ?? .stranger : .stranger
    let broadcast = AddressPrefix(matched: "255.255.255.255", .ipv4).map { PacketProbe.Peer.address($0) }
    var last: Passage?
    for destination in [PacketProbe.Peer.own] + (family == .ipv4 ? [broadcast].compactMap { $0 } : []) {
      var probe = PacketProbe(family, .input, .udp, state: .new, from: server, to: destination)
      probe.sourcePort = family == .ipv4 ? 67 : 547
      probe.destinationPort = family == .ipv4 ? 68 : 546
      let passage = walk(probe)
      guard passage.verdict == .dropped else { return [] }
      last = passage
    }
    guard let last else { return [] }
    return [
      LintFinding(
        .noDHCPClient, at: place(of: last, family, chain: "INPUT"),
        "INPUT drops what the DHCP server sends over \(family.words), and the host has a lease from one",
        hint: "accept `dhcp-client`", subject: "\(family)")
    ]
  }
}
