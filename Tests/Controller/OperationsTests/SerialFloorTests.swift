import Core
import Operations
import Testing
import Wire

struct SerialFloorTests {
  static let cases: [(last: UInt64, claims: [UInt64], floor: UInt64, why: String)] = [
    (0, [], 0, "nobody knows anything"),
    (7, [], 7, "only we do"),
    (7, [3, 7, 5], 7, "hosts lag behind us"),
    (7, [9], 9, "a host has what another controller made"),
    (0, [40, 41, 41], 41, "our memory is lost"),
    (0, [70_000, 70_001, 69_000], 70_001, "our memory of many releases is lost"),
    (12, [70_000, 70_001, 70_001], 70_001, "our memory is an old backup"),
    (0, [70_000], 70_000, "our memory is lost, and there is one host"),
    (41, [41, .max], 41, "a host claims what leaves no serial for others"),
    (41, [.max], 41, "and it is the only one that reported"),
    (41, [41, 40, 41 + (1 << 20)], 41, "a host would bring the others out of reach"),
    (0, [41, 40, 1 << 62], 41, "the same while our memory is lost"),
    (0, [.max], 0, "a host claims what leaves no serial for others, and ours is the first one"),
    (0, [1 << 20], 0, "or what puts the second one out of reach of hosts that heard nothing"),
    (0, [1 << 19], 1 << 19, "our memory is lost, and there were many releases"),
    (41, [.max, .max], 41, "two hosts claim what leaves no serial for others"),
    (0, [41, 1 << 62], 41, "of two that disagree, the one that claims less"),
    (.max, [.max], .max, "the end of all serials is no trap"),
  ]

  /// Its serial is spent on the host, although what runs there is older.
  @Test func `a release that a host took back, or that waits on it, counts as well`() {
    let digest = Digest(of: [1])
    var report = FleetFolder.report("h1", owners: [])
    report.committed = nil
    #expect(SerialFloor.claim(of: report) == nil)
    report.committed = Committed(serial: Serial(4), manifest: digest, content: digest, at: FleetFolder.now)
    #expect(SerialFloor.claim(of: report) == Serial(4))
    report.lastFailure = LastFailure(serial: Serial(5), result: .reverted, detail: "")
    #expect(SerialFloor.claim(of: report) == Serial(5))
    report.pending = PendingChange(
      transaction: .random(), manifest: digest, serial: Serial(6), millisecondsLeft: 1000, isManual: true)
    #expect(SerialFloor.claim(of: report) == Serial(6))
  }

  @Test(arguments: cases)
  func `the floor is above what can be believed`(
    last: UInt64, claims: [UInt64], floor: UInt64, why: String
  ) {
    for claims in [claims, claims.reversed()] {
      #expect(SerialFloor.floor(last: Serial(last), claims: claims.map(Serial.init)) == Serial(floor), "\(why)")
    }
  }

  @Test func `a minority of liars moves it by no more than the slack, and never below what we gave out`() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      let last = UInt64.random(in: 1...10_000, using: &random)
      let honest = (0..<5).map { _ in UInt64.random(in: 0...last, using: &random) }
      let lies = (0..<4).map { _ in UInt64.random(in: 0 ... .max, using: &random) }
      let floor = SerialFloor.floor(last: Serial(last), claims: (honest + lies).map(Serial.init)).value
      #expect(floor >= last && floor <= last + ClaimedFloor.slack, "last \(last), honest \(honest), lies \(lies)")
    }
  }
}
