import Core
import Foundation
import Release
import Ruleset
import Testing
import Wire

extension FleetSuite {
  /// Ipsets and kernel settings that a release brings along, on real hosts.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct BesideTheRules {
    private static func set(_ third: Int) throws -> AddressSet {
      try AddressSet(family: .ipv4, prefixes: (1...100).compactMap { AddressPrefix("198.18.\(third).\($0)") })
    }

    private static func bundle(
      _ host: String, _ lab: TestLab, _ serial: UInt64, _ set: AddressSet, _ sysctl: [String: Int]
    ) throws -> CraftedBundle {
      var bundle = try CraftedBundle(for: host, of: lab, serial: serial)
      bundle.mode = .owned
      let lines = "-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"
      let named = "-A INPUT -m set --match-set \(set.name) src -p tcp -m tcp --dport 80 -j ACCEPT\n"
      bundle.rules = PerFamily { family in
        Array("*filter\n:INPUT DROP [0:0]\n\(lines)\(family == .ipv4 ? named : "")COMMIT\n".utf8)
      }
      bundle.sets = try SetsFile([set]).encode()
      bundle.sysctl = try SysctlFile(Dictionary(uniqueKeysWithValues: sysctl.map { (SysctlKey($0)!, $1) })).encode()
      return bundle
    }

    private static func result(_ conversation: Conversation) -> Outcome.Result? { conversation.outcomes.first?.result }

