import Core
import Testing

@testable import Policy

struct RuleTraceTests {
  static let places = [
    ("policies/web.yaml", 1), ("policies/web.yaml", 1), ("policies/common.yaml", 7), ("policies/web.yaml", 9),
    ("policies/web.yaml", 1),
  ].map { SourceLocation(file: $0.0, line: $0.1, column: 3) }

  @Test func `each line of a text keeps its place, also when it was kept`() throws {
    let trace = RuleTrace(Self.places)
    let kept = try RuleTrace(encoded: trace.encoded)
    #expect(kept == trace && kept.digest == Digest(of: trace.encoded))
    for trace in [trace, kept] {
      #expect((1...5).map { trace.source(line: $0) } == Self.places)
      for line in [-1, 0, 6, .max] { #expect(trace.source(line: line) == nil) }
    }
    #expect(try RuleTrace(encoded: RuleTrace([]).encoded).source(line: 1) == nil)
  }

  @Test func `what is cut short, grown, or names no file is refused`() {
    let bytes = RuleTrace(Self.places).encoded
    for count in bytes.indices {
      #expect(throws: ByteReader.Problem.self) { try RuleTrace(encoded: Array(bytes[..<count])) }
    }
    #expect(throws: ByteReader.Problem.trailing(count: 1)) { try RuleTrace(encoded: bytes + [0]) }
    var orphaned = bytes
    orphaned[bytes.count - 13] = 9
    #expect(throws: ByteReader.Problem.malformed(field: "file of place")) { try RuleTrace(encoded: orphaned) }
    var backwards = bytes
    backwards[bytes.count - 1] = 1
    #expect(throws: ByteReader.Problem.malformed(field: "line of text")) { try RuleTrace(encoded: backwards) }
  }
}
