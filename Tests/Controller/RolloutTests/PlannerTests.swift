import Core
import Ruleset
import TestSupport
import Testing
import Wire

@testable import Rollout

func filter(_ rules: [String]) -> RulesText {
  let lines = rules.map { "-A INPUT \($0)\n" }.joined()
  return RulesText(
    Array("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\(lines)COMMIT\n".utf8))
}

let ssh = filter(["-p tcp -m tcp --dport 22 -j ACCEPT"])
let web = filter(["-p tcp -m tcp --dport 22 -j ACCEPT", "-p tcp -m tcp --dport 443 -j ACCEPT"])
func both(_ text: RulesText) -> PerFamily<RulesText> { PerFamily(ipv4: text, ipv6: text) }
func bundle(_ text: RulesText, mode: String = "exclusive") -> DesiredBundle {
  DesiredBundle(content: Digest(of: text.bytes + Array(mode.utf8)), mode: mode, rules: both(text))
}
func committed(_ bundle: DesiredBundle) -> Committed {
  Committed(
    serial: Serial(7), manifest: Digest(of: bundle.content.bytes), content: bundle.content,
    at: UTCTime("2026-11-21T00:00:00Z")!)
}

struct PlannerTests {
  let planner = RolloutPlanner(fleet: fleet, serialBase: Serial(7))

  func one(_ desired: DesiredBundle?, _ knowledge: HostKnowledge) throws -> PlannedHost {
    try planner.plan([PlanInput(host: h001, desired: desired, knowledge: knowledge)]).hosts[0]
  }

  static let drift = PerFamily { (_: Family) in HostFacts.Texts(observed: web, expected: ssh) }
  static let withdrawn = DesiredBundle(content: older, mode: "withdrawn", rules: nil)

  @Test func `a host that has the rules already is told so, in the words of its mode`() throws {
    for (mode, words) in [("exclusive", "no rule changes: it runs"), ("owned", "its own stay behind")] {
      var facts = HostFacts(committed: nil, running: mode == "owned" ? nil : both(web))
      facts.hasThemAlready = true
      let host = try one(bundle(web, mode: mode), .reported(facts))
      #expect(host.action == .install && host.reason.contains(words), "\(host.reason)")
      // An approval is about what the host gets, whether or not anybody asked what it has.
      #expect(try one(bundle(web, mode: mode), .reported(HostFacts(committed: nil))).compared == host.compared)
    }
  }

  @Test(
    arguments: [
      (bundle(web), HostKnowledge.notEnrolled, PlanAction.notEnrolled, 0, 0),
      (bundle(web), .silent, .install, 12, 0),
      (nil, .reported(HostFacts(committed: committed(bundle(web)))), .noPolicy, 0, 0),
      (bundle(web), .reported(HostFacts(committed: nil)), .install, 12, 0),
      (bundle(web), .reported(HostFacts(committed: nil, running: both(ssh))), .install, 2, 0),
      (bundle(web), .reported(HostFacts(committed: committed(bundle(web)), running: both(web))), .unchanged, 0, 0),
      // A signed release that is not wanted any more is overtaken, not forgotten.
      (bundle(web), .reported(HostFacts(committed: committed(bundle(web)), unwanted: Serial(8))), .change, 0, 0),
      (bundle(web), .reported(HostFacts(committed: committed(bundle(ssh)), running: both(ssh))), .change, 2, 0),
      (bundle(ssh), .reported(HostFacts(committed: committed(bundle(web)), running: both(web))), .change, 0, 2),
      (
        bundle(web), .reported(HostFacts(committed: committed(bundle(web, mode: "owned")), running: both(web))),
        .change,
        0, 0
      ),
      (
        bundle(ssh), .reported(HostFacts(committed: committed(bundle(ssh)), hasDrifted: true, drift: drift)), .repair,
        0,
        2
      ),
      (bundle(ssh), .reported(HostFacts(committed: committed(bundle(ssh)), hasDrifted: true)), .repair, 0, 0),
      (
        withdrawn, .reported(HostFacts(committed: committed(bundle(ssh)), running: both(ssh))), .withdraw, 0, 10
      ),
    ] as [(DesiredBundle?, HostKnowledge, PlanAction, Int, Int)])
  func `each case has its action and its difference`(
    desired: DesiredBundle?, knowledge: HostKnowledge, action: PlanAction, added: Int, removed: Int
  ) throws {
    let host = try one(desired, knowledge)
    #expect(host.action == action)
    #expect(!host.reason.isEmpty)
    if case .rules(let diffs) = host.difference {
      #expect(diffs.ipv4.added + diffs.ipv6.added == added)
      #expect(diffs.ipv4.removed + diffs.ipv6.removed == removed)
    } else {
      #expect(added + removed == 0)
    }
  }

