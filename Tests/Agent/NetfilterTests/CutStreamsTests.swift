import AgentTestSupport
import Apply
import Core
import Glibc
import Ruleset
import Testing
import Wire

@testable import Netfilter

/// Real streams to, from and through a host: those that are not kept end, though new ones like them may begin.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct CutStreamsTests {
  private struct Stream {
    let name: String
    let caller: String
    /// Where it calls, and who answers there.
    let called: PerFamily<(address: String, port: Int)>
    let server: String
    let serving: PerFamily<(address: String, port: Int)>
    let isKept: Bool

    init(
      _ name: String, _ caller: String, calls called: (PerFamily<String>, Int), of server: String,
      at serving: (PerFamily<String>, Int), isKept: Bool = false
    ) {
      (self.name, self.caller, self.server, self.isKept) = (name, caller, server, isKept)
      self.called = PerFamily { (called.0[$0], called.1) }
      self.serving = PerFamily { (serving.0[$0], serving.1) }
    }
  }

  private static let here = PerFamily(ipv4: "192.0.2.1", ipv6: "2001:db8::1")
  private static let outsider = PerFamily(ipv4: "192.0.2.7", ipv6: "2001:db8::7")
  private static let container = PerFamily(ipv4: "10.8.0.5", ipv6: "2001:db8:8::5")

  private static let streams = [
    Stream("kept", "outside", calls: (here, 443), of: "host", at: (here, 443), isKept: true),
    // To a port that is kept on the host itself.
    Stream("shell", "host", calls: (outsider, 443), of: "outside", at: (outsider, 443)),
    Stream("published", "outside", calls: (here, 8080), of: "inside", at: (container, 80)),
    Stream("forwarded", "inside", calls: (outsider, 80), of: "outside", at: (outsider, 80)),
  ]

  /// no-ingress that keeps 443, and forwards what begins at 80.
  private static func layer(_ family: Family) throws -> LockLayer {
    let icmp = family == .ipv4 ? "icmp" : "ipv6-icmp"
    let chains: [(String, [String], [String])] = [
      (
        "INPUT", ["-i lo -j RETURN", "-p tcp -m tcp --dport 443 -j RETURN", "-p \(icmp) -j RETURN"],
        ["-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN", "-j DROP"]
      ),
      (
        "FORWARD", [],
        [
          "-p tcp -m tcp --dport 80 -m conntrack --ctdir ORIGINAL -j RETURN",
          "-p tcp -m tcp --sport 80 -m conntrack --ctdir REPLY -j RETURN", "-j DROP",
        ]
      ),
      (
        "OUTPUT",
        [
          "-o lo -j RETURN", "-p tcp -m tcp --sport 443 ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN",
          "-p \(icmp) -j RETURN",
        ], ["-m conntrack --ctdir REPLY -j DROP"]
      ),
    ]
    var lines = chains.map { ":\($0.0) ACCEPT [0:0]" }
    for (name, above, below) in chains {
      lines += (above + [LockRules.nonSYN] + below).map { "-A \(name) \($0)" }
    }
    let text = "*mangle\n\(lines.joined(separator: "\n"))\nCOMMIT\n"
    return try LockLayer(parsing: Array(text.utf8), family)
  }

  /// Both ends send ten milliseconds apart, and write down when they last heard anything. It ends by itself.
  private static let program = #"""
    use strict; use Time::HiRes qw(time sleep); use IO::Socket::IP; $SIG{PIPE} = 'IGNORE'; alarm 40;
    my ($log, $what, $address, $port) = @ARGV; my $end = time + 30; my $s;
    if ($what eq 'call') { $s = IO::Socket::IP->new(PeerHost => $address, PeerPort => $port, Timeout => 5) or die "$@" }
    else { my $l = IO::Socket::IP->new(LocalHost => $address, LocalPort => $port, Listen => 1) or die "$@";
      $s = $l->accept }
    $s->blocking(0); open(my $f, '>', $log) or die;
    while (time < $end) { syswrite $s, 'x';
      if (sysread $s, my $b, 65536) { sysseek $f, 0, 0; syswrite $f, sprintf "%.3f\n", time }
      sleep 0.01 }
    """#

  private static func shell(_ script: String) throws -> String {
    String(decoding: try SignedBundles.run("/bin/sh", ["-ec", script]), as: UTF8.self)
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private static func wire(_ folder: String, _ backend: Backend) throws {
    let quiet = "for f in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $f; done; ip link set lo up;"
    func both(_ addresses: PerFamily<String>, _ device: String) -> String {
      "ip addr add \(addresses.ipv4)/24 dev \(device); ip addr add \(addresses.ipv6)/64 dev \(device) nodad; ip link set \(device) up;"
    }
    let within = PerFamily(ipv4: "10.8.0.1", ipv6: "2001:db8:8::1")
    var script = "PATH=/usr/sbin:/usr/bin:/sbin:/bin; \(quiet)"
    for (name, device, gateway, own, address) in [
      ("outside", "eth0", here, here, outsider), ("inside", "eth1", within, within, container),
    ] {
      let handle = "\(folder)/\(name)"
      let peer =
        "\(quiet) \(both(address, "eth0")) ip route add default via \(gateway.ipv4); ip -6 route add default via \(gateway.ipv6)"
      script += "touch \(handle); unshare --net=\(handle) true;"
      script += "ip link add \(device) type veth peer name eth0 netns \(handle);"
      script += both(own, device) + "nsenter --net=\(handle) sh -ec '\(peer)';"
    }
    script += "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding;"
    for (program, address, to) in [
      ("iptables", here.ipv4, container.ipv4), ("ip6tables", here.ipv6, "[\(container.ipv6)]"),
    ] {
      script +=
        "\(program)-\(backend.name) -t nat -A PREROUTING -d \(address) -p tcp --dport 8080 -j DNAT --to-destination \(to):80;"
    }
    _ = try shell(script)
  }

  @Test(arguments: Backend.allCases)
  func `streams that are not kept end, and those that are live on`(backend: Backend) throws {
    try onRealHost(backend) { host in
      let folder = host.root
      try Self.wire(folder, backend)
      try LinuxDisk(folder).create("stream.pl", Array(Self.program.utf8))
      func start(_ place: String, _ log: String, _ what: String, _ end: (address: String, port: Int)) throws {
        let inside = place == "host" ? "" : "nsenter --net=\(folder)/\(place) "
        _ = try Self.shell(
          "setsid \(inside)perl \(folder)/stream.pl \(folder)/\(log) \(what) \(end.address) \(end.port) >/dev/null 2>>\(folder)/errors </dev/null &"
        )
      }
      for family in Family.allCases {
        for stream in Self.streams {
          try start(stream.server, "\(stream.name).\(family).served", "serve", stream.serving[family])
        }
      }
      usleep(700_000)
      for family in Family.allCases {
        for stream in Self.streams {
          try start(stream.caller, "\(stream.name).\(family).called", "call", stream.called[family])
        }
      }
      usleep(1_500_000)
      var logs: [(name: String, isKept: Bool)] = []
      for family in Family.allCases {
        for stream in Self.streams {
          for end in ["served", "called"] { logs.append(("\(stream.name).\(family).\(end)", stream.isKept)) }
        }
      }
      func heard(_ log: String) throws -> Double {
        let said = try Self.shell("cat \(folder)/\(log) || cat \(folder)/errors >&2")
        return try #require(Double(said.dropLast()), "\(log)")
      }
      let before = Self.now()
      for log in logs { #expect(try heard(log.name) > before - 1.5, "\(log.name) before") }

      let layers = try PerFamily { try Self.layer($0) }
      for family in Family.allCases {
        try host.firewall().load(
          RestoreText(layers[family].first, keepsOthers: true), into: family, within: .seconds(10))
      }
      let patterns = Family.allCases.flatMap { FlowPattern.patterns(layers[$0]) }
      #expect(try FlowCutter.cut(sparing: patterns, within: .seconds(5)) == 6)
      let cut = Self.now()
      usleep(2_000_000)
      for log in logs {
        let late = try heard(log.name) - cut
        #expect(log.isKept ? late > 1 : late < 0.5, "\(log.name), \(late) s after the cut")
      }
    }
  }
}
