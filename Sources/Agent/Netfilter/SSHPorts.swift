/// Where sshd listens, as its configuration says. "ListenAddress: If port is not specified, sshd will listen on the
/// address and all Port options specified. The default is to listen on all local addresses on the current default
/// port" (sshd_config(5)): when each of them names a port, `Port` counts for nothing.
struct SSHPorts {
  private var general = Set<UInt16>()
  private var particular = Set<UInt16>()
  /// An address without a port of its own.
  private var usesGeneral = false

  init(_ files: [[UInt8]]) {
    for line in files.flatMap({ $0.split(separator: UInt8(ascii: "\n")) }) {
      let words = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "=") }
        .map { word in String(decoding: word.filter { $0 != UInt8(ascii: "\"") && $0 != 13 }, as: UTF8.self) }
      guard words.count >= 2 else { continue }
      switch words[0].lowercased() {
      case "port": if let port = Self.port(words[1]) { general.insert(port) }
      case "listenaddress":
        if let port = Self.portOfAddress(words[1]) { particular.insert(port) } else { usesGeneral = true }
      default: continue
      }
    }
  }

  var ports: [UInt16] {
    let standard = general.isEmpty ? [22] : general
    return (particular.isEmpty || usesGeneral ? standard.union(particular) : particular).sorted()
  }

  private static func port(_ text: some StringProtocol) -> UInt16? { UInt16(text).flatMap { $0 > 0 ? $0 : nil } }

  /// `[address]:port`, `name:port`; an address with more than one colon and no brackets is IPv6 alone.
  private static func portOfAddress(_ text: String) -> UInt16? {
    if text.hasPrefix("[") {
      guard let end = text.lastIndex(of: "]") else { return nil }
      let rest = text[text.index(after: end)...]
      return rest.hasPrefix(":") ? port(rest.dropFirst()) : nil
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    return parts.count == 2 ? port(parts[1]) : nil
  }
}
