import Audit
import Core
import GRDB
import Testing
import Wire

@testable import Store

struct ReleaseStoreTests {
  let scratch: Scratch
  let store: FleetStore

  init() throws {
    scratch = try Scratch()
    store = try scratch.open()
  }

  func save(_ hosts: Int = 4, rules: String = "rules") async throws -> Serial {
    let serial = try await store.allocateSerial()
    let made = makeRelease(serial, hosts: hosts, rules: rules)
    try await store.save(made.release, bundles: made.bundles, texts: made.texts)
    return serial
  }

  @Test func `serials count up, jump over what was seen elsewhere, and never come twice`() async throws {
    #expect(try await store.lastSerial() == .none)
    #expect(try await store.allocateSerial() == Serial(1))
    #expect(try await store.allocateSerial(above: Serial(40)) == Serial(41))
    #expect(try await store.allocateSerial(above: Serial(3)) == Serial(42))
    #expect(try await store.lastSerial() == Serial(42))
    let store = store
    let all = try await withThrowingTaskGroup(of: Serial.self) { group in
      for _ in 0..<50 { group.addTask { try await store.allocateSerial() } }
      var all: Set<Serial> = []
      for try await serial in group { all.insert(serial) }
      return all
    }
    #expect(all.count == 50 && all.max() == Serial(92))
  }

  @Test(arguments: [UInt64(Int64.max), UInt64.max])
  func `the last serial is an error, not a wrap`(floor: UInt64) async throws {
    _ = try await store.allocateSerial()
    await #expect(throws: Failure.self) { try await store.allocateSerial(above: Serial(floor)) }
    #expect(try await store.lastSerial() == Serial(1))
  }

  @Test(arguments: ["UPDATE serial_counter SET last = 0", "DELETE FROM serial_counter"])
  func `the file itself refuses to let the counter fall`(sql: String) async throws {
    _ = try await store.allocateSerial()
    let error = await #expect(throws: Failure.self) { try await store.write("tamper") { try $0.execute(sql: sql) } }
    #expect(error.map(message)?.contains("never goes back") == true)
    #expect(try await store.lastSerial() == Serial(1))
  }

  @Test func `a release is read back as it was saved`() async throws {
    let serial = try await save()
    let made = makeRelease(serial, hosts: 4)
    #expect(try await store.release() == made.release)
    #expect(try await store.release(serial) == made.release)
    #expect(try await store.release(Serial(99)) == nil)
    #expect(try await store.bundle(for: host(1)) == made.bundles[1])
    #expect(try await store.bundle(for: host(1), content: made.bundles[1].content) == made.bundles[1])
    #expect(try await store.bundle(for: host(99)) == nil)
    let files = try #require(try await store.bundleFiles(for: host(1), serial: serial))
    #expect(files[.statement] == made.release.statement && files[.signature(1)] == [1, 2])
    #expect(files[.manifest] == made.bundles[1].manifest && files[.proof] == [3])
    #expect(files[.rules(.ipv4)] == made.texts[made.bundles[1].rules!.ipv4])
    #expect(files[.rules(.ipv6)] == made.texts[made.bundles[1].rules!.ipv6])
    #expect(files.count == 7)
  }

  @Test func `lockdown profiles are kept with their bundles, each text once`() async throws {
    let texts = (0..<3).map { Array("*mangle \($0)\nCOMMIT\n".utf8) }
    let digests = texts.map { Digest(of: $0) }
    let serial = try await store.allocateSerial()
    var made = makeRelease(serial, hosts: 3)
    let profiles = [PerFamily(ipv4: digests[0], ipv6: digests[1]), PerFamily(ipv4: digests[2], ipv6: digests[1])]
    made.bundles[0].profiles = profiles
    made.bundles[1].profiles = [profiles[1]]
    for (digest, text) in zip(digests, texts) { made.texts[digest] = text }
    try await store.save(made.release, bundles: made.bundles, texts: made.texts)
    #expect(try await store.bundle(for: host(0)) == made.bundles[0])
    #expect(made.bundles[0].texts.contains(digests[2]))
    let files = try #require(try await store.bundleFiles(for: host(0)))
    #expect(files[.lockdown(0, .ipv4)] == texts[0] && files[.lockdown(1, .ipv4)] == texts[2])
    #expect(files[.lockdown(0, .ipv6)] == texts[1] && files[.lockdown(1, .ipv6)] == texts[1])
    #expect(try await store.bundleFiles(for: host(1))?[.lockdown(0, .ipv4)] == texts[2])
    #expect(try await store.bundleFiles(for: host(2))?[.lockdown(0, .ipv4)] == nil)
    _ = try await save()
    try await store.pruneBundles(keepingReleases: 1)
    #expect(try await store.text(digests[0]) == nil)
  }

