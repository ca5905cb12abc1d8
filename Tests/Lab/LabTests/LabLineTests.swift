import Core
import Foundation
import Testing

@testable import Lab

extension LabSuite {
  /// A line that delays and loses, as tests of confirmation need it.
  @Suite struct Line {
    private func withLine(_ line: LabLine, hosts: Int = 2, _ body: (LabFleet) async throws -> Void) async throws {
      try await withLabLeavingNothing { path in
        try await body(
          try await LabFleet.up(LabOptions(directory: path, hosts: hosts, hostProgram: hostProgram, line: line)))
      }
    }

    /// Seconds from SYN to SYN-ACK, without what starting a program takes.
    private static let connect = """
      use Time::HiRes 'time'; use IO::Socket::IP; my $start = time;
      IO::Socket::IP->new(PeerAddr => $ARGV[0], PeerPort => 22, Timeout => 20) or die $@;
      print time - $start;
      """

    @Test func connectionsOfBothFamiliesTakeOneRoundTripLonger() async throws {
      try await withLine(LabLine(delay: 60)) { fleet in
        for host in fleet.hosts {
          for address in [host.ipv4, host.ipv6] {
            // The first one resolves the neighbour too.
            _ = try await fleet.exec("controller", "/usr/bin/perl", "-e", Self.connect, address)
            let timed = try await fleet.exec("controller", "/usr/bin/perl", "-e", Self.connect, address)
            let seconds = try #require(Double(timed.out), "\(timed)")
            #expect((0.119...0.6).contains(seconds), "\(address): \(seconds)")
          }
        }
        // Between hosts nothing changes, and a rebooted host hangs on the same line.
        let near = try await fleet.exec("h001", "/usr/bin/perl", "-e", Self.connect, fleet.hosts[1].ipv6)
        #expect(try #require(Double(near.out)) < 0.1)
        _ = try await fleet.reboot("h002")
        #expect(try await fleet.ssh("h002", "hostname").out == "h002\n")
        // Larger than any one frame, both ways, checksums and all.
        let sent = String(repeating: "0123456789abcdef", count: 4096)
        #expect(try await fleet.ssh("h001", "printf %s \(sent)").out == sent)
      }
    }

    @Test func aboutThatManyPacketsAreLostAndTheRelayComesBackWhenItDies() async throws {
      let loss = 20.0
      try await withLine(LabLine(loss: loss, seed: 42), hosts: 1) { fleet in
        for (address, version) in [(fleet.hosts[0].ipv4, "4"), (fleet.hosts[0].ipv6, "6")] {
          let sent = 600
          let pings = try await fleet.exec(
            "controller", "/usr/bin/perl", "-e", Self.echoes, version, address, "\(sent)")
          let received = try #require(Int(pings.out), "\(pings)")
          // There and back: 0.8 × 0.8 of them return, ± 5 standard deviations.
          let expected = Double(sent) * 0.64
          #expect(abs(Double(received) - expected) < 5 * (expected * 0.36).squareRoot(), "IPv\(version): \(received)")
        }
        #expect(try await fleet.ssh("h001", "hostname").out == "h001\n")
        let kill = "for p in /proc/[0-9]*; do grep -qzx relay $p/cmdline && kill -9 ${p#/proc/} && echo killed; done"
        #expect(try await fleet.exec("controller", "/bin/sh", "-c", kill + "; :").out.contains("killed"))
        try await Task.sleep(for: .milliseconds(500))
        #expect(try await fleet.ssh("h001", "hostname").out == "h001\n")
      }
    }

    /// How many of N echo requests were answered; ping itself is not on every machine.
    private static let echoes = """
      use Socket qw(:all); my ($v, $address, $n) = @ARGV;
      my ($family, $protocol, $type, $answer) = $v eq '4' ? (AF_INET, 1, 8, 0) : (AF_INET6, 58, 128, 129);
      socket(my $s, $family, SOCK_RAW, $protocol) or die $!;
      my $to = $v eq '4' ? pack_sockaddr_in(0, inet_pton(AF_INET, $address))
        : pack_sockaddr_in6(0, inet_pton(AF_INET6, $address));
      my ($seen, %got) = (0);
      sub take { my $wait = shift; while (1) { my $r = ''; vec($r, fileno($s), 1) = 1;
        select($r, undef, undef, $wait) or return; recv($s, my $b, 2048, 0);
        $b = substr($b, 20) if $v eq '4'; my ($t, $c, $k, $id, $q) = unpack('CCnnn', $b);
        $seen++ if $t == $answer && $id == 77 && !$got{$q}++; } }
      for my $i (1 .. $n) { my $p = pack('CCnnn', $type, 0, 0, 77, $i); my $sum = 0;
        $sum += $_ for unpack('n*', $p); $sum = ($sum >> 16) + ($sum & 0xffff); $sum += $sum >> 16;
        send($s, pack('CCnnn', $type, 0, ~$sum & 0xffff, 77, $i), 0, $to); take(0.002); }
      take(0.5); print $seen;
      """

    @Test(arguments: [LabLine(loss: -1), LabLine(loss: 101), LabLine(delay: -1), LabLine(loss: .nan)])
    func aLineThatCannotBeIsRefused(line: LabLine) {
      #expect(throws: Failure.self) { try LabPlan(LabOptions(hosts: 1, line: line)) }
    }
  }
}
