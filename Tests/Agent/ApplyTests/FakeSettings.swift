import Apply
import Core
import Glibc
import Ruleset

/// A kernel's settings, with what it changes along with them.
final class FakeSettings: KernelSettings {
  static let atBoot: [String: Int] = [
    "net.ipv4.ip_forward": 0, "net.ipv4.conf.default.forwarding": 0, "net.ipv4.conf.eth0.forwarding": 0,
    "net.ipv4.conf.all.accept_redirects": 0, "net.ipv4.conf.all.rp_filter": 2, "net.ipv4.tcp_syncookies": 1,
    "net.ipv6.conf.all.forwarding": 0, "net.ipv6.conf.default.forwarding": 0, "net.ipv6.conf.eth0.forwarding": 0,
  ]

  private let faults: Faults
  var values = FakeSettings.atBoot
  var readOnly: Set<String> = []
  /// Interfaces' own that were written: what is for all of them by default leaves those alone.
  var own: Set<String> = []

  init(faults: Faults) { self.faults = faults }

  func reset() {
    values = Self.atBoot
    own = []
  }

  /// Somebody at the console.
  func set(_ key: String, _ value: Int?) { values[key] = value }

  func read(_ key: SysctlKey) throws -> Int? {
    guard faults.verdict("read \(key)") == .proceed else { throw broken(key) }
    return values[key.description]
  }

  func requireWritable(_ key: SysctlKey) throws {
    guard faults.verdict("open \(key)") == .proceed, !readOnly.contains(key.description) else { throw broken(key) }
  }

  func write(_ key: SysctlKey, _ value: Int) throws {
    let verdict = faults.verdict("write \(key)")
    guard verdict == .proceed || verdict == .half else { throw broken(key) }
    let isChange = values[key.description] != value
    values[key.description] = value
    // A process that dies here leaves the others as they were.
    guard verdict == .proceed else { throw broken(key) }
    if key.interface != nil { own.insert(key.description) }
    takeOver(key, value)
    guard isChange, key.isForwardingSwitch else { return }
    for other in values.keys.compactMap(SysctlKey.init) where other.isCompanion(of: key) {
      values[other.description] = value
    }
    if key.family == .ipv4 { values["net.ipv4.conf.all.accept_redirects"] = 1 - value }
  }

  /// What an IPv4 default but for forwarding does on a real kernel.
  private func takeOver(_ key: SysctlKey, _ value: Int) {
    let parts = key.description.split(separator: ".")
    guard key.description.hasPrefix("net.ipv4.conf.default."), parts[4] != "forwarding" else { return }
    for name in values.keys where name.hasPrefix("net.ipv4.conf.") && name.hasSuffix(".\(parts[4])") {
      let isInterface = !["all", "default"].contains(name.split(separator: ".")[3])
      if isInterface && !own.contains(name) { values[name] = value }
    }
  }

  func interfaces() throws -> [String] {
    guard faults.verdict("list interfaces") == .proceed else { throw Reason("no such luck") }
    return Set(values.keys.compactMap { SysctlKey($0)?.interface } + ["all", "default"]).sorted()
  }

  /// An interface comes, and takes over what is for all that come, as a real kernel has it in both families.
  func plug(_ interface: String) {
    for (name, value) in values where SysctlKey(name)?.isDefault == true {
      let own = name.replacing(".default.", with: ".\(interface).")
      values[own] = value
      self.own.insert(own)
    }
  }

  private func broken(_ key: SysctlKey) -> SystemCallError {
    SystemCallError("open", key.path, errno: Int32(faults.errno), meaning: "no such luck")
  }
}
