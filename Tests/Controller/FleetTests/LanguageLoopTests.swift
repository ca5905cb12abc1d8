import Core
import Foundation
import Testing

extension FleetSuite {
  /// The policy language through the whole loop: written, planned, applied, changed by hand, repaired, watched, imported.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct LanguageLoop {
    private static let policy = """
      policy: all
      applies_to: all
      defaults: { input: drop, forward: drop, output: accept }
      sets:
        many: [\((1...100).map { "198.18.1.\($0)" }.joined(separator: ", ")), "2001:db8:7::/64"]
      input:
        - accept: { in: lo }
        - accept: icmp-essential
        - accept: { service: ssh, from: controllers }
        - accept: { service: [http, https], from: many, comment: "public site" }
        - accept: { tcp: "9100", from: group:lab }
      input_last:
        - log: { prefix: "in-drop: ", limit: 5/minute }
      sysctl: { net.ipv4.ip_forward: 1 }

      """

    @Test func aTypedPolicyGoesThroughTheWholeLoop() async throws {
      try await SafetyLab.with("language", hosts: 2, backend: "mixed") { fleet in
        let lab = fleet.lab
        let folder = lab.path("policies")
        try FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try write(Self.policy, to: "\(folder)/all.yaml")

        let valid = try await lab.portcullis("validate")
        #expect(valid.status == 0 && valid.out.hasSuffix(": valid\n"), "\(valid)")
        let plan = try await lab.succeed("plan")
        #expect(plan.out.contains("# policies/all.yaml:"), "\(plan)")
        #expect(try await lab.succeed("plan", "-o", "json").out.contains("--dports 80,443"))
        #expect(plan.out.contains("*sysctl\n    +net.ipv4.ip_forward = 1\n"), "\(plan)")
        try await lab.succeed("apply", "--yes", timeout: 90)
        let status = try JSON(try await lab.succeed("status", "--refresh", "-o", "json"))
        #expect(status.hosts.values.allSatisfy { $0["delivery"].text == "current" && $0["integrity"].text == "intact" })
        #expect(try await lab.portcullis("plan", "--detailed-exitcode").status == 0)
        for host in ["h001", "h002"] {
          #expect(try await lab.shell(host, "cat /proc/sys/net/ipv4/ip_forward").hasPrefix("1"))
        }

        // Another member and another setting are shown before they come.
        let other = Self.policy.replacing("198.18.1.100", with: "198.18.1.101")
          .replacing("ip_forward: 1", with: "ip_forward: 1, net.ipv4.conf.all.rp_filter: 0")
        try write(other, to: "\(folder)/all.yaml")
        let next = try await lab.succeed("plan")
        for line in ["+net.ipv4.conf.all.rp_filter = 0", "-198.18.1.100", "+198.18.1.101"] {
          #expect(next.out.contains("    \(line)\n"), "\(next)")
        }
        #expect(!next.out.contains("ip_forward = 1") && !next.out.contains("198.18.1.99"), "\(next)")
        try write(Self.policy, to: "\(folder)/all.yaml")

        // A member taken out by hand is drift that names it, and apply puts it back.
        let set = try await lab.shell("h001", "ipset list -name | grep ^PCL-").trimmingCharacters(
          in: .whitespacesAndNewlines)
        try await lab.shell("h001", "ipset del \(set) 198.18.1.7; echo 0 > /proc/sys/net/ipv4/ip_forward")
        let drift = try await lab.portcullis("drift", "-l", "h001")
        #expect(drift.status == 2 && drift.out.contains("198.18.1.7") && drift.out.contains("ip_forward"), "\(drift)")
        // So is a rule, and what repairs it, by the line of the policy that it came from.
        try await lab.shell("h001", "iptables -S PCL-INPUT | grep -m1 9100 | sed s,-A,-D, | xargs iptables")
        let line =
          1 + Self.policy.split(separator: "\n", omittingEmptySubsequences: false).firstIndex { $0.contains("9100") }!
        let lost = try await lab.portcullis("drift", "-l", "h001", "-o", "json")
        #expect(
          lost.out.contains("policies/all.yaml:\(line)\""),
          "\(lost)")
        let repair = try await lab.succeed("plan", "--refresh", "-l", "h001")
        #expect(repair.out.contains("--dport 9100 -j ACCEPT   # policies/all.yaml:\(line)\n"), "\(repair)")
        try await lab.succeed("apply", "--yes", timeout: 90)
        #expect(try await lab.shell("h001", "ipset save \(set)").contains("198.18.1.7"))
        #expect(try await lab.portcullis("drift").status == 0)

        try await observe(lab, folder)
      }
    }

    /// What would be dropped is let in and counted.
    private func observe(_ lab: TestLab, _ folder: String) async throws {
      try write(Self.policy + "observe: true\n", to: "\(folder)/all.yaml")
      try await lab.succeed("apply", "--yes", timeout: 90)
      let other = try await lab.shell("h001", "ip -4 -o addr show scope global").split(separator: " ")
        .first { $0.contains("/") }.map { String($0.prefix { $0 != "/" }) }
      let address = try #require(other)
      _ = try await lab.exec(
        "h002", "/bin/bash", "-c", "for n in 1 2 3; do echo hello > /dev/udp/\(address)/4000; done")
      let shown = try await lab.succeed("observe", "show", "-o", "json")
      #expect(shown.out.contains("\"port\" : \"4000\"") && shown.out.contains("\"packets\" : 3"), "\(shown)")
      let text = try await lab.succeed("observe", "show")
      #expect(text.out.contains("3 packets   udp/4000   from ") && text.out.contains("on h001"), "\(text)")
    }

    @Test func rulesThatHostsHaveBecomePoliciesThatChangeNothing() async throws {
      // Hosts that no other test has had rules on.
      let lab = try await TestLab.up("import", ["--hosts", "3", "--bare", "--no-enroll"])
      let rules = """
        *filter
        :INPUT DROP [0:0]
        :FORWARD ACCEPT [0:0]
        :OUTPUT ACCEPT [0:0]
        -A INPUT -i lo -j ACCEPT
        -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
        -A INPUT -p tcp -m multiport --dports 80,443 -m comment --comment "public site" -j ACCEPT
        COMMIT

        """
      for host in ["h001", "h002"] {
        for program in ["iptables-restore", "ip6tables-restore"] {
          _ = try await lab.exec(host, program, input: .bytes(Array(rules.utf8)))
        }
      }
      try await lab.shell("h003", "iptables -A INPUT -p tcp --dport 8080 -j ACCEPT")
      // The host's programs speak one backend; the kernel obeys the other one too.
      let isLegacy = try await lab.shell("h001", "iptables -V").contains("legacy")
      let other = isLegacy ? "iptables-nft" : "iptables-legacy"
      try await lab.shell("h001", "\(other) -A OUTPUT -p tcp --dport 25 -j DROP")
      let out = lab.path("imported")
      try? FileManager.default.removeItem(atPath: out)
      let imported = try await lab.succeed("import", "all", "--out", out, "--group", "lab")
      #expect(imported.out.contains("3 hosts are 2 rulesets") && imported.out.contains("h[001-002]"), "\(imported)")
      let names = try FileManager.default.contentsOfDirectory(atPath: out).sorted()
      #expect(names == ["imported-1.yaml", "imported-2.yaml", "imported-groups.ini"])
      #expect(imported.out.contains("h001: ") && imported.out.contains("\(other) holds 1 rule more"), "\(imported)")
      // Its groups beside the fleet's own inventory: every host has its policy, and nothing is amiss.
      let inventory = lab.path("inventory/hosts.yaml")
      let rendered = try await lab.succeed(
        "render", "h003", "-i", inventory, "-i", "\(out)/imported-groups.ini", "--policies", out)
      #expect(rendered.out.contains("--dport 8080") && !rendered.out.contains("--dports 80,443"), "\(rendered)")
      let first = try await lab.succeed(
        "render", "h001", "-i", inventory, "-i", "\(out)/imported-groups.ini", "--policies", out)
      #expect(first.out.contains("--dports 80,443") && !first.out.contains("--dport 8080"), "\(first)")
      // One host that does not answer leaves the others their policy.
      try write("dead ansible_host=127.0.0.1 ansible_port=1\n", to: lab.path("dead.ini"))
      let partial = try await lab.portcullis(
        "import", "h003", "dead", "-i", inventory, "-i", lab.path("dead.ini"), "--out", out, "--name", "some")
      #expect(partial.status == 4 && partial.out.contains("1 host is 1 ruleset"), "\(partial)")
      #expect(
        partial.out.contains("dead: ") && FileManager.default.fileExists(atPath: "\(out)/some.yaml"), "\(partial)")
      let again = try await lab.portcullis("import", "h003", "--out", out, "--name", "imported-1")
      #expect(
        again.status != 0 && again.err.contains("imported-1.yaml exists") && again.err.contains("hint"), "\(again)")
      // A group that is there, a host, and what all policies share.
      for name in ["lab", "h001", "common"] {
        let refused = try await lab.portcullis("import", "h003", "--out", out, "--name", name)
        #expect(refused.status != 0 && refused.err.contains(name), "\(refused)")
        #expect(!FileManager.default.fileExists(atPath: "\(out)/\(name).yaml"))
      }
      try write("", to: lab.path("empty.v4"))
      let empty = try await lab.portcullis("import", "--file", lab.path("empty.v4"), "--out", out, "--name", "empty")
      #expect(empty.status != 0 && empty.err.contains("empty.v4:1"), "\(empty)")
      for family in ["ipv4", "ipv6"] {
        let program = family == "ipv4" ? "iptables-save" : "ip6tables-save"
        let rendered = try await lab.succeed(
          "render", "--standalone", "--policies", out, "--policy", "imported-1", "--family", family, "--mode",
          "exclusive")
        try write(rendered.out, to: lab.path("rendered"))
        try write(try await lab.exec("h001", program).out, to: lab.path("saved"))
        let difference = try await lab.portcullis("ruleset", "diff", lab.path("saved"), lab.path("rendered"))
        #expect(difference.status == 0, "\(difference)")
      }
      try await lab.succeed("lab", "down", "--dir", lab.folder)
    }

    /// What an administrator wrote by hand, partly in other words than ours, and one rule that the language has no word
    /// for.
    private static func handmade(icmp: String) -> String {
      """
      *filter
      :INPUT DROP [0:0]
      :FORWARD DROP [0:0]
      :OUTPUT ACCEPT [0:0]
      -A INPUT -i lo -j ACCEPT
      -A INPUT -p \(icmp) -j ACCEPT
      -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
      -A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
      -A INPUT -p tcp -m multiport --dports 80,443 -m comment --comment "public site" -j ACCEPT
      -A INPUT -m mark --mark 0x1 -j DROP
      -A INPUT -m limit --limit 5/min -j LOG --log-prefix "in: "
      COMMIT

      """
    }

    @Test("A host that was imported is planned to change no rule", arguments: ["nft", "legacy"])
    func imported(backend: String) async throws {
      let lab = try await TestLab.up("found-\(backend)", ["--hosts", "1", "--bare", "--backend", backend])
      for (program, icmp) in [("iptables-restore", "icmp"), ("ip6tables-restore", "ipv6-icmp")] {
        _ = try await lab.exec("h001", program, input: .bytes(Array(Self.handmade(icmp: icmp).utf8)))
      }
      let folder = lab.path("policies")
      try FileManager.default.removeItem(atPath: folder)
      try await lab.succeed("import", "h001", "--out", folder, "--group", "lab", "--name", "found")
      let policy = try String(contentsOfFile: "\(folder)/found.yaml", encoding: .utf8)
      #expect(policy.contains("- accept: { service: [http, https], comment: \"public site\" }"), "\(policy)")

      // Other software's rules stay where they are unless the tables are ours.
      let owned = try await lab.succeed("plan", "--refresh")
      #expect(owned.out.contains("it has these rules already: ours come before them in chains of ours"), "\(owned)")

      try write(policy + "mode: exclusive\n", to: "\(folder)/found.yaml")
      let plan = try await lab.succeed("plan", "--refresh")
      #expect(
        plan.out.contains("no rule changes: it runs these rules already; applying installs them as ours"), "\(plan)")
      let json = try await lab.succeed("plan", "--refresh", "-o", "json").out.filter { !$0.isWhitespace }
      #expect(json.contains("\"action\":\"install\"") && json.contains("\"added\":0") && json.contains("\"removed\":0"))

      // One rule more by hand is one that would go.
      try await lab.shell("h001", "iptables -A INPUT -p tcp --dport 8080 -j ACCEPT")
      let changed = try await lab.succeed("plan", "--refresh")
      #expect(
        changed.out.contains("+0 −1") && changed.out.contains("-A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT"),
        "\(changed)")
      try await lab.shell("h001", "iptables -D INPUT -p tcp --dport 8080 -j ACCEPT")

      try await lab.succeed("apply", "--yes", timeout: 90)
      #expect(try await lab.portcullis("plan", "--detailed-exitcode").status == 0)
      try await lab.succeed("lab", "down", "--dir", lab.folder)
    }
  }
}
