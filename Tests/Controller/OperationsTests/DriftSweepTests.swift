import Audit
import Core
import Foundation
import Ruleset
import Synchronization
import Testing
import Transport
import Wire

@testable import Operations

/// An agent behind no network: it speaks the real protocol, and serves these texts.
private struct DriftedHosts: HostConnector {
  let texts: @Sendable (HostID, TextRequest.Side) -> [UInt8]
  let asked: Asked
  /// The digests that it reports are those of its texts.
  var isHonest = false
  /// A change waits there to be confirmed.
  var isPending = false
  /// What was rehearsed, where what is served has more: the report's digest is of this.
  var plain: [UInt8]?
  /// They differ beside the rules.
  var beside: Set<String> = []

  final class Asked: Sendable {
    let texts = Mutex(0)
    let bytes = Mutex(0)
  }

  func connect(
    to endpoint: HostEndpoint, limits: ConnectionLimits
  ) async throws(TransportError) -> any HostConnection { DriftedConnection(host: HostID(endpoint.name)!, owner: self) }
}

private struct DriftedConnection: HostConnection {
  let host: HostID
  let owner: DriftedHosts
  var remoteAddress: String { "192.0.2.1:22" }
  func run(_ command: String?, deadline: ContinuousClock.Instant) async throws(TransportError) -> any HostChannel {
    DriftedChannel(host: host, owner: owner)
  }
  func close() async {}
}

private final class DriftedChannel: HostChannel {
  private struct State {
    var session: AgentSession
    var decoder = FrameDecoder()
    var out: [[UInt8]] = []
  }
  private let state: Mutex<State>
  private let host: HostID
  private let owner: DriftedHosts

  init(host: HostID, owner: DriftedHosts) {
    self.host = host
    self.owner = owner
    var session = AgentSession(
      hello: AgentHello(version: ProtocolVersion.current, agentVersion: "0.1.0", host: host, fleet: FleetID("lab")!))
    var out: [[UInt8]] = []
    for case .send(let message) in session.start() { out.append(message.encode()) }
    state = Mutex(State(session: session, out: out))
  }

  func write(_ bytes: [UInt8]) async throws(TransportError) {
    state.withLock { state in
      state.decoder.feed(bytes)
      while let frame = try? state.decoder.next(), let message = try? ControllerMessage(frame: frame) {
        perform(state.session.receive(message), &state)
      }
    }
  }

  private func perform(_ actions: [AgentAction], _ state: inout State) {
    for action in actions {
      switch action {
      case .send(let message): state.out.append(message.encode())
      case .report(let nonce):
        var report = FleetFolder.report(host.description, nonce: nonce, drifted: true)
        if owner.isPending {
          report.pending = PendingChange(
            transaction: TransactionID(bytes: [UInt8](repeating: 2, count: 16))!, manifest: Digest(of: []),
            serial: Serial(9), millisecondsLeft: 60_000, isManual: true)
        }
        if owner.isHonest {
          report.committed = Committed(
            serial: Serial(1), manifest: Digest(of: []), content: Digest(of: []), at: FleetFolder.now)
          for family in Family.allCases {
            report.families[family].expected = Digest(of: owner.plain ?? owner.texts(host, .expected))
            if owner.beside.contains(host.description) {
              report.families[family].chains = [
                ChainDigest(table: "sysctl", chain: "net.ipv4.ip_forward", digest: Digest(of: [1]))
              ]
            }
            report.families[family].observed = Digest(of: owner.texts(host, .observed))
          }
        }
        perform(state.session.reported(.success(report)), &state)
      case .text(let request):
        owner.asked.texts.withLock { $0 += 1 }
        perform(state.session.textReady(.success(owner.texts(host, request.side))), &state)
        while let piece = state.session.nextPiece() {
          let bytes = piece.encode()
          owner.asked.bytes.withLock { $0 += bytes.count }
          state.out.append(bytes)
        }
      case .check, .apply, .confirm, .cancel, .local, .order, .observe, .watch, .close: break
      }
    }
  }

  func finishWriting() async throws(TransportError) {}
  func read() async throws(TransportError) -> [UInt8]? {
    state.withLock { $0.out.isEmpty ? nil : $0.out.removeFirst() }
  }
  func exitStatus() async throws(TransportError) -> Int32? { 0 }
  func standardError() async -> [UInt8] { [] }
  func close() async {}
}

struct DriftSweepTests {
  private static func text(_ rules: Int) -> [UInt8] {
    Array("*filter\n:INPUT DROP [0:0]\n".utf8)
      + (0..<rules).flatMap { Array("-A INPUT -s 10.0.\($0 >> 8 & 255).\($0 & 255)/32 -j ACCEPT\n".utf8) }
      + Array("COMMIT\n".utf8)
  }

