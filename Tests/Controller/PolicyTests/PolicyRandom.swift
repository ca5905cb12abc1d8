import TestSupport

/// Valid policies over all constructs of the language, for the host of `languageInventory`.
struct PolicyRandom {
  var random: Random

  private static let both = ["mixed", "outer", "controllers", "group:web", "db.example.net", "big"]
  private static let four = [
    "four", "192.0.2.7", "10.0.0.0/8", "group:old", "host:w2", "\"${one}\"", "0.0.0.0/0", "shared",
  ]
  private static let six = ["six", "\"2001:db8:7::/48\"", "group:new", "\"${six}\"", "\"::/0\""]
  private static let services = ["ssh", "http", "https", "dns", "app", "both", "ipsec", "postgres", "mosh", "consul"]
  private static let letters = Array("abc XYZ019-_.,:;!'()[]{}*#%&/+=<>?@^|~$`").map(String.init)

  mutating func policy() -> String {
    var text = """
      policy: p
      applies_to: all
      order: \(random.below(100))
      sets:
        mixed: [192.0.2.0/24, "2001:db8:1::/64"]
        four: 198.51.100.0/24
        six: "2001:db8:6::/64"
        outer: [mixed, four, 198.51.100.7]
        big: [\((0..<70).map { "10.1.\($0).0/24" }.joined(separator: ", ")), "2001:db8:1::/64"]
      services:
        app: [tcp/8080, tcp/8443, sctp/9]
        both: [tcp/53, udp/53, proto/esp, proto/112]
      schedule:
        first: { days: \(random.pick(["mon", "mon-fri", "sat-mon", "[tue, thu]"])), from: "\(clock())", to: "\(clock(after: true))" }
        second: { \(random.pick(["from: \"22:00\", to: \"06:00\"", "to: \"12:00\"", "from: \"13:30:15\"", "days: sun, to: \"24:00\""])) }
      defaults: { input: \(random.pick(["drop", "accept"])), forward: \(random.pick(["drop", "accept"])) }

      """
    if random.sometimes(3) { text += "established: explicit\n" }
    if random.sometimes(8) { text += "observe: true\n" }
    for section in ["input", "forward", "output", "input_last", "forward_last", "output_last"]
    where !random.sometimes(3) {
      text += "\(section):\n"
      for _ in 0...random.below(section.hasSuffix("last") ? 3 : 12) { text += "  - \(item(section))\n" }
    }
    if !random.sometimes(3) {
      text += "nat:\n"
      for _ in 0...random.below(6) { text += "  - \(translation())\n" }
    }
    if random.sometimes(2) {
      text += "containers:\n"
      for _ in 0..<random.below(4) { text += "  - \(container())\n" }
      text += "  - \(random.pick(["drop", "reject", "accept"])): {}\n"
    }
    if random.sometimes(2) { text += raw() }
    return text
  }

  /// A few items, for readers rather than kernels.
  mutating func small() -> String {
    let section = random.pick(["input", "forward", "output", "input_last"])
    return """
      policy: p
      applies_to: all
      sets: {mixed: [192.0.2.0/24, "2001:db8:1::/64"], four: 198.51.100.0/24, six: "2001:db8:6::/64", outer: [mixed, four]}
      services: {app: [tcp/8080], both: [tcp/53, udp/53]}
      schedule: {first: {days: mon-fri}, second: {from: "22:00", to: "06:00"}}
      \(section):
        - \(item(section))
        - \(item(section))
      nat: [\(translation())]

      """
  }

  private mutating func clock(after: Bool = false) -> String {
    let hour = after ? 12 + random.below(12) : random.below(12)
    return "\(hour < 10 ? "0" : "")\(hour):\(10 + random.below(50))"
  }

  private mutating func words() -> String {
    let text = (0...random.below(28)).map { _ in random.pick(Self.letters) }.joined()
    return text.hasPrefix("-") ? "x" : text
  }

