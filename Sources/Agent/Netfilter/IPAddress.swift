internal import Core
internal import Glibc

/// An address by its bytes: 4 or 16, in network order.
struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  let bytes: [UInt8]

  init?(bytes: [UInt8]) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    self.bytes = bytes
  }

  /// Numeric only; nothing here asks a name service.
  init?(_ text: some StringProtocol) {
    let text = String(text)
    guard !text.utf8.contains(0) else { return nil }
    for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
      var bytes = [UInt8](repeating: 0, count: count)
      if inet_pton(family, text, &bytes) == 1 {
        self.bytes = bytes
        return
      }
    }
    return nil
  }

  var family: Family { bytes.count == 4 ? .ipv4 : .ipv6 }
  var bits: Int { bytes.count * 8 }
  /// AF_INET or AF_INET6.
  var number: Int32 { bytes.count == 4 ? AF_INET : AF_INET6 }

  var description: String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(number, bytes, &text, socklen_t(text.count)) != nil else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  var isLoopback: Bool {
    bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
  }

  /// As IPv4 where it is that in IPv6 clothes.
  var unmapped: IPAddress {
    let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
    return bytes.starts(with: mapped) ? IPAddress(bytes: Array(bytes.dropFirst(mapped.count))) ?? self : self
  }

  /// Means something on one link only: fe80::/10 and 169.254.0.0/16.
  var isLinkLocal: Bool {
    bytes.count == 4 ? bytes[0] == 169 && bytes[1] == 254 : bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80
  }

  /// Whether a packet from it can reach anyone: not 0.0.0.0/8, not multicast, not reserved.
  var isUsableSource: Bool {
    bytes.count == 4 ? bytes[0] != 0 && bytes[0] < 224 : bytes[0] != 0xff && !bytes.allSatisfy { $0 == 0 }
  }

  /// With a port, as connect(2) and bind(2) want it.
  func withSocketAddress<Result>(
    port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    // struct sockaddr_in and sockaddr_in6: a family of the host's byte order, then all in network order.
    var raw = withUnsafeBytes(of: UInt16(number)) { Array($0) } + [UInt8(port >> 8), UInt8(port & 0xff)]
    if bytes.count == 4 {
      raw += bytes + [UInt8](repeating: 0, count: 8)
    } else {
      raw += [0, 0, 0, 0] + bytes + [0, 0, 0, 0]
    }
    var storage = sockaddr_storage()
    withUnsafeMutableBytes(of: &storage) { $0.copyBytes(from: raw) }
    return withUnsafePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(raw.count)) }
    }
  }
}

/// An address, or many: `192.0.2.1`, `192.0.2.0/24`.
struct IPPrefix: Hashable, Sendable {
  let address: IPAddress
  let length: Int

  init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let address = IPAddress(parts[0]) else { return nil }
    self.address = address
    guard parts.count == 2 else {
      length = address.bits
      return
    }
    guard let length = Int(parts[1]), (0...address.bits).contains(length) else { return nil }
    self.length = length
  }

  func contains(_ other: IPAddress) -> Bool {
    guard other.bits == address.bits else { return false }
    return address.bytes.indices.allSatisfy { index in
      let kept = min(8, max(0, length - index * 8))
      let mask: UInt8 = kept == 0 ? 0 : 0xff << UInt8(8 - kept)
      return address.bytes[index] & mask == other.bytes[index] & mask
    }
  }

  /// One of its addresses that somebody else than this host could have, or nil. Wide prefixes ("from anywhere") are
  /// stood for by an address kept for documentation, which nobody's rules name by chance.
  func representative(notIn own: Set<IPAddress>) -> IPAddress? {
    guard length < address.bits else { return address }
    let documentation = ["198.51.100.10", "203.0.113.10", "192.0.2.10", "2001:db8::10", "10.255.255.10"]
    if length < 8 || address.bits == 128 && length < 32 {
      let known = documentation.compactMap { IPAddress($0) }.first { contains($0) && !own.contains($0) }
      if let known { return known }
    }
    // As many tries as the host has addresses, and the network's own one.
    var candidate = address.bytes
    for _ in 0...own.count + 2 {
      guard let next = IPAddress(bytes: candidate), contains(next) else { return nil }
      let isNetwork = next == address && length < address.bits - 1
      if !isNetwork, next.isUsableSource, !own.contains(next) { return next }
      for index in candidate.indices.reversed() {
        candidate[index] &+= 1
        if candidate[index] != 0 { break }
      }
    }
    return nil
  }
}