  private func sweep(
    _ names: [String], _ differences: Sweep.Differences, _ host: DriftedHosts
  ) async -> [HostID: Sweep.Answer] {
    var answers: [HostID: Sweep.Answer] = [:]
    let endpoints = names.map { name in
      (host: HostID(name)!, fleet: FleetID("lab")!, endpoint: HostEndpoint(name: name, addresses: [], user: "p"))
    }
    await Sweep(connector: host, limits: ContactLimits(parallel: 8, timeout: patience))
      .ask(endpoints, differences: differences) { name, result in
        guard case .answered(let answer) = result else {
          Issue.record("\(name): \(result)")
          return
        }
        answers[name] = answer
      }
    return answers
  }

  @Test func `drift is compared as a host answers, and its texts are not kept`() async throws {
    let host = DriftedHosts(texts: { _, side in Self.text(side == .expected ? 3 : 4) }, asked: .init())
    let answers = await sweep(["a", "b"], .compared(.none), host)
    for answer in answers.values {
      #expect(answer.texts.ipv4 == nil && answer.texts.ipv6 == nil)
      guard let drift = answer.drift, case .differs(let diffs) = drift.finding else {
        Issue.record("not compared")
        continue
      }
      #expect(diffs.ipv4.added == 1 && diffs.ipv6.added == 1)
    }
    #expect(answers.count == 2)
    #expect(await sweep(["a"], .texts, host)[HostID("a")!]?.texts.ipv4?.observed == Self.text(4))
    #expect(await sweep(["a"], .ignored, host)[HostID("a")!]?.drift == nil)
  }

  @Test func `a host that serves huge texts is asked for one of them and named, and the others are compared`()
    async throws
  {
    let huge = [UInt8](repeating: UInt8(ascii: "x"), count: WireLimit.text)
    #expect(huge.count > Sweep.comparedLimit)
    let host = DriftedHosts(
      texts: { name, side in name.description == "evil" ? huge : Self.text(side == .expected ? 3 : 4) }, asked: .init())
    let answers = await sweep(["evil", "a"], .compared(.none), host)
    guard let evil = answers[HostID("evil")!]?.drift, case .unreadable(let why) = evil.finding else {
      Issue.record("compared")
      return
    }
    #expect(why == "its ipv4 rules are longer than the 4 MiB that are compared here")
    guard let good = answers[HostID("a")!]?.drift, case .differs = good.finding else {
      Issue.record("the other host was not compared")
      return
    }
    // One of the huge ones, and four of the other host.
    #expect(host.asked.texts.withLock { $0 } == 5)
    #expect(await sweep(["evil"], .texts, host)[HostID("evil")!]?.texts.ipv4 == nil)
  }

  @Test func `a host that says the same again is not asked for its texts, and one that says something else is`()
    async throws
  {
    let host = DriftedHosts(
      texts: { _, side in Self.text(side == .expected ? 3 : 4) }, asked: .init(), isHonest: true)
    let first = try #require(await sweep(["a"], .compared(.none), host)[HostID("a")!])
    let known = try #require(first.difference)
    #expect(host.asked.texts.withLock { $0 } == 4)
    let again = try #require(await sweep(["a"], knowing(known), host)[HostID("a")!])
    #expect(host.asked.texts.withLock { $0 } == 4)
    #expect(again.drift?.exact == first.drift?.exact && again.drift?.key == first.drift?.key)
    #expect(again.difference == nil)
    let changed = DriftedHosts(
      texts: { _, side in Self.text(side == .expected ? 3 : 5) }, asked: .init(), isHonest: true)
    let other = try #require(await sweep(["a"], knowing(known), changed)[HostID("a")!])
    #expect(changed.asked.texts.withLock { $0 } == 4)
    #expect(other.drift?.exact != first.drift?.exact && other.difference?.exact == other.drift?.exact)
    // What is known of another host is nothing known of this one.
    _ = await sweep(["b"], knowing(known), host)
    #expect(host.asked.texts.withLock { $0 } == 8)
  }

  @Test func `texts that are not those of the report are shown and not remembered`() async throws {
    let host = DriftedHosts(texts: { _, side in Self.text(side == .expected ? 3 : 4) }, asked: .init())
    let answer = try #require(await sweep(["a"], .compared(.none), host)[HostID("a")!])
    #expect(answer.drift?.exact != nil && answer.difference == nil)
  }

  @Test func `what is kept of a difference and cannot be read is asked for again`() async throws {
    let host = DriftedHosts(
      texts: { _, side in Self.text(side == .expected ? 3 : 4) }, asked: .init(), isHonest: true)
    let known = try #require(await sweep(["a"], .compared(.none), host)[HostID("a")!]?.difference)
    let broken = KnownDifference(host: known.host, sides: known.sides, exact: known.exact, body: [9])
    let again = try #require(await sweep(["a"], knowing(broken), host)[HostID("a")!])
    #expect(again.difference == known)
  }

