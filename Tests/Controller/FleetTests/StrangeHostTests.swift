import Core
import Foundation
import Testing
import Wire

extension FleetSuite {
  /// Hosts that misbehave: named as what they are, in time, while the others are served as if nothing were.
  @Suite(.serialized) struct StrangeHosts {
    private static let host = "h007"
    private static let shell = "/usr/local/lib/portcullis/portcullis-bridge"

    /// Puts a program in the place of the bridge, as a broken or taken host might.
    private func withBridge(
      _ script: String, in lab: TestLab, _ body: () async throws -> Void
    ) async throws {
      try await lab.settle(Self.host)
      try await lab.shell(
        Self.host,
        """
        printf '%s\\n' '#!/bin/sh' '\(script)' > /usr/local/bin/strange; chmod 755 /usr/local/bin/strange
        sed -i 's#\(Self.shell)$#/usr/local/bin/strange#' /etc/passwd
        """)
      do {
        try await body()
      } catch {
        try await mend(lab)
        throw error
      }
      try await mend(lab)
    }

    private func mend(_ lab: TestLab) async throws {
      try await lab.shell(Self.host, "sed -i 's#/usr/local/bin/strange$#\(Self.shell)#' /etc/passwd")
      try await lab.settle(Self.host)
    }

    @Test(arguments: [
      ("answers garbage", "echo HTTP/1.1 400 Bad Request; exec sleep 60", "bytes", false),
      ("ends at once", "echo no agent today >&2; exit 1", "no agent today", false),
      ("floods", "exec cat /dev/zero", "length 0", false),
      ("floods with noise", "exec cat /dev/urandom", "", false),
      ("floods its standard error", "exec cat /dev/zero >&2", "", false),
      ("never answers", "exec sleep 60", "", true),
    ])
    func aHostThatMisbehavesIsReportedInTimeAndDelaysNobody(
      _ what: String, _ script: String, _ word: String, holdsOn: Bool
    ) async throws {
      let lab = try await TestLab.mixed
      try await withBridge(script, in: lab) {
        let refreshed = try await lab.portcullis("status", "--refresh", "--timeout", "10", "-o", "json", timeout: 60)
        #expect(refreshed.status == 4, "\(refreshed)")
        // What shows at once is not waited for; a busy machine takes some seconds of its own.
        #expect(refreshed.seconds < (holdsOn ? 25 : 10))
        print("a host that \(what): \(refreshed.seconds) s")
        let hosts = try JSON(refreshed).hosts
        for (name, host) in hosts where name != Self.host {
          #expect(host["contact"].text == "fresh", "\(name)")
          // Answered well before the strange one was given up. One that fails at once can keep nobody waiting.
          let age = try #require(host["age_seconds"].number)
          #expect(!holdsOn || age >= 2, "\(name) answered \(age) s ago of \(refreshed.seconds)")
        }
        let strange = try #require(hosts[Self.host])
        #expect(strange["contact"].text == "unreachable", "\(what)")
        let reasons = strange["reasons"].strings.joined(separator: "; ")
        #expect(!reasons.isEmpty && (word.isEmpty || reasons.contains(word)), "\(what): \(reasons)")
      }
    }

    @Test func aHostThatIsDownIsReportedInTimeAndDelaysNoApply() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle("web")
      try await lab.shell(Self.host, "iptables -F; iptables -P INPUT DROP; ip6tables -F; ip6tables -P INPUT DROP")
      try await lab.shell("h008", "iptables -I INPUT -j ACCEPT")
      let found = try await lab.portcullis("drift", "-l", "h008,\(Self.host)", "--timeout", "5")
      #expect(found.status == 4 && found.out.contains("unreachable, not judged: \(Self.host)"), "\(found)")