  @Test func `what a host was released since its own release is known, whoever that was meant for`() async throws {
    let serials = [try await save(rules: "a"), try await save(rules: "b"), try await save(rules: "c")]
    func content(_ number: Int, _ rules: String) -> Digest { Digest(of: "content \(number) \(rules)".utf8) }
    let since = try await store.contents(releasedAbove: [host(1): serials[0], host(2): .none, host(3): serials[2]])
    #expect(since[host(1)] == [content(1, "b"), content(1, "c")])
    #expect(since[host(2)] == [content(2, "a"), content(2, "b"), content(2, "c")])
    #expect(since[host(3)] == [])
  }

  @Test func `files beside the rules are kept, handed out, and forgotten with their bundles`() async throws {
    let extra = [Array("sets".utf8), Array("sysctl".utf8)]
    func save(_ beside: Bool) async throws -> Serial {
      let serial = try await store.allocateSerial()
      var made = makeRelease(serial, hosts: 2, rules: "\(beside)")
      if beside {
        made.bundles[1].sets = Digest(of: extra[0])
        made.bundles[1].sysctl = Digest(of: extra[1])
        for text in extra { made.texts[Digest(of: text)] = text }
      }
      try await store.save(made.release, bundles: made.bundles, texts: made.texts)
      #expect(try await store.bundle(for: host(1)) == made.bundles[1])
      return serial
    }
    let first = try await save(true)
    let files = try #require(try await store.bundleFiles(for: host(1), serial: first))
    #expect(files[.sets] == extra[0] && files[.sysctl] == extra[1])
    #expect(try await store.bundleFiles(for: host(0), serial: first)?[.sets] == nil)
    try await store.pruneBundles(keepingReleases: 1)
    #expect(try await store.text(Digest(of: extra[0])) == extra[0])
    _ = try await save(false)
    try await store.pruneBundles(keepingReleases: 1)
    for text in extra { #expect(try await store.text(Digest(of: text)) == nil) }
  }

  @Test func `the last release that said something else is found for the hosts that are asked about`() async throws {
    #expect(try await store.lastSayingOtherwise(of: [host(0)]) == nil)
    let first = try await save(4, rules: "a")
    #expect(try await store.lastSayingOtherwise(of: [host(0), host(3)]) == nil)
    let second = try await save(4, rules: "b")
    // Only hosts 0 and 1 change after that.
    _ = try await save(2, rules: "c")
    #expect(try await store.lastSayingOtherwise(of: [host(0)]) == second)
    #expect(try await store.lastSayingOtherwise(of: [host(3)]) == first)
    #expect(try await store.lastSayingOtherwise(of: [host(3), host(0)]) == second)
    // Saying the same again changes nothing.
    _ = try await save(2, rules: "c")
    #expect(try await store.lastSayingOtherwise(of: [host(0)]) == second)
    #expect(try await store.lastSayingOtherwise(of: []) == nil)
  }

  @Test func `rules are kept once for all hosts and releases`() async throws {
    for _ in 0..<3 { _ = try await save(100) }
    let count = try await store.read("count") { try Int.fetchOne($0, sql: "SELECT count(*) FROM texts") }
    #expect(count == 2)
  }

  @Test func `the same release again is nothing, another with its serial an error`() async throws {
    let serial = try await save()
    let same = makeRelease(serial, hosts: 4)
    try await store.save(same.release, bundles: same.bundles, texts: same.texts)
    let other = makeRelease(serial, hosts: 4, rules: "other")
    let error = await #expect(throws: Failure.self) {
      try await store.save(other.release, bundles: other.bundles, texts: other.texts)
    }
    #expect(error.map(message)?.contains("another release with this serial") == true)
    #expect(try await store.release() == same.release)
  }

