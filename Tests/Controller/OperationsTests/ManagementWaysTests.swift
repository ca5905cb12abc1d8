import Core
import Testing

@testable import Operations

@Suite struct ManagementWaysTests {
  @Test func `the way the first report came by is kept, though its address is silent afterwards`() async {
    let ways = await ManagementWays.learn(first: "10.0.0.1", over: ["10.0.0.2", "fd00::2"]) { address in
      guard address == "fd00::2" else { throw Reason("no answer") }
      return "fd00::1"
    }
    #expect(ways.sources == ["10.0.0.1", "fd00::1"])
    #expect(ways.silent == ["10.0.0.2"])
  }

  @Test func `an address that misses the first question is asked again`() async {
    var asked: [String] = []
    let ways = await ManagementWays.learn(first: "fd00::1", over: ["10.0.0.2"]) { address in
      asked.append(address)
      if asked.count == 1 { throw Reason("busy") }
      return "10.0.0.1"
    }
    #expect(asked == ["10.0.0.2", "10.0.0.2"])
    #expect(ways == ManagementWays(sources: ["10.0.0.1", "fd00::1"], silent: []))
  }
}
