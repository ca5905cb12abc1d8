import Core
import Glibc

/// A packet of which everything is known.
struct MeantPacket {
  var family = Family.ipv4
  var hook = "input"
  var source = ""
  var destination = ""
  var input: String?
  var output: String?
  var transport: UInt8 = 6
  var sourcePort: UInt16 = 50_000
  var destinationPort: UInt16 = 80
  var state = "new"
  var icmpType: UInt8 = 8
}

/// What the manual says of an item, a policy and several policies of one host, read as a person reads it: item by item,
/// packet by packet. Nothing of the compiler is used here.
struct MeantItem {
  var verb = "accept"
  var word: String?
  var from: [String] = []
  var to: [String] = []
  var ports: [(transport: String, ports: ClosedRange<UInt16>)] = []
  var services: [String] = []
  var protocols: [String] = []
  var inputs: [String] = []
  var outputs: [String] = []
  var states: [String] = []
  var family: Family?
  var isOver = false

  static let ended = "2020-02-29"

  var yaml: String {
    if let word { return "\(verb): \(word)" }
    func list(_ values: [String]) -> String { "[\(values.map { "\"\($0)\"" }.joined(separator: ", "))]" }
    var parts: [String] = []
    for (key, values) in [
      ("from", from), ("to", to), ("service", services), ("proto", protocols), ("in", inputs), ("out", outputs),
      ("state", states),
    ] where !values.isEmpty {
      parts.append("\(key): \(list(values))")
    }
    for transport in ["tcp", "udp", "sctp"] {
      let mine = ports.filter { $0.transport == transport }.map { "\($0.ports.lowerBound)-\($0.ports.upperBound)" }
      if !mine.isEmpty { parts.append("\(transport): \(list(mine))") }
    }
    if let family { parts.append("family: \(family)") }
    if isOver { parts.append("until: \(Self.ended)") }
    if verb == "limit" { parts.append("rate: 6/minute") }
    return "\(verb): {\(parts.joined(separator: ", "))}"
  }

  /// What becomes of the packet here; nil for the next item.
  func verdict(_ packet: MeantPacket) -> Bool? {
    guard matches(packet) else { return nil }
    switch verb {
    case "accept": return true
    case "drop", "reject": return false
    // The first of its kind is within every rate, and a log lets it go on.
    default: return nil
    }
  }

  private func matches(_ packet: MeantPacket) -> Bool {
    if let word { return Self.isCalled(word, packet) }
    func isAmong(_ operands: [String], _ address: String) -> Bool {
      operands.isEmpty || operands.flatMap(Meaning.addresses).contains { Meaning.isInside(address, $0) }
    }
    func isOn(_ patterns: [String], _ interface: String?) -> Bool {
      patterns.isEmpty
        || patterns.contains { $0.hasSuffix("+") ? interface?.hasPrefix($0.dropLast()) == true : $0 == interface }
    }
    return !isOver && (family == nil || family == packet.family) && isAmong(from, packet.source)
      && isAmong(to, packet.destination) && isOn(inputs, packet.input) && isOn(outputs, packet.output)
      && (states.isEmpty || states.contains(packet.state)) && hasPurpose(packet)
  }

  /// Ports, services and protocols stand beside each other: any of them is enough.
  private func hasPurpose(_ packet: MeantPacket) -> Bool {
    let all = ports + services.flatMap { Meaning.services[$0]!.ports }
    let numbers = protocols + services.flatMap { Meaning.services[$0]!.protocols }
    guard !all.isEmpty || !numbers.isEmpty else { return true }
    return all.contains {
      Meaning.protocols[$0.transport] == packet.transport && $0.ports.contains(packet.destinationPort)
    }
      || numbers.contains { name in
        switch name {
        case "icmp": packet.transport == (packet.family == .ipv4 ? 1 : 58)
        case "icmpv6": packet.family == .ipv6 && packet.transport == 58
        default: Meaning.protocols[name] == packet.transport
        }
      }
  }

  private static func isCalled(_ word: String, _ packet: MeantPacket) -> Bool {
    func isUDP(_ source: UInt16, _ destination: UInt16) -> Bool {
      packet.transport == 17 && packet.sourcePort == source && packet.destinationPort == destination
    }
    func isLocal(_ address: String) -> Bool { Meaning.isInside(address, "fe80::/10") }
    switch (word, packet.family) {
    case ("established", _): return ["established", "related"].contains(packet.state)
    case ("invalid", _): return packet.state == "invalid"
    case ("icmp-essential", .ipv4): return packet.transport == 1 && [3, 8, 11, 12].contains(packet.icmpType)
    case ("icmp-essential", .ipv6):
      guard packet.transport == 58 else { return false }
      // Neighbour discovery needs a hop limit, which packets do not have here.
      let isListener = [130, 131, 132, 143].contains(packet.icmpType)
      return [1, 2, 3, 4, 128, 129].contains(packet.icmpType)
        || isListener && (packet.hook == "output" || packet.hook == "input" && isLocal(packet.source))
    case ("dhcp-client", .ipv4): return packet.hook == "input" ? isUDP(67, 68) : isUDP(68, 67)
    case ("dhcp-client", .ipv6):
      return packet.hook == "input"
        ? isUDP(547, 546) && isLocal(packet.source) && isLocal(packet.destination)
        : isUDP(546, 547) && isLocal(packet.source)
    default: return false
    }
  }
}

