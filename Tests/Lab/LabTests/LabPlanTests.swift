import Core
import Foundation
import Testing

@testable import Lab

struct LabPlanTests {
  @Test func aThousandHostsHaveNamesAndAddressesOfTheirOwn() throws {
    let plan = try LabPlan(LabOptions(hosts: LabPlan.maximumHosts))
    #expect(Set(plan.hosts.map(\.name)).count == 1000)
    #expect(Set(plan.hosts.map(\.ipv4)).count == 1000)
    #expect(Set(plan.hosts.map(\.ipv6)).count == 1000)
    #expect(Set(plan.hosts.map(\.hardwareAddress)).count == 1000)
    #expect(!plan.hosts.contains { $0.ipv4 == LabPlan.controllerIPv4 || $0.ipv6 == LabPlan.controllerIPv6 })
    #expect(plan.hosts.map(\.name).first == "h001")
    #expect(plan.hosts.map(\.name).last == "h1000")
    #expect(plan.hosts[250].ipv4 == "10.77.2.1")
    #expect(plan.hosts[249].ipv6 == "fd77::1:250")
    #expect(plan.hosts[249].hardwareAddress == "02:77:00:00:01:fa")
  }

  @Test func aPlanIsReadBackAsItWasWritten() throws {
    let plan = try LabPlan(LabOptions(hosts: 7, backend: .mixed, roots: [.host, .debian11, .debian13]))
    #expect(LabPlan(text: plan.text) == plan)
    #expect(plan.hosts.map(\.root) == [.host, .debian11, .debian13, .host, .debian11, .debian13, .host])
    #expect(plan.hosts.map(\.backend) == [.nft, .legacy, .nft, .legacy, .nft, .legacy, .nft])
  }

  @Test(arguments: [
    "", "portcullis-lab 2\n", "portcullis-lab 1\nhost 0 host nft\n", "portcullis-lab 1\nhost 1 host mixed\n",
    "portcullis-lab 1\nhost 1 plan9 nft\n", "portcullis-lab 1\nhost 1 host\n",
  ])
  func aMarkerThatWasNotWrittenByUsIsNotRead(text: String) {
    #expect(LabPlan(text: text) == nil)
  }

  @Test(arguments: [(1, 1, 0), (2, 1, 1), (5, 3, 2), (6, 3, 3)])
  func theFirstHalfIsWeb(hosts: Int, web: Int, db: Int) throws {
    let plan = try LabPlan(LabOptions(hosts: hosts))
    #expect(plan.web.count == web)
    #expect(plan.db.count == db)
  }

  @Test(arguments: [0, -1, 1001])
  func aLabHasOneToAThousandHosts(count: Int) {
    #expect(throws: Failure.self) { try LabPlan(LabOptions(hosts: count)) }
  }

  @Test(arguments: [
    ("relative/lab", "not an absolute path"), ("/etc/lab", "their own /etc"), ("/var/lib/lab", "their own /var/lib"),
    ("/usr/local/x/lab", "their own /usr/local"), ("/var/tmp/../lib/lab", "their own /var/lib"),
    ("/run/lab", "their own /run"), ("/", "folder of the system"), ("/tmp", "folder of the system"),
    ("/var/tmp/a,b", "mount options"), ("/var/tmp/a:b", "mount options"), ("/var/tmp/a b", "mount options"),
  ])
  func aLabIsNotMadeWhereItCannotWork(path: String, reason: String) throws {
    let error = #expect(throws: Failure.self) { try LabDirectory(path) }
    #expect(ErrorChain(try #require(error)).message.contains(reason))
  }

  @Test func anUnknownHostIsAUsageErrorThatNamesTheNearest() throws {
    let fleet = LabFleet(directory: try LabDirectory("/var/tmp/none"), plan: try LabPlan(LabOptions(hosts: 3)))
    let error = #expect(throws: Failure.self) { try fleet.host("h0003") }
    #expect(error?.kind == .usage)
    #expect(error?.hint == "did you mean h003?")
  }

  @Test func keysAreWhatSSHKeygenReads() async throws {
    let path = "/var/tmp/portcullis-key-\(UInt32.random(in: .min ... .max))"
    defer { for suffix in ["", ".pub"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
    let key = LabKey(comment: "h001")
    try key.write(to: path)
    let derived = try await LabProgram.run("/usr/bin/ssh-keygen", ["-y", "-f", path])
    #expect(derived.output == "\(key.publicLine) h001\n")
  }

  @Test func aProcessThatTookOverAnIdIsNeverSignalled() async throws {
    let path = "/var/tmp/portcullis-state-\(UInt32.random(in: .min ... .max))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let ourselves = try #require(LabProcess(pid: getpid()))
    try LabFiles.write("\(ourselves.pid) \(ourselves.startTime)\n", to: path)
    #expect(LabProcess(stateFile: path) == ourselves)
    try LabFiles.write("\(ourselves.pid) \(ourselves.startTime - 1)\n", to: path)
    #expect(LabProcess(stateFile: path) == nil)
    // Were the start time not looked at, this would be the end of us.
    try await LabProcess.kill([LabProcess(pid: ourselves.pid, startTime: ourselves.startTime - 1)])
  }
}