  private mutating func list(_ values: [String]) -> String {
    random.sometimes(2)
      ? random.pick(values) : "[" + (0...random.below(3)).map { _ in random.pick(values) }.joined(separator: ", ") + "]"
  }

  private mutating func port() -> String {
    let first = 1 + random.below(60_000)
    return random.sometimes(3) ? "\(first)-\(first + random.below(5000))" : "\(first)"
  }

  private mutating func ports() -> String {
    switch random.below(4) {
    case 0: "\"${port}\""
    case 1: "[" + (0...random.below(20)).map { _ in port() }.joined(separator: ", ") + "]"
    default: port()
    }
  }

  /// What goes together in at least one family.
  private mutating func match(_ hook: String, ports: Bool = true) -> [String] {
    var parts: [String] = []
    let family = random.below(3)
    let pool = Self.both + (family == 1 ? Self.four : []) + (family == 2 ? Self.six : [])
    if random.sometimes(2) { parts.append("from: \(list(pool))") }
    if random.sometimes(4) { parts.append("to: \(list(pool))") }
    if family > 0, random.sometimes(4) { parts.append("family: ipv\(family == 1 ? 4 : 6)") }
    if ports {
      switch random.below(7) {
      case 0: parts.append("service: \(list(Self.services))")
      case 1: parts.append("tcp: \(self.ports())")
      case 2: parts += ["udp: \(self.ports())", "tcp: \(self.ports())"]
      case 3: parts.append("\(random.pick(["sctp", "dccp"])): \(self.ports())")
      case 4:
        parts.append(
          "proto: \(list(["vrrp", "gre", "icmp", "esp", "ah", "44", "43", "60", "4", "tcp", "udplite", "ospf"]))")
      default: break
      }
    }
    let devices = ["eth0", "cali+", "\"${device}\"", "br-0.5@x", "lo"]
    if hook != "output", random.sometimes(4) { parts.append("in: \(list(devices))") }
    if hook != "input", random.sometimes(4) { parts.append("out: \(list(devices))") }
    return parts
  }

