import Core
import Testing

struct SmallThingsTests {
  @Test func `hexadecimal comes back, and only lower case is read`() {
    let bytes = (0...255).map { UInt8($0) }
    #expect(Hex.decode(Hex.encode(bytes).utf8) == bytes)
    for text in ["0", "0G", "AB", "0x", " 00", "00 "] { #expect(Hex.decode(text.utf8) == nil, "\(text)") }
  }

  @Test func `a digest is SHA-256 and reads only its own spelling`() {
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    #expect(Digest(of: [UInt8]()).description == empty)
    #expect(Digest(empty)?.description == empty)
    for text in [String(empty.dropFirst(7)), empty.uppercased(), empty + "0", String(empty.dropLast()), "sha512:00"] {
      #expect(Digest(text) == nil, "\(text)")
    }
    var builder = DigestBuilder()
    builder.update(Array("ab".utf8))
    builder.update(Array("c".utf8))
    #expect(builder.finish() == Digest(of: Array("abc".utf8)))
  }

  @Test(arguments: ["", "-x", ".x", "a b", "a/b", "ä", "a\u{0}", String(repeating: "a", count: 254)])
  func `a host is named by letters, digits and a few marks`(text: String) {
    #expect(HostID(text) == nil)
  }

  @Test func `names at their limits are names`() {
    #expect(HostID(String(repeating: "a", count: 253)) != nil)
    #expect(FleetID(String(repeating: "a", count: 63)) != nil && FleetID(String(repeating: "a", count: 64)) == nil)
    #expect(HostID("Web_01.example-1") != nil)
  }

  @Test(
    arguments: [
      ("wbe", ["db", "web"], "web"), ("webb", ["web", "db"], "web"),
      ("applies-to", ["policy", "applies_to"], "applies_to"),
      ("zzz", ["web", "db"], nil), ("x", ["policy"], nil),
    ] as [(String, [String], String?)])
  func `a slip of the finger finds its name, nonsense none`(name: String, known: [String], nearest: String?) {
    #expect(NearestName.to(name, among: known) == nearest)
  }

  @Test func `a chain of errors is said once, with every hint and the kind of the one who refused`() {
    let chain = ErrorChain(
      Failure(
        "apply the plan",
        because: Failure("verify release 3", because: Reason("no such key"), hint: "see keys", kind: .refused),
        hint: "see keys"))
    #expect(chain.message == "apply the plan: verify release 3: no such key")
    #expect(chain.hints == ["see keys"])
    #expect(chain.kind == .refused)
  }

  @Test func `each of several mistakes has its hint below it, and one that they share stands below the last`() {
    func mistake(_ line: Int, _ hint: String?) -> Diagnostic {
      Diagnostic(Core.SourceLocation(file: "a", line: line, column: 1), "wrong", hint: hint)
    }
    let mistakes = Diagnostics([mistake(1, "x"), mistake(2, "x"), mistake(3, "y"), mistake(4, nil), mistake(5, "x")])!
    let chain = ErrorChain(Failure("read it", because: mistakes, hint: "z"))
    #expect(
      chain.parts.map { "\($0.text) \($0.hints)" } == [
        "read it: a:1:1: wrong []", #"read it: a:2:1: wrong ["x"]"#, #"read it: a:3:1: wrong ["y"]"#,
        "read it: a:4:1: wrong []", #"read it: a:5:1: wrong ["x", "z"]"#,
      ])
    #expect(chain.hints == ["z", "x", "y"])
    #expect(ErrorChain(Reason("alone")).parts.map(\.text) == ["alone"])
  }

  @Test func `a reader names the field that is short, long or left over, and reserves nothing for a promise`() throws {
    var writer = ByteWriter()
    writer.uint16(7)
    writer.text("abc")
    writer.bool(true)
    for length in 0..<writer.bytes.count {
      var reader = ByteReader(writer.bytes[..<length])
      #expect(throws: ByteReader.Problem.self) {
        _ = try reader.uint16("number")
        _ = try reader.text("word", atMost: 3)
        _ = try reader.bool("flag")
      }
    }
    var reader = ByteReader(writer.bytes)
    #expect(try reader.uint16("number") == 7)
    #expect(throws: ByteReader.Problem.trailing(count: 8)) { try reader.end() }
    #expect(throws: ByteReader.Problem.tooLong(field: "word", length: 3, limit: 2)) {
      try reader.text("word", atMost: 2)
    }
    var liar = ByteReader([0xff, 0xff, 0xff, 0xff, 1])
    #expect(throws: ByteReader.Problem.tooLong(field: "x", length: 4_294_967_295, limit: 10)) {
      try liar.string("x", atMost: 10)
    }
  }
}
