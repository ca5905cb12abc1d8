import Core
import Ruleset
import Testing

@Suite struct LockLayerTests {
  static let plain = profile(input: ["-i lo -j RETURN"])
  private let hooks = ["INPUT", "FORWARD", "OUTPUT"].map { "-A \($0) -j PCLLOCK-\($0)" }

  @Test func `the first load makes the chains and hooks them first, and a refill only fills them`() throws {
    let layer = try layer(Self.plain)
    let refill = [
      "*mangle", ":PCLLOCK-INPUT - [0:0]", ":PCLLOCK-FORWARD - [0:0]", ":PCLLOCK-OUTPUT - [0:0]",
      "-A PCLLOCK-INPUT -i lo -j RETURN", "-A PCLLOCK-INPUT \(nonSYN)", "-A PCLLOCK-INPUT -j DROP",
      "-A PCLLOCK-FORWARD \(nonSYN)", "-A PCLLOCK-FORWARD -j DROP", "-A PCLLOCK-OUTPUT \(nonSYN)",
      "-A PCLLOCK-OUTPUT -j DROP", "COMMIT",
    ]
    #expect(lines(layer.refill) == refill)
    let inserted = ["INPUT", "FORWARD", "OUTPUT"].map { "-I \($0) 1 -j PCLLOCK-\($0)" }
    #expect(lines(layer.first) == refill.dropLast() + inserted + ["COMMIT"])
  }

  // MARK: What a profile may be

  static let refused: [(String, String)] = [
    (filter("-A INPUT -j DROP"), "table mangle and no other"),
    (plain + filter("-A INPUT -j DROP"), "table mangle and no other"),
    (
      plain.replacing(":OUTPUT ACCEPT [0:0]\n", with: "").replacing("-A OUTPUT -j DROP\n", with: "")
        .replacing("-A OUTPUT \(nonSYN)\n", with: ""), "chain OUTPUT is missing"
    ),
    (plain.replacing(":INPUT ACCEPT", with: ":PREROUTING ACCEPT\n:INPUT ACCEPT"), "chain PREROUTING: only"),
    (plain.replacing(":INPUT ACCEPT", with: ":web -\n:INPUT ACCEPT"), "chain web: only"),
    (plain.replacing(":INPUT ACCEPT", with: ":INPUT DROP"), "its policy is not loaded"),
    (plain.replacing("-A FORWARD \(nonSYN)\n", with: ""), "chain FORWARD: it lacks the rule `-A FORWARD -p tcp"),
    (profile(last: "-p tcp -m tcp --dport 80 -j ACCEPT"), "chain INPUT, rule 2: it must end in one of DROP, LOG"),
    (profile(last: "-j MARK --set-xmark 0x1"), "it must end in one of"),
    (profile(last: "-p udp"), "it must end in one"),
    (profile(last: "-m set --match-set x src -j DROP"), "it names an ipset"),
    (
      profile(input: ["-j RETURN"]),
      "chain INPUT, rule 1, above the rule against packets without SYN: it returns packets"
    ),
    (profile(input: ["-s 192.0.2.1 -j RETURN"]), "returns packets of every protocol"),
    (profile(input: ["! -i lo -j RETURN"]), "returns packets of every protocol"),
    (profile(input: ["-i lo+ -j RETURN"]), "returns packets of every protocol"),
    (profile(input: ["! -p udp -j RETURN"]), "returns packets of every protocol"),
    (
      profile(output: ["-p tcp -m conntrack --ctdir REPLY --dport 80 -j RETURN"]),
      "returns TCP by its connection's state"
    ),
    (profile(output: ["-p tcp -m state --state ESTABLISHED -m tcp --dport 80 -j RETURN"]), "by its connection's state"),
    (profile(forward: ["-p tcp -j RETURN"]), "chain FORWARD, rule 1"),
    (profile(forward: ["-p 6 -m mark --mark 0x1 -j RETURN"]), "returns TCP from and to everybody"),
    (profile(forward: ["-p tcp -s 0.0.0.0/0 -j RETURN"]), "returns TCP from and to everybody"),
    (profile(forward: ["-p tcp ! -s 192.0.2.1 -j RETURN"]), "returns TCP from and to everybody"),
    (profile(forward: ["-p tcp -m tcp ! --dport 22 -j RETURN"]), "returns TCP from and to everybody"),
    (profile(forward: ["-p tcp -m tcp --dport 0:65535 -j RETURN"]), "returns TCP from and to everybody"),
    (profile(forward: ["-p all -j RETURN"]), "returns TCP from and to everybody"),
  ]

