internal import Apply
internal import Core
internal import Glibc
package import Ruleset

/// /proc/sys/net, which shows every process the settings of its own network namespace.
package final class LinuxSettings: KernelSettings {
  package init() {}

  private static let root = "/proc/sys"

  package func read(_ key: SysctlKey) throws -> Int? {
    let path = Self.path(key)
    let raw = open(path, O_RDONLY | O_CLOEXEC)
    guard raw >= 0 else {
      guard errno != ENOENT else { return nil }
      throw SystemCallError.last("open", path)
    }
    let file = Descriptor(takingOwnershipOf: raw)
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = uninterrupted { Glibc.read(file.raw, &bytes, bytes.count) }
    guard count >= 0 else { throw SystemCallError.last("read", path) }
    let text = String(decoding: bytes.prefix(count).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    guard let value = Int(text) else { throw Reason("\(path) holds '\(SafeText.escape(text))', which is no number") }
    return value
  }

  package func requireWritable(_ key: SysctlKey) throws { _ = try opened(key) }

  package func write(_ key: SysctlKey, _ value: Int) throws {
    let file = try opened(key)
    let text = Array("\(value)\n".utf8)
    guard uninterrupted({ Glibc.write(file.raw, text, text.count) }) == text.count else {
      throw SystemCallError.last("write \(value) to", Self.path(key))
    }
  }

  package func interfaces() throws -> [String] {
    let names = try Family.allCases.map { family in try LinuxDisk("\(Self.root)/net/\(family)/conf").list(".") }
    return Set(names.joined()).sorted()
  }

  private func opened(_ key: SysctlKey) throws -> Descriptor {
    let path = Self.path(key)
    let raw = open(path, O_WRONLY | O_CLOEXEC)
    guard raw >= 0 else { throw SystemCallError.last("open for writing", path) }
    return Descriptor(takingOwnershipOf: raw)
  }

  private static func path(_ key: SysctlKey) -> String { "\(root)/\(key.path)" }
}