  /// As the store would have it.
  private func knowing(_ known: KnownDifference) -> Sweep.Differences {
    let body = Digest(of: known.body)
    return .compared(
      KnownDifferences([known.host: DifferenceState(sides: known.sides, exact: known.exact, body: body)]) {
        $0 == body ? known.body : nil
      })
  }

  @Test func `a difference that hosts share is read once, and only where one of them reports it again`() async throws {
    let host = DriftedHosts(texts: { _, side in Self.text(side == .expected ? 3 : 4) }, asked: .init(), isHonest: true)
    let known = try #require(await sweep(["a"], .compared(.none), host)[HostID("a")!]?.difference)
    let body = Digest(of: known.body)
    let state = DifferenceState(sides: known.sides, exact: known.exact, body: body)
    let reads = Asked()
    let differences = KnownDifferences(
      Dictionary(uniqueKeysWithValues: ["a", "b", "c"].map { (HostID($0)!, state) })
        .merging([HostID("d")!: DifferenceState(sides: known.sides, exact: known.exact, body: Digest(of: [1]))]) { $1 }
    ) { digest in
      reads.digests.withLock { $0.append(digest) }
      return known.body
    }
    for name in ["a", "b", "c", "a"] {
      let drift = await differences.drift(of: HostID(name)!, known.sides)
      #expect(drift?.host.description == name && drift?.exact == known.exact)
    }
    #expect(reads.digests.withLock { $0 } == [body])
  }

  private final class Asked: Sendable { let digests = Mutex<[Digest]>([]) }

  @Test func `a change that waits to be confirmed is no difference to ask for`() async throws {
    let host = DriftedHosts(
      texts: { _, side in Self.text(side == .expected ? 3 : 4) }, asked: .init(), isHonest: true, isPending: true)
    #expect(await sweep(["a"], .compared(.none), host)[HostID("a")!]?.drift == nil)
    #expect(await sweep(["a"], .texts, host)[HostID("a")!]?.texts.ipv4 == nil)
    #expect(host.asked.texts.withLock { $0 } == 0)
  }

  @Test func `what is expected beside the rules is asked of each host, whatever others sent`() async throws {
    let beside = Array("*sysctl\n:net.ipv4.ip_forward - [0:0]\n-A net.ipv4.ip_forward 0\nCOMMIT\n".utf8)
    let moved = Array("*sysctl\n:net.ipv4.ip_forward - [0:0]\n-A net.ipv4.ip_forward 1\nCOMMIT\n".utf8)
    let rules = Self.text(3)
    let host = DriftedHosts(
      texts: { name, side in
        switch (name.description, side) {
        case ("plain", .expected): rules
        case ("plain", .observed): Self.text(4)
        case (_, .expected): rules + beside
        case (_, .observed): rules + moved
        }
      }, asked: .init(), isHonest: true, plain: rules, beside: ["moved"])
    for names in [["plain", "moved"], ["moved", "plain"]] {
      let answers = await sweep(names, .texts, host)
      #expect(answers[HostID("moved")!]?.texts.ipv4?.expected == rules + beside)
      #expect(answers[HostID("plain")!]?.texts.ipv4?.expected == rules)
    }
  }

  /// The figures stand in docs/adr/0015-texts-are-shared.md.
  @Test func `fifty hosts with one line more in ten thousand rules send their texts once`() async throws {
    let (expected, observed) = (Self.text(10_000), Self.text(10_001))
    let host = DriftedHosts(
      texts: { _, side in side == .expected ? expected : observed }, asked: .init(), isHonest: true)
    let names = (1...50).map { "h\($0)" }
    let answers = await sweep(names, .texts, host)
    #expect(answers.count == 50 && answers.values.allSatisfy { $0.texts.ipv6?.observed == observed })
    let (texts, bytes) = (host.asked.texts.withLock { $0 }, host.asked.bytes.withLock { $0 })
    print("50 hosts, one line in 10,000 rules: \(texts) texts of \(bytes) bytes, \(50 * bytes) if each sent its own")
    #expect(texts == 4 && bytes < 2 * (expected.count + observed.count) + 4096)
    // The other 49 differ alone.
    let mixed = DriftedHosts(
      texts: { name, side in side == .expected ? expected : Self.text(name.description == "h1" ? 3 : 4) },
      asked: .init(), isHonest: true)
    #expect(await sweep(names, .texts, mixed)[HostID("h1")!]?.texts.ipv4?.observed == Self.text(3))
    #expect(mixed.asked.texts.withLock { $0 } == 6)
  }
}
