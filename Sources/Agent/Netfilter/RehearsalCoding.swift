internal import Apply
internal import Core

// How a request and its answer travel to the rehearsal child and back.

extension ByteWriter {
  mutating func optional<Value>(_ value: Value?, _ write: (inout ByteWriter, Value) -> Void) {
    bool(value != nil)
    if let value { write(&self, value) }
  }
}

extension ByteReader {
  mutating func optional<Value>(
    _ field: String, _ read: (inout ByteReader) throws(Problem) -> Value
  ) throws(Problem) -> Value? {
    try bool(field) ? try read(&self) : nil
  }

  mutating func list<Value>(
    _ field: String, atMost limit: Int, _ read: (inout ByteReader) throws(Problem) -> Value
  ) throws(Problem) -> [Value] {
    let count = Int(try uint32(field))
    guard count <= limit else { throw .tooLong(field: field, length: count, limit: limit) }
    var values: [Value] = []
    for _ in 0..<count { values.append(try read(&self)) }
    return values
  }

  mutating func family(_ field: String) throws(Problem) -> Family {
    switch try uint8(field) {
    case 4: .ipv4
    case 6: .ipv6
    default: throw .malformed(field: field)
    }
  }
}

extension Family {
  var code: UInt8 { self == .ipv4 ? 4 : 6 }
}

extension KnockPlan {
  private static let maximumText = 4096

  func write(to out: inout ByteWriter) {
    func write(_ paths: [Path]) {
      out.uint32(UInt32(paths.count))
      for path in paths {
        out.text(path.asked)
        out.string(path.source.bytes)
        out.string(path.destination.bytes)
        out.optional(path.interface) { $0.text($1) }
        out.uint32(UInt32(path.ports.count))
        for port in path.ports { out.uint16(port) }
      }
    }
    write(paths)
    out.uint32(UInt32(outsiders.count))
    for paths in outsiders { write(paths) }
    out.uint32(UInt32(addresses.count))
    for entry in addresses {
      out.text(entry.interface)
      out.string(entry.address.bytes)
      out.uint8(UInt8(entry.length))
    }
    out.uint32(UInt32(undecided.count))
    for words in undecided { out.text(words) }
  }

  init(from reader: inout ByteReader) throws(ByteReader.Problem) {
    func address(_ reader: inout ByteReader) throws(ByteReader.Problem) -> IPAddress {
      guard let address = IPAddress(bytes: Array(try reader.string("address", atMost: 16))) else {
        throw .malformed(field: "address")
      }
      return address
    }
    func path(_ reader: inout ByteReader) throws(ByteReader.Problem) -> Path {
      let asked = try reader.text("asked", atMost: Self.maximumText)
      let source = try address(&reader)
      let destination = try address(&reader)
      guard source.family == destination.family else { throw .malformed(field: "destination") }
      let interface = try reader.optional("interface") { (reader) throws(ByteReader.Problem) in
        try reader.text("interface", atMost: 64)
      }
      let ports = try reader.list("ports", atMost: Self.maximumPorts) { (reader) throws(ByteReader.Problem) in
        try reader.uint16("port")
      }
      guard !ports.isEmpty else { throw .malformed(field: "ports") }
      return Path(asked: asked, source: source, destination: destination, interface: interface, ports: ports)
    }
    paths = try reader.list("paths", atMost: Self.maximumPaths, path)
    outsiders = try reader.list("outsiders", atMost: RehearsalRequest.maximumLayers) {
      (reader) throws(ByteReader.Problem) in try reader.list("outsiders", atMost: Self.maximumOutsiders, path)
    }
    addresses = try reader.list("addresses", atMost: HostStack.maximumAddresses) {
      (reader) throws(ByteReader.Problem) in
      let interface = try reader.text("interface", atMost: 64)
      let address = try address(&reader)
      let length = Int(try reader.uint8("prefix length"))
      guard length <= address.bits else { throw .malformed(field: "prefix length") }
      return HostStack.Address(interface: interface, address: address, length: length)
    }
    undecided = try reader.list("undecided", atMost: Self.maximumPaths + 2) { (reader) throws(ByteReader.Problem) in
      try reader.text("undecided", atMost: Self.maximumText)
    }
  }
}

extension KnockResult {
  private static let maximumText = 64 << 10

  func write(to out: inout ByteWriter) {
    switch self {
    case .passed: out.uint8(0)
    case .shut(let paths):
      out.uint8(1)
      out.uint32(UInt32(paths.count))
      for path in paths {
        out.uint8(path.family.code)
        out.text(path.source)
        out.uint16(path.port)
        out.optional(path.culprit) { $0.text($1) }
      }
    case .undecided(let why):
      out.uint8(2)
      out.text(why)
    }
  }

  init(from reader: inout ByteReader) throws(ByteReader.Problem) {
    switch try reader.uint8("knock") {
    case 0: self = .passed
    case 1:
      self = .shut(
        try reader.list("shut paths", atMost: KnockPlan.maximumPaths) { (reader) throws(ByteReader.Problem) in
          let family = try reader.family("family")
          let source = try reader.text("source", atMost: Self.maximumText)
          let port = try reader.uint16("port")
          let culprit = try reader.optional("culprit") { (reader) throws(ByteReader.Problem) in
            try reader.text("culprit", atMost: Self.maximumText)
          }
          return ShutPath(family: family, source: source, port: port, culprit: culprit)
        })
    case 2: self = .undecided(try reader.text("why", atMost: Self.maximumText))
    default: throw .malformed(field: "knock")
    }
  }
}

extension LayerRehearsed {
  /// A profile's text as it is printed, of both families.
  static let maximumPrinted = 1 << 20

  func write(to out: inout ByteWriter) {
    switch self {
    case .loaded(let layer):
      out.uint8(0)
      out.string(layer.printed.ipv4)
      out.string(layer.printed.ipv6)
      out.optional(layer.knock) { $1.write(to: &$0) }
      out.uint32(UInt32(layer.answered.count))
      for port in layer.answered { out.uint16(port) }
    case .refused(let words):
      out.uint8(1)
      out.text(words)
    }
  }

  init(from reader: inout ByteReader) throws(ByteReader.Problem) {
    switch try reader.uint8("kind of layer") {
    case 0:
      let ipv4 = Array(try reader.string("layer ipv4", atMost: Self.maximumPrinted))
      let ipv6 = Array(try reader.string("layer ipv6", atMost: Self.maximumPrinted))
      let knock = try reader.optional("knock at layer") { (reader) throws(ByteReader.Problem) in
        try KnockResult(from: &reader)
      }
      let answered = try reader.list("answered", atMost: KnockPlan.maximumOutsiders * KnockPlan.maximumPorts) {
        (reader) throws(ByteReader.Problem) in try reader.uint16("port")
      }
      self = .loaded(
        LoadedLayer(printed: PerFamily(ipv4: ipv4, ipv6: ipv6), knock: knock, answered: answered))
    case 1: self = .refused(try reader.text("refused layer", atMost: 64 << 10))
    default: throw .malformed(field: "kind of layer")
    }
  }
}
