import Core
import Foundation
import Lint
import Testing

@Suite("Mistakes that rules can make") struct LintTests {
  @Test("The base has no findings") func base() throws {
    #expect(try findings() == [])
    #expect(findings(try subject("")) == [])
  }

  // MARK: SSH

  private func ssh(_ ipv4: String, controllers: [String] = ["192.0.2.1"], ports: [UInt16] = [22]) throws -> [String] {
    var subject = try subject(filter(base4 + ipv4), filter(base6))
    subject.controllers = controllers
    subject.sshPorts = ports
    return Linter.run(subject).filter { $0.rule == .noSSHFromControllers }.map {
      "\($0.severity.rawValue) \($0.diagnostic.location.line)"
    }
  }

  @Test(
    "SSH that surely cannot get in is an error, where it is dropped",
    arguments: [
      ("", "error 2"), ("-A INPUT -s 198.51.100.0/24 -p tcp --dport 22 -j ACCEPT", "error 2"),
      ("-A INPUT -j DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT", "error 7"),
      ("-A INPUT -p tcp --dport 2222 -j ACCEPT", "error 2"), ("-A INPUT -p udp --dport 22 -j ACCEPT", "error 2"),
    ]) func noSSH(rules: String, expected: String) throws
  {
    #expect(try ssh(rules) == [expected])
  }

  @Test(
    "SSH that may get in is let be",
    arguments: [
      "-A INPUT -s 192.0.2.0/24 -p tcp --dport 22 -j ACCEPT", "-A INPUT -p tcp -m multiport --dports 22,80 -j ACCEPT",
      "-A INPUT -i eth0 -d 198.51.100.9 -p tcp --dport 22 -j ACCEPT",
      "-A INPUT -j in\n-A in -p tcp --dport 22 -j ACCEPT",
      "-A INPUT -m set --match-set bad src -j DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT",
      "-A INPUT -p tcp --dport 22 -m hashlimit --hashlimit-above 6/min --hashlimit-name a -j DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT",
    ]) func hasSSH(rules: String) throws
  {
    #expect(try ssh(rules) == [])
  }

  @Test("SSH that hangs on what is not understood is a warning") func perhapsSSH() throws {
    #expect(try ssh("-A INPUT -m set --match-set admins src -j ACCEPT") == ["warning 2"])
  }

  @Test("A way in that has ended is none; one that ends some day is not sure") func endedSSH() throws {
    func found(_ options: String, now: String? = "2027-02-01T00:00:00Z") throws -> [String] {
      var subject = try subject(
        filter(base4 + "-A INPUT -p tcp --dport 22 -m time \(options) -j ACCEPT"), filter(base6))
      subject.controllers = ["192.0.2.1"]
      subject.now = now.flatMap { UTCTime($0) }
      return Linter.run(subject).filter { $0.rule == .noSSHFromControllers }.map(\.severity.rawValue)
    }
    #expect(try found("--datestop 2027-01-31T23:59:59") == ["error"])
    #expect(try found("--timestart 08:00:00 --timestop 18:00:00 --datestop 2027-01-31T23:59:59") == ["error"])
    #expect(try found("--datestop 2027-01-31T23:59:59", now: "2027-01-31T23:59:59Z") == ["warning"])
    #expect(try found("--datestop 2027-01-31T23:59:59", now: nil) == ["warning"])
    // In a time zone of the host's, and a day that is not wholly written.
    #expect(try found("--datestop 2027-01-31T23:59:59 --kerneltz") == ["warning"])
    #expect(try found("--datestop 2027-01") == ["warning"])
  }

