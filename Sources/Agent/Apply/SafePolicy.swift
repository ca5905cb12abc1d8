package import Core
package import Ruleset

/// What is loaded when neither the new rules nor the old ones can be: the host stays manageable and reachable for what
/// IP itself needs, and is never silently open. It uses only matches that every kernel with a packet filter has.
package enum SafePolicy {
  /// - Parameter sources: management addresses and prefixes of either family. When there are none of either, SSH is
  ///   let in from anywhere, because a host nobody can reach is not safe but lost.
  package static func ruleset(_ family: Family, sources: [String], sshPorts: [UInt16] = [22]) -> Ruleset {
    var rules = [
      "-A INPUT -i lo -j ACCEPT",
      "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]
    switch family {
    case .ipv4:
      rules += [
        "-A INPUT -p icmp -j ACCEPT",
        "-A INPUT -p udp -m udp --sport 67 --dport 68 -j ACCEPT",
      ]
    case .ipv6:
      rules += [
        "-A INPUT -p ipv6-icmp -j ACCEPT",
        "-A INPUT -s fe80::/10 -p udp -m udp --sport 547 --dport 546 -j ACCEPT",
      ]
    }
    let own = sources.filter { $0.utf8.contains(UInt8(ascii: ":")) == (family == .ipv6) }
    for port in sshPorts {
      if sources.isEmpty {
        rules.append("-A INPUT -p tcp -m tcp --dport \(port) -j ACCEPT")
      } else {
        rules += own.map { "-A INPUT -s \($0) -p tcp -m tcp --dport \(port) -j ACCEPT" }
      }
    }
    return Ruleset(tables: [
      RuleTable(
        name: "filter",
        chains: [
          RuleChain(name: "INPUT", policy: "DROP", rules: rules.map { Rule(text: Array($0.utf8)) }),
          RuleChain(name: "FORWARD", policy: "DROP"),
          RuleChain(name: "OUTPUT", policy: "ACCEPT"),
        ])
    ])
  }
}
