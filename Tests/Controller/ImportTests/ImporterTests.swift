import Core
import Import
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
          - accept: { tcp: ["80", "443"], comment: "public site" }
          - accept: { from: 192.0.2.7, tcp: "22" }
          - accept: { proto: icmp, family: ipv4 }
          - accept: { from: "2001:db8::/64", udp: "60000-61000" }

        """)
    #expect(policy.typedRules == 11 && policy.rawRules == 0 && policy.notes == [] && policy.leftOut == [])
    try expectSame(policy)
  }

  @Test("From the first rule that the language cannot say the chain is raw, but for what closes it") func mixed() throws
  {
    let policy = try imported(
      filter(
        """
        -A INPUT -i lo -j ACCEPT
        -A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT
        -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
        -A INPUT -j web
        -A INPUT -m limit --limit 5/min -j LOG --log-prefix "in: "
        -A INPUT -j REJECT --reject-with icmp-port-unreachable
        -A web -p tcp -m tcp --dport 80 -j ACCEPT
        """), "")
    #expect(policy.yaml.contains("raw:\n  ipv4: |\n    *filter\n    :FORWARD DROP\n"))
    try expectSame(policy)
    let same = try imported(
      filter(
        "-A INPUT -i lo -j ACCEPT\n-A INPUT -j web\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -j LOG\n-A INPUT -j DROP\n-A web -j RETURN",
        forward: "ACCEPT"),
      filter("-A INPUT -i lo -j ACCEPT\n-A INPUT -j DROP", forward: "ACCEPT"))
    #expect(
      same.yaml.hasSuffix(
        """
        defaults: { input: drop, forward: accept, output: accept }
        input:
          - accept: { in: lo }
          - drop: { family: ipv6 }
        input_last:
          - log: { family: ipv4 }
          - drop: { family: ipv4 }
        raw:
          ipv4: |
            *filter
            :web -
            -A INPUT -j web
            -A INPUT -p tcp -j ACCEPT
            -A web -j RETURN
            COMMIT

        """))
    #expect(same.typedRules == 5 && same.rawRules == 3)
    try expectSame(same)
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

  @Test("Families whose defaults differ are raw as a whole") func differentDefaults() throws {
    let policy = try imported(filter("-A INPUT -i lo -j ACCEPT"), filter("-A INPUT -i lo -j ACCEPT", input: "ACCEPT"))
    #expect(!policy.yaml.contains("defaults:") && policy.yaml.contains("    :INPUT DROP") && policy.typedRules == 0)
    try expectSame(policy)
  }

  @Test("NAT and other tables") func tables() throws {
    let text =
      "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
      + "-A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.8.0.5:80\n"
      + "-A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE\n-A POSTROUTING -o eth1 -j MASQUERADE\n"
      + "-A POSTROUTING -s 10.9.0.0/24 -o eth0 -j SNAT --to-source 192.0.2.80\nCOMMIT\n"
      + "*mangle\n:PREROUTING ACCEPT\n:INPUT DROP\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT\n"
    let policy = try imported(text + filter("", input: "ACCEPT", forward: "ACCEPT"), "")
    #expect(
      policy.yaml.contains(
        """
        nat:
          - masquerade: { from: 10.8.0.0/24, out: eth0 }
          - masquerade: { out: eth1, family: ipv4 }
          - snat: { from: 10.9.0.0/24, out: eth0, to: 192.0.2.80 }
        raw:
          ipv4: |
            *mangle

        """))
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
    #expect(try imported("", "").notes == [])
    try expectSame(try imported("", ""))
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

  @Test("What no policy can hold is refused at its line") func refused() throws {
    let long =
      "-A INPUT -m comment --comment \"\(String(repeating: "x", count: 250))\" -m string --string \"\(String(repeating: "y", count: 900))\" --algo bm -j DROP"
    let error = #expect(throws: Diagnostics.self) { try imported(filter("-A INPUT -i lo -j ACCEPT\n" + long), "") }
    #expect(error?.all.first?.location.line == 7 && error?.all.first?.location.file == "rules.v4")
    #expect(throws: Diagnostics.self) { try imported("*filter\nnonsense\n", "") }
    #expect(throws: Diagnostics.self) { try imported("*strange\n:A ACCEPT\n-A A -j DROP\nCOMMIT\n", "") }
  }

  @Test("Sets are named, as they are not imported") func sets() throws {
    let policy = try imported(filter("-A INPUT -m set --match-set bad src -j DROP"), "")
    #expect(policy.notes == ["rules over IPv4 name the ipset bad, which is not imported: they load only where it is"])
  }

  @Test("Random rules of both families come back as they were") func random() throws {
    var random = Random.fresh()
    let count = 400
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
        return filter(rules.joined(separator: "\n"))
      }
      let policy: ImportedPolicy
      do { policy = try imported(texts.ipv4, texts.ipv6) } catch { continue }
      typed += policy.typedRules
      raw += policy.rawRules
      try expectSame(policy)
      for family in Family.allCases { #expect(canonical(policy.rulesets[family]) == (try canonical(texts[family]))) }
    }
    print("\(count) pairs of rulesets, \(typed) rules typed and \(raw) raw")
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
