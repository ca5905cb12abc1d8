import Core
import Foundation
import Import
import Policy
import Ruleset
import TestSupport
import Testing

@Suite("Rules become a policy") struct ImporterTests {
  @Test("A whole policy, typed from top to bottom") func whole() throws {
    let common = """
      -A INPUT -i lo -j ACCEPT
      -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
      -A INPUT -m conntrack --ctstate INVALID -j DROP
      -A INPUT -p tcp -m multiport --dports 80,443 -m comment --comment "public site" -j ACCEPT

      """
    var options = options
    options.modeline = "# yaml-language-server: $schema=../schemas/policy.json"
    options.description = "from web1"
    options.mode = "exclusive"
    let policy = try imported(
      filter(common + "-A INPUT -s 192.0.2.7/32 -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -p icmp -j ACCEPT"),
      filter(common + "-A INPUT -s 2001:db8::/64 -p udp -m udp --dport 60000:61000 -j ACCEPT"), options)
    #expect(
      policy.yaml == """
        # yaml-language-server: $schema=../schemas/policy.json
        policy: web
        description: "from web1"
        applies_to: webservers
        mode: exclusive
        # Answers are accepted where a rule says so, and nowhere else.
        established: explicit
        defaults: { input: drop, forward: drop, output: accept }
        input:
          - accept: { in: lo }
          - accept: established
          - drop: invalid
          - accept: { service: [http, https], comment: "public site" }
          - accept: { from: 192.0.2.7, tcp: "22" }
          - accept: { proto: icmp, family: ipv4 }
          - accept: { from: "2001:db8::/64", service: mosh }

        """)
    #expect(policy.typedRules == 11 && policy.rawRules == 0 && policy.notes == [] && policy.leftOut == [])
    try expectSame(policy)
  }

  @Test("What the language cannot say is raw at its place, between what it can") func mixed() throws {
    let same = try imported(
      filter(
        "-A INPUT -i lo -j ACCEPT\n-A INPUT -j web\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -m mark --mark 0x1 -j DROP\n-A INPUT -j DROP\n-A web -j RETURN",
        forward: "ACCEPT"),
      filter("-A INPUT -i lo -j ACCEPT\n-A INPUT -m mark --mark 0x1 -j DROP\n-A INPUT -j DROP", forward: "ACCEPT"))
    #expect(
      same.yaml.hasSuffix(
        """
        defaults: { input: drop, forward: accept, output: accept }
        input:
          - accept: { in: lo }
          - raw: { ipv4: "-A INPUT -j web" }
          - accept: { proto: tcp, family: ipv4 }
          - raw: "-A INPUT -m mark --mark 0x1 -j DROP"
          - drop: {}
        raw:
          ipv4: |
            *filter
            :web -
            -A web -j RETURN
            COMMIT

        """))
    #expect(same.typedRules == 5 && same.rawRules == 4)
    try expectSame(same)
  }

  @Test("Ports have the names of the service table, where all of them have one") func services() throws {
    let rules =
      "-A INPUT -p tcp -m multiport --dports 443,80 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 3306 -j ACCEPT\n"
      + "-A INPUT -p tcp -m multiport --dports 80,81 -j ACCEPT\n-A INPUT -p udp -m udp --dport 443 -j ACCEPT\n"
    let policy = try imported(filter(rules), filter(rules))
    #expect(
      policy.yaml.hasSuffix(
        """
        input:
          - accept: { service: [https, http] }
          - accept: { service: mysql }
          - accept: { tcp: ["80", "81"] }
          - accept: { service: http3 }

        """))
    try expectSame(policy)
  }

  @Test("A service that means other ports where the policy will stand is not named") func ownServices() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("import-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data("services: { http: tcp/8080 }\n".utf8).write(to: folder.appendingPathComponent("common.yaml"))
    var options = options
    options.directory = folder.path
    let rules = filter("-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT")
    let policy = try imported(rules, rules, options)
    #expect(policy.yaml.contains("- accept: { tcp: \"80\" }") && policy.rawRules == 0)
    try expectSame(policy)
  }

  @Test("A chain that would not come back as it was is raw") func fallback() throws {
    // The language writes this rate as the kernel keeps it.
    let rules = "-A INPUT -i lo -j ACCEPT\n-A INPUT -m limit --limit 60/min -j LOG\n-A FORWARD -i lo -j ACCEPT"
    let policy = try imported(filter(rules), "")
    #expect(policy.yaml.contains("- raw: { ipv4: \"-A INPUT -i lo -j ACCEPT\" }") && policy.typedRules == 1)
    try expectSame(policy)
  }

  @Test("Traffic with a name is said by it, where both families have it") func words() throws {
    let ipv4 = [3, 11, 12, 8].map { "-A INPUT -p icmp -m icmp --icmp-type \($0) -j ACCEPT\n" }.joined()
    let ipv6 =
      (133...136).map { "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type \($0) -m hl --hl-eq 255 -j ACCEPT\n" }.joined()
      + [130, 131, 132, 143].map {
        "-A INPUT -s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type \($0) -j ACCEPT\n"
      }.joined()
      + [1, 2, 3, 4, 128, 129].map { "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type \($0) -j ACCEPT\n" }.joined()
    let dhcp = PerFamily(
      ipv4: "-A INPUT -p udp -m udp --sport 67 --dport 68 -j ACCEPT\n",
      ipv6: "-A INPUT -s fe80::/10 -d fe80::/10 -p udp -m udp --sport 547 --dport 546 -j ACCEPT\n")
    let both = try imported(
      filter(ipv4 + dhcp.ipv4 + "-A INPUT -m pkttype --pkt-type broadcast -j DROP"), filter(ipv6 + dhcp.ipv6))
    #expect(
      both.yaml.hasSuffix("input:\n  - accept: icmp-essential\n  - accept: dhcp-client\n  - drop: broadcast\n"),
      "\(both.yaml)")
    #expect(both.rawRules == 0)
    try expectSame(both)
    let one = try imported(filter(ipv4 + dhcp.ipv4), filter(""))
    #expect(one.yaml.contains("- accept: { icmp: destination-unreachable }") && one.rawRules == 1)
    #expect(!one.yaml.contains("icmp-essential"))
    try expectSame(one)
    // Another order is another list of rules.
    let other = try imported(filter("-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT\n" + ipv4), filter(ipv6))
    #expect(other.yaml.contains("- accept: { icmp: echo-request }\n  - accept: icmp-essential\n"))
    try expectSame(other)
  }

  @Test("Answers that are accepted in one family only, or at other places") func answers() throws {
    let answers = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
    let policy = try imported(filter("-A INPUT -i lo -j ACCEPT\n" + answers), filter("-A INPUT -i lo -j ACCEPT\n"))
    #expect(policy.yaml.contains("- accept: { state: [related, established], family: ipv4 }") && policy.rawRules == 0)
    try expectSame(policy)
    try expectSame(
      try imported(filter(answers + "-A INPUT -i lo -j ACCEPT\n"), filter("-A INPUT -i lo -j ACCEPT\n" + answers)))
    try expectSame(try imported(filter("-A INPUT -i lo -j ACCEPT\n"), filter("")))
  }

  @Test("Defaults that differ between the families are declared for each") func differentDefaults() throws {
    let policy = try imported(filter("-A INPUT -i lo -j ACCEPT"), filter("-A INPUT -i lo -j ACCEPT", input: "ACCEPT"))
    #expect(
      policy.yaml.hasSuffix(
        """
        defaults: { forward: drop, output: accept }
        input:
          - accept: { in: lo }
        raw:
          ipv4: |
            *filter
            :INPUT DROP
            COMMIT
          ipv6: |
            *filter
            :INPUT ACCEPT
            COMMIT

        """))
    #expect(policy.typedRules == 2 && policy.rawRules == 0)
    try expectSame(policy)
    try expectSame(
      try imported(
        "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n",
        filter("", input: "ACCEPT", forward: "ACCEPT")))
  }

  @Test("NAT and other tables") func tables() throws {
    let text =
      "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
      + "-A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.8.0.5:80\n"
      + "-A PREROUTING -d 192.0.2.9/32 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.8.0.6\n"
      + "-A PREROUTING -p tcp -m tcp --dport 443 -m addrtype --dst-type LOCAL -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.8.0.5\n"
      + "-A PREROUTING -p tcp -m tcp --dport 443 -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.8.0.6\n"
      + "-A PREROUTING -i eth1 -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353\n"
      + "-A POSTROUTING -s 10.8.0.0/24 -d 10.9.0.0/24 -j ACCEPT\n"
      + "-A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE\n-A POSTROUTING -o eth1 -j MASQUERADE\n"
      + "-A POSTROUTING -s 10.9.0.0/24 -o eth0 -j SNAT --to-source 192.0.2.80\nCOMMIT\n"
      + "*mangle\n:PREROUTING ACCEPT\n:INPUT DROP\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT\n"
    let policy = try imported(text + filter("", input: "ACCEPT", forward: "ACCEPT"), "")
    #expect(
      policy.yaml.contains(
        """
        nat:
          - forward-port: { in: eth0, tcp: "80", to: "10.8.0.5:80", forward: explicit }
          - raw: { ipv4: "-A PREROUTING -d 192.0.2.9/32 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.8.0.6" }
          - balance: { tcp: "443", to: ["10.8.0.5", "10.8.0.6"], forward: explicit }
          - redirect: { in: eth1, udp: "53", to: "5353", family: ipv4 }
          - exempt: { from: 10.8.0.0/24, to: 10.9.0.0/24 }
          - masquerade: { from: 10.8.0.0/24, out: eth0 }
          - masquerade: { out: eth1, family: ipv4 }
          - snat: { from: 10.9.0.0/24, out: eth0, to: 192.0.2.80 }
        raw:
          ipv4: |
            *mangle

        """), "\(policy.yaml)")
    try expectSame(policy)
  }

  @Test("A family that nobody asked is told, and dropped where that is wanted") func missing() throws {
    let text = filter("-A INPUT -i lo -j ACCEPT")
    let open = try imported(text)
    #expect(open.notes == ["no IPv6 rules were given: the policy does not filter it"])
    try expectSame(open)
    var options = options
    options.missingIPv6 = .dropAll
    let closed = try imported(text, nil, options)
    #expect(closed.notes == ["no IPv6 rules were given: the policy drops all of it"])
    #expect(closed.yaml.contains("ipv6: drop-all\n") && closed.yaml.contains("  - accept: { in: lo }\n"))
    #expect(canonical(try compiled(closed.yaml).ipv4) == (try canonical(text)))
  }

  @Test("A host without tables is a fact that is told, a file without any a save that failed")
  func noTables() throws {
    let open = try imported("", "# nothing\n")
    #expect(open.notes == ["IPv4", "IPv6"].map { "no \($0) table is loaded: the policy does not filter it" })
    try expectSame(open)
    var options = options
    options.source = .files
    for (ipv4, ipv6, file) in [
      ("", nil, "rules.v4"), ("# only a comment\n\n", filter(""), "rules.v4"), (filter(""), "", "rules.v6"),
    ] as [(String, String?, String)] {
      let error = #expect(throws: Diagnostics.self) { try imported(ipv4, ipv6, options) }
      #expect(error?.all.first?.location.file == file && error?.all.first?.hint != nil)
      #expect(error?.all.first?.message.hasPrefix("the file declares no table") == true)
    }
    #expect(try imported("*filter\nCOMMIT\n", filter(""), options).notes == [])
  }

  @Test("Text that YAML 1.1 reads as something else is quoted") func quoting() throws {
    var options = options
    options.name = "no"
    options.appliesTo = "0644"
    options.description = "a \"b\": \\ # c\u{202e}\u{7}"
    let rules = "-A INPUT -i no -j ACCEPT\n-A INPUT -i 1e3 -j ACCEPT\n-A INPUT -m comment --comment 22:30 -j DROP"
      .replacing("--comment 22:30", with: "--comment \"22:30 - [x]\"")
    let policy = try imported(filter(rules), filter(rules), options)
    #expect(
      policy.yaml.hasPrefix(
        "policy: \"no\"\ndescription: \"a \\\"b\\\": \\\\ # c\\U0000202e\\x07\"\napplies_to: \"0644\"\n"))
    #expect(policy.yaml.contains("- accept: { in: \"no\" }\n  - accept: { in: \"1e3\" }"))
    try expectSame(policy)
  }

  @Test("Characters that a policy cannot hold are replaced, and told") func characters() throws {
    let policy = try imported(filter("-A INPUT -m comment --comment \"Büro\" -i eth0 -j ACCEPT"), "")
    #expect(
      policy.notes.first == "rules.v4:6: a policy is plain ASCII: other characters became `?`, as the plan will show")
    #expect(policy.yaml.contains("\"B?ro\""))
    try expectSame(policy)
  }

  @Test(
    "Other characters in anything but free text would name something else",
    arguments: [
      "-A INPUT -i ethé -j DROP", "-A INPUT -m recent --name ü --set -j DROP",
      "-A INPUT -m string --string \"é\" --algo bm -j DROP", "-A INPUT -m comment --comment \"ü\" -i ethé -j DROP",
    ]) func otherCharacters(rule: String) throws
  {
    let error = #expect(throws: Diagnostics.self) { try imported(filter("-A INPUT -i lo -j ACCEPT\n" + rule), "") }
    let problem = try #require(error?.all.first)
    #expect(problem.location.file == "rules.v4" && problem.location.line == 7 && problem.message.contains("ASCII"))
    #expect(problem.location.column > 10)
  }

  @Test("A rule that only counts is kept") func counting() throws {
    let rules = filter("-A INPUT -i lo -j ACCEPT\n-A INPUT\n-A web")
    let policy = try imported(rules, filter("-A INPUT"))
    #expect(policy.yaml.contains("  - raw: \"-A INPUT\"\n") && policy.rulesets.ipv4.ruleCount == 3)
    try expectSame(policy)
  }

  @Test("Rules over the other family's ICMP match nothing and are left out") func otherICMP() throws {
    let policy = try imported(
      filter("-A INPUT -p ipv6-icmp -j ACCEPT\n-A INPUT -p icmp -j ACCEPT"),
      filter("-A INPUT -p icmp -j ACCEPT\n-A INPUT -p ipv6-icmp -j ACCEPT"))
    #expect(
      policy.notes == [
        "rules.v4:6: left out: `-p ipv6-icmp` matches nothing over IPv4",
        "rules.v6:6: left out: `-p icmp` matches nothing over IPv6",
      ])
    #expect(policy.rulesets.ipv4.ruleCount == 1 && policy.rulesets.ipv6.ruleCount == 1)
    try expectSame(policy)
    // Negated it takes every packet.
    let all = filter("-A INPUT ! -p ipv6-icmp -j DROP")
    let error = #expect(throws: Diagnostics.self) { try imported(all, filter("")) }
    #expect(error?.all.first?.location.line == 6)
  }

  @Test("What the language has no way to say is told at its line in the save, as nobody has the draft")
  func places() throws {
    for (rules, line) in [
      ("-A INPUT -i lo -j ACCEPT\n-A INPUT -j controllers\n-A controllers -j DROP", 8...9),
      ("-A INPUT -i lo -j ACCEPT\n-A PCLX -j DROP\n-A INPUT -j PCLX", 8...9),
    ] {
      let error = #expect(throws: Diagnostics.self) { try imported(filter(""), filter(rules)) }
      let problems = try #require(error?.all)
      #expect(problems.allSatisfy { $0.location.file == "rules.v6" && line.contains($0.location.line) }, "\(problems)")
    }
    let same = try imported(filter("-A INPUT -m comment --comment controllers -j DROP"), filter(""))
    #expect(same.yaml.contains("comment: \"controllers\""))
    try expectSame(same)
  }

  @Test("What no policy can hold is refused at its line") func refused() throws {
    let long =
      "-A INPUT -m comment --comment \"\(String(repeating: "x", count: 250))\" -m string --string \"\(String(repeating: "y", count: 900))\" --algo bm -j DROP"
    let error = #expect(throws: Diagnostics.self) { try imported(filter("-A INPUT -i lo -j ACCEPT\n" + long), "") }
    #expect(error?.all.first?.location.line == 7 && error?.all.first?.location.file == "rules.v4")
    #expect(throws: Diagnostics.self) { try imported("*filter\nnonsense\n", "") }
    #expect(throws: Diagnostics.self) { try imported("*strange\n:A ACCEPT\n-A A -j DROP\nCOMMIT\n", "") }
  }

  @Test("Sets are named, as they are not imported") func sets() throws {
    let policy = try imported(filter("-A INPUT -m set --match-set bad src -j DROP"), filter(""))
    #expect(policy.notes == ["rules over IPv4 name the ipset bad, which is not imported: they load only where it is"])
  }

  private static let essentials = PerFamily { family in
    WordTexts.rules(.input, family, target: "ACCEPT").first { $0.word == "icmp-essential" }?.rules ?? []
  }

  @Test("Random rules of both families come back as they were") func random() throws {
    var random = Random.fresh()
    let count = 400
    let kinds = [
      "icmp-essential", "icmp: ", "icmpv6: ", "service: ", "forward-port: ", "balance: ", "mode: random", "redirect: ",
      "exempt: ", "masquerade: ", "- raw: \"", "- raw: { ipv6", ":INPUT ACCEPT",
    ]
    var seen: Set<String> = []
    var typed = 0
    var raw = 0
    for _ in 0..<count {
      // Much of both families is the same, as people write them.
      let common = (0..<random.below(6)).map { _ in
        TypedRuleTests.rule(&random, .ipv4)
      }.filter { !$0.contains("/") && !$0.contains("icmp") }
      let texts = PerFamily<String> { family in
        var rules = common
        for _ in 0..<random.below(8) {
          rules.insert(TypedRuleTests.rule(&random, family), at: random.below(rules.count + 1))
        }
        // Names of kinds of traffic, whole and with a rule of them missing.
        if random.below(3) == 0 {
          var named = Self.essentials[family]
          if random.below(3) == 0 { named.remove(at: random.below(named.count)) }
          rules.insert(contentsOf: named, at: random.below(rules.count + 1))
        }
        let nat = (0..<random.below(4)).flatMap { _ in TypedRuleTests.translation(&random, family) }
        return filter(
          rules.joined(separator: "\n"), input: random.pick(["DROP", "DROP", "ACCEPT"]))
          + "*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n"
          + nat.map { $0 + "\n" }.joined() + "COMMIT\n"
      }
      let policy: ImportedPolicy
      do { policy = try imported(texts.ipv4, texts.ipv6) } catch { continue }
      typed += policy.typedRules
      raw += policy.rawRules
      try expectSame(policy)
      for family in Family.allCases {
        let read = try Ruleset.parse(save: Array(texts[family].utf8), file: "save")
        #expect(canonical(policy.rulesets[family]) == canonical(RuleSpelling.normal(read, family)))
      }
      for said in kinds where policy.yaml.contains(said) { seen.insert(said) }
    }
    print("\(count) pairs of rulesets, \(typed) rules typed and \(raw) raw")
    #expect(seen == Set(kinds))
    #expect(typed > count / 2 && raw > count)
  }

  @Test("No mutation of a save crashes the importer, and what it writes says the same") func fuzz() throws {
    var random = Random.fresh()
    let seeds = [
      filter(
        "-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m multiport --dports 22,80 -j f2b-sshd\n-A f2b-sshd -j RETURN"),
      "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE\nCOMMIT\n",
      "*filter\n:INPUT DROP [0:0]\n:PCL-INPUT - [0:0]\n:PCL:web - [0:0]\n-A INPUT -j PCL-INPUT\n-A PCL-INPUT -j PCL:web\n-A PCL-INPUT -j DROP\nCOMMIT\n",
    ].map { Array($0.utf8) }
    let count = 10_000
    var read = 0
    for _ in 0..<count {
      var text = random.pick(seeds)
      for _ in 0...random.below(2) {
        let place = random.below(text.count)
        switch random.below(3) {
        case 0: text[place] = UInt8(random.below(256))
        case 1: text.removeSubrange(place..<min(text.count, place + random.below(12)))
        default:
          text.insert(contentsOf: text[place..<min(text.count, place + random.below(60))], at: random.below(text.count))
        }
        if text.isEmpty { text = [10] }
      }
      guard let policy = try? Importer.run(PerFamily(ipv4: text, ipv6: random.below(2) == 0 ? text : nil), options)
      else {
        continue
      }
      read += 1
      if read % 10 == 0 { try expectSame(policy) }
    }
    print("\(count) mutated saves, \(read) imported")
    #expect(read > count / 20)
  }
}
