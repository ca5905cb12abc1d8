internal import Core

extension ListeningReport {
  func write(to out: inout ByteWriter) {
    out.clamped(omitted)
    out.clamped(sockets.count)
    for socket in sockets {
      out.uint8(socket.transport.rawValue)
      out.uint16(socket.port)
      out.family(socket.family)
      out.raw(socket.address)
    }
  }

  init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let omitted = Int(try reader.uint32("number of sockets left out"))
    var sockets: [Socket] = []
    for _ in 0..<(try reader.count("number of sockets", atMost: WireLimit.listening)) {
      let transport = try reader.one(of: Socket.Transport.self, "transport of socket")
      let port = try reader.uint16("port of socket")
      let size = try reader.family() == .ipv4 ? 4 : 16
      guard let socket = Socket(transport, try reader.raw(size, field: "address of socket"), port: port),
        sockets.last.map({ $0 < socket }) ?? true
      else { throw .malformed(field: "socket") }
      sockets.append(socket)
    }
    self.init(sockets, omitted: omitted)
  }
}
