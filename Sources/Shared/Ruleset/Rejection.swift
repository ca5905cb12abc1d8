package import Core

/// How a packet is refused, in both families' words.
package enum Rejection: String, CaseIterable, Sendable {
  case portUnreachable = "port-unreachable"
  case hostUnreachable = "host-unreachable"
  case netUnreachable = "net-unreachable"
  case adminProhibited = "admin-prohibited"
  case tcpReset = "tcp-reset"

  package func option(_ family: Family) -> String {
    switch (self, family) {
    case (.tcpReset, _): "tcp-reset"
    case (.portUnreachable, .ipv4): "icmp-port-unreachable"
    case (.portUnreachable, .ipv6): "icmp6-port-unreachable"
    case (.hostUnreachable, .ipv4): "icmp-host-unreachable"
    case (.hostUnreachable, .ipv6): "icmp6-addr-unreachable"
    case (.netUnreachable, .ipv4): "icmp-net-unreachable"
    case (.netUnreachable, .ipv6): "icmp6-no-route"
    case (.adminProhibited, .ipv4): "icmp-admin-prohibited"
    case (.adminProhibited, .ipv6): "icmp6-adm-prohibited"
    }
  }
}
