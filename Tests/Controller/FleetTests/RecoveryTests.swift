import Core
import Foundation
import Testing

/// A page whose fenced blocks are run as they stand: "```sh PLACE NAME".
struct RunnablePage {
  let blocks: [String: String]

  init(_ path: String) throws {
    var blocks: [String: String] = [:]
    var name: String?
    for line in try text(of: "\(Machine.checkout)/\(path)").split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("```sh ") {
        let words = line.dropFirst(6)
        name = String(words)
        try #require(blocks[String(words)] == nil, "two blocks are called \(words)")
        blocks[String(words)] = "set -e\n"
      } else if line == "```" {
        name = nil
      } else if let name {
        blocks[name, default: ""] += line + "\n"
      }
    }
    self.blocks = blocks
  }
}

extension FleetSuite {
  /// docs/recovery.md by its own words.
  @Suite(.serialized) struct Recovery {
    private static let all: Set<String> = [
      "host report", "host rollback", "host safe", "host safe-files", "host rules-files", "controller enroll-one",
      "controller backup", "controller restore", "controller state-lost", "host stop-keeping",
      "host stop-generation-0", "host strip",
      // LockdownLives runs the one, NetfilterTests.RealLockdownTests the other.
      "host lift", "host lift-by-hand",
    ]

    /// Runs a block where it says.
    private func run(
      _ block: String, _ host: String = "h001", of lab: TestLab, backup: String = "",
      at location: Testing.SourceLocation = #_sourceLocation
    ) async throws -> Finished {
      let lines = try #require(try RunnablePage("docs/recovery.md").blocks[block], sourceLocation: location)
      let finished: Finished
      if block.hasPrefix("host ") {
        finished = try await lab.exec(host, "/bin/sh", input: .bytes(Array(lines.utf8)), timeout: 60)
      } else {
        let here = "PATH=\(Machine.programs):$PATH BACKUP=\(backup)\nexport PATH BACKUP\n"
        finished = try await Command.run(
          "/bin/sh", [], input: .bytes(Array((here + lines).utf8)), in: lab.folder, timeout: 120)
      }
      #expect(finished.status == 0, "\(block): \(finished)", sourceLocation: location)
      return finished
    }

    /// Hosts of a lab of its own: what is done to them here nobody should inherit.
    private func withLab(_ name: String, _ body: (TestLab) async throws -> Void) async throws {
      let lab = try await TestLab.up(name, ["--hosts", "2", "--backend", "mixed"])
      do {
        try await body(lab)
        try await lab.succeed("lab", "down", "--dir", lab.folder)
      } catch {
        _ = try? await lab.portcullis("lab", "down", "--dir", lab.folder)
        throw error
      }
    }

    private func modifiers(_ lab: TestLab, _ host: String) async throws -> JSON {
      try JSON(try await lab.portcullis("status", "--refresh", "-o", "json")).hosts[host] ?? JSON(nil)
    }

    private func reachable(_ lab: TestLab, _ host: String) async throws -> Bool {
      try await lab.exec("controller", "/usr/bin/ssh", "-o", "ConnectTimeout=5", "root@\(host)", "true").status == 0
    }

    @Test func everyBlockOfThePageIsRunByATest() throws {
      #expect(Set(try RunnablePage("docs/recovery.md").blocks.keys) == Self.all)
    }

    @Test func atTheConsoleAfterABadCommit() async throws {
      try await withLab("console") { lab in
        try await lab.succeed("apply", "--yes")
        let first = try await lab.rules(of: "h001")
        // Another release, which is committed and wrong.
        try lab.moveThePort()
        try await lab.succeed("apply", "--yes")
        #expect(try await lab.rules(of: "h001") != first)

        #expect(try await run("host report", of: lab).out.contains("h001"))
        _ = try await run("host rollback", of: lab)
        #expect(try await lab.rules(of: "h001") == first)
        _ = try await run("host safe", of: lab)
        #expect(try await modifiers(lab, "h001")["modifiers"].strings.contains("degraded"))
        #expect(try await reachable(lab, "h001"))
        #expect(try await !lab.rules(of: "h001").contains { $0.contains("--dport 4433") })
      }
    }

