internal import Core

/// /etc/passwd, read by ourselves: a static executable must not call the name service.
struct PasswordFile {
  struct Entry: Equatable {
    let name: String
    let user: UInt32
    let group: UInt32
    let home: String
    let shell: String
  }

  private let entries: [Entry]

  /// Lines that are not of the form are other people's business and passed over.
  init(parsing bytes: [UInt8]) {
    entries = bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
      let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self) }
      guard fields.count == 7, let user = UInt32(fields[2]), let group = UInt32(fields[3]) else { return nil }
      return Entry(name: fields[0], user: user, group: group, home: fields[5], shell: fields[6])
    }
  }

  static func load(_ paths: HostPaths) throws(SystemCallError) -> PasswordFile {
    PasswordFile(parsing: try HostFiles.read(paths.passwd, atMost: 16 << 20) ?? [])
  }

  subscript(name: String) -> Entry? { entries.first { $0.name == name } }
}
