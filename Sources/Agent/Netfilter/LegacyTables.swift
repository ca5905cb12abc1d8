internal import Core

/// Tables of the legacy backend in the network namespace that the thread is in. The kernel lists them, and makes one when
/// a program first uses it; their rules are announced by nobody.
enum LegacyTables {
  /// A name a line.
  static func names(_ family: Family) -> [UInt8] {
    SmallFile.read("/proc/thread-self/net/\(family == .ipv4 ? "ip" : "ip6")_tables_names", atMost: 4096) ?? []
  }
}
