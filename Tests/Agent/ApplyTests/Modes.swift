import AgentTestSupport
import Apply
import Core
import Release
import Ruleset
import Wire

/// Bundles of every mode, and a host on which Docker and fail2ban keep rules of their own.
enum Modes {
  static let owned4 = """
    *filter
    :INPUT DROP [0:0]
    :FORWARD DROP [0:0]
    :web - [0:0]
    -A INPUT -i lo -j ACCEPT
    -A INPUT -j web
    -A web -p tcp -m tcp --dport 443 -j ACCEPT
    COMMIT

    """
  static let owned6 = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
  static let next4 = """
    *filter
    :INPUT DROP [0:0]
    -A INPUT -i lo -j ACCEPT
    -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
    COMMIT
    *nat
    :POSTROUTING ACCEPT [0:0]
    -A POSTROUTING -o eth0 -j MASQUERADE
    COMMIT

    """
  static let next6 = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p ipv6-icmp -j ACCEPT\nCOMMIT\n"

  typealias Bundle = Result<Samples.Bundle, any Error>

  static func bundle(_ serial: UInt64, _ mode: Manifest.Mode, _ grants: [Grant] = []) -> Bundle {
    Result {
      try SignedBundles.bundle(
        serial: serial, ipv4: serial % 2 == 0 ? owned4 : next4, ipv6: serial % 2 == 0 ? owned6 : next6, mode: mode,
        grants: grants)
    }
  }

  static let evict: [Grant] = [.evict(.docker), .evict(.fail2ban)]
  static let owned2 = bundle(2, .owned)
  static let owned3 = bundle(3, .owned)
  static let owned5 = bundle(5, .owned)
  static let taking3 = bundle(3, .owned, [.takeOver])
  static let exclusive2 = bundle(2, .exclusive, evict)
  static let exclusive3 = bundle(3, .exclusive, evict)
  static let exclusiveMild3 = bundle(3, .exclusive)
  static let withdrawn3 = bundle(3, .withdrawn)
  static let withdrawn4 = bundle(4, .withdrawn)

  static let docker = """
    *filter
    :INPUT ACCEPT [0:0]
    :FORWARD DROP [0:0]
    :OUTPUT ACCEPT [0:0]
    :DOCKER-USER - [0:0]
    :f2b-sshd - [0:0]
    -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
    -A FORWARD -j DOCKER-USER
    -A FORWARD -o docker0 -j ACCEPT
    -A DOCKER-USER -j RETURN
    -A f2b-sshd -s 203.0.113.9/32 -j REJECT --reject-with icmp-port-unreachable
    -A f2b-sshd -j RETURN
    COMMIT
    *nat
    :PREROUTING ACCEPT [0:0]
    :INPUT ACCEPT [0:0]
    :OUTPUT ACCEPT [0:0]
    :POSTROUTING ACCEPT [0:0]
    :DOCKER - [0:0]
    -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
    -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
    COMMIT

    """

  static func host(_ backend: Backend = .nft) throws -> FakeHost {
    let host = try FakeHost()
    host.firewall.backend = backend
    try settle(docker, on: host)
    return host
  }

  static func settle(_ text: String, on host: FakeHost) throws {
    for table in try Ruleset.parse(save: Array(text.utf8), file: "foreign").tables {
      host.firewall.kernel.ipv4[table.name] = table
    }
  }
}
