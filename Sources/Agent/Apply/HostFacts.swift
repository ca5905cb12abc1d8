package import Core
package import Ruleset
package import Wire

/// What a report says of the machine itself.
package protocol HostFacts: AnyObject {
  /// From /proc/sys/kernel/random/boot_id.
  var bootID: String { get }
  /// When this host began to start: a container starts later than the machine that it is on.
  var started: BootTime { get }
  /// As `uname -m` prints it.
  var architecture: String { get }
  /// As `uname -r` prints it.
  var kernel: String { get }
  /// Services that also load rules and are enabled: "ufw", "firewalld", "netfilter-persistent", "nftables"; sorted.
  var conflicts: [String] { get }
  /// Where sshd listens, for the safe policy; 22 when that cannot be told.
  var sshPorts: [UInt16] { get }
  /// Where sshd listens for others, as the kernel says; empty when that cannot be told.
  var listeningSSHPorts: [UInt16] { get }
  /// Where its programs wait for others; nil when that cannot be told.
  var listening: ListeningReport? { get }
  /// Whether it has an address from a DHCP server.
  var leases: PerFamily<Bool> { get }
  /// Of a file's content, or of where a link leads, by its path below the host's root; nil when it cannot be read. Cheap
  /// when nothing changed.
  func digest(ofFile path: String) -> Digest?
  /// Files below the host's root that change how systemd starts our units: drop-ins, and units that take their place.
  var dropIns: [String] { get }
  /// The link by which this host answers a management source, where its packets travel inside others (a VPN's, say). Its
  /// words are not safe to print. Nil where they do not, or nobody can tell.
  func tunnel(towards source: String) -> TunnelLink?
  /// The TCP connections that peers have to these ports of ours now, also those that are still being opened. It is asked
  /// while new rules are in force, so it must not take long.
  func connections(to ports: Set<UInt16>) throws -> Set<ConnectionEnds>
}