      let policies = lab.path("policies-down")
      try? FileManager.default.removeItem(atPath: policies)
      try FileManager.default.copyItem(atPath: Machine.policies, toPath: policies)
      let path = "\(policies)/web/rules.v4"
      let rules = try text(of: path)
      try write(
        rules.replacingOccurrences(of: "COMMIT", with: "-A INPUT -p tcp --dport 8443 -j ACCEPT\nCOMMIT"), to: path)
      let start = Date()
      let applied = try await lab.portcullis(
        "apply", "--yes", "-l", "web", "--policies", policies, "--timeout", "12", "-o", "json", timeout: 60)
      #expect(applied.status == 4, "\(applied)")
      #expect(applied.seconds < 30)
      for (name, host) in try JSON(applied).hosts {
        #expect(
          host["result"].text == (name == Self.host ? "unreachable" : "committed"),
          "\(name) \(host["detail"].text ?? "")")
        guard name != Self.host else { continue }
        // When the host itself says that it committed: before the other one was given up.
        let committed = try await lab.shell(name, "stat -c %Y /var/lib/portcullis/committed")
        let seconds = try #require(Double(committed.trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(seconds - start.timeIntervalSince1970 < 11, "\(name)")
      }
      try await lab.succeed("lab", "reboot", Self.host, "--dir", lab.folder)
      try await lab.settle("web")
      #expect(try await lab.portcullis("drift", "-l", "web").status == 0)
    }

    @Test(arguments: [
      (3, "run 'portcullis enroll' for it"), (ProtocolVersion.current + 1, "this controller is older"),
    ])
    func anAgentOfAnotherProtocolVersionIsNamed(_ version: UInt16, _ mend: String) async throws {
      let lab = try await TestLab.mixed
      let hello = AgentMessage.hello(
        AgentHello(
          version: version, agentVersion: "9.9.9", host: HostID(Self.host)!, fleet: FleetID("lab")!)
      ).encode()
      let octal = hello.map { "\\" + String($0, radix: 8) }.map { "\\" + "000".dropLast($0.count - 1) + $0.dropFirst() }
      try await lab.shell(Self.host, "printf '\(octal.joined())' > /usr/local/lib/hello-2")
      try await withBridge("cat /usr/local/lib/hello-2; exec sleep 60", in: lab) {
        let refreshed = try await lab.portcullis("status", "--refresh", "-l", Self.host, "--timeout", "10")
        #expect(refreshed.status == 4, "\(refreshed)")
        #expect(
          refreshed.out.contains("speaks protocol \(version), this one \(ProtocolVersion.current): \(mend)"),
          "\(refreshed)")
        #expect(refreshed.seconds < 10)
        // An apply finds out before it sends anything.
        let plan = try await lab.policies(portOpenedFor: "web", 8444)
        let applied = try await lab.portcullis("apply", "--yes", "-l", Self.host, "--policies", plan, "--timeout", "10")
        #expect(applied.status == 3 || applied.status == 4, "\(applied)")
        #expect(applied.out.contains("protocol \(version)"), "\(applied)")
      }
    }

    @Test func aFullDiskIsNamedAndNothingChanges() async throws {
      let lab = try await TestLab.mixed
      let host = "h010"
      try await lab.settle(host)
      try await lab.shell(
        host,
        """
        mkdir /run/tiny; mount -t tmpfs -o size=128k none /run/tiny; cp -a /var/lib/portcullis/bundles/. /run/tiny/
        dd if=/dev/zero of=/run/tiny/fill bs=4k count=100 2>/dev/null || true
        mount --bind /run/tiny /var/lib/portcullis/bundles
        """)
      let before = try await lab.state(of: host)
      let policies = try await lab.policies(portOpenedFor: "web", 8445)
      let applied = try await lab.portcullis("apply", "--yes", "-l", host, "--policies", policies)
      #expect(applied.status == 3, "\(applied)")
      #expect(applied.out.contains("No space left on device") || applied.out.contains("disk"), "\(applied)")
      #expect(applied.out.contains("/var/lib/portcullis"), "\(applied)")
      #expect(try await lab.state(of: host) == before)
      let drift = try await lab.portcullis("drift", "-l", host)
      #expect(drift.status == 0, "\(drift)")
      // With room again the same apply goes through.
      try await lab.shell(host, "umount /var/lib/portcullis/bundles; umount /run/tiny")
      try await lab.succeed("apply", "--yes", "-l", host, "--policies", policies)
      try await lab.settle(host)
    }
  }
}

extension TestLab {
  /// The repository's policies with one rule more in one of them.
  func policies(portOpenedFor policy: String, _ port: Int) async throws -> String {
    let folder = path("policies-\(port)")
    try? FileManager.default.removeItem(atPath: folder)
    try FileManager.default.copyItem(atPath: Machine.policies, toPath: folder)
    let path = "\(folder)/\(policy)/rules.v4"
    let rule = "-A INPUT -p tcp -m tcp --dport \(port) -j ACCEPT\nCOMMIT"
    try write(text(of: path).replacingOccurrences(of: "COMMIT", with: rule), to: path)
    return folder
  }
}
