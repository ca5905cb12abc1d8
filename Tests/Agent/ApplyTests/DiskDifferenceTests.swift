import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// What the next boot would go by, on a host in memory.
@Suite struct DiskDifferenceTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try Beside.host()
    agent = try host.recoveredAgent()
    try host.apply(agent, Beside.old)
  }

  private func differences() throws -> [String] {
    try Family.allCases.flatMap { try agent.differences(in: "disk", $0) }
  }

  @Test(arguments: [
    "rules/ipv4.rules", "rules/ipv6.rules", "rules/ipsets", "rules/sysctl", "safe/ipv4.rules", "safe/ipv6.rules",
  ])
  func `a plain file that was edited is drift, and apply writes it again`(name: String) throws {
    #expect(try differences().isEmpty)
    let before = try host.disk.read(name, atMost: 1 << 20)
    host.disk.tamper(name, Array("*filter\nCOMMIT\n".utf8))
    #expect(try differences() == ["-A \(name) \(Digest(of: "*filter\nCOMMIT\n".utf8))"])
    #expect(try !agent.isIntact())
    // One that only looks beside the daemon sees it too, but for the safe policy.
    if name.hasPrefix("rules/") { #expect(try !host.agent().isIntact()) }
    #expect(try host.apply(agent, Beside.old).result == .committed)
    #expect(try host.disk.read(name, atMost: 1 << 20) == before)
    #expect(try agent.isIntact())
    try host.disk.remove(name)
    #expect(try differences() == ["-A \(name) # there is no such file"])
  }

  @Test(arguments: [
    "release.statement", "manifest", "ipv4.rules", "ipv6.rules", "sets", "sysctl", "ipv4.expected", "ipv6.expected",
  ])
  func `a file of the committed bundle that was edited is drift, and apply stores it again`(name: String) throws {
    let bundle = try #require(try host.ledger().committed?.name)
    host.disk.tamper("bundles/\(bundle)/\(name)", Array("x\n".utf8))
    #expect(try differences() == ["-A bundle/\(name) \(Digest(of: "x\n".utf8))"])
    #expect(try !agent.isIntact())
    #expect(try host.apply(agent, Beside.old).result == .committed)
    #expect(try agent.isIntact())
  }

  @Test(arguments: [
    BundleFile.proof.fileName, BundleFile.signature(0).fileName, "taken", "ipv4.found", "ipv6.replaced",
  ])
  func `a file beside the signed ones that was changed is drift, and apply makes it right`(name: String) throws {
    let bundle = try #require(try host.ledger().committed?.name)
    try host.disk.replace("bundles/\(bundle)/\(name)", in: "bundles/\(bundle)", with: Array("x\n".utf8))
    let family = name.hasPrefix("ipv6") ? Family.ipv6 : .ipv4
    #expect(try agent.differences(in: "disk", family) == ["-A bundle/\(name) \(Digest(of: "x\n".utf8))"])
    #expect(try host.apply(agent, Beside.old).result == .committed)
    #expect(try agent.isIntact())
  }

  @Test func `a file beside the signed ones stays drift when a change comes to nothing`() throws {
    let bundle = try #require(try host.ledger().committed?.name)
    try host.disk.replace("bundles/\(bundle)/taken", in: "bundles/\(bundle)", with: Array("x\n".utf8))
    let shown = try differences()
    #expect(shown.count == 1)
    host.firewall.rehearsalProblem = FirewallProblem(.refused, program: "restore", family: .ipv4, words: "no")
    #expect(throws: Refusal.self) { try host.apply(agent, Beside.new) }
    host.firewall.rehearsalProblem = nil
    #expect(try differences() == shown)
    let transaction = TransactionID.random()
    _ = try ConfirmTests.begin(agent, Beside.new, transaction, from: host.connection())
    #expect(try agent.cancel(transaction).result == .reverted)
    #expect(try differences() == shown)
  }

  @Test func `a proof that went is drift`() throws {
    let bundle = try #require(try host.ledger().committed?.name)
    try host.disk.remove("bundles/\(bundle)/proof")
    #expect(try differences() == ["-A bundle/proof # there is no such file"])
  }

  @Test func `a proof with which the next boot would not take the bundle is drift for whoever looks`() throws {
    let bundle = try #require(try host.ledger().committed?.name)
    #expect(try host.agent().isIntact())
    host.disk.tamper("bundles/\(bundle)/proof", Array("evil\n".utf8))
    #expect(try !host.agent().isIntact())
    #expect(throws: (any Error).self) { try host.agent().committedRules(try #require(try host.ledger().committed)) }
  }

  @Test(arguments: ["generation-0/ipv4.rules", "generation-0/ipv6.rules"])
  func `what the agent would go back to is drift when it changes or goes`(name: String) throws {
    let family = name.contains("ipv6") ? Family.ipv6 : .ipv4
    #expect(try host.disk.read(name, atMost: 1 << 20) != nil)
    host.disk.tamper(name, Array("x\n".utf8))
    #expect(try agent.differences(in: "disk", family) == ["-A \(name) \(Digest(of: "x\n".utf8))"])
    try host.disk.remove(name)
    #expect(try agent.differences(in: "disk", family) == ["-A \(name) # there is no such file"])
  }

  @Test(arguments: NotedFile.allCases)
  func `what the agent compares with is drift when it changes or goes, for every agent that comes after`(
    file: NotedFile
  ) throws {
    #expect(try host.disk.read(file.name, atMost: 1 << 20) != nil)
    host.disk.tamper(file.name, Array("x\n".utf8))
    #expect(try differences() == ["-A \(file.name) \(Digest(of: "x\n".utf8))"])
    #expect(try host.recoveredAgent().differences(in: "disk", .ipv4) == differences())
    try host.disk.remove(file.name)
    #expect(try differences() == ["-A \(file.name) # there is no such file"])
    let later = try host.recoveredAgent()
    _ = try later.look(for: [])
    #expect(try later.differences(in: "disk", .ipv4) == ["-A \(file.name) # there is no such file"])
  }

  @Test func `a journal that says something else is drift`() throws {
    let journal = try #require(try host.disk.read(Journal.fileName, atMost: 1 << 20))
    host.disk.tamper(Journal.fileName, [])
    #expect(try differences().first?.hasPrefix("-A journal sha256:") == true)
    // In its middle, which no crash does.
    host.disk.tamper(Journal.fileName, [0, 0, 0, 1] + journal.dropFirst(4))
    #expect(try differences().first?.hasPrefix("-A journal ") == true)
    host.disk.tamper(Journal.fileName, journal)
    #expect(try agent.isIntact())
  }

  @Test func `what enrolment brought is drift when somebody changes it`() throws {
    let files = [
      "etc/portcullis/allowed_signers": Array("a\n".utf8), "etc/systemd/system/a b.service": Array("b\n".utf8),
    ]
    host.facts.files = files
    let enrolled = EnrolledFiles(files.map { ($0.key, $0.value) })
    #expect(EnrolledFiles(parsing: enrolled.encode()) == enrolled)
    try host.disk.replace(EnrolledFiles.fileName, in: ".", with: enrolled.encode())
    #expect(try differences() == ["-A enrolled \(Digest(of: enrolled.encode()))"])
    // Enrolling starts the agent.
    let later = try host.recoveredAgent()
    func shownLater() throws -> [String] { try later.differences(in: "disk", .ipv4) }
    #expect(try later.isIntact())
    host.facts.files["etc/portcullis/allowed_signers"] = Array("a\nmore\n".utf8)
    #expect(try shownLater() == ["-A etc/portcullis/allowed_signers \(Digest(of: "a\nmore\n".utf8))"])
    // No release puts it back.
    #expect(try host.apply(later, Beside.old).result == .unchanged)
    host.facts.files = files
    host.facts.files["etc/systemd/system/a b.service"] = nil
    let shown = try shownLater()
    #expect(shown.count == 1 && shown[0].hasSuffix("# there is no such file"))
    host.disk.tamper(EnrolledFiles.fileName, Array("nonsense".utf8))
    #expect(try shownLater() == ["-A enrolled \(Digest(of: "nonsense".utf8))"])
  }

  @Test(arguments: ["nonsense", nil]) func `a note of the enrolment that is lost stays lost for an agent that starts`(
    text: String?
  ) throws {
    let path = EnrolledFiles.agentPath
    host.facts.files[path] = Array("agent\n".utf8)
    try host.disk.replace(
      EnrolledFiles.fileName, in: ".", with: EnrolledFiles([(path, Array("agent\n".utf8))]).encode())
    #expect(try host.recoveredAgent().isIntact())
    host.facts.files[path] = Array("another\n".utf8)
    if let text {
      host.disk.tamper(EnrolledFiles.fileName, Array(text.utf8))
    } else {
      try host.disk.remove(EnrolledFiles.fileName)
    }
    let shown = try host.recoveredAgent().differences(in: "disk", .ipv4)
    #expect(
      shown == [
        "-A enrolled # what an enrolment put on this host is not known any more: portcullis enroll writes it down again"
      ])
  }

  @Test func `a drop-in of every service is drift when it comes or changes after the enrolment`() throws {
    let path = "usr/lib/systemd/system/service.d/10-timeout-abort.conf"
    host.facts.files[path] = Array("[Service]\n".utf8)
    let enrolled = EnrolledFiles([(path, Array("[Service]\n".utf8))])
    try host.disk.replace(EnrolledFiles.fileName, in: ".", with: enrolled.encode())
    let later = try host.recoveredAgent()
    #expect(try later.isIntact())
    host.facts.files[path] = Array("[Service]\nExecStartPre=/tmp/x\n".utf8)
    func words(_ verb: String, _ path: String) -> String {
      "-A \(path) # it \(verb) since the enrolment, and changes how services are started "
        + "(\(Digest(of: host.facts.files[path] ?? []))): if it is the distribution's, enroll the host anew; if not, remove "
        + "it and run systemctl daemon-reload"
    }
    #expect(try later.differences(in: "disk", .ipv4) == [words("changed", path)])
    host.facts.files[path] = nil
    #expect(try later.differences(in: "disk", .ipv4) == ["-A \(path) # there is no such file"])
    host.facts.files[path] = Array("[Service]\n".utf8)
    let other = "etc/systemd/system/service.d/x.conf"
    host.facts.files[other] = []
    #expect(try later.differences(in: "disk", .ipv4) == [words("came", other)])
  }

  @Test func `a file by which somebody changes how systemd starts us is told in words, and is another when it changes`()
    throws
  {
    try host.disk.replace(EnrolledFiles.fileName, in: ".", with: EnrolledFiles([EnrolledFiles.File]()).encode())
    let later = try host.recoveredAgent()
    func shownLater() throws -> [String] { try later.differences(in: "disk", .ipv4) }
    let path = "etc/systemd/system/portcullis-agent.service.d/override.conf"
    host.facts.files[path] = Array("[Service]\nExecStart=\n".utf8)
    let shown = try shownLater()
    #expect(
      shown == [
        "-A \(path) # somebody changed how our service is started (\(Digest(of: host.facts.files[path] ?? []))): remove "
          + "this file and run systemctl daemon-reload, or waive it"
      ])
    #expect(try !later.isIntact())
    host.facts.files[path] = []
    #expect(try shownLater() != shown)
    host.facts.files = [:]
    #expect(try later.isIntact())
  }
}
