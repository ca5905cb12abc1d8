import AgentTestSupport
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// Lockdown profiles are tried on the host when a release brings them, not when they are ordered.
@Suite struct ProfileRehearsalTests {
  let scene: LockScene

  init() throws { scene = try LockScene(applying: []) }

  private var host: FakeHost { scene.host }
  /// How many layers were tried in each rehearsal.
  private var tried: [Int] { host.firewall.rehearsals.map(\.layers.count) }
  private func known() throws -> RehearsedProfiles? {
    try host.ledger().committed.flatMap { BundleStore(on: host.disk).rehearsedProfiles(of: $0.name) }
  }
  private func problems() throws -> [String?] {
    try #require(try scene.agent.report(.random(), managementSource: "").lockdown).profiles.map(\.problem)
  }

  @Test func `profiles are tried once, and again when their way in or the programs are others`() throws {
    try scene.apply(LockScene.first)
    #expect(tried == [4])
    let layer = try #require(host.firewall.rehearsals.last?.layers.first)
    #expect(try layer.texts.ipv4 == LockScene.layer("isolate", .ipv4).first)
    #expect(host.canonical.ipv4.contains("PCLLOCK") == false)
    try scene.apply(LockScene.second)
    #expect(tried == [4, 0])
    let before = try #require(try known())
    // The same content once more: nothing is rehearsed, and nothing forgotten.
    try scene.apply(LockScene.bundle(20, ipv4: Samples.new4, ipv6: Samples.new6))
    #expect(try tried == [4, 0] && known() == before)
    host.facts.sshPorts = [22, 2222]
    try scene.apply(LockScene.bundle(21))
    #expect(tried == [4, 0, 4])
    host.firewall.version = "1.8.10"
    try scene.apply(LockScene.bundle(22, ipv4: Samples.new4))
    #expect(tried.last == 4)
    #expect(try known()?.programs == "1.8.10 nft")
  }

