import Core
import Foundation
import Ruleset
import Testing

/// The played software itself: its rules must be rules, or tests with it prove nothing.
@Suite(.enabled(if: Machine.obstacle == nil, "namespaces need root and both backends"))
struct ForeignSoftwareTests {
  private func load(_ rules: [(program: String, text: String)], backend: String) async throws -> [Finished] {
    var script = "export XTABLES_LOCKFILE=$PWD/lock\n"
    let folder = "\(try Machine.scratch())/foreign-\(UInt32.random(in: .min ... .max))"
    for (index, part) in rules.enumerated() {
      try write(part.text, to: "\(folder)/\(index)")
      script += "/usr/sbin/\(part.program)-\(backend)-restore --noflush \(index)\n"
    }
    script += "/usr/sbin/iptables-\(backend)-save; echo =====; /usr/sbin/ip6tables-\(backend)-save\n"
    return [
      try await Command.run("/usr/bin/unshare", ["--net", "/bin/sh", "-ec", script], in: folder, timeout: 30)
    ]
  }

  @Test(arguments: ["nft", "legacy"], ForeignSoftware.allCases)
  func itsRulesLoadAndNameTheirOwner(backend: String, software: ForeignSoftware) async throws {
    let loaded = try await load([("iptables", software.ipv4), ("ip6tables", software.ipv6)], backend: backend)[0]
    #expect(loaded.status == 0, "\(loaded)")
    let parts = loaded.out.components(separatedBy: "=====\n")
    for (text, asked) in zip(parts, [software.ipv4, software.ipv6]) {
      let saved = try Ruleset.parse(save: Array(text.utf8), file: "save")
      #expect(saved.ruleCount == asked.split(separator: "\n").count { $0.hasPrefix("-A ") || $0.hasPrefix("-I ") })
      #expect(saved.owners == [software.owner])
    }
  }

  @Test(arguments: ["nft", "legacy"])
  func allOfThemLiveOnOneHost(backend: String) async throws {
    let all = ForeignSoftware.allCases.flatMap { [("iptables", $0.ipv4), ("ip6tables", $0.ipv6)] }
    let loaded = try await load(all, backend: backend)[0]
    #expect(loaded.status == 0, "\(loaded)")
    let parts = loaded.out.components(separatedBy: "=====\n")
    let state = try ForeignState(ipv4: parts[0], ipv6: parts[1])
    #expect(state.lines.count { $0.contains(" -j f2b-sshd") || $0.contains(" -j DOCKER-USER") } == 4)
    for text in parts {
      #expect(
        try Ruleset.parse(save: Array(text.utf8), file: "save").owners == ForeignSoftware.allCases.map(\.owner).sorted()
      )
    }
  }
}
