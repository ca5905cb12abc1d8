import Core
import Foundation
import Glibc
import Installation
import Testing
import Wire

@Suite(.enabled(if: geteuid() == 0, "installing gives files to root"))
struct InstallTests {
  let host: FakeHost

  init() throws {
    host = try FakeHost()
    host.good = ["v1", "v2"]
  }

  @Test func `a first installation leaves exactly these files, with these modes`() throws {
    let answer = try host.install("v1")
    #expect(
      answer == InstallationAnswer(service: .systemd, generationZero: .captured, upgraded: false, conflicts: ["ufw"]))
    let paths = host.paths
    #expect(host.text(paths.agent) == "v1")
    #expect(host.text(paths.hostFile) == "host h001\nfleet lab\n")
    #expect(host.text(paths.allowedSigners)?.hasPrefix("a@example.net namespaces=") == true)
    #expect(
      host.text(paths.authorizedKeys) == """
        restrict,command="\(paths.bridge)" ssh-ed25519 AAAAone controller
        restrict,command="\(paths.bridge)" ssh-ed25519 AAAAtwo

        """)
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: paths.bridge) == "portcullis-agent")
    for (path, mode) in [
      (paths.state, 0o711), (paths.trust, 0o755), (paths.programs, 0o755), (paths.login, 0o755),
      (paths.login + "/.ssh", 0o755), (paths.authorizedKeys, 0o644), (paths.hostFile, 0o644),
      (paths.allowedSigners, 0o644), (paths.thresholds, 0o644), (paths.agent, 0o755),
    ] as [(String, UInt32)] {
      #expect(host.mode(path) == mode, "\(path)")
    }
    #expect(!host.exists(paths.newAgent) && !host.exists(paths.previousAgent))
    #expect(host.exists(paths.state + "/enrolled-unseen"))
    let enrolled = try #require(EnrolledFiles(parsing: Array((host.text(paths.state + "/enrolled") ?? "").utf8)))
    let programs = "usr/local/lib/portcullis"
    #expect(
      enrolled.files.map(\.path) == [
        "etc/portcullis/host", "etc/portcullis/allowed_signers", "etc/portcullis/thresholds",
        "var/lib/portcullis/login/.ssh/authorized_keys",
        "\(programs)/portcullis-agent",
      ] + SystemdUnit.allCases.map { "etc/systemd/system/\($0.fileName)" } + [
        "\(programs)/portcullis-bridge", "etc/systemd/system/multi-user.target.wants/portcullis-agent.service",
        "etc/systemd/system/sysinit.target.wants/portcullis-restore.service",
      ])
    for file in enrolled.files {
      let path = "\(host.root)/\(file.path)"
      let link = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
      let digest = link.map { Digest(ofLinkTo: $0) } ?? host.text(path).map { Digest(of: $0.utf8) }
      #expect(digest == file.digest, "\(file.path)")
    }
    for unit in SystemdUnit.allCases { #expect(host.text("\(paths.units)/\(unit.fileName)") == unit.text) }
    // The safe unit is for systemd to start when restoring fails: enabled it would run at every boot.
    #expect(
      host.commands.filter { $0.contains("systemctl enable") } == [
        "/usr/bin/systemctl enable --quiet portcullis-agent.service portcullis-restore.service"
      ])
    let useradd = try #require(host.commands.first { $0.hasPrefix("/usr/sbin/useradd") })
    #expect(useradd.contains("--password *") && useradd.contains("--shell \(paths.bridge)"))
  }

  @Test func `an executable with another digest than the controller's does nothing`() throws {
    #expect(throws: Failure.self) { try host.install("v1", expecting: "v2") }
    #expect(!host.exists(host.paths.trust) && !host.exists(host.paths.agent) && host.commands.isEmpty)
  }

  @Test(arguments: [("h002", "lab"), ("h001", "other")])
  func `a host that is somebody already keeps who it is`(name: String, fleet: String) throws {
    _ = try host.install("v1")
    let error = #expect(throws: Failure.self) { try host.install("v2", host: name, fleet: fleet) }
    #expect(error?.kind == .refused)
    #expect(host.text(host.paths.agent) == "v1")
    #expect(host.text(host.paths.hostFile) == "host h001\nfleet lab\n")
  }

  @Test func `an upgrade that answers takes the place of the old one, which is kept beside it`() throws {
    _ = try host.install("v1")
    let answer = try host.install("v2")
    #expect(answer.upgraded && answer.generationZero == .kept)
    #expect(host.text(host.paths.agent) == "v2")
    #expect(host.text(host.paths.keptAgent) == "v1")
    #expect(!host.exists(host.paths.previousAgent))
  }

  @Test func `an upgrade that does not answer is taken back`() throws {
    _ = try host.install("v1")
    let error = #expect(throws: Failure.self) { try host.install("broken") }
    #expect(error.map { ErrorChain($0).message }?.contains("the previous one runs again") == true)
    #expect(host.text(host.paths.agent) == "v1")
    #expect(host.text(host.paths.state + "/enrolled")?.contains("\(Digest(of: "v1".utf8)) usr/local/lib/") == true)
    // And the host can still be upgraded.
    #expect(try host.install("v2").upgraded)
  }

  @Test func `an upgrade cut short before its daemon answered is taken back by the next try`() throws {
    _ = try host.install("v1")
    // The power went after the rename.
    try host.put("v1", at: host.paths.previousAgent)
    try host.put("broken", at: host.paths.agent)
    #expect(throws: Failure.self) { try host.install("broken", uploaded: false) }
    #expect(host.text(host.paths.agent) == "v1")
  }

  @Test func `an upgrade over one that was cut short keeps the last executable that answered`() throws {
    _ = try host.install("v1")
    try host.put("v1", at: host.paths.previousAgent)
    try host.put("broken", at: host.paths.agent)
    #expect(throws: Failure.self) { try host.install("also broken") }
    #expect(host.text(host.paths.agent) == "v1")
  }

  @Test(arguments: ["half of v", "v2"])
  func `what another upload left behind is never installed`(leftover: String) throws {
    _ = try host.install("v1")
    try host.put(leftover, at: host.paths.newAgent)
    let answer = try host.install("v1", uploaded: false)
    #expect(!answer.upgraded)
    #expect(host.text(host.paths.agent) == "v1")
    #expect(!host.exists(host.paths.newAgent))
  }

  @Test(
    arguments: [
      "portcullis:x:1000:1000:Port Cullis:/home/portcullis:/bin/bash",
      "portcullis:x:0:0::ROOT/var/lib/portcullis/login:ROOT/usr/local/lib/portcullis/portcullis-bridge",
    ])
  func `somebody else's account is not taken over, nor removed, and the bridge never runs as root`(entry: String) throws
  {
    let passwd = entry.replacing("ROOT", with: host.root) + "\n"
    try host.put(passwd, at: host.paths.passwd)
    let error = #expect(throws: Failure.self) { try host.install("v1") }
    #expect(error?.kind == .refused)
    #expect(host.commands.isEmpty && !host.exists(host.paths.hostFile) && !host.exists(host.paths.authorizedKeys))
    #expect(!host.exists(host.paths.agent))
    try host.remove(.keep)
    #expect(!host.commands.contains { $0.contains("userdel") })
  }

  @Test func `our own account is mended`() throws {
    try host.put("portcullis:x:990:990::\(host.paths.login):/bin/bash\n", at: host.paths.passwd)
    _ = try host.install("v1")
    #expect(
      host.commands.first
        == "/usr/sbin/usermod --home \(host.paths.login) --shell \(host.paths.bridge) --password * portcullis")
  }

  @Test func `two installations at once do not mix`() throws {
    _ = try host.install("v1")
    let folder = open(host.paths.programs, O_RDONLY | O_DIRECTORY)
    defer { close(folder) }
    try #require(flock(folder, LOCK_EX) == 0)
    Thread {
      usleep(300_000)
      flock(folder, LOCK_UN)
    }.start()
    let began = ContinuousClock.now
    _ = try host.install("v2")
    #expect(ContinuousClock.now - began > .milliseconds(250))
  }

  // MARK: Removal

  @Test(arguments: Remover.Rules.allCases)
  func `a removal takes everything of ours away`(rules: Remover.Rules) throws {
    _ = try host.install("v1")
    try host.remove(rules)
    let paths = host.paths
    for path in [paths.trust, paths.state, paths.removedState, paths.runtime, paths.programs] {
      #expect(!host.exists(path), "\(path)")
    }
    for unit in SystemdUnit.allCases { #expect(!host.exists("\(paths.units)/\(unit.fileName)")) }
    #expect(host.text(paths.passwd)?.contains("portcullis") == false)
    #expect(host.returns == (rules == .generationZero ? 1 : 0))
  }

  @Test func `without generation 0 a removal that asks for it leaves the daemon running`() throws {
    _ = try host.install("v1")
    try FileManager.default.removeItem(atPath: host.paths.generationZero)
    host.commands = []
    #expect(throws: Failure.self) { try host.remove(.generationZero) }
    #expect(host.commands.isEmpty && host.exists(host.paths.agent))
  }

  @Test func `drop-ins of every service that are there at an enrolment are noted`() throws {
    let (dropIn, mask) = ("/usr/lib/systemd/system/service.d/10-x.conf", "/run/systemd/system/service.d/zzz.conf")
    try host.put("[Service]\n", at: host.root + dropIn)
    try host.put("", at: host.root + "/usr/lib/systemd/system/service.d/README")
    // A name that would make two lines of one.
    try host.put("", at: host.root + "/usr/lib/systemd/system/service.d/a\nb.conf")
    try FileManager.default.createDirectory(
      atPath: host.root + "/run/systemd/system/service.d/folder.conf", withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: host.root + mask, withDestinationPath: "/dev/null")
    // Whoever enrolls is told what he takes for good.
    let (drop, masked) = (String(dropIn.dropFirst()), String(mask.dropFirst()))
    #expect(try host.install("v1").dropIns == [masked, drop])
    let text = host.text(host.paths.state + "/enrolled") ?? ""
    let noted = try #require(EnrolledFiles(parsing: Array(text.utf8))).files.filter { $0.path.contains("service.d") }
    #expect(
      noted == [
        EnrolledFiles.File(masked, Digest(ofLinkTo: "/dev/null")),
        EnrolledFiles.File(drop, Digest(of: "[Service]\n".utf8)),
      ])
    #expect(try host.install("v1").dropIns.isEmpty)
    try host.put("[Service]\nExecStartPre=/tmp/x\n", at: host.root + dropIn)
    #expect(try host.install("v2").dropIns == [drop])
  }

  @Test func `a removal whose rules cannot go back leaves the host enrolled and its daemon running`() throws {
    _ = try host.install("v1")
    host.refusesToReturn = true
    host.commands = []
    #expect(throws: Reason.self) { try host.remove(.generationZero) }
    #expect(host.commands.last?.contains("restart") == true)
    #expect(host.exists(host.paths.state) && host.exists(host.paths.trust) && host.exists(host.paths.agent))
  }

  @Test(arguments: Remover.Rules.allCases) func `nothing is removed from a host that is locked down`(
    rules: Remover.Rules
  ) throws {
    _ = try host.install("v1")
    host.lock = Failure("remove the agent", because: Reason("the host is locked down"), kind: .refused)
    host.commands = []
    #expect(throws: Failure.self) { try host.remove(rules) }
    #expect(host.commands.isEmpty && host.returns == 0)
    #expect(host.exists(host.paths.state) && host.exists(host.paths.trust) && host.exists(host.paths.agent))
  }

  @Test func `a removal cut short after the rules were back can be run again`() throws {
    _ = try host.install("v1")
    // It was cut while it took the state away.
    try FileManager.default.moveItem(atPath: host.paths.state, toPath: host.paths.removedState)
    try FileManager.default.removeItem(atPath: host.paths.trust)
    try host.remove(.generationZero)
    #expect(host.returns == 0)
    #expect(!host.exists(host.paths.removedState) && !host.exists(host.paths.programs))
  }
}