/// One file.
struct MeantPolicy {
  /// `-A CHAIN -p tcp -m tcp --dport N -j TARGET` of one family.
  struct Raw {
    let family: Family
    let hook: String
    let port: UInt16
    let isAccept: Bool
  }

  var name = "a"
  var order = 50
  var group = "all"
  var sections: [String: [MeantItem]] = [:]
  var defaults: [String: Bool] = [:]
  var raw: [Raw] = []
  var isExplicit = false
  var observes = false
  var closesIPv6 = false

  var yaml: String {
    var text = "policy: \(name)\napplies_to: \(group)\norder: \(order)\n" + Meaning.definitions
    if isExplicit { text += "established: explicit\n" }
    if observes { text += "observe: true\n" }
    if closesIPv6 { text += "ipv6: drop-all\n" }
    if !defaults.isEmpty {
      let said = defaults.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value ? "accept" : "drop")" }
      text += "defaults: {\(said.joined(separator: ", "))}\n"
    }
    for (section, items) in sections.sorted(by: { $0.key < $1.key }) {
      text += "\(section):\n" + items.map { "  - \($0.yaml)\n" }.joined()
    }
    if !raw.isEmpty {
      text += "raw:\n"
      for family in Family.allCases where raw.contains(where: { $0.family == family }) {
        text += "  \(family): |\n    *filter\n"
        for rule in raw where rule.family == family {
          let target = rule.isAccept ? "ACCEPT" : "DROP"
          text += "    -A \(rule.hook.uppercased()) -p tcp -m tcp --dport \(rule.port) -j \(target)\n"
        }
        text += "    COMMIT\n"
      }
    }
    return text
  }
}

/// What all policies of the host together say.
struct Meaning {
  let policies: [MeantPolicy]

