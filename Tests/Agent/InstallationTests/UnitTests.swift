import Foundation
import Glibc
import Installation
import Testing

/// The units, by what systemd's own tools say of them and by what their lines do.
struct UnitTests {
  @Test(arguments: SystemdUnit.allCases)
  func `the agent writes the units that packaging holds`(unit: SystemdUnit) throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../..")
    let packaged = try String(contentsOf: root.appending(path: "packaging/\(unit.fileName)"), encoding: .utf8)
    #expect(unit.text == packaged)
  }

  @Test func `systemd never gives the agent up, and ends what it started before it is started again`() {
    let unit = UnitFile(SystemdUnit.agent.text)
    #expect(unit["StartLimitIntervalSec"] == ["0"] && unit["Restart"] == ["always"] && unit["KillMode"] == ["mixed"])
  }

  @Test func `the knock can do in its sandbox what it does`() throws {
    let unit = UnitFile(SystemdUnit.agent.text)
    let capabilities = try #require(unit["CapabilityBoundingSet"].first).split(separator: " ")
    // It listens on sshd's port, and its packets must not meet a filter that is bound to the control group.
    #expect(capabilities.contains("CAP_NET_BIND_SERVICE") && capabilities.contains("CAP_SYS_ADMIN"))
    #expect(unit["IPAddressDeny"].isEmpty && unit["RestrictNamespaces"] == ["net"])
    #expect(unit["RestrictAddressFamilies"].first?.contains("AF_NETLINK") == true)
  }

  @Test func `the committed rules come before the network and before others' rules`() {
    let unit = UnitFile(SystemdUnit.restore.text)
    let later = Set(unit["Before"].flatMap { $0.split(separator: " ").map(String.init) })
    #expect(
      later.isSuperset(of: [
        "network-pre.target", "docker.service", "containerd.service", "kubelet.service", "libvirtd.service",
        "fail2ban.service",
      ]))
    #expect(unit["Wants"] == ["network-pre.target"] && unit["DefaultDependencies"] == ["no"])
    let safe = UnitFile(SystemdUnit.safe.text)
    #expect(Set(safe["Before"].flatMap { $0.split(separator: " ").map(String.init) }) == later)
  }

  /// systemd starts the unit of `OnFailure=` when the result is a failure, and only then.
  @Test func `the plain safe files are loaded when the agent could not, not when it loaded the safe policy itself`() {
    let unit = UnitFile(SystemdUnit.restore.text)
    #expect(unit["OnFailure"] == [SystemdUnit.safe.fileName])
    #expect(unit["SuccessExitStatus"] == ["2"])
    #expect(unit["ExecStart"].count == 1 && unit["ExecStart"].first?.hasPrefix("-") == false)
    // Where no agent is enrolled it does nothing at all.
    for unit in SystemdUnit.allCases {
      #expect(UnitFile(unit.text)["ConditionPathExists"] == ["/etc/portcullis/host"], "\(unit)")
    }
  }

  // MARK: - systemd's own judgement

  private static let analyze = "/usr/bin/systemd-analyze"
  private static var canAnalyze: Bool { access(analyze, X_OK) == 0 }

  private func withUnits(_ body: (String) throws -> Void) throws {
    let folder = "/tmp/pu-\(UInt32.random(in: .min ... .max))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for unit in SystemdUnit.allCases {
      // The agent is not installed on a machine that builds it.
      let text = unit.text.replacingOccurrences(of: HostPaths().agent, with: "/bin/true")
      try text.write(toFile: "\(folder)/\(unit.fileName)", atomically: true, encoding: .utf8)
    }
    try body(folder)
  }

  @Test(.enabled(if: canAnalyze, "systemd-analyze is not here"), arguments: SystemdUnit.allCases)
  func `systemd-analyze verify has nothing to say`(unit: SystemdUnit) throws {
    try withUnits { folder in
      let (status, said) = try run([Self.analyze, "verify", "\(folder)/\(unit.fileName)"])
      #expect(status == 0 && said.isEmpty, "\(said)")
    }
  }

  /// The safe unit has no mount namespace, on purpose: whatever keeps one from being made must not keep it from working.
  @Test(
    .enabled(if: canAnalyze, "systemd-analyze is not here"),
    arguments: [(SystemdUnit.agent, 27), (.restore, 24), (.safe, 38)])
  func `systemd-analyze security finds no more than before, in tenths`(unit: SystemdUnit, most: Int) throws {
    try withUnits { folder in
      let (status, said) = try run(
        [Self.analyze, "security", "--offline=yes", "--threshold=\(most)", "\(folder)/\(unit.fileName)"])
      #expect(status == 0, "\(said.suffix(200))")
    }
  }

  // MARK: - The lines of the safe unit

  /// In a network namespace with files of its own; afterwards both families as they are saved.
  private func runSafeUnit(_ backend: String, ipv4: String, ipv6: String) throws -> (succeeded: Bool, saved: String) {
    let folder = "/tmp/ps-\(UInt32.random(in: .min ... .max))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for (family, rules) in [("ipv4", ipv4), ("ipv6", ipv6)] {
      try rules.write(toFile: "\(folder)/\(family).rules", atomically: true, encoding: .utf8)
    }
    // As systemd runs them (systemd.service(5)): ExecStart= in turn until one fails, then ExecStopPost= whatever happened;
    // a failure of either is the unit's. Names without a folder are looked for in a fixed path.
    let unit = UnitFile(SystemdUnit.safe.text)
    let lines = { (key: String) in
      unit[key].map { $0.replacingOccurrences(of: "/var/lib/portcullis/safe", with: folder) }
    }
    for line in unit["ExecStart"] + unit["ExecStopPost"] { #expect(!"-+@:!".contains(line.first ?? "-"), "\(line)") }
    for name in ["iptables-restore", "ip6tables-restore"] {
      let program = name.replacingOccurrences(of: "tables-", with: "tables-\(backend)-")
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/\(name)", withDestinationPath: "/usr/sbin/\(program)")
    }
    let script = """
      export PATH=\(folder):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin XTABLES_LOCKFILE=\(folder)/lock
      result=0
      { \(lines("ExecStart").joined(separator: " && ")); } || result=1
      { \(lines("ExecStopPost").joined(separator: " && ")); } || result=1
      iptables-\(backend)-save; ip6tables-\(backend)-save
      exit $result
      """
    let (status, said) = try run(["/usr/bin/unshare", "--net", "/bin/sh", "-c", script])
    return (status == 0, said)
  }

  private static func rules(_ port: Int) -> String {
    "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport \(port) -j ACCEPT\nCOMMIT\n"
  }

  @Test(.enabled(if: geteuid() == 0, "namespaces need root"), arguments: ["nft", "legacy"])
  func `the safe unit loads both families, and one that fails stops neither the other nor the bad news`(
    backend: String
  ) throws {
    let both = try runSafeUnit(backend, ipv4: Self.rules(4444), ipv6: Self.rules(6666))
    #expect(both.succeeded && both.saved.contains("--dport 4444") && both.saved.contains("--dport 6666"), "\(both)")
    let onlyFour = try runSafeUnit(backend, ipv4: Self.rules(4444), ipv6: "*nonsense\n")
    #expect(!onlyFour.succeeded && onlyFour.saved.contains("--dport 4444"), "\(onlyFour)")
    let onlySix = try runSafeUnit(backend, ipv4: "*nonsense\n", ipv6: Self.rules(6666))
    #expect(!onlySix.succeeded && onlySix.saved.contains("--dport 6666"), "\(onlySix)")
  }
}

/// What a unit says, by key, in order; sections do not matter for ours.
struct UnitFile {
  private let lines: [(key: String, value: String)]

  init(_ text: String) {
    lines = text.split(separator: "\n").compactMap { line in
      guard !line.hasPrefix("#"), let equals = line.firstIndex(of: "=") else { return nil }
      return (String(line[..<equals]), String(line[line.index(after: equals)...]))
    }
  }

  subscript(key: String) -> [String] { lines.filter { $0.key == key }.map(\.value) }
}
