import Testing

@testable import Operations

@Suite struct ProgramTests {
  private static let text = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)

  @Test func whatAProgramIsGivenItReads() async throws {
    #expect(try await Program("/bin/cat").run([], input: Self.text, outputLimit: 2 << 20).standardOutput == Self.text)
    #expect(try await Program("/bin/cat").run([]).standardOutput.isEmpty)
  }

  @Test func aProgramMayEndWithoutReadingWhatItIsGiven() async throws {
    for _ in 0..<20 { #expect(try await Program("/bin/true").run([], input: Self.text).succeeded) }
  }

  @Test func aProgramThatTakesTooLongIsEnded() async throws {
    let start = ContinuousClock.now
    #expect(try await Program("/bin/sleep").run(["86400"], within: .milliseconds(200)) == nil)
    // Beside a thousand other tests it takes minutes until somebody looks.
    #expect(start.duration(to: .now) < .seconds(3600))
    #expect(try await Program("/bin/true").run([], within: .seconds(60))?.succeeded == true)
  }
}