  @Test(arguments: refused.indices) func `a profile that could open something, or let old TCP live, is refused`(
    index: Int
  ) throws {
    let (text, reason) = Self.refused[index]
    let ruleset = try policy(text)
    let problem = #expect(throws: LockLayer.Refused.self) { try LockLayer(ruleset, .ipv4) }
    #expect(problem?.reason.contains(reason) == true, "\(problem?.description ?? "none")")
  }

  @Test(arguments: [
    "-s 192.0.2.1/32 -p tcp -m tcp --dport 22 -j RETURN", "-p tcp -m multiport --dports 22,2222 -j RETURN",
    "-p udp -m udp --sport 53 -m conntrack --ctdir REPLY -j RETURN", "-p icmp -m icmp --icmp-type 3 -j RETURN",
    "-p tcp -d 10.0.0.0/8 -j RETURN", "-m limit --limit 5/min -j LOG --log-prefix \"locked -j ACCEPT \"",
    "-j NFLOG --nflog-group 3", "-p tcp -j DROP", "-p tcp -m tcp --dport 22 -m comment --comment \"-m set\" -j RETURN",
  ]) func `what profiles need above the line is taken`(rule: String) throws {
    for text in [profile(input: [rule]), profile(forward: [rule]), profile(output: [rule])] { _ = try layer(text) }
  }

  @Test func `a rule that would be two lines is refused`() throws {
    var ruleset = try policy(Self.plain)
    let rule = Rule(text: Array("-A INPUT -j DROP\n-I INPUT 1 -j ACCEPT".utf8), line: 7)
    ruleset.tables[0].chains[0].rules.insert(rule, at: 0)
    let problem = #expect(throws: LockLayer.Refused.self) { try LockLayer(ruleset, .ipv4) }
    #expect(problem?.description == "line 7: chain INPUT, rule 1: its words are not in order")
  }

  // MARK: Reading

  private func locked(_ layer: LockLayer) throws -> Ruleset {
    let beneath = try save(beneathLock)
    return Ruleset(tables: [layer.table(in: beneath[table: "mangle"])] + beneath.tables.dropFirst())
  }

  @Test func `a save is split into the layer and what lies beneath`() throws {
    let layer = try layer(Self.plain)
    let beneath = try save(beneathLock)
    let whole = try locked(layer)
    let split = LockLayer.split(whole)
    #expect(split.beneath.digest == beneath.digest)
    #expect(split.layer.digest == LockLayer.split(saved(layer)).layer.digest)
    #expect(layer.difference(split.layer) == nil)
    #expect(layer.mend(whole) == nil)
    let without = LockLayer.split(beneath)
    #expect(without.beneath == beneath && without.layer.tables.isEmpty)
    #expect(layer.difference(without.layer) == "its chains are missing")
    #expect(lines(layer.mend(beneath)) == lines(layer.first))
    #expect(LockLayer.removal(beneath) == nil)
  }

  @Test func `what stands above the hook belongs to the layer, what stands below does not`() throws {
    let layer = try layer(Self.plain)
    var whole = try locked(layer)
    let expected = LockLayer.split(whole).layer.digest
    let input = try #require(whole.tables[0].chains.firstIndex { $0.name == "INPUT" })
    let accept = Rule(text: Array("-A INPUT -p tcp -j ACCEPT".utf8))
    whole.tables[0].chains[input].rules.append(accept)
    #expect(LockLayer.split(whole).layer.digest == expected && layer.mend(whole) == nil)
    whole.tables[0].chains[input].rules.insert(accept, at: 0)
    #expect(LockLayer.split(whole).layer.digest != expected)
    #expect(layer.difference(LockLayer.split(whole).layer) == "INPUT does not call the lockdown first")
    whole.tables[0].chains[input].policy = "DROP"
    whole.tables[0].chains[input].rules.removeFirst()
    #expect(LockLayer.split(whole).layer.digest == expected)
  }

