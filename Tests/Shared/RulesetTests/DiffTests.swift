import Core
import Ruleset
import TestSupport
import Testing

@Suite("The difference of two rulesets")
struct DiffTests {
  @Test func `It shows rules, policies, chains and tables, and nothing else`() throws {
    let old = try save(
      """
      *filter
      :INPUT ACCEPT [1:1]
      :FORWARD DROP [0:0]
      :OLD - [0:0]
      -A INPUT -i lo -j ACCEPT
      -A INPUT -s 10.0.0.1/32 -j DROP
      -A INPUT -s 10.0.0.2/32 -j DROP
      -A INPUT -s 10.0.0.3/32 -j DROP
      -A INPUT -s 10.0.0.4/32 -j DROP
      -A INPUT -j OLD
      -A OLD -j RETURN
      COMMIT
      *raw
      :PREROUTING ACCEPT [0:0]
      -A PREROUTING -j CT --notrack
      COMMIT

      """)
    let new = try save(
      """
      *nat
      :OUTPUT ACCEPT [0:0]
      -A OUTPUT -j RETURN
      COMMIT
      *filter
      :INPUT DROP [5:5]
      :FORWARD DROP [0:0]
      -A INPUT -i lo -j ACCEPT
      -A INPUT -s 10.0.0.1/32 -j DROP
      -A INPUT -s 10.0.0.2/32 -j DROP
      -A INPUT -s 10.0.0.3/32 -j DROP
      -A INPUT -s 10.0.0.4/32 -j DROP
      -A INPUT -j ACCEPT
      COMMIT

      """)
    let diff = RulesetDiff.unified(from: old, to: new, context: 1)
    #expect(
      diff.text == """
        *filter
        -:INPUT ACCEPT
        +:INPUT DROP
        … 4 unchanged rules …
         -A INPUT -s 10.0.0.4/32 -j DROP
        --A INPUT -j OLD
        +-A INPUT -j ACCEPT
        -:OLD -
        --A OLD -j RETURN
        +*nat
        +:OUTPUT ACCEPT
        +-A OUTPUT -j RETURN
        -*raw
        -:PREROUTING ACCEPT
        --A PREROUTING -j CT --notrack

        """)
    #expect(diff.added == 5)
    #expect(diff.removed == 7)
  }

  @Test func `Counters, dates, order of tables and idle tables are no difference`() throws {
    let one = try save("*filter\n:A - [0:0]\nCOMMIT\n*nat\n:B - [0:0]\nCOMMIT\n")
    let other = try save(
      "# date\n*nat\n:B - [7:7]\nCOMMIT\n*raw\n:OUTPUT ACCEPT [1:2]\nCOMMIT\n*filter\n:A - [0:0]\nCOMMIT\n")
    #expect(RulesetDiff.unified(from: one, to: other).isEmpty)
    #expect(RulesetDiff.unified(from: one, to: other).lines.isEmpty)
  }

  @Test func `What a host wrote cannot reach the terminal`() throws {
    let evil = try save(filter("-A INPUT -m comment --comment \"\u{1b}[2J\u{202e}\" -j DROP"))
    let text = RulesetDiff.unified(from: Ruleset(), to: evil).text
    #expect(text.contains("\\u{1b}[2J\\u{202e}"))
    #expect(!text.unicodeScalars.contains { $0.value == 0x1b || $0.value == 0x202e })
  }

  @Test func `It is empty exactly when the digests are equal, and with all context leads from one to the other`() {
    var random = Random.fresh()
    for _ in 0..<400 {
      let old = Self.randomRuleset(&random)
      var new = old
      for _ in 0..<random.below(4) { Self.mutate(&new, &random) }
      if random.below(6) == 0 { new = Self.randomRuleset(&random) }
      let short = RulesetDiff.unified(from: old, to: new, context: 2)
      let whole = RulesetDiff.unified(from: old, to: new, context: .max)
      #expect(short.isEmpty == (old.digest == new.digest))
      #expect((short.added, short.removed) == (whole.added, whole.removed))
      // Unchanged tables are not shown at all.
      let tables = Set(whole.lines.map(\.table))
      #expect(Self.side(whole, without: .added) == Self.lines(old, tables))
      #expect(Self.side(whole, without: .removed) == Self.lines(new, tables))
    }
  }

  /// The lines of one side; a diff walks chain by chain, so it shows each chain's rules below its declaration.
  private static func side(_ diff: RulesetDiff, without kind: DiffLine.Kind) -> [String] {
    diff.lines.filter { $0.kind != kind && $0.kind != .gap }.map(\.text)
  }

  private static func lines(_ ruleset: Ruleset, _ tables: Set<String>) -> [String] {
    ruleset.ordered().restricted(to: tables).tables.flatMap { table in
      ["*\(table.name)"]
        + table.chains.flatMap { chain in
          [":\(chain.name) \(chain.policy ?? "-")"]
            + chain.rules.map { String(decoding: $0.text, as: UTF8.self) }
        }
    }
  }

  private static func randomRuleset(_ random: inout Random) -> Ruleset {
    Ruleset(
      tables: ["filter", "nat", "raw"].shuffled(using: &random).prefix(random.below(4)).map { table in
        RuleTable(
          name: table,
          chains: ["INPUT", "B", "C", "D"].shuffled(using: &random).prefix(random.below(5)).map { name in
            RuleChain(
              name: name, policy: name == "INPUT" ? random.pick(["ACCEPT", "DROP"]) : nil,
              rules: (0..<random.below(12)).map { _ in rule(name, &random) })
          })
      })
  }

  private static func rule(_ chain: String, _ random: inout Random) -> Rule {
    Rule(text: Array("-A \(chain) -j T\(random.below(5))".utf8))
  }

  private static func mutate(_ ruleset: inout Ruleset, _ random: inout Random) {
    guard !ruleset.tables.isEmpty else { return }
    let t = random.below(ruleset.tables.count)
    guard !ruleset.tables[t].chains.isEmpty, random.below(10) > 0 else {
      ruleset.tables.remove(at: t)
      return
    }
    let c = random.below(ruleset.tables[t].chains.count)
    let count = ruleset.tables[t].chains[c].rules.count
    let name = ruleset.tables[t].chains[c].name
    switch random.below(6) {
    case 0 where count > 0: ruleset.tables[t].chains[c].rules.remove(at: random.below(count))
    case 1, 2: ruleset.tables[t].chains[c].rules.insert(rule(name, &random), at: random.below(count + 1))
    case 3 where ruleset.tables[t].chains[c].policy != nil: ruleset.tables[t].chains[c].policy = "DROP"
    case 4: ruleset.tables[t].chains.swapAt(0, c)
    case 5 where random.below(3) == 0: ruleset.tables[t].chains.remove(at: c)
    default: ruleset.tables[t].chains[c].rules.shuffle(using: &random)
    }
  }

  @Test(
    "Large chains are compared in bounded time",
    arguments: [
      (everyNth: 20_000, isReversed: false), (everyNth: 7, isReversed: false), (everyNth: 1, isReversed: false),
      (everyNth: 50, isReversed: true),
    ])
  func large(everyNth: Int, isReversed: Bool) throws {
    let count = 40_000
    let old = (0..<count).map { Rule(text: Array("-A INPUT -s 10.\($0 >> 8).\($0 & 255) -j DROP".utf8)) }
    var new = old.enumerated().map { index, rule in
      index % everyNth == 0 ? Rule(text: Array("-A INPUT -p \(index) -j ACCEPT".utf8)) : rule
    }
    if isReversed { new.reverse() }
    func ruleset(_ rules: [Rule]) -> Ruleset {
      Ruleset(tables: [RuleTable(name: "filter", chains: [RuleChain(name: "INPUT", policy: "DROP", rules: rules)])])
    }
    let started = ProcessorTime.now
    let diff = RulesetDiff.unified(from: ruleset(old), to: ruleset(new))
    // Unoptimised, on a busy machine: the point is that it is no matter of minutes.
    #expect(ProcessorTime.now - started < .seconds(20))
    if !isReversed {
      let changed = (count + everyNth - 1) / everyNth
      #expect((diff.added, diff.removed) == (changed, changed))
    } else {
      #expect(diff.added == diff.removed && diff.added > count / 2)
    }
  }
}