  @Test("What another table drops is blamed there") func otherTable() throws {
    let open = filter(base4 + "-A INPUT -p tcp --dport 22 -j ACCEPT")
    for (mangle, line) in [
      ("*mangle\n:PREROUTING DROP\n:INPUT ACCEPT\nCOMMIT\n", 2),
      ("*mangle\n:PREROUTING ACCEPT\n:INPUT DROP\nCOMMIT\n", 3),
      ("*mangle\n:PREROUTING ACCEPT\n-A PREROUTING -p tcp --dport 22 -j DROP\nCOMMIT\n", 3),
    ] {
      var subject = try subject(mangle + open, filter(base6))
      subject.controllers = ["192.0.2.1"]
      #expect(findings(subject).contains("no-ssh-from-controllers rules.v4:\(line)"))
    }
  }

  @Test("What is for IPv6 alone beside drop-all is named, with the place that closes it") func closed() throws {
    let found = try findings { subject in
      subject.facts.closesIPv6 = true
      subject.facts.leftOut = [Core.SourceLocation(file: "web.yaml", line: 9, column: 5)]
    }
    #expect(found == ["closed-family web.yaml:9"])
  }

  @Test("One controller with a way in makes the others a warning; no controllers make nothing") func someSSH() throws {
    let rule = "-A INPUT -s 192.0.2.1 -p tcp --dport 2222 -j ACCEPT"
    #expect(try ssh(rule, controllers: ["192.0.2.1", "192.0.2.2"], ports: [22, 2222]) == ["warning 2"])
    #expect(try ssh(rule, controllers: ["192.0.2.1"], ports: [22, 2222]) == [])
    #expect(try ssh(rule, controllers: []) == [])
    #expect(try ssh(rule, ports: []) == [])
    #expect(try ssh(rule, controllers: ["nonsense", "2001:db8::1"]) == ["error 2"])
  }

  // MARK: What a host lives on