  @Test func `each way in which a layer may differ has its words, and mending says what is taken out`() throws {
    let layer = try layer(Self.plain)
    func differing(_ change: (inout RuleTable) -> Void) throws -> (String?, [String]) {
      var whole = try locked(layer)
      change(&whole.tables[0])
      return (layer.difference(LockLayer.split(whole).layer), lines(layer.mend(whole)).filter { $0.hasPrefix("-D") })
    }
    func place(_ name: String, _ table: RuleTable) -> Int { table.chains.firstIndex { $0.name == name }! }
    func rule(_ text: String) -> Rule { Rule(text: Array(text.utf8)) }
    let all = hooks.map { "-D" + $0.dropFirst(2) }

    let cases: [(String, (inout RuleTable) -> Void, [String])] = [
      ("chain PCLLOCK-OUTPUT is missing", { $0.chains.removeAll { $0.name == "PCLLOCK-OUTPUT" } }, all),
      ("chain PCLLOCK-INPUT has 2 rules, not 3", { $0.chains[place("PCLLOCK-INPUT", $0)].rules.removeLast() }, all),
      (
        "rule 2 of chain PCLLOCK-FORWARD leads elsewhere than it should",
        { $0.chains[place("PCLLOCK-FORWARD", $0)].rules[1] = rule("-A PCLLOCK-FORWARD -j RETURN") }, all
      ),
      (
        "INPUT does not call the lockdown", { $0.chains[place("INPUT", $0)].rules.removeFirst() },
        Array(all.dropFirst())
      ),
      (
        "INPUT does not call the lockdown",
        { $0.chains[place("INPUT", $0)].rules[0] = rule("-A INPUT -s 192.0.2.1/32 -j PCLLOCK-INPUT") },
        ["-D INPUT -s 192.0.2.1/32 -j PCLLOCK-INPUT"] + all.dropFirst()
      ),
      (
        "INPUT does not call the lockdown",
        { $0.chains[place("INPUT", $0)].rules[0] = rule("-A INPUT -g PCLLOCK-INPUT") },
        ["-D INPUT -g PCLLOCK-INPUT"] + all.dropFirst()
      ),
      (
        "INPUT calls the lockdown more than once",
        { $0.chains[place("INPUT", $0)].rules.append(rule("-A INPUT -j PCLLOCK-INPUT")) },
        [all[0]] + all
      ),
      ("chain FORWARD hangs nowhere", { $0.chains[place("FORWARD", $0)].policy = nil }, all),
      (
        "chain MINE calls the lockdown too",
        { $0.chains[place("MINE", $0)].rules.append(rule("-A MINE -j PCLLOCK-INPUT")) },
        all + ["-D MINE -j PCLLOCK-INPUT"]
      ),
    ]
    for (words, change, deleted) in cases {
      let (difference, deletions) = try differing(change)
      #expect(difference == words)
      #expect(deletions.sorted() == deleted.sorted(), "\(words)")
    }
  }

  @Test func `removal takes out every call and the chains, and nothing else`() throws {
    let layer = try layer(Self.plain)
    var whole = try locked(layer)
    let mine = try #require(whole.tables[0].chains.firstIndex { $0.name == "MINE" })
    // A comment with a line break cannot be given back: the chain it calls stays, empty.
    whole.tables[0].chains[mine].rules += [
      Rule(text: Array("-A MINE -p udp -j PCLLOCK-OUTPUT".utf8)),
      Rule(text: Array("-A MINE -m comment --comment \"a\nb\" -j PCLLOCK-FORWARD".utf8)),
    ]
    #expect(
      lines(LockLayer.removal(whole)) == [
        "*mangle", "-D INPUT -j PCLLOCK-INPUT", "-D FORWARD -j PCLLOCK-FORWARD", "-D OUTPUT -j PCLLOCK-OUTPUT",
        "-D MINE -p udp -j PCLLOCK-OUTPUT", "-F PCLLOCK-INPUT", "-F PCLLOCK-FORWARD", "-F PCLLOCK-OUTPUT",
        "-X PCLLOCK-INPUT", "-X PCLLOCK-OUTPUT", "COMMIT",
      ])
  }

  @Test func `a table that is loaded whole has the layer first, whatever it says of such chains itself`() throws {
    let layer = try layer(Self.plain)
    let own = try save(
      """
      *mangle
      :INPUT DROP [0:0]
      :PCLLOCK-INPUT - [0:0]
      -A INPUT -p udp -j ACCEPT
      -A INPUT -j PCLLOCK-INPUT
      -A PCLLOCK-INPUT -j RETURN
      COMMIT

      """)
    let table = layer.table(in: own[table: "mangle"])
    #expect(layer.difference(LockLayer.split(Ruleset(tables: [table])).layer) == nil)
    #expect(table[chain: "INPUT"]?.policy == "DROP")
    #expect(table[chain: "INPUT"]?.rules.map { lines($0.text)[0] } == [hooks[0], "-A INPUT -p udp -j ACCEPT"])
    #expect(table.chains.filter { $0.name == "PCLLOCK-INPUT" }.count == 1)
    // A table that the release empties names every chain, as the backends disagree about those left out.
    #expect(layer.table(in: nil).chains.count == 8)
  }
}
