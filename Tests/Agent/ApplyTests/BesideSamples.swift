import AgentTestSupport
import Apply
import Core
import Release
import Ruleset
import Wire

/// Bundles that bring ipsets and kernel settings along.
enum Beside {
  static func set(_ texts: String...) throws -> AddressSet {
    let prefixes = texts.compactMap { AddressPrefix($0) }
    return try AddressSet(family: prefixes[0].family, prefixes: prefixes)
  }

  static let friends = Result { try set("192.0.2.0/24", "198.51.100.7") }
  static let others = Result { try set("203.0.113.0/24") }
  static let friends6 = Result { try set("2001:db8::/32") }

  static func rules(_ set: AddressSet?, _ more: String = "") -> String {
    let named = set.map { "-A INPUT -m set --match-set \($0.name) src -j ACCEPT\n" } ?? ""
    return "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n\(named)\(more)COMMIT\n"
  }

  static func bundle(
    _ serial: UInt64, _ set: AddressSet?, _ set6: AddressSet? = nil, sysctl: [String: Int] = [:],
    observing: Set<Family> = [], mode: Manifest.Mode = .exclusive
  ) throws -> Samples.Bundle {
    let sets = try SetsFile([set, set6].compactMap { $0 }, observing: observing)
    var values: [SysctlKey: Int] = [:]
    for (name, value) in sysctl { values[SysctlKey(name)!] = value }
    let settings = try SysctlFile(values)
    return try SignedBundles.bundle(
      serial: serial, ipv4: rules(set), ipv6: rules(set6), mode: mode, sets: sets.isEmpty ? nil : sets.encode(),
      sysctl: settings.isEmpty ? nil : settings.encode())
  }

  static let forwarding = ["net.ipv4.ip_forward": 1, "net.ipv4.conf.all.rp_filter": 1]
  static let plain = Result { try bundle(6, nil) }
  static let old = Result {
    try bundle(7, try friends.get(), try friends6.get(), sysctl: ["net.ipv4.tcp_syncookies": 2])
  }
  static let new = Result { try bundle(8, try others.get(), try friends6.get(), sysctl: forwarding) }
  static let owned = Result { try bundle(8, try others.get(), try friends6.get(), sysctl: forwarding, mode: .owned) }
  static let none = Result { try bundle(8, nil) }
  static let withdrawn = Result { try bundle(9, nil, mode: .withdrawn) }

  /// Somebody else's, whatever its name.
  static let foreign = ["blocklist": "192.0.2.99", "PCL-mine": "192.0.2.98"]

  static func host(_ backend: Backend = .nft) throws -> FakeHost {
    let host = try FakeHost()
    host.firewall.backend = backend
    for (name, member) in foreign {
      host.firewall.sets.all[name] = FakeSets.Held(type: "hash:ip family inet", members: [member])
    }
    return host
  }
}

/// All that a bundle decides about a host.
struct HostPicture: Hashable {
  let ipv4: String
  let ipv6: String
  let sets: [String: Set<String>]
  let settings: [String: Int]

  init(_ host: FakeHost) {
    ipv4 = host.canonical.ipv4
    ipv6 = host.canonical.ipv6
    sets = host.firewall.sets.all.mapValues(\.members)
    settings = host.settings.values
  }
}
