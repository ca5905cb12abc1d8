import Foundation
import Glibc
import Testing

@testable import Policy

/// What has no connection, between the machines of a scene.
extension RouterScene {
  enum Heard: String { case nothing, arrived, answered }

  /// - Parameter address: where somebody listens, and answers once.
  func datagram(
    _ from: Place, _ source: String, _ sourcePort: Int, to place: Place, _ address: String, _ port: Int
  ) throws -> Heard {
    let listener = """
      use IO::Socket::IP; my ($host, $port) = @ARGV; $@ = ""; alarm 20;
      my $s = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Proto => "udp") or die "$@";
      syswrite STDOUT, "ready\\n"; my $from = $s->recv(my $b, 99); send $s, "pong", 0, $from; syswrite STDOUT, "arrived";
      """
    let sender = """
      use IO::Socket::IP; use IO::Select; my ($host, $port, $to, $at) = @ARGV; $@ = "";
      my $s = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, PeerHost => $to, PeerPort => $at,
        Proto => "udp") or die "$@";
      $s->send("ping"); print IO::Select->new($s)->can_read(0.7) && defined $s->recv(my $b, 99) ? "answered" : "";
      """
    return try hear(in: place, listener, [address, "\(port)"]) {
      try self.perl(from, sender, [source, "\(sourcePort)", address, "\(port)"])
    }
  }

  /// Of IGMP, to 224.0.0.22.
  func membership(_ from: Place, _ source: String, to place: Place, _ address: String, hops: Int) throws -> Heard {
    let listener = """
      use Socket; alarm 20; socket(my $s, AF_INET, SOCK_RAW, 2) or die;
      setsockopt($s, 0, 35, inet_aton("224.0.0.22") . inet_aton($ARGV[0])) or die "$!"; syswrite STDOUT, "ready\\n";
      while (defined recv($s, my $b, 999, 0)) { if ($b =~ /our own mark/) { syswrite STDOUT, "arrived"; last } }
      """
    let sender = """
      use Socket; socket(my $s, AF_INET, SOCK_RAW, 2) or die; my ($source, $hops) = @ARGV;
      setsockopt($s, 0, 32, inet_aton($source)) or die "$!"; setsockopt($s, 0, 33, pack "i", $hops) or die "$!";
      bind($s, pack_sockaddr_in(0, inet_aton($source))) or die "$!";
      send($s, "our own mark", 0, pack_sockaddr_in(0, inet_aton("224.0.0.22"))); select undef, undef, undef, 0.4;
      """
    return try hear(in: place, listener, [address]) { try self.perl(from, sender, [source, "\(hops)"]) }
  }

  /// Of the outer interface, with its name behind.
  func linkLocal(_ place: Place) throws -> String {
    let said = try namespaces[place]!.run(
      inside: "/usr/sbin/ip", ["-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"]
    ).output
    let words = said.split(separator: " ")
    let index = try #require(words.firstIndex(of: "inet6"), "\(said)")
    return "\(words[index + 1].split(separator: "/")[0])%eth0"
  }

  private func perl(_ place: Place, _ script: String, _ arguments: [String]) throws -> String {
    let sent = try namespaces[place]!.run(inside: "/usr/bin/perl", ["-e", script] + arguments)
    try #require(sent.status == 0, "\(sent.errors)")
    return sent.output
  }

  private func hear(
    in place: Place, _ script: String, _ arguments: [String], of send: () throws -> String
  ) throws -> Heard {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/nsenter")
    process.arguments = ["--net=" + namespaces[place]!.handle, "/usr/bin/perl", "-e", script] + arguments
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    defer {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
    let line = output.fileHandleForReading.availableData
    try #require(String(decoding: line, as: UTF8.self) == "ready\n")
    let said = try send()
    kill(process.processIdentifier, SIGKILL)
    let heard = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    return Heard(rawValue: said) ?? Heard(rawValue: heard) ?? .nothing
  }
}
