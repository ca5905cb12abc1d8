import Core
import Lint
import TestSupport
import Testing

@Suite("Rules that do nothing because of others") struct ShadowTests {
  @Test(
    "A rule whose packets an earlier one takes can never match",
    arguments: [
      "-A INPUT -s 10.0.0.0/8 -j DROP\n-A INPUT -s 10.1.0.0/16 -p tcp -j ACCEPT",
      "-A INPUT -p tcp --dport 20:30 -j REJECT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
      "-A INPUT -j web\n-A INPUT -p tcp -j LOG -m limit --limit 1/s\n-A web -j LOG -m limit --limit 1/s\n-A web -j DROP",
      "-A INPUT -p tcp -j web\n-A INPUT -p tcp --dport 9 -j DROP\n-A web -p udp -j LOG -m limit --limit 1/s\n-A web -j REJECT",
      "-A INPUT -p tcp -g web\n-A INPUT -p tcp --dport 9 -j DROP\n-A web -s 10.0.0.1 -j DROP",
      "-A INPUT -m mark --mark 1 -j DROP\n-A INPUT -p tcp -m mark --mark 1 -j REJECT",
      "-A INPUT ! -s 10.0.0.0/8 -j DROP\n-A INPUT -s 192.0.2.0/24 -p udp -j REJECT",
    ]) func shadowed(rules: String) throws
  {
    let found = try findings(ipv4: rules)
    #expect(found == ["shadowed-rule rules.v4:\(rules.contains("-A web") ? 9 : 8)"])
  }

  @Test(
    "What an item of containers is for is compared as it was meant, not as the two rules it became",
    arguments: [
      (["drop -s 10.0.0.0/8", "return -s 10.1.0.0/16 -p tcp"], [3]), (["drop", "return -s 10.1.0.0/16"], [3]),
      (["drop -s 10.0.0.0/8", "drop -s 10.1.0.0/16"], [3]), (["return -s 10.0.0.0/8", "drop -s 10.1.0.0/16"], [3]),
      (["return -p tcp", "return -s 10.0.0.0/8"], []), (["drop -s 10.0.0.0/8", "return -s 192.0.2.1"], []),
      (["drop -p tcp", "drop -s 10.0.0.0/8 -i docker0"], []), (["return -i eth0", "drop"], []),
    ]) func containers(items: [String], expected: [Int]) throws
  {
    var rules = ""
    var lines: [Int] = []
    for (index, item) in items.enumerated() {
      let match = item.split(separator: " ").dropFirst().joined(separator: " ")
      let isDrop = item.hasPrefix("drop")
      let outside = match.contains("-i ") ? match : "! -i docker0 \(match)"
      rules +=
        isDrop
        ? "-A CONTAINERS \(outside) -m conntrack --ctstate DNAT -j DROP\n-A CONTAINERS \(outside) -o docker0 -j DROP\n"
        : "-A CONTAINERS \(match) -j RETURN\n"
      lines += Array(repeating: index + 2, count: isDrop ? 2 : 1)
    }
    // Lines 1 to 5 are declarations.
    var subject = try LintSubject(
      PerFamily(ipv4: Array(filter(rules, input: "ACCEPT").utf8), ipv6: []),
      places: LintPlaces(whole: Core.SourceLocation(file: "p", line: 1, column: 1)) { [lines] _, line in
        Core.SourceLocation(file: "p", line: lines.indices.contains(line - 6) ? lines[line - 6] : 100, column: 1)
      })
    subject.facts.isOwned = true
    #expect(findings(subject) == expected.map { "shadowed-rule p:\($0)" })
  }

