internal import Core
internal import Glibc

extension SystemCallError {
  /// What errno says of a call that just failed.
  static func last(_ call: String, _ object: String) -> SystemCallError {
    let code = Glibc.errno
    return SystemCallError(call, object, errno: code, meaning: String(cString: strerror(code)))
  }
}

/// Owns a descriptor; the last reference closes it.
final class Descriptor: Sendable {
  let number: Int32

  init(owning number: Int32) { self.number = number }
  deinit { close(number) }
}

/// What a read or write that never blocks did.
enum Transfer: Equatable {
  case bytes(Int)
  case wouldBlock
  /// A read: the other side will send no more.
  case end
  /// The other side is gone, or the call failed in a way that nothing can be done about.
  case broken(errno: Int32)
}

/// Reads and writes that never block, on descriptors that are set so.
enum Nonblocking {
  static func read(_ descriptor: Int32, into buffer: inout [UInt8]) -> Transfer {
    let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
    return count == 0 ? .end : result(count)
  }

  /// For sockets; a peer that is gone raises no signal.
  static func send(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) -> Transfer {
    result(bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) })
  }

  /// For anything else. SIGPIPE must be out of the way.
  static func write(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) -> Transfer {
    result(bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) })
  }

  private static func result(_ count: Int) -> Transfer {
    guard count < 0 else { return .bytes(count) }
    switch errno {
    case EAGAIN, EINTR: return .wouldBlock
    default: return .broken(errno: errno)
    }
  }
}

/// Bytes on their way out, taken from the front.
struct OutputBuffer {
  private var bytes: [UInt8] = []
  private var start = 0

  var count: Int { bytes.count - start }
  var isEmpty: Bool { count == 0 }
  var pending: ArraySlice<UInt8> { bytes[start...] }

  mutating func append(_ more: some Collection<UInt8>) { bytes.append(contentsOf: more) }

  mutating func drop(_ sent: Int) {
    start += sent
    if start == bytes.count {
      bytes.removeAll(keepingCapacity: bytes.capacity <= 64 << 10)
      start = 0
    } else if start >= 64 << 10 {
      bytes.removeFirst(start)
      start = 0
    }
  }
}
