import Core
import Testing
import Wire

@Suite struct ControllerSessionTests {
  static let request = TextRequest(family: .ipv4, side: .observed)

  static func greeted() throws -> ControllerSession {
    var session = ControllerSession()
    _ = try session.receive(.hello(agentHello))
    return session
  }

  static func session(in phase: ControllerPhase) throws -> ControllerSession {
    var session = try greeted()
    switch phase {
    case .greeting: session = ControllerSession()
    case .waiting: _ = session.report(nonce)
    case .idle: break
    case .closed: _ = session.goodbye()
    }
    return session
  }

  static let anyOfEach: [AgentMessage] = [
    .hello(agentHello), .staged(transaction, manifest: digest), .outcome(outcome()), .report(report()),
    .text(request, piece: [1], last: true), .refused(Refusal(code: .busy, detail: "")),
    .applied(change()), .done("done"), .obeyed(nonce, obeyed),
  ]

  @Test(arguments: ControllerPhase.allCases)
  func `what the table does not allow in a phase is a protocol error, and the last thing heard`(
    phase: ControllerPhase
  ) throws {
    #expect(try Self.session(in: phase).phase == phase)
    for message in Self.anyOfEach where !phase.allowed.contains(message.type) {
      var session = try Self.session(in: phase)
      #expect(throws: WireProblem.self) { try session.receive(message) }
      #expect(session.isFinished)
    }
  }

  @Test func `everything may be asked at once, before hello; the answers come in order`() throws {
    var session = ControllerSession()
    let files = bundle()
    let manifest = Digest(of: files[.manifest]!)
    #expect(session.hello() == .hello(version: 5))
    _ = Array(session.stage(transaction, files))
    _ = session.apply(transaction, manifest: manifest, terms)
    _ = session.report(nonce)
    _ = session.goodbye()
    #expect(try session.receive(.hello(agentHello)) == .hello(agentHello))
    #expect(try session.receive(.staged(transaction, manifest: manifest)) == .staged(transaction))
    #expect(try session.receive(.outcome(outcome())) == .outcome(outcome()))
    #expect(!session.isFinished)
    #expect(try session.receive(.report(report())) == .report(report()))
    #expect(session.isFinished)
    #expect(session.finish() == [])
  }