  func accepts(_ packet: MeantPacket) -> Bool {
    if packet.family == .ipv6, policies.contains(where: \.closesIPv6) {
      return packet.hook == "input" && packet.input == "lo" || packet.hook == "output" && packet.output == "lo"
    }
    let ranks = ["all": 0, "web": 1, "inner": 2]
    let sorted = policies.sorted { ($0.order, ranks[$0.group]!, $0.name) < ($1.order, ranks[$1.group]!, $1.name) }
    let hook = packet.hook
    let drops = policies.compactMap { $0.defaults[hook] }.first == false
    let hasItems = policies.contains {
      !($0.sections[hook] ?? []).isEmpty || !($0.sections["\(hook)_last"] ?? []).isEmpty
    }
    let isAnswer = ["established", "related"].contains(packet.state)
    if isAnswer, !policies.contains(where: \.isExplicit), hasItems || drops && hook != "forward" { return true }
    for policy in sorted {
      for item in policy.sections[hook] ?? [] { if let verdict = item.verdict(packet) { return verdict } }
      for rule in policy.raw where rule.family == packet.family && rule.hook == hook {
        if packet.transport == 6, packet.destinationPort == rule.port { return rule.isAccept }
      }
    }
    for policy in sorted {
      for item in policy.sections["\(hook)_last"] ?? [] { if let verdict = item.verdict(packet) { return verdict } }
    }
    return !drops || policies.contains(where: \.observes)
  }

  // MARK: The words that policies here may use

  static let definitions = """
    sets: {mixed: [192.0.2.0/24, "2001:db8:1::/64"], outer: [mixed, 198.51.100.7, shared], six: "2001:db8:6::/64"}
    services: {app: [tcp/8080, tcp/8440-8443, udp/9], tunnel: [proto/gre, udp/500]}

    """
  static let common = "sets: {shared: [203.0.113.0/26, \"2001:db8:7::/48\"]}\n"
  static let inventory = """
    all:
      hosts: {other: {ansible_host: 198.51.100.99}}
      children:
        web:
          hosts: {w2: {ansible_host: 198.51.100.11}}
          children:
            inner: {hosts: {h: {ansible_host: 198.51.100.10, portcullis_addresses: ["2001:db8:20::10"], one: 10.5.0.0/16}}}

    """
  static let controllers = ["203.0.113.200", "2001:db8:ff::1"]

  static func addresses(_ operand: String) -> [String] {
    switch operand {
    case "mixed": ["192.0.2.0/24", "2001:db8:1::/64"]
    case "outer": addresses("mixed") + ["198.51.100.7"] + addresses("shared")
    case "shared": ["203.0.113.0/26", "2001:db8:7::/48"]
    case "six": ["2001:db8:6::/64"]
    case "controllers": controllers
    case "group:web": ["198.51.100.11", "198.51.100.10", "2001:db8:20::10"]
    case "host:other": ["198.51.100.99"]
    case "${one}": ["10.5.0.0/16"]
    default: [operand]
    }
  }

  static let services: [String: (ports: [(transport: String, ports: ClosedRange<UInt16>)], protocols: [String])] = [
    "ssh": ([("tcp", 22...22)], []), "http": ([("tcp", 80...80)], []),
    "dns": ([("tcp", 53...53), ("udp", 53...53)], []),
    "app": ([("tcp", 8080...8080), ("tcp", 8440...8443), ("udp", 9...9)], []),
    "tunnel": ([("udp", 500...500)], ["gre"]),
    "ipsec": ([("udp", 500...500), ("udp", 4500...4500)], ["esp"]),
  ]
  static let protocols: [String: UInt8] = [
    "tcp": 6, "udp": 17, "sctp": 132, "gre": 47, "esp": 50, "vrrp": 112, "ospf": 89, "99": 99,
  ]

  static func isInside(_ address: String, _ prefix: String) -> Bool {
    let parts = prefix.split(separator: "/").map(String.init)
    guard let one = bytes(address), let two = bytes(parts[0]), one.count == two.count else { return false }
    let length = parts.count == 2 ? Int(parts[1])! : one.count * 8
    return (0..<length).allSatisfy { (one[$0 / 8] ^ two[$0 / 8]) & (0x80 >> UInt8($0 % 8)) == 0 }
  }

  private static func bytes(_ text: String) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 16)
    if inet_pton(AF_INET, text, &bytes) == 1 { return Array(bytes.prefix(4)) }
    return inet_pton(AF_INET6, text, &bytes) == 1 ? bytes : nil
  }
}
