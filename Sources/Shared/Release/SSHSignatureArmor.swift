/// The text around a signature's base64.
package enum SSHSignatureArmor {
  private static let header = Array("-----BEGIN SSH SIGNATURE-----\n".utf8)
  private static let footer = Array("-----END SSH SIGNATURE-----\n".utf8)
  /// The widest line PROTOCOL.sshsig speaks of. ssh-keygen itself writes 70.
  private static let maximumLineLength = 76

  /// Header, lines of 1 to 76 characters of canonical base64, footer, each ended by one line feed; nothing before,
  /// between or after.
  package static func decode(_ text: [UInt8]) throws(SSHFormatProblem) -> [UInt8] {
    guard text.count <= SSHSignature.maximumSize else {
      throw SSHFormatProblem("the file has \(text.count) bytes, more than the \(SSHSignature.maximumSize) allowed")
    }
    guard text.starts(with: header) else {
      throw SSHFormatProblem("it does not begin with the line -----BEGIN SSH SIGNATURE-----")
    }
    let body = text.dropFirst(header.count)
    guard body.count > footer.count, body.suffix(footer.count).elementsEqual(footer) else {
      throw SSHFormatProblem("it does not end with the line -----END SSH SIGNATURE-----")
    }
    var base64: [UInt8] = []
    var lineLength = 0
    for byte in body.dropLast(footer.count) {
      if byte == UInt8(ascii: "\n") {
        guard lineLength > 0 else { throw SSHFormatProblem("an empty line stands in it") }
        lineLength = 0
      } else {
        lineLength += 1
        guard lineLength <= maximumLineLength else {
          throw SSHFormatProblem("a line has more than \(maximumLineLength) characters")
        }
        base64.append(byte)
      }
    }
    guard lineLength == 0, let blob = Base64.decode(base64) else {
      throw SSHFormatProblem("what stands between its first and last line is not canonical base64")
    }
    return blob
  }

  /// As ssh-keygen writes it.
  package static func encode(_ blob: [UInt8]) -> [UInt8] {
    let base64 = Array(Base64.encode(blob).utf8)
    let lines = stride(from: 0, to: base64.count, by: 70).flatMap { start in
      base64[start..<min(start + 70, base64.count)] + [UInt8(ascii: "\n")]
    }
    return header + lines + footer
  }
}
