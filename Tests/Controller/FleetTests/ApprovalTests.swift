import Foundation
import Testing

extension FleetSuite {
  /// Who said yes to what, and what each verb may write.
  @Suite(.serialized) struct Approval {
    /// Policies of the lab with a rule more for the databases.
    private func changedPolicies(_ lab: TestLab, _ port: Int) throws -> String {
      let folder = lab.path("policies-\(port)")
      try? FileManager.default.removeItem(atPath: folder)
      try FileManager.default.copyItem(atPath: Machine.policies, toPath: folder)
      let path = "\(folder)/database/rules.v4"
      let rules = try text(of: path)
      let rule = "-A INPUT -p tcp -m tcp --dport \(port) -j ACCEPT\nCOMMIT"
      try write(rules.replacingOccurrences(of: "COMMIT", with: rule), to: path)
      return folder
    }

    @Test func aPlanFileIsTheApprovalAndAStaleOneIsRefused() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle()
      let policies = try changedPolicies(lab, 6432)
      defer { try? FileManager.default.removeItem(atPath: policies) }
      let plans = try ["first", "second"].map { "\(try Machine.scratch())/\($0).plan" }
      for plan in plans {
        let written = try await lab.succeed("plan", "-l", "h011,h012", "--policies", policies, "--out", plan)
        #expect(written.out.contains("change h[011-012]"), "\(written)")
      }
      let applied = try await lab.portcullis("apply", plans[0], "--policies", policies, "-o", "json")
      #expect(applied.status == 0, "\(applied)")
      #expect(try JSON(applied)["hosts"].list.compactMap { $0["name"].text } == ["h011", "h012"])

      let before = try await lab.rules(of: "h011")
      #expect(before[0].contains("--dport 6432"))
      let stale = try await lab.portcullis("apply", plans[1], "--policies", policies)
      #expect(stale.status == 5, "\(stale)")
      #expect(stale.err.contains("stale") && stale.err.contains("hint:"), "\(stale)")
      // Nor does a plan cover what the policies say by now.
      let other = try await lab.succeed("plan", "-l", "h011", "--out", plans[1])
      #expect(other.out.contains("--dport 6432"))
      #expect(try await lab.portcullis("apply", plans[1], "--policies", policies).status == 5)
      #expect(try await lab.rules(of: "h011") == before)

      try write(text(of: plans[1]).replacingOccurrences(of: "h011", with: "h012"), to: plans[1])
      let forged = try await lab.portcullis("apply", plans[1])
      #expect(forged.status == 5 || forged.status == 1, "\(forged)")
      #expect(try await lab.rules(of: "h011") == before)
      try await lab.settle("h011,h012")
    }

