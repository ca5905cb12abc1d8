internal import Core
internal import Glibc

/// sd_notify(3) by hand: one datagram to the socket that $NOTIFY_SOCKET names.
package enum ReadyNotification {
  /// Nothing happens where nobody asked to be told, and a service manager that cannot be told is no reason to stop.
  package static func send(_ state: String, to socketName: String?) {
    guard let name = socketName, name.hasPrefix("/") || name.hasPrefix("@"),
      let socket = try? UnixSocket.make(name, kind: SOCK_DGRAM)
    else { return }
    let bytes = Array(state.utf8)
    try? UnixSocket.withAddress(of: name) { address, length in
      _ = bytes.withUnsafeBytes {
        sendto(socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL), address, length)
      }
    }
  }

  package static var socketName: String? { getenv("NOTIFY_SOCKET").map { String(cString: $0) } }
}