  @Test("The message names the earlier rule") func message() throws {
    let subject = try subject(filter(base4 + "-A INPUT -s 10.0.0.0/8 -j DROP\n-A INPUT -s 10.1.0.0/16 -j REJECT"))
    let finding = try #require(Linter.run(subject).first)
    #expect(
      finding.diagnostic.message == "this rule can never match: the rule of INPUT at rules.v4:7:1 takes all its packets"
    )
    #expect(finding.related == places(.ipv4, 7) && finding.severity == .warning && !finding.why.isEmpty)
    #expect(finding.strict.severity == .error)
  }

  @Test(
    "A rule that some packet reaches is let be",
    arguments: [
      "-A INPUT -s 10.1.0.0/16 -j DROP\n-A INPUT -s 10.0.0.0/8 -j REJECT",
      "-A INPUT -s 10.0.0.0/8 -m limit --limit 5/sec -j ACCEPT\n-A INPUT -s 10.0.0.0/8 -j DROP",
      "-A INPUT -s 10.0.0.0/8 -j LOG -m limit --limit 1/s\n-A INPUT -s 10.0.0.0/8 -j DROP",
      "-A INPUT -s 10.0.0.0/8\n-A INPUT -s 10.0.0.0/8 -j DROP",
      "-A INPUT -j web\n-A INPUT -s 10.0.0.0/8 -j DROP\n-A web -s 10.0.0.1 -j RETURN\n-A web -j DROP",
      "-A INPUT -j web\n-A INPUT -s 10.0.0.0/8 -j DROP\n-A web -j web",
      "-A INPUT -j web\n-A INPUT -s 10.0.0.0/8 -j DROP\n-A web -p tcp -j DROP",
      "-A INPUT -j web\n-A INPUT -s 10.0.0.0/8 -j DROP\n-A web -s 10.0.0.1 -g deep\n-A web -j DROP\n-A deep -p udp -j DROP",
      "-A INPUT -s 10.0.0.0/8 -j NFQUEUE --queue-num 1 --queue-bypass\n-A INPUT -s 10.0.0.0/8 -j DROP",
      "-A INPUT -m mark --mark 1 -j DROP\n-A INPUT -s 10.0.0.9 -j MARK --set-mark 1\n-A INPUT -m mark --mark 1 -j DROP",
      "-A INPUT -m set --match-set a src -j DROP\n-A INPUT -p tcp -j SET --add-set a src\n-A INPUT -m set --match-set a src -j DROP",
      "-A INPUT -p tcp --dport 22 -j DROP\n-A INPUT -p tcp -j REJECT",
      "-A INPUT -s 10.0.0.0/8 -m time --timestart 08:00 -j DROP\n-A INPUT -s 10.0.0.0/8 -m time --timestart 08:00 -j DROP",
      "-A INPUT -m statistic --mode nth --every 2 --packet 0 -j DROP\n-A INPUT -m statistic --mode nth --every 2 --packet 0 -j DROP",
      "-A INPUT -m recent --set --name a\n-A INPUT -m recent --set --name a",
    ]) func reachable(rules: String) throws
  {
    #expect(try findings(ipv4: rules) == [])
  }

  @Test(
    "The same rule twice is a duplicate",
    arguments: [
      "-A INPUT -s 10.0.0.0/8 -p tcp --dport 22 -j DROP\n-A INPUT -p tcp -s 10.0.0.0/8 -m tcp --dport 22 -m comment --comment again -j DROP",
      "-A INPUT -s 10.0.0.0/8 -j web\n-A INPUT -s 10.0.0.0/8 -j web\n-A web -p tcp -j DROP",
    ]) func duplicate(rules: String) throws
  {
    #expect(try findings(ipv4: rules) == ["duplicate-rule rules.v4:\(rules.contains("-A web") ? 9 : 8)"])
  }

  @Test(
    "An accept behind a rule that takes everything",
    arguments: [
      ("-A INPUT -j DROP\n-A INPUT -s 10.0.0.1 -j ACCEPT", ["accept-after-catch-all rules.v4:8"]),
      ("-A INPUT -j no\n-A INPUT -s 10.0.0.1 -j ACCEPT\n-A no -j REJECT", ["accept-after-catch-all rules.v4:9"]),
      ("-A INPUT -j REJECT\n-A INPUT -s 10.0.0.1 -j DROP", ["shadowed-rule rules.v4:8"]),
      ("-A INPUT -s 0.0.0.0/1 -j DROP\n-A INPUT -s 192.0.2.1 -j ACCEPT", []),
      ("-A INPUT -m limit --limit 1/sec -j DROP\n-A INPUT -s 192.0.2.1 -j ACCEPT", []),
    ]) func catchAll(rules: String, expected: [String]) throws
  {
    #expect(try findings(ipv4: rules) == expected)
  }

  @Test("What was written as one is reported only when none of it can match") func items() throws {
    let text = filter(
      base4 + "-A INPUT -s 10.0.0.0/8 -j DROP\n-A INPUT -s 10.1.0.0/16 -j REJECT\n-A INPUT -s 192.0.2.1 -j REJECT")
    /// Lines 8 and 9 come from one line of a policy; then line 7 too.
    func finding(_ first: Int) throws -> [String] {
      let places = LintPlaces(whole: Core.SourceLocation(file: "p", line: 1, column: 1)) { _, line in
        Core.SourceLocation(file: "p", line: line >= first ? 100 : line, column: 1)
      }
      return findings(try LintSubject(PerFamily(ipv4: Array(text.utf8), ipv6: []), places: places))
    }
    #expect(try finding(8) == [])
    #expect(try finding(7) == [])
    #expect(try finding(9) == ["shadowed-rule p:8"])
  }

  @Test("What nobody wrote is not called a rule: answers that are accepted by themselves")
  func implied() throws {
    var subject = try subject(
      filter(
        base4
          + "-A INPUT -m conntrack --ctstate ESTABLISHED -j DROP\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
      )
    )
    subject.facts.impliedAnswers = [try #require(places(.ipv4, 6))]
    let found = Linter.run(subject).filter { $0.diagnostic.location.line > 6 }
    #expect(found.map(\.rule) == [.shadowedRule, .duplicateRule])
    for finding in found {
      #expect(finding.diagnostic.message == "this rule can never match: INPUT accepts answers by itself before it")
    }
  }

  @Test(
    "An item that is dead in one family alone is told when something else becomes of its packets",
    arguments: [
      (["-s 10.0.0.0/8 -j DROP", "-s 10.1.0.0/16 -j ACCEPT"], ["-s 2001:db8::/32 -j ACCEPT"], "shadowed-rule"),
      (["-j DROP", "-p tcp -j ACCEPT"], ["-p tcp -j ACCEPT"], "accept-after-catch-all"),
      (["-p tcp -j ACCEPT", "-p tcp -j REJECT"], ["-p tcp -j REJECT"], "shadowed-rule"),
      // The same becomes of them.
      (["-s 10.0.0.0/8 -j ACCEPT", "-s 10.1.0.0/16 -j ACCEPT"], ["-s 2001:db8::/32 -j ACCEPT"], nil),
    ] as [([String], [String], String?)])
  func oneFamily(ipv4: [String], ipv6: [String], expected: String?) throws {
    let texts = PerFamily(
      ipv4: filter(base4 + ipv4.map { "-A INPUT \($0)\n" }.joined()),
      ipv6: filter(base6 + ipv6.map { "-A INPUT \($0)\n" }.joined()))
    // The last rule of both families is one item.
    let places = LintPlaces(whole: Core.SourceLocation(file: "p", line: 1, column: 1)) { family, line in
      Core.SourceLocation(file: "p", line: line == 8 ? 100 : family == .ipv4 ? line : line + 50, column: 1)
    }
    let found = Linter.run(try LintSubject(texts.map { Array($1.utf8) }, places: places))
      .filter { $0.diagnostic.location.line == 100 }
    #expect(found.map(\.rule.rawValue) == [expected].compactMap(\.self))
    for finding in found { #expect(finding.diagnostic.message.contains(" can never match over IPv4: ")) }
  }

  @Test("Every chain of every table is looked through") func tables() throws {
    let nat = """
      *nat
      :PREROUTING ACCEPT
      :POSTROUTING ACCEPT
      -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1
      -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2
      -A POSTROUTING -o eth0 -m statistic --mode random --probability 0.5 -j SNAT --to-source 192.0.2.1
      -A POSTROUTING -o eth0 -j MASQUERADE
      COMMIT

      """
    #expect(findings(try subject(nat)) == ["shadowed-rule rules.v4:5"])
    let user = filter(base4 + "-A INPUT -j x\n-A x -s 10.0.0.1 -j RETURN\n-A x -s 10.0.0.1 -j DROP")
    #expect(findings(try subject(user)) == ["shadowed-rule rules.v4:10"])
  }

  @Test("Large rulesets are looked through in time", arguments: [2_000, 10_000]) func speed(count: Int) throws {
    var rules = base4
    for index in 0..<count {
      switch index % 5 {
      case 0: rules += "-A INPUT -s 10.\(index >> 8 & 255).\(index & 255).0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n"
      case 1: rules += "-A INPUT -p tcp -m tcp --dport \(index + 1) -m conntrack --ctstate NEW -j ACCEPT\n"
      case 2: rules += "-A INPUT -d 10.\(index >> 8 & 255).\(index & 255).1/32 -i eth0 -j DROP\n"
      case 3:
        rules +=
          "-A INPUT -m mac --mac-source 00:00:00:00:\(index >> 8 & 15 | 16):\(index & 63 | 16) -p udp -j ACCEPT\n"
      default:
        rules +=
          "-A INPUT -i eth0 -o vnet\(index) -p tcp -m tcp --sport \(index % 100) --dport 1:\(index + 1) -j DROP\n"
      }
    }
    let text = filter(rules)
    #if DEBUG
      let (rounds, limit) = (1, Duration.seconds(120))
    #else
      let (rounds, limit) = (5, count > 2_000 ? Duration.seconds(2) : .milliseconds(100))
    #endif
    var best = Duration.seconds(1000)
    for _ in 0..<rounds {
      let start = ProcessorTime.now
      let subject = try subject(text)
      let parsed = ProcessorTime.now
      let found = Linter.run(subject)
      print(
        "\(count) rules: read in \(parsed - start), linted in \(ProcessorTime.now - parsed), \(found.count) findings")
      best = min(best, ProcessorTime.now - start)
    }
    #expect(best < limit)
  }

  @Test("A ruleset that is made to be slow is looked through in bounded time") func hostile() throws {
    var random = Random.fresh()
    var rules = base6
    for index in 0..<2_000 {
      let addresses = ["-s", "-d"].map { "\($0) \(String(random.below(65536), radix: 16))::/\(random.below(128) + 1)" }
      let marks = (0..<20).map { "-m mark --mark \((index + $0 * 7) % 100)" }
      rules += "-A INPUT \((addresses + marks).joined(separator: " ")) -i eth0 -o eth1 -p tcp --dport 1 -j DROP\n"
    }
    let start = ProcessorTime.now
    _ = Linter.run(try subject("", filter(rules)))
    print("hostile rules linted in \(ProcessorTime.now - start)")
    #expect(ProcessorTime.now - start < .seconds(120))
  }
}