  @Test("No loopback") func loopback() throws {
    let answers = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
    #expect(findings(try subject(filter(answers))) == ["no-loopback rules.v4:2"])
    #expect(findings(try subject(filter(answers + "-A INPUT -j REJECT"))) == ["no-loopback rules.v4:6"])
    for good in [
      "-A INPUT ! -i eth0 -j ACCEPT", "-A INPUT -s 127.0.0.0/8 -j ACCEPT", "-A INPUT -j x\n-A x -i lo -j ACCEPT",
    ] {
      #expect(findings(try subject(filter(answers + good))) == [])
    }
    let closed = filter(base4, output: "DROP")
    #expect(findings(try subject(closed)) == ["no-loopback rules.v4:4"])
    #expect(findings(try subject(filter(base4 + "-A OUTPUT -o lo -j ACCEPT", output: "DROP"))) == [])
    #expect(
      findings(try subject("", filter(base6.replacing("-A INPUT -i lo -j ACCEPT\n", with: "")))) == [
        "no-loopback rules.v6:2"
      ])
  }

  @Test("No answers") func established() throws {
    let open = "-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp --dport 22 -s 10.0.0.0/8 -j ACCEPT\n"
    #expect(findings(try subject(filter(open))) == ["no-established rules.v4:2"])
    #expect(findings(try subject(filter(open + "-A INPUT -m state --state ESTABLISHED -j ACCEPT"))) == [])
    #expect(findings(try subject(filter(open + "-A INPUT -p tcp ! --syn -j ACCEPT"))) == [])
    // Nothing but itself, or nothing asked: no answer is missed.
    #expect(findings(try subject(filter("-A INPUT -i lo -j ACCEPT"))) == [])
    #expect(findings(try subject(filter(open + "-A OUTPUT -o lo -j ACCEPT", output: "DROP"))) == [])
    var silent = try subject(
      filter(base4 + "-A INPUT -p tcp --dport 22 -j ACCEPT\n-A OUTPUT -o lo -j ACCEPT", output: "DROP"), "")
    #expect(findings(silent) == ["no-established rules.v4:4"])
    silent.sshPorts = []
    #expect(findings(silent) == [])
  }

  @Test("ICMPv6 that IPv6 cannot live without") func icmpv6() throws {
    let none = base4 + "-A INPUT -p tcp --dport 9 -s 2001:db8::/32 -j ACCEPT\n"
    #expect(findings(try subject("", filter(none))) == ["icmpv6-dropped rules.v6:2"])
    let discovery = ["134", "135", "136"].map {
      "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type \($0) -m hl --hl-eq 255 -j ACCEPT\n"
    }
    #expect(findings(try subject("", filter(none + discovery.joined()))) == [])
    #expect(findings(try subject("", filter(none + discovery.prefix(2).joined()))) == ["icmpv6-dropped rules.v6:2"])
    var router = try subject("", filter(none + discovery.joined()))
    router.facts.forwards.ipv6 = true
    #expect(findings(router) == ["icmpv6-dropped rules.v6:2"])
    router.facts.closesIPv6 = true
    #expect(findings(router) == [])
    // Errors are no answers when only answers of the connection itself are.
    let narrow = none.replacing("RELATED,", with: "")
    #expect(findings(try subject("", filter(narrow + discovery.joined()))) == ["icmpv6-dropped rules.v6:2"])
    let output = filter(base6 + "-A OUTPUT -o lo -j ACCEPT\n-A OUTPUT -p tcp -j ACCEPT", output: "DROP")
    #expect(findings(try subject("", output)) == ["icmpv6-dropped rules.v6:4"])
    #expect(findings(try subject("", filter("-A INPUT -i lo -j ACCEPT"))) == [])
  }

  @Test("No answer from the DHCP server") func dhcp() throws {
    func found(_ four: String, _ six: String = "", leases: PerFamily<Bool?>) throws -> [String] {
      try findings(ipv4: four, ipv6: six) { $0.facts.hasLeases = leases }
    }
    #expect(try found("", leases: PerFamily(ipv4: true, ipv6: nil)) == ["no-dhcp-client rules.v4:2"])
    #expect(try found("", leases: PerFamily(ipv4: nil, ipv6: true)) == ["no-dhcp-client rules.v6:2"])
    #expect(try found("", leases: PerFamily(ipv4: false, ipv6: nil)) == [])
    let rules = (
      "-A INPUT -p udp --sport 67 --dport 68 -j ACCEPT", "-A INPUT -s fe80::/10 -p udp --dport 546 -j ACCEPT"
    )
    #expect(try found(rules.0, rules.1, leases: PerFamily(ipv4: true, ipv6: true)) == [])
  }

  // MARK: Services

  @Test(
    "A service that is open in one family only",
    arguments: [
      ("-A INPUT -p tcp --dport 80 -j ACCEPT", "", ["one-family-only rules.v4:7"]),
      (
        "", "-A INPUT -i eth+ -p udp -m multiport --dports 443,500:510 -m conntrack --ctstate NEW -j ACCEPT",
        ["one-family-only rules.v6:8"]
      ),
      ("-A INPUT -j in\n-A in -p tcp --dport 80 -j ACCEPT", "", ["one-family-only rules.v4:9"]),
      (
        "-A INPUT -p tcp --dport 80 -j ACCEPT", "-A INPUT -p tcp --dport 1:1023 -j ACCEPT",
        ["one-family-only rules.v6:8"]
      ),
      ("-A INPUT -p tcp --dport 80 -j ACCEPT", "-A INPUT -p tcp --dport 80 -m limit --limit 9/s -j ACCEPT", []),
      ("-A INPUT -p tcp --dport 80 -j ACCEPT", "-A INPUT -i eth0 -p tcp --dport 80 -j ACCEPT", []),
      ("-A INPUT -s 10.0.0.0/8 -p tcp --dport 80 -j ACCEPT", "", []),
      ("-A INPUT -p udp --dport 68 -j ACCEPT", "-A INPUT -p udp --dport 546 -j ACCEPT", []),
      ("-A INPUT -p tcp --dport 80 -m set --match-set a src -j ACCEPT", "", []),
      ("-A INPUT -p tcp --dport 80 -j ACCEPT", "-A INPUT -m set --match-set a src -j ACCEPT", []),
      ("-A INPUT -p tcp --dport 80 -j DROP", "", []), ("-A INPUT -p tcp -j ACCEPT", "", []),
    ]) func oneFamily(ipv4: String, ipv6: String, expected: [String]) throws
  {
    #expect(try findings(ipv4: ipv4, ipv6: ipv6) == expected)
  }

  @Test("A family that is shut, or not filtered, misses no service") func shutFamily() throws {
    let open = filter(base4 + "-A INPUT -p tcp --dport 80 -j ACCEPT")
    #expect(
      findings(try subject(open, filter("-A INPUT -i lo -j ACCEPT\n-A OUTPUT -o lo -j ACCEPT", output: "DROP"))) == [])
    #expect(findings(try subject(open, "")) == [])
  }

  @Test(
    "An accept by the sender's port",
    arguments: [
      ("-A INPUT -p udp --sport 53 -j ACCEPT", true), ("-A INPUT -p tcp -m multiport --sports 80,443 -j ACCEPT", true),
      ("-A FORWARD -p udp -m udp --sport 123 -j ACCEPT", true),
      ("-A INPUT -p udp --sport 53 --dport 1024: -j ACCEPT", false),
      ("-A INPUT -p udp --sport 53 -m conntrack --ctstate ESTABLISHED -j ACCEPT", false),
      ("-A INPUT -s 10.0.0.53 -p udp --sport 53 -j ACCEPT", false), ("-A INPUT -p udp --sport 53 -j DROP", false),
      ("-A INPUT -p tcp --sport 80 ! --syn -j ACCEPT", false), ("-A OUTPUT -p tcp --sport 22 -j ACCEPT", false),
      ("-A FORWARD -i eth1 -p udp --sport 53 -j ACCEPT", false),
    ]) func sourcePort(rule: String, isFound: Bool) throws
  {
    let found = try findings(ipv4: rule).filter { $0.hasPrefix("source-port-accept") }
    #expect(found == (isFound ? ["source-port-accept rules.v4:7"] : []))
  }

  @Test(
    "A log without a limit",
    arguments: [
      ("-A INPUT -j LOG --log-prefix x", 7), ("-A INPUT -p tcp -j no\n-A no -j LOG\n-A no -j DROP", 9),
      ("-A INPUT -m limit --limit 5/min -j LOG", nil),
      ("-A INPUT -m hashlimit --hashlimit-upto 1/s --hashlimit-name a -j LOG", nil),
      ("-A INPUT -m limit --limit 5/min -j no\n-A no -j LOG", nil), ("-A INPUT -j NFLOG --nflog-group 3", nil),
      ("-A INPUT -j no\n-A no -m limit --limit 5/min -j RETURN\n-A no -j LOG", nil), ("-A unused -j LOG", nil),
    ]) func log(rules: String, line: Int?) throws
  {
    #expect(try findings(ipv4: rules) == (line.map { ["log-without-limit rules.v4:\($0)"] } ?? []))
  }

  @Test(
    "Masquerading of everything",
    arguments: [
      ("-j MASQUERADE", true), ("-p tcp -j MASQUERADE --to-ports 1024-65535", true), ("-o eth0 -j MASQUERADE", false),
      ("-s 10.0.0.0/8 -j MASQUERADE", false), ("! -o lo -j MASQUERADE", false),
      ("-m mark --mark 1 -j MASQUERADE", false),
      ("-d 10.0.0.5 -p tcp --dport 80 -j MASQUERADE", false),
    ]) func masquerade(rule: String, isFound: Bool) throws
  {
    let text = "*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING \(rule)\nCOMMIT\n"
    #expect(findings(try subject(text)) == (isFound ? ["masquerade-everything rules.v4:3"] : []))
  }

  @Test("A gateway that does not forward") func forwarding() throws {
    let gateway = filter(
      base4 + "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A FORWARD -i eth1 -j ACCEPT")
    let nat = "*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE\nCOMMIT\n"
    let local =
      "*nat\n:PREROUTING ACCEPT\n-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 127.0.0.1:8080\nCOMMIT\n"
    func found(_ text: String, _ forwards: Bool?, foreign: Bool = false) throws -> [String] {
      var subject = try subject(text)
      subject.facts.forwards.ipv4 = forwards
      subject.facts.forwardsForeign = foreign
      return findings(subject)
    }
    #expect(try found(gateway, false) == ["forwarding-disabled rules.v4:8"])
    #expect(try found(nat, false) == ["forwarding-disabled rules.v4:3"])
    #expect(
      try found(nat.replacing("MASQUERADE", with: "SNAT --to-source 192.0.2.1"), false) == [
        "forwarding-disabled rules.v4:3"
      ])
    #expect(try found(gateway, true) == [])
    #expect(try found(gateway, nil) == [])
    #expect(try found(gateway, false, foreign: true) == [])
    #expect(try found(local, false) == [])
    #expect(try found(filter(base4), false) == [])
    #expect(try found(filter(base4 + "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT"), false) == [])
  }

  // MARK: All together

  @Test(
    "No lint finds fault with the repository's own policies", arguments: ["base", "web", "database", "nat-gateway"])
  func policies(name: String) throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "../../../policies/\(name)")
    // A folder whose rules are written in the policy language has no such files.
    guard FileManager.default.fileExists(atPath: folder.appendingPathComponent("rules.v4").path) else { return }
    func text(_ file: String, _ address: String) throws -> String {
      let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
      return text.replacing("-s controllers", with: "-s \(address)")
    }
    var subject = try subject(text("rules.v4", "192.0.2.1/32"), text("rules.v6", "2001:db8::1/128"))
    subject.controllers = ["192.0.2.1", "2001:db8::1"]
    subject.facts.hasLeases = PerFamily(ipv4: true, ipv6: true)
    subject.facts.forwards = PerFamily(ipv4: true, ipv6: true)
    #expect(Linter.run(subject).map(\.diagnostic.description) == [])
  }

  @Test("The same findings of two hosts are one") func merging() throws {
    let text = filter(base4 + "-A INPUT -j LOG\n-A INPUT -p udp --sport 53 -j ACCEPT")
    let first = Linter.run(try subject(text))
    let second = Linter.run(try subject(text))
    #expect(first.count == 2 && Set(first + second).count == 2)
    #expect(first == first.sorted())
  }

  @Test("A rule that is several in the compiled text is one finding") func expansion() throws {
    let rules = "-A INPUT -s 10.0.0.1 -j LOG\n-A INPUT -s 10.0.0.2 -j LOG\n-A INPUT -m set --match-set a src -j LOG"
    let text = PerFamily<[UInt8]> { _ in Array(filter(base6 + rules).utf8) }
    let places = LintPlaces(whole: Core.SourceLocation(file: "p", line: 1, column: 1)) { _, line in
      Core.SourceLocation(file: "p", line: line > 7 ? 100 : line, column: 1)
    }
    #expect(findings(try LintSubject(text, places: places)) == ["log-without-limit p:100"])
  }

  @Test("A family that is shut by its last rule is shut as well") func shutByRule() throws {
    let shut = filter("-A INPUT -i lo -j ACCEPT\n-A INPUT -j DROP", input: "ACCEPT")
    #expect(findings(try subject("", shut)) == [])
  }

  @Test("Every rule of the catalogue has its words and a name that can be typed") func catalogue() {
    for rule in LintRule.allCases {
      #expect(rule.rawValue.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "-" })
      #expect(rule.why.hasSuffix(".") && rule.help.hasSuffix(".") && !rule.title.hasSuffix("."))
    }
    #expect(Set(LintRule.allCases.map(\.title)).count == LintRule.allCases.count)
  }
}
