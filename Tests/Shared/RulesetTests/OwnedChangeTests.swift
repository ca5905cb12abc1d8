import Core
import Ruleset
import Testing

@Suite("Where our hook goes, and what the change touches")
struct OwnedChangeTests {
  private let hook = "INPUT -j PCL-INPUT"
  private let f2b = ["f2b-sshd -s 192.0.2.1/32 -j REJECT --reject-with icmp-port-unreachable", "f2b-sshd -j RETURN"]

  private func change(
    _ rules: [String], chains: [String] = [], allowed: [String] = [], takesOver: Bool = false,
    isFirst: Bool = true, takenBefore: [TakenRule] = [], givingBack: [TakenRule] = [], wanted: OwnedRules? = nil
  ) throws -> OwnedChange {
    OwnedChange(
      .init(
        wanted: try wanted ?? sshOnly(), saved: try saved(rules, chains: chains), allowed: allowed,
        takesOver: takesOver, isFirst: isFirst, takenBefore: takenBefore, givingBack: givingBack))
  }

  @Test("An empty kernel gets chains, hooks and policies in one transaction")
  func fresh() throws {
    let change = OwnedChange(.init(wanted: try sshOnly(), saved: Ruleset()))
    #expect(
      change.lines == [
        "*filter", ":FORWARD DROP [0:0]", ":INPUT DROP [0:0]", ":PCL-FORWARD - [0:0]", ":PCL-INPUT - [0:0]",
        "-I FORWARD 1 -j PCL-FORWARD", "-I INPUT 1 -j PCL-INPUT", "-A PCL-FORWARD -j DROP",
        "-A PCL-INPUT -i lo -j ACCEPT", "-A PCL-INPUT -p tcp -m tcp --dport 22 -j ACCEPT", "-A PCL-INPUT -j DROP",
        "COMMIT",
      ])
    #expect(change.sourceLine(of: 9) == 5)
    #expect(change.sourceLine(of: 11) == nil)
    #expect(change.sourceLine(of: 0) == nil)
    #expect(change.sourceLine(of: 99) == nil)
  }

  @Test("Nothing is loaded when the kernel holds it already")
  func same() throws {
    let rules = [
      hook, "FORWARD -j PCL-FORWARD", "INPUT -p tcp -j ACCEPT", "PCL-FORWARD -j DROP", "PCL-INPUT -i lo -j ACCEPT",
      "PCL-INPUT -p tcp -m tcp --dport 22 -j ACCEPT", "PCL-INPUT -j DROP",
    ]
    let held = try saved(rules, chains: ["PCL-INPUT", "PCL-FORWARD"], input: "DROP", forward: "DROP")
    let change = OwnedChange(.init(wanted: try sshOnly(), saved: held))
    #expect(change.text.isEmpty)
    let open = try saved(rules, chains: ["PCL-INPUT", "PCL-FORWARD"], input: "ACCEPT", forward: "DROP")
    #expect(
      OwnedChange(.init(wanted: try sshOnly(), saved: open)).lines == ["*filter", ":INPUT DROP [0:0]", "COMMIT"])
    // Unless what is printed is not all: then chains and hooks are made anew where they are.
    let anew = OwnedChange(.init(wanted: try sshOnly(), saved: held, refills: true))
    #expect(
      anew.lines == [
        "*filter", ":PCL-FORWARD - [0:0]", ":PCL-INPUT - [0:0]", "-D FORWARD -j PCL-FORWARD",
        "-I FORWARD 1 -j PCL-FORWARD", "-D INPUT -j PCL-INPUT", "-I INPUT 1 -j PCL-INPUT", "-A PCL-FORWARD -j DROP",
        "-A PCL-INPUT -i lo -j ACCEPT", "-A PCL-INPUT -p tcp -m tcp --dport 22 -j ACCEPT", "-A PCL-INPUT -j DROP",
        "COMMIT",
      ])
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let rules: [String]
    var chains: [String] = []
    var allowed: [String] = []
    /// Lines for INPUT.
    let expected: [String]
    var found: [String] = []
  }

  static let cases: [Case] = [
    Case(
      testDescription: "typical hand-written rules stay below",
      rules: [
        "INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "INPUT -i lo -j ACCEPT",
        "INPUT -p tcp -m tcp --dport 80 -j ACCEPT", "INPUT -j DROP",
      ], expected: ["-I INPUT 1 -j PCL-INPUT"]),
    Case(
      testDescription: "fail2ban stays above",
      rules: ["INPUT -p tcp -j f2b-sshd", "INPUT -p tcp -m tcp --dport 80 -j ACCEPT", "f2b-sshd -j RETURN"],
      chains: ["f2b-sshd"], expected: ["-I INPUT 2 -j PCL-INPUT"]),
    Case(
      testDescription: "single bans and sets of them stay above",
      rules: [
        "INPUT -s 192.0.2.1/32 -j DROP", "INPUT -m set --match-set bad src -j REJECT", "INPUT -p tcp -j ACCEPT",
        "INPUT -p udp -j DROP",
      ], expected: ["-I INPUT 3 -j PCL-INPUT"]),
    Case(
      testDescription: "a set of destinations bans nobody",
      rules: ["INPUT -m set --match-set mine dst -j DROP"], expected: ["-I INPUT 1 -j PCL-INPUT"]),
    Case(
      testDescription: "an accept above a ban is a finding",
      rules: ["INPUT -p tcp -m tcp --dport 80 -j ACCEPT", "INPUT -s 192.0.2.1/32 -j DROP"],
      expected: ["-I INPUT 3 -j PCL-INPUT"], found: ["-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT"]),
    Case(
      testDescription: "unless it is allowed",
      rules: ["INPUT -p tcp -m tcp --dport 80 -j ACCEPT", "INPUT -s 192.0.2.1/32 -j DROP"],
      allowed: ["-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT"], expected: ["-I INPUT 3 -j PCL-INPUT"]),
    Case(
      testDescription: "or everything is",
      rules: ["INPUT -p tcp -m tcp --dport 80 -j ACCEPT", "INPUT -s 192.0.2.1/32 -j DROP"],
      allowed: ["*"], expected: ["-I INPUT 3 -j PCL-INPUT"]),
    Case(
      testDescription: "or we accept the same before we drop anything",
      rules: ["INPUT -i lo -j ACCEPT", "INPUT -s 192.0.2.1/32 -j DROP"], expected: ["-I INPUT 3 -j PCL-INPUT"]),
    Case(
      testDescription: "a chain that accepts somewhere below is an accept",
      rules: ["INPUT -j a", "INPUT -s 192.0.2.1/32 -j DROP", "a -j b", "b -p tcp -j ACCEPT"], chains: ["a", "b"],
      expected: ["-I INPUT 3 -j PCL-INPUT"], found: ["-A INPUT -j a"]),
    Case(
      testDescription: "so is one that hands packets to a program, or goes on elsewhere",
      rules: [
        "INPUT -j NFQUEUE --queue-num 0", "INPUT -g a", "INPUT -j SOMETHING", "INPUT -s 192.0.2.1/32 -j DROP",
      ], chains: ["a"], expected: ["-I INPUT 5 -j PCL-INPUT"],
      found: ["-A INPUT -j NFQUEUE --queue-num 0", "-A INPUT -g a", "-A INPUT -j SOMETHING"]),
    Case(
      testDescription: "what only logs, marks or counts is none",
      rules: [
        "INPUT -j LOG", "INPUT -p tcp", "INPUT -j MARK --set-xmark 0x1/0x1", "INPUT -p udp -j DROP",
        "INPUT -s 192.0.2.1/32 -j DROP",
      ], expected: ["-I INPUT 6 -j PCL-INPUT"]),
    Case(
      testDescription: "bans after a rule for everything never act",
      rules: ["INPUT -p tcp -j ACCEPT", "INPUT -j DROP", "INPUT -s 192.0.2.1/32 -j DROP"],
      expected: ["-I INPUT 1 -j PCL-INPUT"]),
    Case(
      testDescription: "a hook that is right is left alone, whatever denies above it",
      rules: [
        "INPUT -j f2b-sshd", "INPUT -p udp -j DROP", "INPUT -j PCL-INPUT", "INPUT -j ACCEPT", "f2b-sshd -j RETURN",
      ], chains: ["f2b-sshd", "PCL-INPUT"], expected: []),
    Case(
      testDescription: "a hook below an accept moves above it",
      rules: ["INPUT -s 192.0.2.1/32 -j DROP", "INPUT -p tcp -j ACCEPT", "INPUT -p udp -j DROP", "INPUT -j PCL-INPUT"],
      chains: ["PCL-INPUT"], expected: ["-D INPUT -j PCL-INPUT", "-I INPUT 2 -j PCL-INPUT"]),
    Case(
      testDescription: "a doubled hook becomes one where the first was",
      rules: ["INPUT -s 192.0.2.1/32 -j DROP", "INPUT -j PCL-INPUT", "INPUT -p tcp -j ACCEPT", "INPUT -j PCL-INPUT"],
      chains: ["PCL-INPUT"],
      expected: ["-D INPUT -j PCL-INPUT", "-D INPUT -j PCL-INPUT", "-I INPUT 2 -j PCL-INPUT"]),
    Case(
      testDescription: "a hook that only some packets reach is replaced",
      rules: ["INPUT -p tcp -j PCL-INPUT"], chains: ["PCL-INPUT"],
      expected: ["-D INPUT -p tcp -j PCL-INPUT", "-I INPUT 1 -j PCL-INPUT"]),
    Case(
      testDescription: "a comment that names our chain is no hook",
      rules: ["INPUT -m comment --comment \"-j PCL-INPUT\" -j DROP"], expected: ["-I INPUT 1 -j PCL-INPUT"]),
  ]

  @Test("The hook's place", arguments: cases)
  func places(example: Case) throws {
    let change = try change(example.rules, chains: example.chains, allowed: example.allowed)
    #expect(change.foreignLines.filter { $0.contains(" INPUT ") } == example.expected)
    #expect(change.found == example.found)
    #expect(change.taken.isEmpty)
  }

  @Test("Accepts above bans are taken over, in their order, and given back to where they stood")
  func takeOver() throws {
    let accept80 = "INPUT -p tcp -m tcp --dport 80 -j ACCEPT"
    let accept443 = "INPUT -p tcp -m tcp --dport 443 -j ACCEPT"
    let ban = "INPUT -s 192.0.2.1/32 -j DROP"
    let taking = try change(
      [accept80, ban, accept443, "INPUT -j f2b-sshd"] + f2b, chains: ["f2b-sshd"], takesOver: true)
    #expect(
      taking.foreignLines.filter { $0.contains(" INPUT ") } == [
        "-D \(accept80)", "-D \(accept443)", "-I INPUT 3 -j PCL-INPUT",
        "-I INPUT 4 -p tcp -m tcp --dport 80 -j ACCEPT", "-I INPUT 5 -p tcp -m tcp --dport 443 -j ACCEPT",
      ])
    #expect(taking.findings.isEmpty)
    #expect(taking.taken.map(\.position) == [1, 3])
    let now = [ban, "INPUT -j f2b-sshd", hook, accept80, accept443] + f2b
    let giving = try change(
      now, chains: ["f2b-sshd", "PCL-INPUT"], givingBack: taking.taken, wanted: OwnedRules.none)
    #expect(
      giving.foreignLines == [
        "-D \(hook)", "-D \(accept80)", "-D \(accept443)", "-I INPUT 1 -p tcp -m tcp --dport 80 -j ACCEPT",
        "-I INPUT 3 -p tcp -m tcp --dport 443 -j ACCEPT",
      ])
    // One of them is gone: it stays gone.
    let gone = try change(
      [ban, "INPUT -j f2b-sshd", hook, accept443] + f2b, chains: ["f2b-sshd", "PCL-INPUT"], givingBack: taking.taken,
      wanted: OwnedRules.none)
    #expect(!gone.foreignLines.contains { $0.contains("--dport 80") })
    // Back already: nothing moves.
    let back = try change(
      [accept80, ban, accept443, "INPUT -j f2b-sshd"] + f2b, chains: ["f2b-sshd"], givingBack: taking.taken,
      wanted: OwnedRules.none)
    #expect(back.text.isEmpty)
  }

  @Test("A hook that somebody flushed comes back above the accepts that came in its place")
  func hookIsGone() throws {
    let rules = [
      "INPUT -s 192.0.2.7/32 -j DROP", "INPUT -p tcp -m tcp --dport 80 -j ACCEPT", "INPUT -s 192.0.2.1/32 -j DROP",
    ]
    let later = try change(rules, chains: ["PCL-INPUT"], isFirst: false)
    #expect(later.foreignLines.contains("-I INPUT 2 -j PCL-INPUT"))
    #expect(later.findings.isEmpty)
    let first = try change(rules)
    #expect(first.foreignLines.contains("-I INPUT 4 -j PCL-INPUT"))
    #expect(first.found == ["-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT"])
  }

  @Test("What was taken over once is moved below again without a grant; what nobody granted is found")
  func takenBefore() throws {
    let accept80 = "INPUT -p tcp -m tcp --dport 80 -j ACCEPT"
    let accept443 = "INPUT -p tcp -m tcp --dport 443 -j ACCEPT"
    let ban = "INPUT -s 192.0.2.1/32 -j DROP"
    let taken = try change([accept80, ban], takesOver: true).taken
    #expect(taken.count == 1)
    let back = try change([accept80, accept443, ban], takenBefore: taken)
    #expect(back.found == ["-A \(accept443)"])
    #expect(back.taken.map { String(decoding: $0.rule, as: UTF8.self) } == ["-A \(accept80)"])
    #expect(
      back.foreignLines.filter { $0.contains(" INPUT ") } == [
        "-D \(accept80)", "-I INPUT 3 -j PCL-INPUT", "-I INPUT 4 -p tcp -m tcp --dport 80 -j ACCEPT",
      ])
    // The same words in another chain are another rule.
    let elsewhere = taken.map { TakenRule(table: $0.table, chain: "FORWARD", rule: $0.rule, position: 1) }
    #expect(try change([accept80, ban], takenBefore: elsewhere).taken.isEmpty)
    // Above the hook that is there: only what may be moved stays a reason not to move the hook above the ban.
    let above = try change([accept80, ban, hook], chains: ["PCL-INPUT"], takenBefore: taken)
    #expect(above.foreignLines.first { $0.contains(" INPUT ") } == "-D \(accept80)")
    #expect(above.taken.count == 1)
    let strange = try change([accept443, ban, hook], chains: ["PCL-INPUT"], takenBefore: taken)
    #expect(strange.taken.isEmpty)
    #expect(strange.foreignLines.filter { $0.contains(" INPUT ") } == ["-D \(hook)", "-I INPUT 1 -j PCL-INPUT"])
  }

  @Test("A rule whose words cannot be told apart is not moved, but found")
  func unmovable() throws {
    let odd = "INPUT -m recent --set --name a\"b\" --rsource -j ACCEPT"
    let ambiguous = "INPUT -m recent --set --name x -j ACCEPT --rsource -j ACCEPT"
    let change = try change([odd, ambiguous, "INPUT -s 192.0.2.1/32 -j DROP"], takesOver: true)
    #expect(change.found == ["-A \(odd)", "-A \(ambiguous)"])
    #expect(change.taken.isEmpty)
    #expect(!String(decoding: change.text, as: UTF8.self).contains("recent"))
  }

  @Test("Chains that are not wanted any more go, with whatever calls them; foreign chains stay")
  func stale() throws {
    let change = try change(
      [hook, "OUTPUT -j PCL-OUTPUT", "mine -j PCL:old", "PCL-OUTPUT -j PCL:old", "mine -j ACCEPT"],
      chains: ["mine", "PCL-INPUT", "PCL-OUTPUT", "PCL:old"])
    #expect(change.lines.contains("-D OUTPUT -j PCL-OUTPUT"))
    #expect(change.lines.contains("-D mine -j PCL:old"))
    #expect(change.lines.suffix(5) == ["-F PCL-OUTPUT", "-F PCL:old", "-X PCL-OUTPUT", "-X PCL:old", "COMMIT"])
    #expect(!change.lines.contains { $0.contains("-D mine -j ACCEPT") || $0.hasSuffix(" mine") })
  }

  @Test("DOCKER-USER is hooked where it is, above its RETURN, and not missed where it is not")
  func docker() throws {
    let wanted = OwnedRules(
      try policy("*filter\n:INPUT ACCEPT\n:CONTAINERS -\n-A CONTAINERS -p tcp -j DROP\nCOMMIT\n"), forwardsForeign: true
    )
    let with = try change(["FORWARD -j DOCKER-USER", "DOCKER-USER -j RETURN"], chains: ["DOCKER-USER"], wanted: wanted)
    #expect(with.foreignLines == ["-I DOCKER-USER 1 -j PCL-CONTAINERS"])
    #expect(try change([], wanted: wanted).foreignLines.isEmpty)
    // Both look alike, so that Docker may come and go.
    let view = OwnedView(wanted, allowed: [])
    let ours = ["PCL-CONTAINERS -p tcp -j DROP"]
    let absent = view.observed(try saved(ours, chains: ["PCL-CONTAINERS"]))
    let present = view.observed(
      try saved(
        ["DOCKER-USER -j PCL-CONTAINERS", "DOCKER-USER -j RETURN"] + ours, chains: ["DOCKER-USER", "PCL-CONTAINERS"]))
    let unhooked = view.observed(
      try saved(["DOCKER-USER -j RETURN"] + ours, chains: ["DOCKER-USER", "PCL-CONTAINERS"]))
    let bypassed = view.observed(
      try saved(
        ["DOCKER-USER -s 192.0.2.1/32 -j RETURN", "DOCKER-USER -j PCL-CONTAINERS"] + ours,
        chains: ["DOCKER-USER", "PCL-CONTAINERS"]))
    #expect(absent.digest == present.digest)
    #expect(unhooked.digest != present.digest)
    #expect(bypassed.digest != present.digest)
  }

  @Test("DOCKER-USER as Docker makes it bans nobody, so accepts above it are no finding; with bans in it they are")
  func emptyDockerUser() throws {
    func change(_ user: [String]) throws -> OwnedChange {
      let kernel = try saved(
        ["FORWARD -j LIBVIRT_FWX", "FORWARD -j DOCKER-USER", "LIBVIRT_FWX -j ACCEPT"] + user,
        chains: ["LIBVIRT_FWX", "DOCKER-USER"])
      return OwnedChange(OwnedChange.Request(wanted: try sshOnly(), saved: kernel))
    }
    let plain = try change(["DOCKER-USER -j RETURN"])
    #expect(plain.found == [])
    #expect(plain.foreignLines.contains("-I FORWARD 1 -j PCL-FORWARD"))
    #expect(try change(["DOCKER-USER -j PCL-CONTAINERS", "DOCKER-USER -j RETURN"]).found == [])
    #expect(try change(["DOCKER-USER -s 192.0.2.1/32 -j DROP"]).found == ["-A FORWARD -j LIBVIRT_FWX"])
  }

  @Test("A bundle that owned its tables goes rule by rule, and what others added stays")
  func replacing() throws {
    let old = try saved(
      ["INPUT -i lo -j ACCEPT", "INPUT -j web", "web -j ACCEPT", "alone -j DROP"], chains: ["web", "alone"])
    let change = OwnedChange(
      .init(
        wanted: .none,
        saved: try saved(
          [
            "INPUT -i lo -j ACCEPT", "INPUT -p udp -j DROP", "INPUT -j web", "web -s 192.0.2.9/32 -j DROP",
            "web -j ACCEPT", "alone -j DROP",
          ],
          chains: ["web", "alone", "theirs"]), replacing: old))
    #expect(
      change.lines == [
        "*filter", "-D INPUT -i lo -j ACCEPT", "-D INPUT -j web", "-D alone -j DROP", "-D web -j ACCEPT", "-X alone",
        "COMMIT",
      ])
  }

  @Test("Chains of a replaced bundle that somebody else calls stay, empty")
  func replacedButCalled() throws {
    let old = try saved(["INPUT -j web", "web -j ACCEPT"], chains: ["web"])
    let held = try saved(["INPUT -j web", "OUTPUT -j web", "web -j ACCEPT"], chains: ["web"])
    let change = OwnedChange(.init(wanted: .none, saved: held, replacing: old))
    #expect(change.lines == ["*filter", "-D INPUT -j web", "-D web -j ACCEPT", "COMMIT"])
  }
}
