import Core
import Foundation
import Glibc
import Testing

@testable import Policy

/// A host as Docker leaves it, with a container behind its bridge and a client before it, each a network namespace with a
/// real server: the container answers on ports 80 and 8080, the client on 80.
final class DockerScene {
  enum Place { case client, container }

  let host: ScratchNamespace
  private let client: ScratchNamespace
  private let container: ScratchNamespace
  private var servers: [Process] = []

  static let hostAddress = PerFamily(ipv4: "10.1.0.2", ipv6: "fd01::2")
  static let clientAddress = PerFamily(ipv4: "10.1.0.1", ipv6: "fd01::1")
  static let containerAddress = PerFamily(ipv4: "172.17.0.2", ipv6: "fd17::2")

  init() throws {
    host = try ScratchNamespace()
    client = try ScratchNamespace()
    container = try ScratchNamespace()
    // Without duplicate-address detection: it takes a second.
    let still = "for f in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $f; done; ip link set lo up; "
    func address(_ v4: String, _ v6: String, _ device: String) -> String {
      "ip addr add \(v4) dev \(device); ip addr add \(v6) dev \(device) nodad; ip link set \(device) up; "
    }
    try shell(
      host,
      "ip link add eth0 type veth peer name eth0 netns \(client.handle); "
        + "ip link add docker0 type veth peer name eth0 netns \(container.handle); " + still
        + address("10.1.0.2/24", "fd01::2/64", "eth0") + address("172.17.0.1/16", "fd17::1/64", "docker0")
        + "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
    try shell(
      client,
      still + address("10.1.0.1/24", "fd01::1/64", "eth0")
        + "ip route add default via 10.1.0.2; ip -6 route add default via fd01::2")
    try shell(
      container,
      still + address("172.17.0.2/16", "fd17::2/64", "eth0")
        + "ip route add default via 172.17.0.1; ip -6 route add default via fd17::1")
    try serve(in: container, ports: [80, 8080])
    try serve(in: client, ports: [80])
  }

  deinit {
    for server in servers {
      // Not SIGTERM: a child has the signal mask of the thread that started it, which may be full.
      kill(server.processIdentifier, SIGKILL)
      server.waitUntilExit()
    }
  }

  /// Docker's chains, with 8080 and 9090 published as port 80 of the container, and the policy's chain where the agent
  /// hooks it.
  func load(_ policy: CompiledPolicy, _ family: Family, backend: String) throws {
    let policyText = String(decoding: policy.rules[family], as: UTF8.self)
    let rules = policyText.split(separator: "\n").filter { $0.hasPrefix("-A CONTAINERS ") }
    try #require(!rules.isEmpty)
    let bracketed = PerFamily(ipv4: "172.17.0.2", ipv6: "[fd17::2]")[family]
    let text = """
      *nat
      :PREROUTING ACCEPT [0:0]
      :DOCKER - [0:0]
      -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
      -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination \(bracketed):80
      -A DOCKER ! -i docker0 -p tcp -m tcp --dport 9090 -j DNAT --to-destination \(bracketed):80
      COMMIT
      *filter
      :FORWARD DROP [0:0]
      :DOCKER-USER - [0:0]
      :CONTAINERS - [0:0]
      -A FORWARD -j DOCKER-USER
      -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
      -A FORWARD -o docker0 -j ACCEPT
      -A FORWARD -i docker0 -j ACCEPT
      -A DOCKER-USER -j CONTAINERS
      \(rules.joined(separator: "\n"))
      COMMIT

      """
    let program = "/usr/sbin/\(family == .ipv4 ? "iptables" : "ip6tables")-\(backend)-restore"
    let loaded = try host.run(inside: program, input: Array(text.utf8))
    try #require(loaded.status == 0, "\(loaded.errors)")
  }

  /// All rules of a policy as they stand, in both families, instead of Docker's.
  func load(whole policy: CompiledPolicy, backend: String) throws {
    for family in Family.allCases {
      let program = "/usr/sbin/\(family == .ipv4 ? "iptables" : "ip6tables")-\(backend)-restore"
      let loaded = try host.run(inside: program, input: policy.rules[family])
      try #require(loaded.status == 0, "\(loaded.errors)")
    }
  }

  /// `served`, or why not.
  func connect(from place: Place, to address: String, _ port: Int) throws -> String {
    let script = """
      use IO::Socket::IP; use IO::Select; $@ = "";
      my $s = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Timeout => 0.7);
      if (!$s) { print $!{ECONNREFUSED} ? "refused" : $!{ETIMEDOUT} ? "silence" : "failed: $!"; exit }
      print IO::Select->new($s)->can_read(2) ? scalar(<$s>) : "no word";
      """
    let namespace = place == .client ? client : container
    return try namespace.run(inside: "/usr/bin/perl", ["-MErrno", "-e", script, address, String(port)]).output
  }

  private func shell(_ namespace: ScratchNamespace, _ script: String) throws {
    let made = try namespace.run(inside: "/bin/sh", ["-ec", script])
    try #require(made.status == 0, "\(made.errors)")
  }

  /// Ends by itself after a minute, whatever becomes of this process.
  private func serve(in namespace: ScratchNamespace, ports: [Int]) throws {
    let script = """
      use IO::Socket::IP; use IO::Select; my $all = IO::Select->new; my $end = time + 60;
      for my $port (@ARGV) { for my $host ("0.0.0.0", "::") {
        $all->add(IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Listen => 8, V6Only => 1) or die "$@");
      } }
      syswrite STDOUT, "ready\\n";
      while (time < $end) { for my $s ($all->can_read(1)) { my $c = $s->accept or next; syswrite $c, "served"; close $c } }
      """
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/nsenter")
    process.arguments = ["--net=" + namespace.handle, "/usr/bin/perl", "-e", script] + ports.map(String.init)
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    servers.append(process)
    let line = output.fileHandleForReading.availableData
    try #require(String(decoding: line, as: UTF8.self) == "ready\n")
  }
}