    @Test(arguments: ["nft", "legacy"])
    func aSetIsAppliedMendedAndRolledBackWithItsSettings(backend: String) async throws {
      try await SafetyLab.with("beside-\(backend)", hosts: 1, backend: backend) { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes")
        let serial = try await lab.serial(of: "h001")
        func sets() async throws -> [String] {
          try await lab.shell("h001", "ipset list -name").split(separator: "\n").map(String.init)
        }
        func members(_ set: AddressSet) async throws -> Int {
          Int(
            try await lab.shell("h001", "ipset save \(set.name) | grep -c ^add").trimmingCharacters(
              in: .whitespacesAndNewlines))
            ?? -1
        }
        func setting(_ name: String) async throws -> String {
          try await lab.shell("h001", "cat /proc/sys/\(name)").trimmingCharacters(in: .whitespacesAndNewlines)
        }
        let filter = try await setting("net/ipv4/conf/all/rp_filter")
        let (first, second) = (try Self.set(1), try Self.set(2))
        let old = try await Self.bundle("h001", lab, serial + 1, first, ["net.ipv4.ip_forward": 1]).files()
        var said = try await lab.push(old, to: "h001")
        #expect(Self.result(said) == .committed, "\(said.messages) \(said.finished)")
        #expect(try await members(first) == 100)
        #expect(try await setting("net/ipv4/ip_forward") == "1")
        #expect(try await lab.portcullis("drift").status == 0)

        // By hand.
        try await lab.shell("h001", "ipset del \(first.name) 198.18.1.7")
        let drift = try await lab.portcullis("drift")
        #expect(drift.status == 2 && drift.out.contains(first.name) && drift.out.contains("198.18.1.7"), "\(drift)")
        // Who answers for one loss does not answer for the next.
        try await lab.succeed("drift", "waive", "-l", "h001", "--until", "2037-01-31", "--reason", "INC-1", "--yes")
        #expect(try await lab.portcullis("drift").status == 0)
        try await lab.shell("h001", "ipset del \(first.name) 198.18.1.8")
        let more = try await lab.portcullis("drift")
        #expect(more.status == 2 && more.out.contains("198.18.1.8 is missing"), "\(more)")
        try await lab.succeed("drift", "waive", "-l", "h001", "--end")
        said = try await lab.push(old, to: "h001")
        #expect(Self.result(said) == .committed, "\(said.messages)")
        #expect(try await members(first) == 100)
        #expect(try await lab.portcullis("drift").status == 0)
        try await lab.shell("h001", "echo 0 > /proc/sys/net/ipv4/ip_forward")
        let changed = try await lab.portcullis("drift")
        #expect(changed.status == 2 && changed.out.contains("net.ipv4.ip_forward"), "\(changed)")

        // Another set, other settings, and back at the console.
        let new = try await Self.bundle("h001", lab, serial + 2, second, ["net.ipv4.conf.all.rp_filter": 2]).files()
        said = try await lab.push(new, to: "h001")
        #expect(Self.result(said) == .committed, "\(said.messages)")
        #expect(try await sets() == [second.name])
        #expect(try await setting("net/ipv4/ip_forward") == "0")
        #expect(try await setting("net/ipv4/conf/all/rp_filter") == "2")
        try await lab.shell(
          "h001", "/usr/local/lib/portcullis/portcullis-agent rollback --local --reason test >/dev/null 2>&1")
        #expect(try await sets() == [first.name])
        #expect(try await members(first) == 100)
        #expect(try await setting("net/ipv4/ip_forward") == "1")
        #expect(try await setting("net/ipv4/conf/all/rp_filter") == filter)

        // A reboot brings all of it again; the plain files hold it for stock programs.
        try await lab.succeed("lab", "reboot", "h001", "--dir", lab.folder)
        #expect(try await members(first) == 100)
        #expect(try await setting("net/ipv4/ip_forward") == "1")
        let page = try RunnablePage("docs/recovery.md").blocks
        try await lab.shell("h001", try #require(page["host strip"]))
        #expect(try await sets() == [])
        try await lab.shell("h001", "echo 0 > /proc/sys/net/ipv4/ip_forward")
        try await lab.shell("h001", try #require(page["host rules-files"]))
        #expect(try await members(first) == 100)
        #expect(try await lab.shell("h001", "iptables -S").contains("--match-set \(first.name) src"))
        #expect(try await setting("net/ipv4/ip_forward") == "1")

        // What the fleet's policy wants has neither. The serial that this test took is one the controller does not know of.
        _ = try await lab.portcullis("apply", "--refresh", "--yes")
        try await lab.succeed("apply", "--refresh", "--yes")
        #expect(try await sets() == [])
        #expect(try await setting("net/ipv4/ip_forward") == "0")
      }
    }

    @Test(arguments: ["nft", "legacy"])
    func whatAnObservedPolicyWouldHaveDroppedIsTold(backend: String) async throws {
      try await SafetyLab.with("observe-\(backend)", hosts: 1, backend: backend) { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes")
        var bundle = try CraftedBundle(for: "h001", of: lab, serial: try await lab.serial(of: "h001") + 1)
        bundle.mode = .owned
        bundle.rules = PerFamily { family in
          let name = SetName.observations(family)
          return Array(
            """
            *filter
            :INPUT ACCEPT [0:0]
            -A INPUT -i lo -j ACCEPT
            -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
            -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
            -A INPUT -m set ! --match-set \(name) src,dst -j SET --add-set \(name) src,dst
            -A INPUT -m limit --limit 5/min -j LOG --log-prefix "observe: "
            COMMIT

            """.utf8)
        }
        bundle.sets = try SetsFile([AddressSet](), observing: [.ipv4, .ipv6]).encode()
        let said = try await lab.push(bundle, to: "h001")
        #expect(Self.result(said) == .committed, "\(said.messages) \(said.finished)")
        let sent = try await lab.exec(
          "controller", "/bin/bash", "-c", "for n in 1 2 3; do echo hello > /dev/udp/h001/4000; done")
        #expect(sent.status == 0, "\(sent)")
        let answer = try await lab.say([.hello(version: ProtocolVersion.current), .observe, .goodbye], to: "h001")
        guard case .observations(let observations)? = answer.messages.last else {
          Issue.record("\(answer.messages) \(answer.finished)")
          return
        }
        let entry = observations.entries.first { $0.port == "4000" }
        #expect(observations.observing == [.ipv4, .ipv6])
        #expect(
          entry?.proto == "udp" && entry?.packets == 3 && ["10.77.0.1", "fd77::1"].contains(entry?.source),
          "\(observations)")
        #expect(try await lab.portcullis("drift").status == 0)
      }
    }
  }
}