  @Test func `a change of the manifest alone says so`() throws {
    let facts = HostFacts(committed: committed(bundle(web, mode: "owned")), running: both(web))
    #expect(try one(bundle(web), .reported(facts)).reason.contains("the rules do not"))
  }

  @Test func `rules that cannot be read are a plan with a reason, not an end`() throws {
    let facts = HostFacts(
      committed: committed(bundle(ssh)), running: both(RulesText(Array("*filter\nnonsense\n".utf8))))
    let host = try one(bundle(web), .reported(facts))
    guard case .notComparable(let why) = host.difference else { return #expect(Bool(false)) }
    #expect(host.action == .change && !why.isEmpty)
  }

  @Test func `no host is never a plan, and neither is one twice`() {
    #expect(throws: Failure.self) { try planner.plan([]) }
    let input = PlanInput(host: h001, desired: bundle(web), knowledge: .silent)
    #expect(throws: Failure.self) { try planner.plan([input, input]) }
  }

  @Test func `hosts fold when action, reason and difference are the same`() throws {
    let old = HostFacts(committed: committed(bundle(ssh)), running: both(ssh))
    let done = HostFacts(committed: committed(bundle(web)), running: both(web))
    let plan = try planner.plan(
      (1...6).map { number in
        PlanInput(
          host: HostID("h00\(number)")!, desired: bundle(web), knowledge: .reported(number == 4 ? done : old))
      } + [PlanInput(host: HostID("h007")!, desired: bundle(web), knowledge: .silent)])
    #expect(plan.groups.map(\.action) == [.unchanged, .install, .change])
    #expect(plan.groups.map(\.hosts.count) == [1, 1, 5])
    #expect(plan.touched.count == 6 && !plan.isEmpty)
  }

  @Test func `everything an approval is about is in the fingerprint`() throws {
    let facts = HostFacts(committed: committed(bundle(ssh)), running: both(ssh))
    func fingerprint(
      _ desired: DesiredBundle = bundle(web), _ facts: HostFacts = facts, serial: UInt64 = 7,
      fleet name: String = "lab",
      host: String = "h001", also: [PlanInput] = []
    ) throws -> Digest {
      let planner = RolloutPlanner(fleet: FleetID(name)!, serialBase: Serial(serial), context: 3)
      return try planner.plan(
        [PlanInput(host: HostID(host)!, desired: desired, knowledge: .reported(facts))] + also
      ).fingerprint
    }
    var drifted = facts
    drifted.hasDrifted = true
    var moved = facts
    moved.committed?.manifest = wanted
    var renumbered = facts
    renumbered.committed?.serial = Serial(6)
    var repaired = HostFacts(committed: committed(bundle(web)), hasDrifted: true, drift: Self.drift)
    let all = [
      try fingerprint(), try fingerprint(bundle(ssh, mode: "owned")), try fingerprint(bundle(web, mode: "owned")),
      try fingerprint(serial: 8), try fingerprint(fleet: "prod"), try fingerprint(host: "h002"),
      try fingerprint(bundle(web), moved), try fingerprint(bundle(web), renumbered),
      try fingerprint(bundle(web), repaired),
      try fingerprint(also: [PlanInput(host: HostID("h009")!, desired: nil, knowledge: .silent)]),
    ]
    #expect(Set(all).count == all.count)
    #expect(try fingerprint() == fingerprint())
    // Another hand-made difference on a host that is to be repaired is another plan.
    repaired.drift = PerFamily { _ in HostFacts.Texts(observed: ssh, expected: ssh) }
    #expect(try !all.contains(fingerprint(bundle(web), repaired)))
    _ = drifted
  }

  @Test func `order of input does not matter`() throws {
    let inputs = (1...9).map { PlanInput(host: HostID("h00\($0)")!, desired: bundle(web), knowledge: .silent) }
    #expect(try planner.plan(inputs).fingerprint == planner.plan(inputs.reversed()).fingerprint)
  }
}

struct PlanFileTests {
  let planner = RolloutPlanner(fleet: fleet, serialBase: Serial(7))
  let created = UTCTime("2026-11-21T00:00:00Z")!

