internal import Core

/// Reads the beginning of a server's stream before libssh does: identification and KEXINIT, both still in plain text.
///
/// libssh negotiates strict key exchange (the answer to CVE-2023-48795) when the server offers it, and goes on without
/// when it does not; nothing in its API tells which. So the bytes are looked at with MSG_PEEK, from the first one of
/// the stream and before libssh has read any, and libssh is let loose only on a stream that begins with an
/// identification followed at once by a KEXINIT that offers it. What libssh then reads is the same bytes, and the
/// exchange hash that the host signs covers them.
struct KexInspector {
  /// What a server offers in its KEXINIT.
  struct Offer: Hashable, Sendable {
    var software: String
    var keyExchange: [String]
    var hostKeys: [String]
    var ciphersIn: [String]
    var ciphersOut: [String]
    var macsIn: [String]
    var macsOut: [String]
  }

  enum Progress: Hashable, Sendable {
    /// Nothing can be said before the stream has this many bytes.
    case incomplete(need: Int)
    case offer(Offer)
    /// What is wrong, in words safe to print.
    case refused(String)
  }

  /// Lines before the identification (RFC 4253 §4.2), theirs and its bytes together.
  static let maximumPreamble = 8 << 10
  /// As libssh has it, and RFC 4253 §4.2.
  static let maximumLine = 255
  /// A KEXINIT names algorithms; OpenSSH's has about 1,100 bytes.
  static let maximumKexInit = 16 << 10
  static let maximumPrefix = maximumPreamble + maximumKexInit + 4

  static func examine(_ stream: [UInt8]) -> Progress {
    var position = 0
    var software: String?
    while software == nil {
      guard let end = stream[position...].firstIndex(of: UInt8(ascii: "\n")) else {
        if stream.count - position > maximumLine || stream.count > maximumPreamble {
          return .refused("its identification line is too long")
        }
        return .incomplete(need: stream.count + 1)
      }
      var line = stream[position..<end]
      guard line.count <= maximumLine, end < maximumPreamble else {
        return .refused("it sends too much before its identification")
      }
      if line.last == UInt8(ascii: "\r") { line.removeLast() }
      guard !line.contains(0), !line.contains(UInt8(ascii: "\r")) else {
        return .refused("its identification holds control characters")
      }
      if line.starts(with: "SSH-".utf8) {
        guard line.starts(with: "SSH-2.0-".utf8) else {
          return .refused("it speaks \(SafeText.escape(line.prefix(64))), not SSH 2.0")
        }
        software = SafeText.escape(line.dropFirst(8))
      }
      position = end + 1
    }
    return examine(packet: stream[position...], software: software ?? "")
  }

  /// RFC 4253 §6: u32 length, u8 padding length, payload, padding.
  private static func examine(packet: ArraySlice<UInt8>, software: String) -> Progress {
    let start = packet.startIndex
    guard packet.count >= 6 else { return .incomplete(need: start + 6) }
    let length = packet[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
    let padding = Int(packet[start + 4])
    guard length <= maximumKexInit, length >= padding + 2, (length + 4) % 8 == 0, padding >= 4 else {
      return .refused("its first packet is malformed")
    }
    guard packet[start + 5] == 20 else {
      return .refused("its first packet is of type \(packet[start + 5]), not KEXINIT")
    }
    guard packet.count >= 4 + length else { return .incomplete(need: start + 4 + length) }
    do throws(ByteReader.Problem) {
      var reader = ByteReader(packet[start + 6..<start + 4 + length - padding])
      _ = try reader.raw(16, field: "cookie")
      var lists: [[String]] = []
      for name in ["kex", "host keys", "ciphers", "ciphers", "macs", "macs", "compression", "compression", "", ""] {
        let text = SafeText.escape(try reader.string(name, atMost: maximumKexInit))
        lists.append(text.split(separator: ",").map(String.init))
      }
      let guessFollows = try reader.bool("first_kex_packet_follows")
      _ = try reader.uint32("reserved")
      try reader.end()
      // Only the side that sends the first key exchange message can guess, and that is us.
      guard !guessFollows else { return .refused("it announces a guessed key exchange packet") }
      return .offer(
        Offer(
          software: software, keyExchange: lists[0], hostKeys: lists[1], ciphersIn: lists[3], ciphersOut: lists[2],
          macsIn: lists[5], macsOut: lists[4]))
    } catch {
      return .refused("its KEXINIT is malformed: \(error)")
    }
  }
}

extension KexInspector.Offer {
  /// Why we do not go on with this server, or nil.
  var objection: String? {
    if !keyExchange.contains(Algorithms.strictKeyExchange) {
      return "it does not offer strict key exchange (\(Algorithms.strictKeyExchange))"
    }
    let needs: [(String, [String], [String])] = [
      ("key exchange", keyExchange, Algorithms.keyExchange), ("host key algorithm", hostKeys, Algorithms.hostKeys),
      ("cipher", ciphersOut, Algorithms.ciphers), ("cipher", ciphersIn, Algorithms.ciphers),
    ]
    for (what, offered, accepted) in needs where !accepted.contains(where: offered.contains) {
      return "it offers no \(what) that we accept (\(Self.list(offered)))"
    }
    for (ciphers, macs) in [(ciphersOut, macsOut), (ciphersIn, macsIn)] {
      // The client's order decides (RFC 4253 §7.1).
      guard let cipher = Algorithms.ciphers.first(where: ciphers.contains),
        !Algorithms.selfAuthenticating.contains(cipher)
      else { continue }
      if !Algorithms.macs.contains(where: macs.contains) {
        return "it offers no MAC that we accept (\(Self.list(macs)))"
      }
    }
    return nil
  }

  private static func list(_ names: [String]) -> String {
    let text = names.joined(separator: ", ")
    return text.utf8.count <= 200 ? text : String(text.prefix(200)) + "…"
  }
}
