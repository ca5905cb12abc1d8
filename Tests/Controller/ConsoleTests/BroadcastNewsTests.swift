import Core
import Release
import Rollout
import Store
import Testing
import Wire

@testable import Console
@testable import Operations

/// What is told of hosts while an order is being brought.
struct BroadcastNewsTests {
  private static let hosts = (1...4).map { HostID("web\($0)")! }
  private static let obeyed = Obeyed(epoch: Epoch(7), result: .locked, lock: nil)
  private static let silent = OrderClaim.unreachable("connect to web2: no route to host")
  private static let refused = OrderClaim.refused(
    .unknownProfile, "release 11 has no lockdown profile isolate for this host")

  private var news = BroadcastNews(patience: .seconds(20))
  private var tally = OrderTally(Dictionary(uniqueKeysWithValues: Self.hosts.map { ($0, .waiting) }))

  private mutating func hear(_ claims: [Int: OrderClaim]) {
    for (number, claim) in claims { tally.note(claim, of: Self.hosts[number - 1], after: .seconds(1)) }
    news.hear(claims.keys.map { Self.hosts[$0 - 1] })
  }

  @Test func `who refuses is named at once, and who is silent when all were asked, each once`() {
    var scene = self
    #expect(scene.news.lines(scene.tally, after: .seconds(1)) == "")
    scene.hear([1: Self.refused, 2: Self.silent, 3: .verified(Self.obeyed)])
    #expect(
      scene.news.lines(scene.tally, after: .seconds(2))
        == "  refused      web1: unknownProfile: release 11 has no lockdown profile isolate for this host\n")
    scene.hear([4: Self.refused])
    let rest = scene.news.lines(scene.tally, after: .seconds(3))
    #expect(
      rest == """
          unreachable  web2: connect to web2: no route to host
          refused      web4: unknownProfile: release 11 has no lockdown profile isolate for this host

        """)
    scene.hear([2: .unreachable("connect to web2: timed out")])
    #expect(scene.news.lines(scene.tally, after: .seconds(40)) == "")
    scene.hear([2: .verified(Self.obeyed)])
    #expect(scene.news.lines(scene.tally, after: .seconds(41)) == "  verified     web2\n")
    #expect(scene.news.lines(scene.tally, after: .seconds(42)) == "")
  }

  @Test func `a host that hangs keeps the others' silence back no longer than one try takes`() {
    var scene = self
    scene.hear([2: Self.silent, 1: .verified(Self.obeyed), 3: .refused(.busy, "it is at work")])
    #expect(scene.news.lines(scene.tally, after: .seconds(19)) == "")
    let late = scene.news.lines(scene.tally, after: .seconds(20))
    #expect(late.contains("unreachable  web2") && late.contains("web3: busy") && !late.contains("web4"), "\(late)")
  }

  @Test func `what an earlier run knew is told too, when nothing newer came`() {
    var scene = self
    scene.tally = OrderTally([Self.hosts[1]: Self.silent, Self.hosts[0]: Self.refused])
    scene.news.hear([])
    #expect(scene.news.lines(scene.tally, after: .seconds(1)).hasPrefix("  refused      web1"))
    #expect(scene.news.lines(scene.tally, after: .seconds(21)).hasPrefix("  unreachable  web2"))
  }

  @Test func `a host that is not as ordered is named again when it says something else`() {
    var scene = self
    scene.hear([1: .acknowledged(Self.obeyed, "recorded there, and nothing loads yet")])
    #expect(scene.news.lines(scene.tally, after: .seconds(1)).contains("nothing loads yet"))
    #expect(scene.news.lines(scene.tally, after: .seconds(2)) == "")
    scene.hear([1: .acknowledged(Self.obeyed, "ipv4: a rule is gone")])
    #expect(
      scene.news.lines(scene.tally, after: .seconds(3)) == "  acknowledged web1: ipv4: a rule is gone\n")
  }

  @Test func `the line that counts fits the terminal, and times go first`() throws {
    let order = try BroadcastDocumentTests.sealed(.lockdown, 7, "-")
    var scene = self
    scene.hear([1: .verified(Self.obeyed), 2: Self.silent])
    let whole = "order 7  acknowledged 1  verified 1  unreachable 1  waiting 2   p50 1.0 s  p99 1.0 s  max 1.0 s"
    let brief = "order 7  acknowledged 1  verified 1  unreachable 1  waiting 2"
    for (width, line) in [(200, whole), (whole.count, whole), (whole.count - 1, brief), (brief.count, brief)] {
      #expect(BroadcastDocument.line(order, scene.tally, atMost: width) == line)
    }
    #expect(BroadcastDocument.line(order, scene.tally, atMost: 20) == "order 7  acknowledg…")
  }

  @Test func `ndjson has a line for each host and claim, and a host's last line counts`() throws {
    let order = try BroadcastDocumentTests.sealed(.lockdown, 7, "INC-991 stolen deploy key")
    var scene = self
    var lines = BroadcastLines()
    var text = try lines.head(order)
    scene.hear([1: Self.refused, 2: Self.silent])
    text += try lines.lines(scene.tally, of: Self.hosts[0...1])
    scene.hear([2: .verified(Self.obeyed)])
    text += try lines.lines(scene.tally, of: [Self.hosts[1]])
    text += try lines.lines(scene.tally, of: [Self.hosts[1]])
    text += try lines.end(scene.tally)
    try Golden.compare(text, "lockdown-start-ndjson")
    #expect(text.split(separator: "\n").count == 8)
  }
}

struct OrderEffectTests {
  @Test func `whoever types the line reads whom it means, by which words, how long and why`() throws {
    let hosts = (1...200).map { HostID("web\($0)")! }
    let isolate = ProfileName("isolate")!
    let scope = try LockScope(any: ["web"], all: ["prod"])
    func draft(_ content: OrderDraft.Content, _ hosts: [HostID], reason: String? = nil) -> OrderDraft {
      OrderDraft(content, scope: scope, hosts: hosts, arriveWithin: 3600, reason: reason)
    }
    #expect(
      OrderEffect(draft(.lockdown(isolate, liftsAfter: 7200), hosts)).text == """
        isolate on 200 hosts, each opens by itself after 2h: nothing but what it keeps answers.
          hosts   web[1-200]
          scope   web,&prod

        """)
    #expect(
      OrderEffect(draft(.unlock, [hosts[0]], reason: "INC-991 closed")).text == """
        1 host goes on with what it committed.
          hosts   web1
          scope   web,&prod
          reason  INC-991 closed

        """)
    let armed = try BroadcastDocumentTests.sealed(.lockdown, 7, "INC-991 stolen deploy key")
    #expect(
      OrderEffect(armed, hosts: hosts).text == """
        isolate on 200 hosts, until somebody lifts it: nothing but what it keeps answers.
          hosts   web[1-200]
          scope   web
          reason  INC-991 stolen deploy key

        """)
    let scattered = stride(from: 1, to: 200, by: 2).map { hosts[$0] }
    let line = OrderEffect(draft(.unlock, scattered)).text.split(separator: "\n")[1]
    #expect(line.hasSuffix("…") && line.count <= 70)
  }
}
