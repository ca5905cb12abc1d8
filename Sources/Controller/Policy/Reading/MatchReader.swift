internal import Core
internal import Inventory

/// Reads what an item looks for.
enum MatchReader {
  /// Keys of a match, in the order that documentation lists them.
  enum Key: String, CaseIterable {
    case service, tcp, udp, sctp, dccp, proto, icmp, icmpv6, from, to
    case input = "in"
    case output = "out"
    case state, family, until, when, strict, comment, owner, helper
  }

  /// Also those of the verb itself.
  static func read(
    _ body: YAMLMapping, at location: SourceLocation, _ problems: inout Problems
  ) -> TrafficMatch {
    var match = TrafficMatch(location: location)
    for transport in PortTransport.allCases {
      guard let node = body[transport.rawValue] else { continue }
      let ports = OperandReader.each(node, "port", &problems) { OperandReader.port($0, &$1) }
      match.ports.append((transport, ports))
    }
    if let node = body["service"] {
      match.services = OperandReader.each(node, "service", &problems) { name($0, &$1) }
    }
    if let node = body["proto"] {
      match.protocols = OperandReader.each(node, "protocol", &problems) { OperandReader.protocolNumber($0, &$1) }
    }
    for (family, key) in [(Family.ipv4, "icmp"), (.ipv6, "icmpv6")] {
      guard let node = body[key] else { continue }
      match.icmp[family] = OperandReader.each(node, "type", &problems) { ICMPType.read($0, family, &$1) }
    }
    check(match, body, &problems)
    if let node = body["from"] { match.from = OperandReader.addresses(node, &problems) }
    if let node = body["to"] { match.to = OperandReader.addresses(node, &problems) }
    if let node = body["in"] {
      match.input = OperandReader.each(node, "interface", &problems) { OperandReader.interface($0, &$1) }
    }
    if let node = body["out"] {
      match.output = OperandReader.each(node, "interface", &problems) { OperandReader.interface($0, &$1) }
    }
    readTime(body, into: &match, &problems)
    if let node = body["state"] {
      match.states = OperandReader.each(node, "state", &problems) { choice($0, "state", &$1) }
    }
    if let node = body["family"] { match.family = choice(node, "family", &problems) }
    if let node = body["comment"] { match.comment = comment(node, &problems) }
    if let node = body["owner"] { match.owner = comment(node, &problems) }
    if let node = body["helper"] { match.helper = helper(node, match, &problems) }
    return match
  }

  /// Ports, services and protocols stand beside each other: `{proto: tcp, tcp: 22}` would be all of TCP.
  private static func check(_ match: TrafficMatch, _ body: YAMLMapping, _ problems: inout Problems) {
    if !match.icmp.ipv4.isEmpty || !match.icmp.ipv6.isEmpty, match.protocols.contains(where: { $0 == 1 || $0 == 58 }),
      let place = body["proto"]?.location
    {
      problems.add(
        place, "proto: icmp is every type of it, which the types of this item are part of",
        hint: "leave proto out: icmp and icmpv6 name their protocol")
    }
    guard match.namesPorts, let place = body["proto"]?.location else { return }
    for transport in PortTransport.allCases where match.protocols.contains(transport.number) {
      problems.add(
        place, "proto: \(transport.rawValue) is every port of it, which the ports of this item are part of",
        hint: "leave proto out: ports and services name their transport")
    }
  }

  private static func readTime(_ body: YAMLMapping, into match: inout TrafficMatch, _ problems: inout Problems) {
    if let node = body["until"], let text = node.string(&problems) {
      if let day = LastDay(text) {
        match.until = Located(day, node.location)
        if day.isTooLate {
          problems.add(
            node.location, "until: \(text) is after \(LastDay.latest), where the kernel's time match ends",
            hint: "name an earlier day, or leave until out")
        }
      } else {
        problems.add(node.location, "\(quoted(text)) is no day", hint: "write it as 2027-01-31; it still counts itself")
      }
    }
    match.schedule = body["when"].flatMap { name($0, &problems) }
    if let node = body["strict"] {
      match.isStrict = node.bool(&problems) ?? false
      if match.schedule == nil {
        problems.add(
          node.location, "strict has a meaning only beside when",
          hint: "it ends connections when the schedule's window closes")
      }
    }
  }

  /// The name of a service, schedule or the like.
  static func name(_ node: YAMLNode, _ problems: inout Problems) -> Located<String>? {
    guard let text = node.string(&problems) else { return nil }
    guard DefinitionsReader.isName(text) else {
      problems.add(
        node.location, "\(quoted(text)) is no name", hint: "letters, digits, '_' and '-', beginning with a letter")
      return nil
    }
    return Located(text, node.location)
  }

  /// One word of an enumeration.
  static func choice<Value: RawRepresentable & CaseIterable>(
    _ node: YAMLNode, _ what: String, _ problems: inout Problems
  ) -> Value? where Value.RawValue == String {
    guard let text = node.string(&problems) else { return nil }
    if let value = Value(rawValue: text) { return value }
    let words = Value.allCases.map(\.rawValue)
    problems.add(
      node.location, "unknown \(what) \(quoted(text))",
      hint: nearestHint(text, among: words) ?? "one of \(words.joined(separator: ", "))")
    return nil
  }

  /// What iptables keeps of a comment, as one word of a rule.
  static func comment(_ node: YAMLNode, _ problems: inout Problems) -> String? {
    guard let text = node.string(&problems) else { return nil }
    guard (1...255).contains(text.utf8.count) else {
      problems.add(node.location, "the text has \(text.utf8.count) bytes; 1 to 255 are kept")
      return nil
    }
    guard RuleWriting.isPlain(text) else {
      problems.add(
        node.location, "the text holds more than printable ASCII, a quotation mark or backslash, or begins with -",
        hint: "the iptables programs of different versions write those differently")
      return nil
    }
    return text
  }

  private static func helper(
    _ node: YAMLNode, _ match: TrafficMatch, _ problems: inout Problems
  ) -> Located<String>? {
    guard let text = node.string(&problems) else { return nil }
    // Q.931 is no name of ours.
    let isKnown = ConnectionHelper(text) != nil
    guard let name = isKnown ? Located(text, node.location) : name(node, &problems) else { return nil }
    guard name.value.utf8.count <= 15 else {
      problems.add(node.location, "the helper's name has more than the 15 bytes the kernel keeps")
      return nil
    }
    if !match.namesPorts {
      problems.add(
        node.location, "a helper is attached to connections of a port", hint: "name it: {tcp: 21, helper: ftp}")
    }
    return name
  }
}