  @Test func `what does not fit together is not saved`() async throws {
    let good = makeRelease(try await store.allocateSerial(), hosts: 2)
    let unallocated = makeRelease(Serial(2), hosts: 2)
    await #expect(throws: Failure.self) {
      try await store.save(unallocated.release, bundles: unallocated.bundles, texts: unallocated.texts)
    }
    await #expect(throws: Failure.self) {
      try await store.save(good.release, bundles: [good.bundles[0]], texts: good.texts)
    }
    await #expect(throws: Failure.self) { try await store.save(good.release, bundles: good.bundles, texts: [:]) }
    await #expect(throws: Failure.self) {
      try await store.save(
        good.release, bundles: good.bundles, texts: good.texts.mapValues { $0 + [0] })
    }
    await #expect(throws: Failure.self) {
      try await store.save(good.release, bundles: [good.bundles[0], good.bundles[0]], texts: good.texts)
    }
    #expect(try await store.release() == nil)
    #expect(try await store.desiredHosts().isEmpty)
    try await store.save(good.release, bundles: good.bundles, texts: good.texts)
  }

  @Test func `a withdrawn host has no rules`() async throws {
    let serial = try await store.allocateSerial()
    var made = makeRelease(serial, hosts: 1)
    made.bundles[0].rules = nil
    try await store.save(made.release, bundles: made.bundles, texts: [:])
    #expect(try await store.bundle(for: host(0))?.rules == nil)
    #expect(try await store.bundleFiles(for: host(0))?[.rules(.ipv4)] == nil)
  }

  @Test func `the newest release that names a host says what is wanted of it`() async throws {
    let first = try await save(4, rules: "one")
    let second = try await save(2, rules: "two")
    let desired = try await store.desiredHosts()
    #expect(desired.count == 4)
    #expect(desired[host(1)]?.serial == second && desired[host(3)]?.serial == first)
    #expect(desired[host(1)]?.content == Digest(of: "content 1 two".utf8))
  }

  @Test func `rules that were altered in the file are an error, never sent`() async throws {
    _ = try await save()
    try await store.write("tamper") { try $0.execute(sql: "UPDATE texts SET body = x'00'") }
    let error = await #expect(throws: Failure.self) { try await store.bundleFiles(for: host(1)) }
    #expect(error.map(message)?.contains("altered") == true)
    try await store.write("tamper") { try $0.execute(sql: "UPDATE bundles SET manifest = x'00'") }
    await #expect(throws: Failure.self) { try await store.bundle(for: host(1)) }
  }

  @Test func `pruning keeps the newest and what hosts run`() async throws {
    var serials: [Serial] = []
    for number in 0..<6 { serials.append(try await save(3, rules: "r\(number)")) }
    // h0 still runs release 2.
    let manifest = makeRelease(serials[1], hosts: 3, rules: "r1").bundles[0].manifestDigest
    var report = makeReport(host(0))
    report.committed?.manifest = manifest
    try await store.record(reports: [received(report, 1)])
    try await store.pruneBundles(keepingReleases: 2)
    #expect(try await store.bundleFiles(for: host(0), serial: serials[1]) != nil)
    #expect(try await store.bundle(for: host(1), serial: serials[1]) == nil)
    #expect(try await store.bundleFiles(for: host(1), serial: serials[4]) != nil)
    #expect(try await store.bundle(for: host(1), serial: serials[3]) == nil)
    #expect(try await store.releases().count == 6)
    try await store.pruneBundles(keepingReleases: 0)
    #expect(try await store.desiredHosts().count == 3)
    #expect(try await store.bundleFiles(for: host(2)) != nil)
  }

  @Test func `where rules come from is kept with a bundle, and goes with the last one that says so`() async throws {
    let serial = try await store.allocateSerial()
    var made = makeRelease(serial, hosts: 1)
    let trace: [UInt8] = [7, 7]
    made.bundles[0].traces = PerFamily { _ in Digest(of: trace) }
    made.texts[Digest(of: trace)] = trace
    try await store.save(made.release, bundles: made.bundles, texts: made.texts)
    #expect(try await store.bundle(for: host(0)) == made.bundles[0])
    try await store.pruneBundles(keepingReleases: 1)
    #expect(try await store.text(Digest(of: trace)) == trace)
    let next = try await store.allocateSerial()
    made = makeRelease(next, hosts: 1)
    try await store.save(made.release, bundles: made.bundles, texts: made.texts)
    #expect(try await store.bundle(for: host(0))?.traces == nil)
    try await store.pruneBundles(keepingReleases: 1)
    #expect(try await store.text(Digest(of: trace)) == nil)
  }

  @Test func `a release for ten thousand hosts is saved in one go`() async throws {
    let made = makeRelease(try await store.allocateSerial(), hosts: 10_000)
    let clock = ContinuousClock()
    let saving = try await clock.measure {
      try await store.save(made.release, bundles: made.bundles, texts: made.texts)
    }
    let reading = try await clock.measure {
      let count = try await store.desiredHosts().count
      #expect(count == 10_000)
    }
    print("release for 10,000 hosts: save \(saving), read what is wanted \(reading), \(scratch.size("-wal")) bytes")
    #expect(saving < .seconds(60))
  }
}