  @Test func `both sessions joined carry a whole apply`() throws {
    var controller = ControllerSession()
    var agent = AgentSession(hello: agentHello)
    let files = bundle(rules: 2 * WireLimit.piece)
    let manifest = Digest(of: files[.manifest]!)
    var inbox = [controller.hello()] + Array(controller.stage(transaction, files))
    inbox += [controller.apply(transaction, manifest: manifest, terms), controller.report(nonce)]
    let ours = ChangeConfirmation(transaction: transaction, manifest: manifest, nonce: nonce)
    inbox += [controller.text(Self.request), controller.confirm(ours), controller.cancel(transaction)]
    inbox += [controller.local(LocalOrder(deed: .safe, reason: "r")), controller.observe()]
    inbox += [controller.watch(after: 4, seconds: 9), controller.order(delivery), controller.goodbye()]
    var events: [ControllerEvent] = []
    var actions = agent.start()
    while true {
      while !actions.isEmpty {
        switch actions.removeFirst() {
        case .send(let message):
          if let event = try controller.receive(AgentMessage(frame: frame(message.encode()))) { events.append(event) }
        case .check: actions += agent.checked(.success(()))
        case .apply(_, let applied, let named, let asked):
          #expect(applied == files && named == manifest && asked == terms)
          actions += agent.applied(.success(.applied(change(manifest: named))))
        case .confirm(let confirmation):
          #expect(confirmation == ours)
          actions += agent.decided(.success(outcome(manifest: manifest)))
        case .cancel: actions += agent.decided(.success(outcome(.reverted)))
        case .local: actions += agent.obeyed(.success("done"))
        case .order(let order):
          #expect(order == delivery)
          actions += agent.ordered(.success(obeyed))
        case .report(let nonce): actions += agent.reported(.success(report(nonce: nonce)))
        case .text: actions += agent.textReady(.success(Array(repeating: 1, count: 300_000)))
        case .observe: actions += agent.observed(.success(Observations(observing: [.ipv6], entries: [])))
        case .watch(let after, _): actions += agent.changed(Changes(last: after + 1))
        case .close: break
        }
      }
      while let message = agent.nextPiece() {
        if let event = try controller.receive(message) { events.append(event) }
      }
      guard !inbox.isEmpty else { break }
      actions = agent.receive(try ControllerMessage(frame: frame(inbox.removeFirst().encode())))
    }
    #expect(
      events == [
        .hello(agentHello), .staged(transaction), .applied(change(manifest: manifest)), .report(report()),
        .text(Self.request, Array(repeating: 1, count: 300_000)), .outcome(outcome(manifest: manifest)),
        .outcome(outcome(.reverted)), .done("done"), .observations(Observations(observing: [.ipv6], entries: [])),
        .changes(Changes(last: 5)), .obeyed(obeyed),
      ])
    #expect(controller.isFinished && agent.phase == .closed)
  }

  @Test func `a refusal answers the oldest request and the next one waits on`() throws {
    var session = try Self.greeted()
    _ = session.apply(transaction, manifest: digest, terms)
    _ = session.report(nonce)
    let refusal = Refusal(code: .busy, detail: "")
    #expect(
      try session.receive(.refused(refusal)) == .refused(.apply(transaction, manifest: digest), refusal))
    #expect(session.unanswered == [.report(nonce)])
  }

  @Test func `a refusal before hello is about the connection`() throws {
    var session = ControllerSession()
    _ = session.report(nonce)
    let refusal = Refusal(code: .busy, detail: "16 connections")
    #expect(try session.receive(.refused(refusal)) == .refused(nil, refusal))
    #expect(session.isFinished)
    #expect(session.finish() == [.report(nonce)])
  }

  @Test(arguments: [WireRequest.confirm(confirmation), .cancel(transaction)])
  func `a refused decision is told as its own`(request: WireRequest) throws {
    var session = try Self.greeted()
    if case .confirm = request { _ = session.confirm(confirmation) } else { _ = session.cancel(transaction) }
    let refusal = Refusal(code: .notConfirmable, detail: "too late")
    #expect(try session.receive(.refused(refusal)) == .refused(request, refusal))
    #expect(session.phase == .idle)
  }

  @Test func `a lost answer is known as lost`() throws {
    var session = try Self.greeted()
    _ = session.apply(transaction, manifest: digest, terms)
    _ = session.goodbye()
    #expect(session.finish() == [.apply(transaction, manifest: digest)])
  }

  static let wrongAnswers: [(String, @Sendable (inout ControllerSession) -> Void, AgentMessage)] = [
    ("another nonce", { _ = $0.report(Nonce(bytes: Array(repeating: 1, count: 32))!) }, .report(report())),
    ("another transaction", { _ = $0.apply(otherTransaction, manifest: digest, terms) }, .outcome(outcome())),
    ("another manifest", { _ = Array($0.stage(transaction, bundle())) }, .staged(transaction, manifest: digest)),
    (
      "another text", { _ = $0.text(TextRequest(family: .ipv6, side: .observed)) },
      .text(request, piece: [], last: true)
    ),
    ("another kind", { _ = $0.report(nonce) }, .outcome(outcome())),
    ("applied: another transaction", { _ = $0.apply(otherTransaction, manifest: digest, terms) }, .applied(change())),
    (
      "applied: another manifest", { _ = $0.apply(transaction, manifest: digest, terms) },
      .applied(change(manifest: Digest(of: [])))
    ),
    ("applied: a confirmation", { _ = $0.confirm(confirmation) }, .applied(change())),
    (
      "confirmed: another transaction",
      { _ = $0.confirm(ChangeConfirmation(transaction: otherTransaction, manifest: digest, nonce: nonce)) },
      .outcome(outcome())
    ),
    (
      "confirmed: another manifest", { _ = $0.confirm(confirmation) }, .outcome(outcome(manifest: Digest(of: [])))
    ),
    ("cancelled: another transaction", { _ = $0.cancel(otherTransaction) }, .outcome(outcome())),
    ("an outcome of a local order", { _ = $0.local(LocalOrder(deed: .safe, reason: "")) }, .outcome(outcome())),
    (
      "obeyed: another order", { _ = $0.order(delivery) },
      .obeyed(Nonce(bytes: Array(repeating: 1, count: 32))!, obeyed)
    ),
    ("done without an order", { _ = $0.cancel(transaction) }, .done("")),
    (
      "a later request's answer",
      {
        _ = $0.report(nonce)
        _ = $0.apply(transaction, manifest: digest, terms)
      }, .outcome(outcome())
    ),
  ]

  @Test(arguments: wrongAnswers.indices)
  func `an answer to something else is a protocol error`(index: Int) throws {
    var session = try Self.greeted()
    Self.wrongAnswers[index].1(&session)
    #expect(throws: WireProblem.self, "\(Self.wrongAnswers[index].0)") {
      try session.receive(Self.wrongAnswers[index].2)
    }
  }

  @Test func `a text without end is cut off at its limit`() throws {
    var session = try Self.greeted()
    _ = session.text(Self.request)
    let piece = [UInt8](repeating: 0, count: WireLimit.piece)
    for _ in 0..<WireLimit.text / WireLimit.piece {
      #expect(try session.receive(.text(Self.request, piece: piece, last: false)) == nil)
    }
    #expect(throws: WireProblem.self) { try session.receive(.text(Self.request, piece: [1], last: false)) }
  }
}