    @Test func withoutATerminalAnApplyNeedsYes() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle("h011")
      let policies = try changedPolicies(lab, 6433)
      defer { try? FileManager.default.removeItem(atPath: policies) }
      let before = try await lab.state(of: "h011")
      for flags in [[], ["--no-input"]] {
        let refused = try await Command.run(
          Machine.portcullis, ["apply", "-l", "h011", "--policies", policies] + flags, in: lab.folder)
        #expect(refused.status == 5, "\(refused)")
        #expect(refused.err.contains("--yes"))
      }
      #expect(try await lab.state(of: "h011") == before)
    }

    @Test func planSaysByItsExitCodeWhetherAnythingWouldChange() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle("h011")
      let policies = try changedPolicies(lab, 6434)
      defer { try? FileManager.default.removeItem(atPath: policies) }
      let flags = ["plan", "-l", "h011", "--detailed-exitcode"]
      let nothing = try await Command.run(Machine.portcullis, flags, in: lab.folder)
      #expect(nothing.status == 0, "\(nothing)")
      let change = try await Command.run(Machine.portcullis, flags + ["--policies", policies], in: lab.folder)
      #expect(change.status == 2 && change.out.contains("+-A INPUT -p tcp -m tcp --dport 6434 -j ACCEPT"), "\(change)")
      #expect(try await lab.portcullis("plan", "-l", "h011", "--policies", policies).status == 0)
    }

    @Test func planWritesNothingAnywhere() async throws {
      // Before the first enrolment there is not even a state to read.
      for lab in [try await TestLab.mixed, try await TestLab.bare] {
        let before = try files(of: lab)
        for arguments in [["plan"], ["plan", "-o", "json"], ["validate"], ["hosts"], ["status"], ["release", "list"]] {
          try await Command.succeed(Machine.portcullis, arguments, in: lab.folder)
          let changed = Set(before).symmetricDifference(try files(of: lab)).sorted()
          #expect(changed == [], "portcullis \(arguments.joined(separator: " "))")
        }
      }
    }

    /// Every file of the controller's with size and time of change. The hosts' own live, and write, all the time.
    private func files(of lab: TestLab) throws -> [String] {
      var found: [String] = []
      for name in try FileManager.default.contentsOfDirectory(atPath: lab.folder)
      where !["hosts", "controller"].contains(name) {
        let path = lab.path(name)
        for below in [""] + (FileManager.default.subpaths(atPath: path) ?? []).map({ "/\($0)" }) {
          // SQLite notes in it, for as long as it is open, who reads how far: no data, and gone with the last reader.
          if (path + below).hasSuffix("-shm") { continue }
          var facts = stat()
          guard lstat(path + below, &facts) == 0 else { continue }
          found.append("\(name)\(below) \(facts.st_size) \(facts.st_mtim.tv_sec).\(facts.st_mtim.tv_nsec)")
        }
      }
      return found.sorted()
    }

    @Test func aPatternThatMatchesNoHostIsAUsageErrorWithTheNearestName() async throws {
      let lab = try await TestLab.mixed
      for verb in [["plan"], ["apply", "--yes"], ["status", "--refresh"], ["drift"], ["hosts"]] {
        let refused = try await Command.run(Machine.portcullis, verb + ["-l", "wbe"], in: lab.folder)
        #expect(refused.status == 64, "\(refused)")
        #expect(refused.out.isEmpty)
        #expect(refused.err.contains("\"wbe\" matches no host"), "\(refused)")
        #expect(refused.err.contains("did you mean \"web\"?"), "\(refused)")
      }
      let enroll = try await lab.portcullis("enroll", "h0020")
      #expect(enroll.status == 64 && enroll.err.contains("\"h0020\" matches no host"), "\(enroll)")
      let exported = try await lab.portcullis("release", "export", "h099", "--out", "\(try Machine.scratch())/none")
      #expect(exported.status == 64, "\(exported)")
      let executed = try await lab.exec("h021", "/bin/true")
      #expect(executed.status == 64 && executed.err.contains("h021"), "\(executed)")
      #expect(try await lab.portcullis("plan", "--limt", "web").status == 64)
    }

    @Test(arguments: [0, 1, 7, 64, 130])
    func aCommandInAHostEndsWithItsOwnStatus(_ status: Int) async throws {
      let finished = try await TestLab.mixed.exec("h002", "/bin/sh", "-c", "echo said; echo erred >&2; exit \(status)")
      #expect(finished.status == Int32(status) && finished.out == "said\n" && finished.err == "erred\n", "\(finished)")
    }

    @Test func theJSONOfEveryVerbHasAFormatVersionAndAKind() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle("h001")
      let save = "\(try Machine.scratch())/save"
      try write(try await lab.shell("h001", "iptables-save"), to: save)
      let export = "\(try Machine.scratch())/export"
      let fresh = "\(try Machine.scratch())/fresh"
      try await lab.succeed("init", fresh, "--fleet", "fresh")
      let verbs: [(String, [String])] = [
        ("Version", ["version"]), ("Hosts", ["hosts"]), ("Validate", ["validate"]), ("Plan", ["plan"]),
        ("Apply", ["apply", "--yes"]), ("Status", ["status"]), ("Drift", ["drift", "-l", "h001"]),
        ("Releases", ["release", "list"]), ("Export", ["release", "export", "h001", "--out", export]),
        ("RulesetCanonical", ["ruleset", "canonical", save]), ("RulesetDigest", ["ruleset", "digest", save]),
        ("RulesetDiff", ["ruleset", "diff", save, save]), ("Enroll", ["enroll", "h001"]),
        ("Lab", ["lab", "status", "--dir", lab.folder]), ("Events", ["events"]), ("History", ["history", "h001"]),
        ("AuditList", ["audit", "list"]), ("AuditVerify", ["audit", "verify"]),
        ("Keys", ["keys", "init", "--no-passphrase", "--config", "\(fresh)/portcullis.yaml"]),
      ]
      for (kind, arguments) in verbs {
        let finished = try await Command.run(Machine.portcullis, arguments + ["-o", "json"], in: lab.folder)
        #expect(finished.status == 0, "\(finished)")
        let document = try JSON(finished)
        #expect(document["format_version"].text == "1.0", "\(finished)")
        #expect(document["kind"].text == kind)
      }
      let status = try JSON(try await lab.succeed("status", "--refresh", "-l", "h001", "-o", "json"))
      let host = try #require(status.hosts["h001"])
      #expect(
        host.keys.isSuperset(of: ["name", "delivery", "integrity", "contact", "serial", "modifiers", "ipv4", "ipv6"]))
      for family in ["ipv4", "ipv6"] {
        #expect(host[family].keys == ["expected", "observed", "save"])
        for side in host[family].keys { #expect(host[family][side].text?.hasPrefix("sha256:") == true) }
      }
      let lines = try await lab.succeed("status", "-o", "ndjson").out.split(separator: "\n")
      #expect(lines.count == 22)
    }
  }
}
