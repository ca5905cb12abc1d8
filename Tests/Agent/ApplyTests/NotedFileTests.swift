import Core
import Glibc
import Testing

@testable import Apply

/// Files by which the agent judges and that nothing signed covers: whatever happens while one is written, the agent itself
/// must not look like somebody who edited it.
@Suite struct NotedFileTests {
  enum Fault: CaseIterable { case death, powerCut, failure, fullDisk, deadDisk }

  private static let old = Array("format 1\nold\n".utf8)
  private static let new = Array("format 1\nnew\n".utf8)

  private func requireOneOfBoth(_ agent: HostAgent, _ place: Comment) {
    #expect([Self.old, Self.new].contains(agent.readNoted(.others)), place)
    #expect(!agent.isTampered(.others) && agent.notedDifferences().isEmpty, place)
  }

  @Test(arguments: Fault.allCases)
  func `a note is the old one or the new one, whichever call of its writing is the last`(fault: Fault) throws {
    var number = 0
    while true {
      number += 1
      let host = try FakeHost()
      let agent = try host.recoveredAgent()
      try agent.writeNoted(.others, Self.old, isLate: false)
      switch fault {
      case .death, .powerCut: host.faults.arm(.die(number))
      case .failure: host.faults.arm(.fail(number))
      case .fullDisk: host.faults.arm(.fail(number), errno: ENOSPC)
      case .deadDisk: host.faults.arm(.failFrom(number))
      }
      let result = Result { try agent.writeNoted(.others, Self.new, isLate: false) }
      let isReached = host.faults.calls >= number
      let place: Comment = "\(fault), call \(number): \(isReached ? host.faults.log[number - 1] : "none")"
      host.faults.restart()
      if fault == .powerCut { host.cutPower() }
      // A process that goes on, and one that only looks beside it.
      if fault != .death, fault != .powerCut { requireOneOfBoth(agent, place) }
      requireOneOfBoth(try host.agent(), place)
      let next = try host.recoveredAgent()
      requireOneOfBoth(next, place)
      if case .success = result { #expect(next.readNoted(.others) == Self.new, place) }
      try next.writeNoted(.others, Self.new, isLate: false)
      #expect(next.readNoted(.others) == Self.new, place)
      #expect(try host.disk.read(NotedFile.others.newName, atMost: 1 << 20) == nil, place)
      guard isReached else { break }
    }
    #expect(number > 8)
  }

  @Test func `what stands beside a note counts only where the journal has its digest`() throws {
    let host = try FakeHost()
    let agent = try host.recoveredAgent()
    try agent.writeNoted(.others, Self.old, isLate: false)
    try host.disk.create(NotedFile.others.newName, Self.new)
    let later = try host.recoveredAgent()
    #expect(later.readNoted(.others) == Self.old)
    try host.disk.remove(NotedFile.others.name)
    #expect(later.isTampered(.others) && later.notedDifferences().count == 1)
    later.forgetNoted(.others)
    #expect(try host.disk.list(".").allSatisfy { !$0.hasPrefix(NotedFile.others.name) })
  }
}