  func plan(_ hosts: [String], _ desired: DesiredBundle = bundle(web), knowledge: HostKnowledge = .silent) throws
    -> RolloutPlan
  {
    try planner.plan(hosts.map { PlanInput(host: HostID($0)!, desired: desired, knowledge: knowledge) })
  }

  @Test func `what was written is read back, and approves the same plan`() throws {
    let plan = try plan(["h001", "h002"])
    let file = PlanFile(plan, limit: "web:!db", created: created)
    let bytes = try file.encode()
    let read = try PlanFile(decoding: bytes, file: "plan.json")
    #expect(read == file)
    #expect(read.limit == "web:!db")
    try read.approve(self.plan(["h002", "h001"]))
  }

  @Test func `a stale plan is refused with what moved`() throws {
    let file = PlanFile(try plan(["h001", "h002"]), limit: nil, created: created)
    let newer = RolloutPlanner(fleet: fleet, serialBase: Serial(8))
    let cases = [
      (try plan(["h001"]), "h002 is gone"), (try plan(["h001", "h002", "h003"]), "h003 was added"),
      (try plan(["h001", "h002"], bundle(ssh)), "the policies say something else for h001"),
      (try plan(["h001", "h002"], knowledge: .notEnrolled), "h001 was install and is not-enrolled"),
      (
        try newer.plan([PlanInput(host: h001, desired: bundle(web), knowledge: .silent)]), "release 8 was made since"
      ),
    ]
    for (plan, words) in cases {
      do {
        try file.approve(plan)
        Issue.record("approved although \(words)")
      } catch {
        #expect(error.kind == .refused)
        #expect(ErrorChain(error).message.contains(words))
      }
    }
  }

  @Test func `no byte of an approval may be changed`() throws {
    let bytes = try PlanFile(try plan(["h001", "h002"]), limit: "web", created: created).encode()
    var accepted = 0
    for index in bytes.indices {
      for change in [UInt8(1), 0x20] {
        var edited = bytes
        edited[index] ^= change
        // Changed values of the right form can be read; they approve nothing, or name other hosts in messages.
        if let read = try? PlanFile(decoding: edited, file: "plan.json") {
          accepted += 1
          #expect(try read.encode() == edited)
        }
      }
      #expect(throws: Failure.self) { try PlanFile(decoding: Array(bytes[..<index]), file: "plan.json") }
    }
    #expect(accepted > 0)
  }

  @Test(arguments: [
    "", "{}", "[]", "null", "{\"kind\":\"plan-file\"}", "{\"format_version\":2,\"kind\":\"plan-file\"}",
  ])
  func `what is not a plan file is refused by name`(text: String) {
    do {
      _ = try PlanFile(decoding: Array(text.utf8), file: "x\u{1b}.json")
      Issue.record("read \(text)")
    } catch {
      #expect(ErrorChain(error).message.contains("x\\u{1b}.json"))
    }
  }

  @Test func `an unknown, doubled or reordered key is refused`() throws {
    let text = String(decoding: try PlanFile(try plan(["h001"]), limit: nil, created: created).encode(), as: UTF8.self)
    for edited in [
      text.replacing("\"kind\"", with: "\"approved_by\" : \"me\",\n  \"kind\""),
      text.replacing("\"kind\" : \"plan-file\"", with: "\"kind\" : \"plan-file\",\n  \"kind\" : \"plan-file\""),
      text + "\n", text.replacing("  ", with: " "),
    ] {
      #expect(edited != text)
      #expect(throws: Failure.self) { try PlanFile(decoding: Array(edited.utf8), file: "plan.json") }
    }
  }

  @Test func `ten thousand hosts are planned in less than two seconds`() throws {
    let old = both(ssh)
    let inputs = (0..<10_000).map { number in
      PlanInput(
        host: HostID("h\(number)")!, desired: bundle(number % 2 == 0 ? web : ssh),
        knowledge: .reported(HostFacts(committed: committed(bundle(ssh)), running: old)))
    }
    var plan: RolloutPlan?
    let time = try ProcessorTime.of { plan = try planner.plan(inputs) }
    print("plan of 10,000 hosts: \(time)")
    #expect(time < .seconds(2))
    #expect(plan?.groups.map(\.hosts.count) == [5000, 5000])
  }
}
