import Foundation
import Testing

extension FleetSuite {
  /// Mistakes in the files people write. Each is named with its place and what to do, and no host hears of it.
  @Suite(.serialized) struct BadFiles {
    private static let host = "h001"

    private func expectMistake(
      _ lab: TestLab, _ arguments: [String], status: Int32 = 1, saying words: [String],
      at location: Testing.SourceLocation = #_sourceLocation
    ) async throws {
      let before = try await lab.state(of: Self.host)
      for verb in [["plan"], ["apply", "--yes"]] {
        let refused = try await Command.run(Machine.portcullis, verb + arguments, in: lab.folder)
        #expect(refused.status == status, "\(refused)", sourceLocation: location)
        #expect(refused.err.hasPrefix("error: "), "\(refused)", sourceLocation: location)
        for word in words { #expect(refused.err.contains(word), "\(word)\n\(refused)", sourceLocation: location) }
      }
      #expect(try await lab.state(of: Self.host) == before, sourceLocation: location)
    }

    @Test(arguments: [
      ("reports:\n  stale_after: 1h\n", ["unknown key \"reports\"", "did you mean \"report\"?", "+1:1:"]),
      ("report:\n  stale_afer: 1h\n", ["unknown key \"stale_afer\"", "did you mean \"stale_after\"?", "+2:3:"]),
      ("controllers: 10.0.0.1\n", ["list", "+1:14:"]),
      ("controllers: [bastion]\n", ["\"bastion\" is not a numeric address", "+1:15:"]),
      ("report:\n  stale_after: [1h]\n", ["+2:16:"]),
      ("fleet: lab\n", ["\"fleet\" is given twice"]),
    ])
    func aMistakeInTheConfigurationIsNamedWithItsPlace(_ lines: String, _ words: [String]) async throws {
      let lab = try await TestLab.mixed
      let good = try text(of: lab.path("portcullis.yaml"))
      let count = good.split(separator: "\n").count
      // "+1" is the first line after those of the lab.
      let places = words.map { word in
        guard word.hasPrefix("+"), let colon = word.firstIndex(of: ":"), let offset = Int(word[..<colon].dropFirst())
        else {
          return word
        }
        return ":\(count + offset)\(word[colon...])"
      }
      try write(good + lines, to: lab.path("mistaken.yaml"))
      try await expectMistake(lab, ["--config", lab.path("mistaken.yaml")], saying: ["mistaken.yaml"] + places)
    }

    @Test(arguments: [
      (
        "portcullis_adresses: [\"10.77.1.1\"]",
        ["unknown variable \"portcullis_adresses\"", "\"portcullis_addresses\"", ":4:7:"]
      ),
      ("ansible_port: ssh", [":4:21:"]),
      ("portcullis_addresses: {first: 10.77.1.1}", [":4:29:"]),
    ])
    func aMistakeInTheInventoryIsNamedWithItsPlace(_ line: String, _ words: [String]) async throws {
      let lab = try await TestLab.mixed
      try write("web:\n  hosts:\n    h001:\n      \(line)\n", to: lab.path("mistaken-hosts.yaml"))
      try await expectMistake(
        lab, ["--inventory", lab.path("mistaken-hosts.yaml")], saying: ["mistaken-hosts.yaml"] + words)
    }

    @Test(arguments: [
      (
        "policy.yaml", "applies_to: web", "aplies_to: web",
        ["unknown key \"aplies_to\"", "did you mean \"applies_to\"?"]
      ),
      ("policy.yaml", "applies_to: web", "applies_to: [{web: }]", ["policy.yaml:"]),
      ("policy.yaml", "applies_to: web", "applies_to: wbe", ["\"wbe\"", "did you mean \"web\"?"]),
      ("policy.yaml", "  ipv6: rules.v6\n", "", ["ipv6", "drop-all"]),
      ("policy.yaml", "rules.v6", "rules.v7", ["rules.v7"]),
      ("rules.v4", ":FORWARD DROP", ":FORWARD DORP", ["rules.v4:4:", "DORP"]),
      ("rules.v4", "-A INPUT -i lo -j ACCEPT", "-A INPUTT -i lo -j ACCEPT", ["rules.v4:7:", "INPUTT"]),
      (
        "rules.v4", "-A INPUT -i lo -j ACCEPT", "-A INPUT -s 10.0.0.0/33 -j ACCEPT",
        ["rules.v4:7:", "`/33` is not a prefix length"]
      ),
      ("rules.v6", "COMMIT", "", ["rules.v6:", "COMMIT"]),
      ("rules.v6", "-A INPUT -i lo -j ACCEPT", "-A INPUT -s 10.0.0.1 -j ACCEPT", ["rules.v6:", "10.0.0.1"]),
    ])
    func aMistakeInAPolicyIsNamedWithItsPlace(
      _ file: String, _ old: String, _ new: String, _ words: [String]
    ) async throws {
      let lab = try await TestLab.mixed
      let policies = try policies(of: lab, file, old, new)
      try await expectMistake(lab, ["--policies", policies], saying: ["web/\(file)"] + words)
    }

    @Test(arguments: [
      ("rules.v4", "-m nosuchmatch --nosuch 1 -j ACCEPT", ["nosuchmatch"]),
      ("rules.v6", "-j NOSUCHTARGET --nosuch 1", ["nosuch"]),
    ])
    func rulesThatDoNotLoadAreNamedByTheirLineInThePolicyAndNothingChanges(
      _ file: String, _ rule: String, _ words: [String]
    ) async throws {
      let lab = try await TestLab.mixed
      let policies = try policies(of: lab, file, "-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp \(rule)")
      let line = try lineNumber(of: rule, in: "\(policies)/web/\(file)")
      // Both backends, three userlands.
      let hosts = ["h001", "h002", "h003", "h004"]
      try await lab.settle()
      var before: [String: [String]] = [:]
      for host in hosts { before[host] = try await lab.rules(of: host) }
      let applied = try await lab.portcullis(
        "apply", "--yes", "-l", hosts.joined(separator: ","), "--policies", policies, "-o", "json")
      #expect(applied.status == 3, "\(applied)")
      for (name, host) in try JSON(applied).hosts {
        #expect(host["result"].text == "failed", "\(name)")
        let detail = host["detail"].text ?? ""
        #expect(detail.contains("web/\(file):\(line):"), "\(name): \(detail)")
        for word in words { #expect(detail.lowercased().contains(word), "\(name): \(detail)") }
      }
      for host in hosts { #expect(try await lab.rules(of: host) == before[host], "\(host)") }
      let status = try JSON(try await lab.succeed("status", "--refresh", "-o", "json"))
      for host in hosts {
        #expect(status.hosts[host]?["delivery"].text == "failed" && status.hosts[host]?["integrity"].text == "intact")
      }
      // With the mistake undone, a new release overtakes the one nobody wants, and nothing is called failed any more.
      let overtaking = try await lab.succeed("plan", "-l", "h001")
      #expect(overtaking.out.contains("must be overtaken"), "\(overtaking)")
      let overtaken = try JSON(try await lab.succeed("apply", "--yes", "-l", "web", "-o", "json"))
      #expect(overtaken.hosts.count == 10 && overtaken.hosts.values.allSatisfy { $0["result"].text == "unchanged" })
      let after = try JSON(try await lab.succeed("status", "-o", "json"))
      #expect(after.hosts.values.allSatisfy { $0["delivery"].text == "current" })
      #expect(try await lab.portcullis("plan", "--detailed-exitcode").status == 0)
    }

    private func policies(of lab: TestLab, _ file: String, _ old: String, _ new: String) throws -> String {
      let folder = lab.path("policies-mistaken")
      try? FileManager.default.removeItem(atPath: folder)
      try FileManager.default.copyItem(atPath: Machine.policies, toPath: folder)
      let path = "\(folder)/web/\(file)"
      let content = try text(of: path)
      try #require(content.contains(old))
      try write(content.replacingOccurrences(of: old, with: new), to: path)
      return folder
    }

    private func lineNumber(of rule: String, in path: String) throws -> Int {
      let lines = try text(of: path).split(separator: "\n", omittingEmptySubsequences: false)
      return try #require(lines.firstIndex { $0.contains(rule) }) + 1
    }
  }
}
