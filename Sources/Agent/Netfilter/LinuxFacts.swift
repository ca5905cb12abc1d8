package import Apply
package import Core
internal import Glibc
package import Ruleset
package import Wire

/// What this machine says of itself.
package final class LinuxFacts: HostFacts {
  private let root: String
  private var digests = FileDigests()

  /// - Parameter root: where `etc` is looked for; empty for the machine's own.
  package init(root: String = "") { self.root = root }

  package var bootID: String { SmallFile.line("/proc/sys/kernel/random/boot_id") ?? "" }

  /// systemd says that it runs in a container, whose first process is the container's own.
  package var started: BootTime {
    guard Self.exists("\(root)/run/systemd/container") else { return BootTime(nanoseconds: 0) }
    return ProcessStart.time(of: 1) ?? BootTime(nanoseconds: 0)
  }

  package var architecture: String { Self.name(\.machine) }
  package var kernel: String { Self.name(\.release) }

  /// systemd enables a unit by a link in a `.wants` directory; ufw's unit is always enabled and its own file decides.
  package var conflicts: [String] {
    let units = "\(root)/etc/systemd/system"
    let wants = Self.list(units).filter { $0.hasSuffix(".wants") || $0.hasSuffix(".requires") }
    var found = ["firewalld", "netfilter-persistent", "nftables"].filter { name in
      wants.contains { Self.exists("\(units)/\($0)/\(name).service") }
    }
    let lines = (SmallFile.read("\(root)/etc/ufw/ufw.conf") ?? []).split(separator: UInt8(ascii: "\n"))
    if lines.contains(where: { $0.elementsEqual("ENABLED=yes".utf8) }) { found.append("ufw") }
    return found.sorted()
  }

  /// `Port` and `ListenAddress` lines of sshd_config(5) and its drop-ins. Where they cannot be read it is 22.
  package var sshPorts: [UInt16] {
    let directory = "\(root)/etc/ssh"
    let dropIns = Self.list("\(directory)/sshd_config.d").filter { $0.hasSuffix(".conf") }
    let files = ["\(directory)/sshd_config"] + dropIns.map { "\(directory)/sshd_config.d/\($0)" }
    return SSHPorts(files.map { SmallFile.read($0) ?? [] }).ports
  }

  package var listeningSSHPorts: [UInt16] { SSHListeners(root: root).ports(configured: Set(sshPorts)) }

  package var listening: ListeningReport? { try? ListedSocket.waiting() }

  package var leases: PerFamily<Bool> { Leases.found(root: root) }

  package func tunnel(towards source: String) -> TunnelLink? { ManagementLink.tunnel(towards: source) }

  package func connections(to ports: Set<UInt16>) throws -> Set<ConnectionEnds> {
    try TCPConnections.read(to: ports)
  }

  package func digest(ofFile path: String) -> Digest? {
    digests.digest(of: "\(root)/\(path)")
  }

  /// systemd.unit(5): of a unit, of all whose names begin like it up to a dash, of all services; and units before ours.
  package var dropIns: [String] {
    UnitDirectories.all.flatMap { directory -> [String] in
      guard let disk = try? LinuxDisk("\(root)/\(directory)"), let names = try? disk.list(".") else { return [] }
      let folders = names.filter { name in
        name == UnitDirectories.ofEveryService || name.hasPrefix("portcullis-") && name.hasSuffix(".service.d")
      }
      let units = names.filter { name in
        UnitDirectories.aboveEnrolled.contains(directory) && name.hasPrefix("portcullis-") && name.hasSuffix(".service")
      }
      return units.map { "\(directory)/\($0)" }
        + folders.flatMap { name -> [String] in
          // A link to a folder is none to this disk, and one to systemd.
          guard let files = try? disk.list(name) else { return ["\(directory)/\(name)"] }
          return files.filter { $0.hasSuffix(".conf") }.map { "\(directory)/\(name)/\($0)" }
        }
    }
  }

  private static func name<Field>(_ field: KeyPath<utsname, Field>) -> String {
    var names = utsname()
    guard uname(&names) == 0 else { return "" }
    return withUnsafeBytes(of: names[keyPath: field]) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  /// The link itself: what it points to may be outside of the root.
  private static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  static func list(_ path: String) -> [String] {
    guard let disk = try? LinuxDisk(path) else { return [] }
    return (try? disk.list(".")) ?? []
  }
}