struct RunTests {
  @Test func `runs and their results are read back, the newest first`() async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    let first = try await store.beginRun(verb: "apply", actor: "root", reason: "", serial: Serial(3), at: start)
    let second = try await store.beginRun(verb: "status", actor: "eve", reason: "look", serial: nil, at: start + 1)
    try await store.record(
      run: first,
      results: [
        .init(host: host(2), result: "failed", detail: "x"), .init(host: host(1), result: "current", detail: ""),
      ])
    try await store.record(run: first, results: [.init(host: host(2), result: "current", detail: "")])
    try await store.endRun(first, exitCode: 3, at: start + 9)
    let runs = try await store.runs()
    #expect(runs.map(\.id) == [second, first])
    #expect(runs[1].ended == start + 9 && runs[1].exitCode == 3 && runs[1].serial == Serial(3))
    #expect(runs[0].ended == nil && runs[0].exitCode == nil)
    #expect(try await store.results(of: first).map(\.result) == ["current", "current"])
    await #expect(throws: Failure.self) { try await store.endRun(first, exitCode: 0, at: start) }
    await #expect(throws: Failure.self) {
      try await store.record(run: RunID(99), results: [.init(host: host(1), result: "", detail: "")])
    }
  }

  @Test func `an enrolment keeps the ways in that were learnt before`() async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    var enrolment = Enrolment(
      host: host(1), at: start, agent: Digest(of: "agent".utf8), agentVersion: "0.1.0", architecture: "x86_64",
      backend: .legacy, hasGenerationZero: true, controllers: ["192.0.2.9"])
    try await store.save(enrolment)
    #expect(try await store.enrolments() == [host(1): enrolment])
    enrolment.agentVersion = "0.2.0"
    enrolment.controllers = ["2001:db8::1"]
    try await store.save(enrolment)
    try await store.learn(controllers: ["192.0.2.1"], of: host(1), at: start)
    let known = try #require(try await store.enrolments()[host(1)])
    #expect(known.controllers == ["192.0.2.1", "192.0.2.9", "2001:db8::1"] && known.agentVersion == "0.2.0")
    try await store.forget(controllers: ["192.0.2.9"], of: host(1))
    await #expect(throws: Failure.self) { try await store.learn(controllers: ["192.0.2.1"], of: host(2), at: start) }

    try await store.record(reports: [received(makeReport(host(1)), 1)])
    try await store.removeEnrolment(of: host(1), at: start)
    #expect(try await store.enrolments().isEmpty)
    #expect(try await store.observations().isEmpty)
    #expect(try await store.history(of: host(1)).count == 1)
  }
}
