import AgentTestSupport
import Apply
import Core
import Netfilter
import Release
import Testing
import Wire

/// What is left for whoever has to do without us, loaded by the real programs.
@Suite struct PlainFileTests {
  static func text(_ host: FakeHost, _ name: String) throws -> String {
    String(decoding: try #require(try host.disk.read(name, atMost: 1 << 20)), as: UTF8.self)
  }

  @Test(arguments: [Modes.owned2, Modes.exclusive2])
  func `every commit leaves the committed rules and the safe policy as plain files`(
    bundle: Modes.Bundle
  ) throws {
    let host = try Modes.host()
    let agent = try host.recoveredAgent()
    // Before the first commit nobody is known to manage the host, so anyone may knock at its door.
    #expect(try Self.text(host, "safe/ipv4.rules").contains("-p tcp -m tcp --dport 22 -j ACCEPT"))
    #expect(try !Self.text(host, "safe/ipv4.rules").contains("192.0.2.7"))
    try host.apply(agent, bundle)
    host.disk.cutPower()
    for family in Family.allCases {
      let rules = try Self.text(host, "rules/\(family).rules")
      #expect(rules.hasPrefix("# portcullis release 2, host h001\n"))
      #expect(rules.contains("restore --noflush"))
      #expect(!rules.contains("DOCKER") && !rules.contains("f2b"))
    }
    #expect(try Self.text(host, "safe/ipv4.rules").contains("192.0.2.7"))
  }

  @Test func `files that a crash left old are renewed by the next start`() throws {
    let host = try Modes.host()
    let agent = try host.recoveredAgent()
    try host.apply(agent, Modes.owned2)
    host.disk.tamper("rules/ipv4.rules", Array("# portcullis release 1\n".utf8))
    _ = try host.recoveredAgent()
    #expect(try Self.text(host, "rules/ipv4.rules").contains("release 2"))
  }

  @Test(arguments: [Modes.owned2, Modes.exclusive2], Backend.allCases)
  func `the real programs load each file, and again without doubling a rule of ours`(
    bundle: Modes.Bundle, backend: Backend
  ) throws {
    let host = try Modes.host(backend)
    try host.apply(try host.recoveredAgent(), bundle)
    for family in Family.allCases {
      for name in ["rules", "safe"] {
        let text = try Self.text(host, "\(name)/\(family).rules")
        let program = (family == .ipv4 ? "iptables" : "ip6tables") + (backend == .nft ? "-nft" : "-legacy")
        try withTemporaryDirectory { directory in
          try LinuxDisk(directory).create("file", Array(text.utf8))
          let script = """
            export XTABLES_LOCKFILE=\(directory)/lock
            /usr/sbin/\(program)-restore --noflush \(directory)/file && /usr/sbin/\(program)-save > \(directory)/once &&
            /usr/sbin/\(program)-restore --noflush \(directory)/file && /usr/sbin/\(program)-save > \(directory)/twice &&
            cat \(directory)/once && echo ==== && cat \(directory)/twice
            """
          let output = try SignedBundles.run("/usr/bin/unshare", ["-n", "--", "/bin/sh", "-c", script])
          let halves = String(decoding: output, as: UTF8.self).components(separatedBy: "====\n")
          let lines = halves.map { half in
            half.split(separator: "\n").filter { $0.hasPrefix("-A") && !$0.contains("-j PCL-") }.map(String.init)
          }
          #expect(lines.count == 2 && lines[0] == lines[1] && !lines[0].isEmpty)
          #expect(halves[1].contains(":INPUT DROP"))
        }
      }
    }
  }
}

extension String {
  /// Without full Foundation.
  func components(separatedBy separator: String) -> [String] {
    var parts: [String] = []
    var rest = self[...]
    while let range = rest.firstRange(of: separator) {
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    return parts + [String(rest)]
  }
}