  @Test func `strangers knock where the host answers today, at nothing that the profile lets in`() throws {
    let open: [UInt16] = [22, 80, 3260]
    host.facts.listening = ListeningReport(
      open.flatMap { port in [4, 16].compactMap { .init(.tcp, [UInt8](repeating: 0, count: $0), port: port) } })
    try scene.apply(LockScene.first)
    let layers = try #require(host.firewall.rehearsals.last?.layers)
    #expect(
      layers.map { $0.outsiders.map(\.ports) } == [
        // One that lets strangers in is not knocked at by them.
        [[80, 3260, 9], [80, 3260, 9]], [], [[80, 3260, 9], [80, 3260, 9]], [[80, 9], [80, 9]],
      ])
  }

  @Test func `a profile that shuts the managers out refuses the release, and is named`() throws {
    try scene.apply(LockScene.bundle(6, ipv4: Samples.new4))
    let (before, ledger) = (host.canonical, try host.ledger())
    host.facts.sshPorts = [2222]
    host.firewall.layerKnock = { $0.contains("3260") ? KnockTests.shut : .passed }
    let refusal = #expect(throws: Refusal.self) { try scene.apply(LockScene.first) }
    #expect(refusal?.code == .lockout)
    #expect(
      refusal?.detail
        == "lockdown profile storage would shut the management path: ipv4 from 192.0.2.7 to port 22, taken by "
        + "-A INPUT -s 192.0.2.0/24 -j DROP")
    #expect(try host.canonical == before && host.ledger().committed == ledger.committed)
    // It counts here too, and is no leave for the next one.
    let ordered = try scene.apply(LockScene.bundle(8, grants: [.overrideLockout]))
    #expect(ordered.result == .committed)
    #expect(ordered.detail.contains("lockdown profile storage: it shuts the management path, as was ordered: ipv4"))
    #expect(throws: Refusal.self) { try scene.apply(LockScene.bundle(9, ipv6: Samples.new6)) }
    #expect(tried.suffix(1) == [1])
  }

  @Test func `who brings a release from a place that nobody named is told, and it goes on`() throws {
    let shut = ShutPath(family: .ipv4, source: "198.51.100.9", port: 22, culprit: nil)
    host.firewall.layerKnock = { _ in .shut([shut]) }
    let outcome = try scene.apply(LockScene.first)
    #expect(outcome.result == .committed)
    #expect(
      outcome.detail.contains(
        "lockdown profiles isolate, no-egress, no-ingress, storage: it does not let in 198.51.100.9, from where this release came"
      )
    )
    #expect(try problems() == [nil, nil, nil, nil])
  }

  @Test func `a host that cannot hold a profile takes the release, and says which and why`() throws {
    host.firewall.layerPoison = "--dport 3260"
    let outcome = try scene.apply(LockScene.first)
    #expect(outcome.result == .committed)
    #expect(
      outcome.detail.contains("lockdown profile storage: cannot be used here: it does not load: restore: no such"))
    let words = "it does not load: restore: no such match"
    #expect(try problems() == [nil, nil, nil, words])
    #expect(tried == [4])
    // What failed is tried again, now and then and with the next release.
    host.pass(.seconds(3600))
    #expect(try problems() == [nil, nil, nil, words])
    #expect(try problems() == [nil, nil, nil, words] && tried == [4, 1])
    host.firewall.layerPoison = nil
    host.pass(.seconds(3600))
    #expect(try problems() == [nil, nil, nil, nil])
    #expect(tried == [4, 1, 1])
    #expect(try scene.agent.differences(in: "disk", .ipv4).isEmpty)
    try scene.apply(LockScene.second)
    // It was not knocked at.
    #expect(tried == [4, 1, 1, 1])
  }

  @Test func `an agent that starts tries what failed`() throws {
    host.firewall.layerPoison = "--dport 3260"
    try scene.apply(LockScene.first)
    host.firewall.layerPoison = nil
    try scene.restart()
    #expect(try problems() == [nil, nil, nil, nil])
  }

  @Test func `a profile that lets strangers in is none`() throws {
    host.firewall.answered = [80]
    try scene.apply(LockScene.first)
    let words = "a stranger is answered at TCP port 80 while it is loaded"
    #expect(try problems() == [words, words, words, words])
  }

  @Test func `what prints as something else is none either`() throws {
    host.firewall.wording = { $0.replacing("-A PCLLOCK-OUTPUT -j DROP", with: "-A PCLLOCK-OUTPUT -j RETURN") }
    try scene.apply(LockScene.first)
    #expect(
      try problems().first
        == "it does not load as it is written: ipv4: rule 4 of chain PCLLOCK-OUTPUT leads elsewhere than it should")
  }

  @Test func `without a place to rehearse only their shape is known, which is said`() throws {
    host.firewall.rehearsalProblem = FirewallProblem(.noNamespace, program: "unshare", family: nil, words: "not here")
    let outcome = try scene.apply(LockScene.first)
    #expect(outcome.result == .committed)
    #expect(
      outcome.detail.contains(
        "lockdown profiles isolate, no-egress, no-ingress, storage: judged by its shape alone, and neither rehearsed nor knocked"
      ))
    #expect(try problems() == [nil, nil, nil, nil])
    #expect(try scene.lock(7).result == .locked)
  }

  @Test func `a doubt of the knock is told each time, though it is not tried again`() throws {
    host.firewall.layerKnock = { _ in .undecided("it comes through a tunnel") }
    let words =
      "lockdown profiles isolate, no-egress, no-ingress, storage: whether it leaves the management path open cannot be told: "
      + "it comes through a tunnel"
    #expect(try scene.apply(LockScene.first).detail.contains(words))
    #expect(try scene.apply(LockScene.second).detail.contains(words))
    #expect(tried == [4, 0])
  }

  @Test func `the first load of a lockdown has to print what its rehearsal did`() throws {
    try scene.apply(LockScene.first)
    // As many rules, that lead where they should: only what was printed tells.
    host.firewall.afterLoad = { [scene] _, family in
      scene.replace("-A PCLLOCK-INPUT -i lo -j RETURN", by: "-A PCLLOCK-INPUT -i eth0 -j RETURN", family)
    }
    let obeyed = try scene.lock(7)
    #expect(obeyed.result == .locked && obeyed.lock?.phase == .fallback)
    #expect(obeyed.warnings.contains { $0.contains("profile isolate would not load, so the built-in one was tried") })
  }

  @Test func `by other programs it may print in other words, before a report and after it`() throws {
    try scene.apply(LockScene.first)
    host.firewall.version = "1.8.10"
    host.firewall.wording = { $0.replacing("-p tcp -m tcp --dport 22", with: "-p 6 -m tcp --dport 22") }
    #expect(try scene.lock(7).lock?.phase == .locked)
    try scene.unlock(8)
    let before = try #require(try known())
    _ = try scene.agent.report(.random(), managementSource: "")
    let after = try #require(try known())
    #expect(after.programs == "1.8.10 nft" && after.entries.map(\.ways) == before.entries.map(\.ways))
    #expect(after.entries.map(\.end) != before.entries.map(\.end))
    // That we wrote it is no drift, and not done again.
    #expect(try scene.agent.differences(in: "disk", .ipv4).isEmpty)
    let rehearsals = host.firewall.rehearsals.count
    _ = try scene.agent.report(.random(), managementSource: "")
    #expect(host.firewall.rehearsals.count == rehearsals)
    #expect(try scene.lock(9).lock?.phase == .locked)
  }

  @Test func `who edits what is known of them makes drift, and no host that cannot lock`() throws {
    try scene.apply(LockScene.first)
    let name = try #require(try host.ledger().committed?.name)
    host.disk.tamper(BundleStore.rehearsedPath(of: name), Array("x\n".utf8))
    #expect(
      try scene.agent.differences(in: "disk", .ipv4)
        == ["-A bundle/lockdowns.rehearsed \(Digest(of: "x\n".utf8))"])
    #expect(try known() == nil && scene.lock(7).lock?.phase == .locked)
  }

  @Test func `a note says what it was written of, and nothing else is one`() throws {
    let digests = PerFamily(ipv4: Digest(of: [1]), ipv6: Digest(of: [2]))
    let ends: [RehearsedProfiles.End] = [
      .holds(digests, doubt: nil), .holds(digests, doubt: "it comes through a tunnel"),
      .fails("it does not load: x - y"),
    ]
    let note = RehearsedProfiles(
      programs: "1.8.9 nft",
      entries: ends.enumerated().map { index, end in
        .init(
          name: ProfileName("p\(index)")!, files: digests.map { family, _ in Digest(of: [UInt8(index)]) },
          ways: index == 2 ? nil : Digest(of: [9]), end: end)
      })
    let text = note.encode()
    #expect(RehearsedProfiles(parsing: text) == note)
    for index in text.indices where index % 7 == 0 {
      #expect(RehearsedProfiles(parsing: Array(text[..<index])) != note)
    }
    for wrong in ["", "x\n", "portcullis-rehearsed-lockdowns 2\nprograms x\n"] {
      #expect(RehearsedProfiles(parsing: Array(wrong.utf8)) == nil)
    }
    let many = String(decoding: text, as: UTF8.self) + String(repeating: "p0 - - - holds - - -\n", count: 1)
    #expect(RehearsedProfiles(parsing: Array(many.utf8)) == nil)
  }

  @Test func `root's way back tries what the host does not know yet, and nobody knocks`() throws {
    try scene.apply(LockScene.bundle(6, ipv4: Samples.new4))
    try scene.apply(LockScene.first)
    host.facts.sshPorts = [2222]
    host.firewall.layerKnock = { _ in KnockTests.shut }
    _ = try scene.agent.obey(LocalOrder(deed: .rollback, reason: "x"))
    #expect(tried == [4, 0, 4])
    #expect(try problems() == [nil, nil, nil, nil])
  }
}