  private mutating func comments() -> [String] {
    (random.sometimes(4) ? ["comment: '\(words().replacing("'", with: "''"))'"] : [])
      + (random.sometimes(8) ? ["owner: someone"] : [])
  }

  private mutating func times() -> [String] {
    (random.sometimes(6) ? ["until: 20\(28 + random.below(10))-0\(1 + random.below(9))-1\(random.below(10))"] : [])
      + (random.sometimes(6) ? ["when: \(random.pick(["first", "second"]))"] : [])
  }

  private mutating func rate() -> String {
    "\(1 + random.below(random.pick([10, 100, 10_000])))/\(random.pick(["second", "minute", "hour", "day"]))"
  }

  private mutating func item(_ section: String) -> String {
    let hook = String(section.prefix { $0 != "_" })
    if random.sometimes(5) {
      let words =
        ["established", "invalid", "icmp-essential", "broadcast", "multicast"]
        + (hook == "forward" ? [] : ["dhcp-client"])
      return "\(random.pick(["accept", "drop", "reject", "log"])): \(random.pick(words))"
    }
    var parts = match(hook) + times() + comments()
    let states =
      random.sometimes(6) ? ["state: \(list(["new", "established", "related", "invalid", "untracked"]))"] : []
    switch random.below(6) {
    case 0, 1:
      parts += states
      // Headers of IPv6 are for other verbs.
      parts = parts.map { part in
        part.hasPrefix("proto") ? ["43", "44", "60"].reduce(part) { $0.replacing($1, with: "41") } : part
      }
      if random.sometimes(10), !parts.contains(where: { $0.hasPrefix("proto") || $0.hasPrefix("service") }),
        let ports = parts.first(where: { $0.hasPrefix("tcp") || $0.hasPrefix("udp") })
      {
        parts = parts.filter { !$0.hasPrefix("udp") && !$0.hasPrefix("tcp") }
        parts.append(
          contentsOf: ports.hasPrefix("tcp")
            ? [ports, "helper: \(random.pick(["ftp", "irc"]))"] : [ports, "helper: tftp"])
      }
      if !section.hasSuffix("last"), random.sometimes(3), parts.contains(where: { $0.hasPrefix("when") }) {
        parts.append("strict: true")
      }
      return "accept: {\(parts.joined(separator: ", "))}"
    case 2: return "drop: {\((parts + states).joined(separator: ", "))}"
    case 3:
      let with = ["port-unreachable", "host-unreachable", "net-unreachable", "admin-prohibited"]
      return "reject: {\((parts + states + ["with: \(random.pick(with))"]).joined(separator: ", "))}"
    case 4:
      parts += states
      if random.sometimes(2) { parts.append("prefix: '\(words().prefix(29).replacing("'", with: "''"))'") }
      if random.sometimes(2) { parts.append("limit: \(rate())") }
      if random.sometimes(2) {
        parts.append(
          "level: \(random.pick(["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"]))")
      }
      return "log: {\(parts.joined(separator: ", "))}"
    default:
      parts += ["rate: \(rate())", "by: \(random.pick(["source", "destination", "all"]))"]
      if random.sometimes(2) { parts.append("over: \(random.pick(["drop", "reject"]))") }
      return "limit: {\(parts.joined(separator: ", "))}"
    }
  }

  private mutating func translation() -> String {
    func body(_ parts: [String]) -> String { "{\(parts.joined(separator: ", "))}" }
    let transport = random.pick(["tcp", "udp"])
    let from = random.sometimes(3) ? ["from: \(random.pick(["mixed", "outer", "big"]))"] : []
    let input = random.sometimes(2) ? ["in: \(random.pick(["eth0", "cali+"]))"] : []
    let targets = [
      "10.8.0.5", "\"10.8.0.5:80\"", "\"2001:db8::5\"", "\"[2001:db8::5]:443\"", "\"${six}\"",
    ]
    switch random.below(6) {
    case 0: return "masquerade: \(body(from + (random.sometimes(2) ? ["out: eth0"] : []) + comments()))"
    case 1: return "snat: \(body(from + ["to: \(random.pick(["192.0.2.80", "\"2001:db8::80\""]))"] + comments()))"
    case 2: return "exempt: \(body(match("output", ports: false) .filter { !$0.hasPrefix("in:") } + comments()))"
    case 3:
      return
        "redirect: \(body(from + input + ["\(transport): \(ports())", "to: \(1 + random.below(65_535))"] + comments()))"
    case 4:
      return
        "forward-port: \(body(from + input + ["\(transport): \(ports())", "to: \(random.pick(targets))"] + comments()))"
    default:
      let some = (0...(1 + random.below(4))).map { _ in random.pick(targets) }.joined(separator: ", ")
      let mode = random.pick(["round-robin", "random"])
      return
        "balance: \(body(from + input + ["\(transport): \(ports())", "to: [\(some)]", "mode: \(mode)"] + comments()))"
    }
  }

  private mutating func container() -> String {
    let parts = [
      random.sometimes(2) ? "from: \(random.pick(["mixed", "outer", "big", "controllers"]))" : "tcp: \(port())",
      random.sometimes(3) ? "in: eth0" : "udp: [\(port()), \(port())]",
    ]
    return "\(random.pick(["accept", "drop", "reject"])): {\((parts + comments()).joined(separator: ", "))}"
  }

  /// As it is printed.
  private mutating func raw() -> String {
    """
    raw:
      ipv4: |
        *filter
        :MINE -
        -A INPUT -p tcp -m tcp --dport \(1 + random.below(65_535)) -j MINE
        -A MINE -s 10.0.0.0/8 -j RETURN
        -A MINE -j DROP
        COMMIT
        *mangle
        -A PREROUTING -i eth\(random.below(9)) -j MARK --set-xmark 0x\(1 + random.below(9))/0xffffffff
        COMMIT
      ipv6: |
        *filter
        -A FORWARD -s controllers -j ACCEPT
        COMMIT

    """
  }
}