    @Test func whenTheAgentIsGone() async throws {
      try await withLab("agentless") { lab in
        try await lab.succeed("apply", "--yes")
        for host in names(1...2) {
          let committed = try await lab.rules(of: host)
          // By its process id: nothing else of the host may end.
          try await lab.shell(
            host, "rm -r /usr/local/lib/portcullis; kill -9 $(pgrep -f '^[^ ]*portcullis-agent serve' | head -1)")
          #expect(try await lab.rules(of: host) == committed)

          try await lab.succeed("lab", "reboot", host, "--dir", lab.folder)
          let safe = try await lab.rules(of: host)
          #expect(safe != committed && safe.allSatisfy { $0.contains("--dport 22") }, "\(safe)")
          #expect(try await reachable(lab, host))
          _ = try await run("host rules-files", host, of: lab)
          #expect(try await servesAgain(lab, host, committed))
          _ = try await run("host safe-files", host, of: lab)
          #expect(try await reachable(lab, host))
          _ = try await run("host rules-files", host, of: lab)
        }
        _ = try await run("controller enroll-one", of: lab)
        #expect(try await modifiers(lab, "h001")["contact"].text == "fresh")
      }
    }

    /// Every rule that was committed is there again, in order; loading the files by hand may leave a hook twice.
    private func servesAgain(_ lab: TestLab, _ host: String, _ committed: [String]) async throws -> Bool {
      zip(try await lab.rules(of: host), committed).allSatisfy { now, then in
        var rest = now.split(separator: "\n")[...]
        for line in then.split(separator: "\n") where line.hasPrefix("-A ") {
          guard let found = rest.firstIndex(of: line) else { return false }
          rest = rest[(found + 1)...]
        }
        return true
      }
    }

    @Test func whenTheControllerIsGone() async throws {
      try await withLab("diskless") { lab in
        try await lab.succeed("apply", "--yes")
        let before = try await modifiers(lab, "h002")["serial"].number
        let backup = "\(try Machine.scratch())/backup.tar.gz"
        _ = try await run("controller backup", of: lab, backup: backup)
        for name in ["portcullis.yaml", "inventory", "policies", "keys", "known_hosts", "state"] {
          try FileManager.default.removeItem(atPath: lab.path(name))
        }
        _ = try await run("controller restore", of: lab, backup: backup)
        #expect(try await modifiers(lab, "h002")["serial"].number == before)

        try FileManager.default.removeItem(atPath: lab.path("state"))
        _ = try await run("controller state-lost", of: lab)
        // A change, so that there is something to sign: its serial must be above what the hosts accepted.
        try lab.moveThePort()
        try await lab.succeed("apply", "--yes")
        let after = try #require(try await modifiers(lab, "h001")["serial"].number)
        #expect(after > (before ?? 0))
      }
    }

    @Test func whenEverythingIsToStop() async throws {
      try await withLab("stopped") { lab in
        for host in names(1...2) { try await ForeignSoftware.fail2ban.install(on: host, of: lab) }
        let found = [try await lab.foreignState(of: "h001"), try await lab.foreignState(of: "h002")]
        try await lab.succeed("apply", "--yes")
        let committed = try await lab.rules(of: "h001")

        _ = try await run("host stop-keeping", of: lab)
        #expect(try await lab.rules(of: "h001") == committed)
        #expect(try await lab.exec("h001", "/usr/bin/test", "-e", "/usr/local/lib/portcullis").status != 0)
        // The agent is gone for good, its rules are not yet: the stock programs do it.
        _ = try await run("host strip", of: lab)
        #expect(try await lab.rules(of: "h001").allSatisfy { !$0.contains("PCL") })
        #expect(try await lab.foreignState(of: "h001") == found[0])

        _ = try await run("host stop-generation-0", "h002", of: lab)
        #expect(try await lab.foreignState(of: "h002") == found[1])
        #expect(try await lab.rules(of: "h002").allSatisfy { !$0.contains("PCL") })
        #expect(try await lab.policies(of: "h002").allSatisfy { $0.hasSuffix(" ACCEPT") })
      }
    }
  }
}

extension TestLab {
  /// A change of the web servers' policy, in both families.
  func moveThePort() throws {
    for file in ["rules.v4", "rules.v6"] {
      let policy = path("policies/web/\(file)")
      let before = try text(of: policy)
      let after = before.replacingOccurrences(of: "--dport 443 ", with: "--dport 4433 ")
      try #require(after != before)
      try write(after, to: policy)
    }
  }
}
