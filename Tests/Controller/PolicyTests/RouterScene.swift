import Core
import Foundation
import Glibc
import Ruleset
import Testing

@testable import Policy

/// A host between two others, each a network namespace with real servers: `outside` behind its eth0 and `inside` behind
/// its eth1. Both have as many addresses as a test needs, so that packets come from anywhere in the world.
final class RouterScene {
  enum Place { case host, outside, inside }

  private(set) var namespaces: [Place: ScratchNamespace] = [:]
  private var servers: [Process] = []
  private static let ports = [22, 80, 443, 5432]

  init(
    host hostAddresses: [String], outside: [String], inside: [String] = [], insideNetworks: [String] = []
  ) throws {
    for place in [Place.host, .outside, .inside] { namespaces[place] = try ScratchNamespace() }
    // Without duplicate-address detection: it takes a second.
    let still = "for f in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $f; done; ip link set lo up; "
    func addresses(_ list: [String], _ device: String) -> String {
      list.map { "ip addr add \($0) dev \(device)\($0.contains(":") ? " nodad" : ""); " }.joined()
        + "ip link set \(device) up; "
    }
    let everywhere = "ip route add default dev eth0; ip -6 route add default dev eth0; "
    func through(_ host: [String]) -> String {
      host.prefix(2).map { "ip \($0.contains(":") ? "-6 " : "")route add default via \($0) dev eth0 onlink; " }.joined()
    }
    let hostInside = ["10.255.0.1", "fd00:255::1"]
    try shell(
      .host,
      "ip link add eth0 type veth peer name eth0 netns \(namespaces[.outside]!.handle); "
        + "ip link add eth1 type veth peer name eth0 netns \(namespaces[.inside]!.handle); " + still
        + addresses(hostAddresses, "eth0") + addresses(hostInside, "eth1") + everywhere
        + insideNetworks.map { "ip \($0.contains(":") ? "-6 " : "")route add \($0) dev eth1; " }.joined()
        + "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
    try shell(.outside, still + addresses(outside, "eth0") + through(hostAddresses))
    try shell(.inside, still + addresses(inside, "eth0") + through(hostInside))
    for place in namespaces.keys { try serve(in: place) }
  }

  deinit {
    for server in servers {
      // Not SIGTERM: a child has the signal mask of the thread that started it, which may be full.
      kill(server.processIdentifier, SIGKILL)
      server.waitUntilExit()
    }
  }

  /// Everything the policy says, in both families.
  func load(_ policy: CompiledPolicy, backend: String) throws {
    for family in Family.allCases {
      let program = "/usr/sbin/\(family == .ipv4 ? "iptables" : "ip6tables")-\(backend)-restore"
      let loaded = try namespaces[.host]!.run(inside: program, input: policy.rules[family])
      try #require(loaded.status == 0, "\(loaded.errors)")
    }
  }

  /// Above whatever is there.
  func lock(_ profile: CompiledProfile, backend: String) throws {
    for family in Family.allCases {
      let program = "/usr/sbin/\(family == .ipv4 ? "iptables" : "ip6tables")-\(backend)-restore"
      let loaded = try namespaces[.host]!.run(
        inside: program, ["--noflush"], input: profile.layers[family].first)
      try #require(loaded.status == 0, "\(loaded.errors)")
    }
  }

  /// Who answered and whom it saw, as `SERVER CLIENT`; or `silence`, `refused`, or another failure.
  func connect(
    _ place: Place, from source: String? = nil, to address: String, _ port: Int, patience: Double = 0.7
  ) throws -> String {
    let script = """
      use IO::Socket::IP; use IO::Select; $@ = "";
      my $s = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Timeout => $ARGV[3],
        $ARGV[2] ? (LocalHost => $ARGV[2]) : ());
      if (!$s) { print $!{ECONNREFUSED} ? "refused" : $!{ETIMEDOUT} ? "silence" : "failed: $!"; exit }
      print IO::Select->new($s)->can_read(2) ? scalar(<$s>) : "no word";
      """
    let arguments = ["-MErrno", "-e", script, address, String(port), source ?? "", String(patience)]
    return try namespaces[place]!.run(inside: "/usr/bin/perl", arguments).output
  }

  /// How many of so many echo requests of one client are answered.
  func echoes(_ count: Int, from source: String, to address: String) throws -> Int {
    let script = """
      use Socket; use IO::Select; my ($count, $source, $address) = @ARGV; my $heard = 0;
      socket(my $s, AF_INET, SOCK_RAW, 1) or die; bind($s, pack_sockaddr_in(0, inet_aton($source))) or die;
      for my $number (1..$count) {
        my $body = pack("n2", 4711, $number);
        my $sum = 0x0800; $sum += $_ for unpack("n*", $body); $sum = ($sum & 0xffff) + ($sum >> 16);
        send($s, pack("CCn", 8, 0, ~$sum & 0xffff) . $body, 0, pack_sockaddr_in(0, inet_aton($address))) or die;
        $heard++ if IO::Select->new($s)->can_read(0.7) && defined recv($s, my $answer, 1500, 0);
      }
      print $heard;
      """
    let sent = try namespaces[.outside]!.run(inside: "/usr/bin/perl", ["-e", script, String(count), source, address])
    return try #require(Int(sent.output), "\(sent.errors)")
  }

  /// What the host's kernel says of a datagram that it is to send.
  func send(to address: String) throws -> String {
    let script = """
      use IO::Socket::IP; $@ = "";
      my $s = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => 9, Proto => "udp", Broadcast => 1) or die $@;
      print defined $s->send("x") ? "sent" : $!;
      """
    let sent = try namespaces[.host]!.run(inside: "/usr/bin/perl", ["-e", script, address])
    try #require(sent.status == 0, "\(sent.errors)")
    return sent.output
  }

  func shell(_ place: Place, _ script: String) throws {
    let made = try namespaces[place]!.run(inside: "/bin/sh", ["-ec", script])
    try #require(made.status == 0, "\(made.errors)")
  }

  /// Ends by itself after a minute, whatever becomes of this process.
  private func serve(in place: Place) throws {
    let script = """
      use IO::Socket::IP; use IO::Select; my $all = IO::Select->new; my $end = time + 60;
      for my $port (@ARGV) { for my $host ("0.0.0.0", "::") {
        $all->add(IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Listen => 8, V6Only => 1) or die "$@");
      } }
      syswrite STDOUT, "ready\\n";
      while (time < $end) { for my $s ($all->can_read(1)) {
        my $c = $s->accept or next; syswrite $c, $c->sockhost . " " . $c->peerhost; close $c
      } }
      """
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/nsenter")
    process.arguments =
      ["--net=" + namespaces[place]!.handle, "/usr/bin/perl", "-e", script] + Self.ports.map(String.init)
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    servers.append(process)
    let line = output.fileHandleForReading.availableData
    try #require(String(decoding: line, as: UTF8.self) == "ready\n")
  }
}
