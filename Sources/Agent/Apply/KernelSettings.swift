package import Ruleset

/// The kernel's settings beside the packet filter (/proc/sys/net), of the network namespace the agent is in.
package protocol KernelSettings: AnyObject {
  /// Nil where the host has no such setting.
  func read(_ key: SysctlKey) throws -> Int?

  /// Throws when it cannot be written here; changes nothing.
  func requireWritable(_ key: SysctlKey) throws

  func write(_ key: SysctlKey, _ value: Int) throws

  /// Names below `conf`, `all` and `default` among them.
  func interfaces() throws -> [String]
}
