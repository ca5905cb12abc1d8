internal import Core
internal import Glibc
internal import Ruleset

/// The addresses of the network namespace that the thread is in.
struct HostStack: Hashable, Sendable {
  struct Address: Hashable, Sendable {
    var interface: String
    var address: IPAddress
    var length: Int
  }

  var addresses: [Address]

  /// More are not dressed up: a host with so many keeps most of them for others.
  static let maximumAddresses = 512

  init(addresses: [Address]) { self.addresses = addresses }

  /// getifaddrs(3).
  static func read(atMost limit: Int = maximumAddresses) throws(SystemCallError) -> HostStack {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { throw .last("getifaddrs", "") }
    defer { freeifaddrs(first) }
    var addresses: [Address] = []
    var next = first
    while let entry = next {
      next = entry.pointee.ifa_next
      guard let address = address(entry.pointee.ifa_addr), addresses.count < limit else { continue }
      let mask = Self.address(entry.pointee.ifa_netmask, as: entry.pointee.ifa_addr.pointee.sa_family)
      let length = mask.map { $0.bytes.reduce(0) { $0 + $1.nonzeroBitCount } } ?? address.bits
      addresses.append(Address(interface: String(cString: entry.pointee.ifa_name), address: address, length: length))
    }
    return HostStack(addresses: addresses)
  }

  var own: Set<IPAddress> { Set(addresses.map(\.address)) }

  /// All of them.
  static func ownPrefixes() throws(SystemCallError) -> Set<AddressPrefix> {
    Set(try read(atMost: .max).own.compactMap { AddressPrefix(bytes: $0.bytes) })
  }

  private static func address(
    _ pointer: UnsafeMutablePointer<sockaddr>?, as family: sa_family_t? = nil
  ) -> IPAddress? {
    guard let pointer else { return nil }
    let raw = UnsafeRawPointer(pointer)
    switch Int32(family ?? pointer.pointee.sa_family) {
    case AF_INET: return IPAddress(bytes: Array(UnsafeRawBufferPointer(start: raw + 4, count: 4)))
    case AF_INET6: return IPAddress(bytes: Array(UnsafeRawBufferPointer(start: raw + 8, count: 16)))
    // Hardware addresses.
    default: return nil
    }
  }
}
