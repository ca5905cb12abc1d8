internal import Glibc

/// The two numbers the daemon needs of /etc/passwd and /etc/group, read by ourselves: name-service calls load shared
/// libraries, which a static executable cannot.
package enum Accounts {
  /// Nil when there is no such user, or the file cannot be read.
  package static func userID(of name: String, in passwd: [UInt8]) -> UInt32? { number(of: name, in: passwd, fields: 7) }

  /// Nil when there is no such group, or the file cannot be read.
  package static func groupID(of name: String, in group: [UInt8]) -> UInt32? { number(of: name, in: group, fields: 4) }

  /// Both files have the name first and the number third. Lines of another form are other people's business.
  private static func number(of name: String, in file: [UInt8], fields count: Int) -> UInt32? {
    for line in file.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      guard fields.count == count, fields[0].elementsEqual(name.utf8) else { continue }
      return UInt32(String(decoding: fields[2], as: UTF8.self))
    }
    return nil
  }

  /// The content of an account file, at most 16 MiB of it; empty when it cannot be read.
  package static func read(_ path: String) -> [UInt8] {
    let number = open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return [] }
    let file = Descriptor(owning: number)
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    while content.count < 16 << 20, case .bytes(let count) = Nonblocking.read(file.number, into: &buffer) {
      content += buffer[..<count]
    }
    return content
  }
}
