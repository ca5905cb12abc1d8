import Foundation
import Testing

/// TCP connections between machines, both ends of which send ten milliseconds apart and write down when they last heard
/// anything.
struct LockdownStreams {
  let fleet: LockdownLab

  private static let program = #"""
    use strict; use Time::HiRes qw(time sleep); use IO::Socket::IP; $SIG{PIPE} = $SIG{CHLD} = 'IGNORE'; $| = 1;
    my ($what, $address, $port, $seconds) = @ARGV; my $end = time + $seconds;
    sub talk { my ($s, $log) = @_; $s->blocking(0); open(my $f, '+>', $log) or die;
      while (time < $end) { syswrite $s, 'x';
        if (sysread $s, my $b, 65536) { sysseek $f, 0, 0; syswrite $f, sprintf "%.3f\n", time }
        sleep 0.01 } }
    if ($what eq 'call') {
      my $s = IO::Socket::IP->new(PeerAddr => $address, PeerPort => $port, Timeout => 5) or exit 1;
      talk($s, "/run/called.$address"); exit }
    my $l = IO::Socket::IP->new(LocalAddr => $address, LocalPort => $port, Listen => 20, ReuseAddr => 1, Timeout => $seconds)
      or die "listen: $@";
    while (time < $end) { my $s = $l->accept or next; next if fork;
      talk($s, '/run/served.' . $s->peerhost); exit }
    """#

  /// Each way between each of `hosts` and the outsider, in both families, for so many seconds.
  func open(_ hosts: [String], seconds: Int) async throws {
    let outsider = fleet.outsider
    for host in hosts + [outsider] {
      try await fleet.lab.shell(
        host, "rm -f /run/called.* /run/served.*; cat > /run/stream.pl <<'EOF'\n\(Self.program)\nEOF")
      for address in LabAddress.both(Self.number(host)) { try await begin(host, "serve", address, seconds) }
    }
    try await Task.sleep(for: .milliseconds(500))
    for host in hosts {
      for address in LabAddress.both(Self.number(host)) { try await begin(outsider, "call", address, seconds) }
      for address in LabAddress.both(Self.number(outsider)) { try await begin(host, "call", address, seconds) }
    }
    try await Task.sleep(for: .seconds(2))
  }

  private func begin(_ host: String, _ what: String, _ address: String, _ seconds: Int) async throws {
    try await fleet.lab.shell(
      host, "setsid perl /run/stream.pl \(what) \(address) \(LockdownLab.port) \(seconds) >/dev/null 2>&1 </dev/null &")
  }

  /// When either end last heard anything, of every connection, in seconds since 1970.
  func lastHeard(_ hosts: [String]) async throws -> [String: Double] {
    var heard: [String: Double] = [:]
    for host in hosts + [fleet.outsider] {
      let said = try await fleet.lab.shell(host, "cd /run; for f in called.* served.*; do echo $f $(cat $f); done")
      for line in said.split(separator: "\n") {
        let words = line.split(separator: " ")
        guard words.count == 2, let time = Double(words[1]) else { continue }
        heard["\(host) \(words[0])"] = time
      }
    }
    // Two families, two ways, two ends.
    #expect(heard.count == hosts.count * 8, "\(heard.keys.sorted())")
    return heard
  }

  private static func number(_ host: String) -> Int { Int(host.dropFirst()) ?? 0 }
}
