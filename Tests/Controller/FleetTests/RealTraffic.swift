import Foundation
import Testing

// Connections as other machines make them: rules are judged by what they let through, not by how they print.

extension TestLab {
  /// Every line both save programs print that is not ours, in their order: a rule, a chain or a table that comes, goes or
  /// moves shows. Policies of built-in chains are left out: setting them is what a policy is for.
  func printedForeign(_ host: String, at location: Testing.SourceLocation = #_sourceLocation) async throws -> [String] {
    try await shell(
      host,
      """
      for p in iptables-save ip6tables-save; do
        echo "= $p"
        $p | sed -e '/^#/d' -e '/PCL[-:]/d' -e 's/^\\(:[^ ]*\\) [A-Z].*/\\1 POLICY/' -e 's/ \\[[0-9:]*\\]$//'
      done
      """, at: location
    ).split(separator: "\n").map(String.init)
  }

  /// An sshd of its own, so that whoever connects is greeted. Ends with the host.
  func listen(_ host: String, port: Int) async throws {
    try await shell(
      host,
      "/usr/sbin/sshd -f /etc/ssh/sshd_config -o PidFile=none -p \(port); "
        + "for i in $(seq 100); do ss -Hltn sport = :\(port) | grep -q . && exit 0; sleep 0.05; done; exit 1")
  }

  /// Whether a new TCP connection is greeted.
  func connects(_ from: String, _ address: String, _ port: Int) async throws -> Bool {
    // It waits no longer than it is told, whatever the rules do to its packets.
    let scanned = try await exec(from, "/usr/bin/ssh-keyscan", "-T", "3", "-t", "ed25519", "-p", "\(port)", address)
    return scanned.out.contains("ssh-ed25519")
  }
}

/// What one machine sends to another's address reaches both families.
enum LabAddress {
  static func ipv4(_ number: Int) -> String { "10.77.1.\(number)" }
  static func ipv6(_ number: Int) -> String { "fd77::1:\(number)" }
  static func both(_ number: Int) -> [String] { [ipv4(number), ipv6(number)] }
}
