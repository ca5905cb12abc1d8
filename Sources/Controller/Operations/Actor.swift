internal import Audit
internal import Glibc

/// Who does something, for the record.
enum Actor {
  /// The login that started us: sudo's caller rather than root.
  static var name: String {
    for name in ["SUDO_USER", "LOGNAME", "USER"] {
      if let value = getenv(name), value.pointee != 0 { return String(cString: value) }
    }
    return "uid \(getuid())"
  }

  static var entry: AuditEntry.Actor { .init(user: name, uid: getuid(), host: host) }

  private static var host: String {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
