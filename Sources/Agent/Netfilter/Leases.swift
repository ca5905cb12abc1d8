internal import Core
internal import Glibc

/// Whether this host has an address from a DHCP server: a client has a socket open to hear of renewals, or has written
/// a lease since the machine started.
enum Leases {
  /// What clients bind (RFC 2131, RFC 8415).
  private static let clientPorts = PerFamily<UInt16>(ipv4: 68, ipv6: 546)

  /// Of dhclient, NetworkManager, systemd-networkd and dhcpcd: directory, how a lease's name ends, and its family where
  /// the name's beginning does not tell. networkd's names are the numbers of interfaces.
  private static let places: [(directory: String, ending: String, family: Family?)] = [
    ("var/lib/dhcp", ".leases", nil), ("var/lib/dhclient", ".leases", nil), ("var/lib/NetworkManager", ".lease", nil),
    ("run/systemd/netif/leases", "", .ipv4), ("var/lib/dhcpcd", ".lease", .ipv4), ("var/lib/dhcpcd", ".lease6", .ipv6),
  ]
  private static let maximumFiles = 256

  /// - Parameters:
  ///   - root: where the directories are looked for; empty for the machine's own.
  ///   - boot: seconds since 1970.
  static func found(root: String = "", boot: Int? = bootTime()) -> PerFamily<Bool> {
    var found = clientPorts.map { family, port in (try? ListedSocket.isBound(family, udp: port)) ?? false }
    guard let boot else { return found }
    for place in places {
      let path = "\(root)/\(place.directory)"
      let names = LinuxFacts.list(path).prefix(maximumFiles).filter { $0.hasSuffix(place.ending) }
      for name in names where isFresh("\(path)/\(name)", since: boot) {
        found[place.family ?? family(of: name)] = true
      }
    }
    return found
  }

  /// What clients of before the last start have left says nothing; neither does an empty file.
  private static func isFresh(_ path: String, since boot: Int) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && status.st_size > 0
      && status.st_mtim.tv_sec >= boot
  }

  /// `dhclient6.eth0.leases`, `internal6-….lease`
  private static func family(of name: String) -> Family {
    name.hasPrefix("dhclient6") || name.hasPrefix("internal6") ? .ipv6 : .ipv4
  }

  static func bootTime() -> Int? {
    let lines = (SmallFile.read("/proc/stat", atMost: 1 << 20) ?? []).split(separator: UInt8(ascii: "\n"))
    let key = Array("btime ".utf8)
    return lines.first { $0.starts(with: key) }.flatMap {
      Int(String(decoding: $0.dropFirst(key.count), as: UTF8.self))
    }
  }
}
