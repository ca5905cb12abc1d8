import Core
import Testing
import Wire

@Suite struct AgentSessionTests {
  /// A session that has said and heard hello.
  static func greeted() -> AgentSession {
    var session = AgentSession(hello: agentHello)
    _ = session.start()
    _ = session.receive(.hello(version: 5))
    return session
  }

  static func announcement(_ files: [BundleFile: [UInt8]]) -> [ControllerMessage] {
    var controller = ControllerSession()
    return Array(controller.stage(transaction, files))
  }

  /// A session with `bundle()` staged and checked.
  static func staged() -> AgentSession {
    var session = greeted()
    for message in announcement(bundle()) { _ = session.receive(message) }
    _ = session.checked(.success(()))
    return session
  }

  /// One session in each phase.
  static func session(in phase: AgentPhase) -> AgentSession {
    var session = greeted()
    switch phase {
    case .greeting: session = AgentSession(hello: agentHello)
    case .idle: break
    case .staging: _ = session.receive(announcement(bundle())[0])
    case .discarding: _ = session.receive(announcement(bundle())[0], room: 3)
    case .staged: session = staged()
    case .rejected:
      for message in announcement(bundle()) { _ = session.receive(message) }
      _ = session.checked(.failure(Refusal(code: .badSignature, detail: "")))
    case .answering: _ = session.receive(.report(nonce))
    case .watching:
      session = staged()
      _ = session.receive(.watch(after: 3, seconds: 60))
    case .closed: _ = session.receive(.goodbye)
    }
    return session
  }

  static let anyOfEach: [ControllerMessage] = [
    .hello(version: 5), .stage(transaction, [StagedFile(file: .manifest, size: 1)]), .data([1]),
    .apply(transaction, manifest: digest, terms), .report(nonce), .text(TextRequest(family: .ipv4, side: .observed)),
    .goodbye, .confirm(confirmation), .cancel(transaction), .local(LocalOrder(deed: .safe, reason: "r")),
    .watch(after: 0, seconds: 1), .order(delivery),
  ]

  @Test(arguments: AgentPhase.allCases)
  func `what the table does not allow in a phase ends the connection with a refusal`(phase: AgentPhase) {
    #expect(Self.session(in: phase).phase == phase)
    for message in Self.anyOfEach {
      var session = Self.session(in: phase)
      let actions = session.receive(message)
      if phase.allowed.contains(message.type) {
        #expect(session.phase != .closed || message == .goodbye)
      } else if phase == .closed {
        #expect(actions == [])
      } else {
        // What was waited for is answered first.
        let isAnswer = phase == .watching && actions.first == .send(.changes(Changes(last: 3)))
        guard case .send(.refused(let refusal))? = actions.dropFirst(isAnswer ? 1 : 0).first else {
          Issue.record("\(message.type) in \(phase) is not refused")
          continue
        }
        #expect(refusal.code == .malformed)
        #expect(refusal.detail.contains(message.type.name))
        #expect(actions.last == .close)
        #expect(session.phase == .closed)
      }
    }
  }

  @Test func `a watch is answered by what changed, and by whatever is said before that`() {
    var session = Self.staged()
    #expect(session.receive(.watch(after: 3, seconds: 60)) == [.watch(after: 3, seconds: 60)])
    #expect(session.reservedBytes == Self.staged().reservedBytes)
    let changes = Changes(omitted: 1, last: 9)
    #expect(session.changed(changes) == [.send(.changes(changes))])
    #expect(session.changed(changes) == [])
    _ = session.receive(.watch(after: 9, seconds: 60))
    #expect(session.receive(.report(nonce)) == [.send(.changes(Changes(last: 9))), .report(nonce)])
    _ = session.reported(.success(report()))
    // What was staged is staged still.
    #expect(session.phase == .staged)
    _ = session.receive(.watch(after: 9, seconds: 60))
    #expect(session.peerFinished() == [.close])
  }

  @Test func `hello goes out first, without being asked`() {
    var session = AgentSession(hello: agentHello)
    #expect(session.start() == [.send(.hello(agentHello))])
  }

  @Test(arguments: [0, 1, 4, 6, .max] as [UInt16])
  func `another version is refused by name`(version: UInt16) {
    var session = AgentSession(hello: agentHello)
    let refusal = Refusal(code: .otherVersion, detail: "the other side speaks protocol \(version), this one 5")
    #expect(session.receive(.hello(version: version)) == [.send(.refused(refusal)), .close])
    #expect(session.phase == .closed)
  }

  @Test func `a bundle is put together, checked, applied and forgotten`() {
    var session = Self.greeted()
    let files = bundle(rules: WireLimit.piece + 1)
    var last: [AgentAction] = []
    for message in Self.announcement(files) {
      #expect(last == [])
      last = session.receive(message)
    }
    #expect(last == [.check(files)])
    #expect(session.isReady == false)
    let manifest = Digest(of: files[.manifest]!)
    #expect(session.checked(.success(())) == [.send(.staged(transaction, manifest: manifest))])
    #expect(session.reservedBytes == files.values.reduce(0) { $0 + $1.count })
    #expect(
      session.receive(.apply(transaction, manifest: manifest, terms))
        == [.apply(transaction, files: files, manifest: manifest, terms)])
    #expect(session.applied(.success(.outcome(outcome()))) == [.send(.outcome(outcome()))])
    #expect(session.reservedBytes == 0)
    #expect(session.phase == .idle)
  }

  @Test func `a bundle sent one byte a piece is the same bundle`() {
    var session = Self.greeted()
    _ = session.receive(Self.announcement(bundle())[0])
    var actions: [AgentAction] = []
    for case .data(let piece) in Self.announcement(bundle()) {
      for byte in piece { actions += session.receive(.data([byte])) }
    }
    #expect(actions == [.check(bundle())])
  }

  @Test func `a piece that reaches into the next file ends the connection`() {
    var session = Self.greeted()
    _ = session.receive(.stage(transaction, [StagedFile(file: .manifest, size: 2), StagedFile(file: .proof, size: 2)]))
    let actions = session.receive(.data([1, 2, 3]))
    #expect(actions.last == .close)
  }

  @Test func `a refused bundle's apply gets the same refusal, and the connection lives`() {
    var session = Self.greeted()
    for message in Self.announcement(bundle()) { _ = session.receive(message) }
    let refusal = Refusal(code: .badSignature, detail: "signature 0 is broken")
    #expect(session.checked(.failure(refusal)) == [.send(.refused(refusal))])
    #expect(session.receive(.apply(transaction, manifest: digest, terms)) == [.send(.refused(refusal))])
    #expect(session.receive(.report(nonce)) == [.report(nonce)])
    #expect(session.reservedBytes == 0)
  }

  @Test func `a bundle without room is refused at once, its bytes are dropped, and its apply is refused too`() {
    var session = Self.greeted()
    var actions: [AgentAction] = []
    for message in Self.announcement(bundle()) {
      actions += session.receive(message, room: 10)
      #expect(session.reservedBytes == 0)
    }
    guard case .send(.refused(let refusal))? = actions.first else {
      Issue.record("not refused")
      return
    }
    #expect(refusal.code == .busy)
    #expect(actions.count == 1)
    #expect(session.receive(.apply(transaction, manifest: digest, terms)) == actions)
    #expect(session.receive(.report(nonce)) == [.report(nonce)])
  }

  @Test func `a bundle without a manifest is refused`() {
    var session = Self.greeted()
    let actions = session.receive(.stage(transaction, [StagedFile(file: .proof, size: 2)]))
    #expect(actions == [.send(.refused(Refusal(code: .malformed, detail: "the bundle has no manifest")))])
  }

  @Test(arguments: [(otherTransaction, Digest(of: bundle()[.manifest]!)), (transaction, digest)])
  func `an apply that names something else than what is staged is refused, and what is staged stays`(
    named: TransactionID, manifest: Digest
  ) {
    var session = Self.staged()
    guard case .send(.refused(let refusal))? = session.receive(.apply(named, manifest: manifest, terms)).first else {
      Issue.record("not refused")
      return
    }
    #expect(refusal.code == .malformed)
    #expect(session.phase == .staged)
  }

  @Test func `an applied change is answered, nothing stays staged, and the connection may ask on`() {
    var session = Self.staged()
    _ = session.receive(.apply(transaction, manifest: Digest(of: bundle()[.manifest]!), terms))
    #expect(session.applied(.success(.applied(change()))) == [.send(.applied(change()))])
    #expect(session.phase == .idle)
    #expect(session.reservedBytes == 0)
    #expect(session.receive(.report(nonce)) == [.report(nonce)])
  }

  /// What a controller may decide about, and the action the agent makes of it.
  static let decisions: [(ControllerMessage, AgentAction)] = [
    (.confirm(confirmation), .confirm(confirmation)), (.cancel(transaction), .cancel(transaction)),
  ]

  @Test(arguments: decisions.indices, [AgentPhase.idle, .staged, .rejected])
  func `a confirmation and a cancellation are answered, and a bundle that is staged stays staged`(
    index: Int, phase: AgentPhase
  ) {
    let (message, action) = Self.decisions[index]
    var session = Self.session(in: phase)
    #expect(session.receive(message) == [action])
    #expect(session.phase == .answering)
    #expect(session.reservedBytes == (phase == .staged ? bundle().values.reduce(0) { $0 + $1.count } : 0))
    // Answers to other questions change nothing.
    #expect(session.reported(.success(report())) == [])
    #expect(session.decided(.success(outcome())) == [.send(.outcome(outcome()))])
    #expect(session.phase == phase)
    #expect(session.receive(message) == [action])
    let refusal = Refusal(code: .notConfirmable, detail: "too late")
    #expect(session.decided(.failure(refusal)) == [.send(.refused(refusal))])
    #expect(session.phase == phase)
  }

  @Test func `a local order is handed on, and its answer is in words or a refusal`() {
    var session = Self.greeted()
    let order = LocalOrder(deed: .rollback, reason: "r")
    #expect(session.receive(.local(order)) == [.local(order)])
    #expect(session.phase == .answering)
    #expect(session.obeyed(.success("done")) == [.send(.done("done"))])
    _ = session.receive(.local(order))
    let refusal = Refusal(code: .notLocal, detail: "")
    #expect(session.obeyed(.failure(refusal)) == [.send(.refused(refusal))])
    #expect(session.phase == .idle)
  }

  @Test(arguments: [AgentPhase.idle, .staged, .rejected])
  func `an order is handed on, and its answer names its nonce or is a refusal`(phase: AgentPhase) {
    var session = Self.session(in: phase)
    #expect(session.receive(.order(delivery)) == [.order(delivery)])
    #expect(session.phase == .answering)
    #expect(session.ordered(.success(obeyed)) == [.send(.obeyed(nonce, obeyed))])
    #expect(session.phase == phase)
    _ = session.receive(.order(delivery))
    let refusal = Refusal(code: .olderEpoch, detail: "")
    #expect(session.ordered(.failure(refusal)) == [.send(.refused(refusal))])
    #expect(session.phase == phase)
  }

  @Test func `an order ends a watch, which is answered first`() {
    var session = Self.session(in: .watching)
    #expect(session.receive(.order(delivery)) == [.send(.changes(Changes(last: 3))), .order(delivery)])
    #expect(session.ordered(.success(obeyed)) == [.send(.obeyed(nonce, obeyed))])
    #expect(session.phase == .staged)
  }

  @Test func `a second bundle takes the place of the first`() {
    var session = Self.staged()
    _ = session.receive(.stage(otherTransaction, [StagedFile(file: .manifest, size: 4)]))
    #expect(session.reservedBytes == 4)
    #expect(session.receive(.data([1, 2, 3, 4])) == [.check([.manifest: [1, 2, 3, 4]])])
  }

  @Test func `a report in between leaves the bundle staged`() {
    var session = Self.staged()
    _ = session.receive(.report(nonce))
    #expect(session.reported(.success(report())) == [.send(.report(report()))])
    #expect(session.phase == .staged)
  }

  @Test(arguments: [0, 1, WireLimit.piece, 2 * WireLimit.piece + 9])
  func `a text goes out in pieces as the output has room, and nothing else meanwhile`(count: Int) {
    var session = Self.greeted()
    let request = TextRequest(family: .ipv6, side: .expected)
    #expect(session.receive(.text(request)) == [.text(request)])
    #expect(session.nextPiece() == nil)
    let text = [UInt8](repeating: 9, count: count)
    #expect(session.textReady(.success(text)) == [])
    var joined: [UInt8] = []
    var ended = false
    while let message = session.nextPiece() {
      guard case .text(request, let piece, let last) = message else { break }
      joined += piece
      ended = last
      #expect(session.isReady == last)
    }
    #expect(joined == text)
    #expect(ended)
    #expect(session.phase == .idle)
  }

  @Test func `a text over the limit is refused`() {
    var session = Self.greeted()
    _ = session.receive(.text(TextRequest(family: .ipv4, side: .observed)))
    let actions = session.textReady(.success(Array(repeating: 0, count: WireLimit.text + 1)))
    guard case .send(.refused(let refusal))? = actions.first else {
      Issue.record("not refused")
      return
    }
    #expect(refusal.code == .tooLarge)
    #expect(session.phase == .idle)
  }

  @Test(arguments: AgentPhase.allCases)
  func `the end of the stream closes, except that an answer is still sent`(phase: AgentPhase) {
    var session = Self.session(in: phase)
    let actions = session.peerFinished()
    switch phase {
    case .greeting, .idle, .staged, .rejected, .watching: #expect(actions == [.close])
    case .staging, .discarding: #expect(actions.last == .close && actions.count == 2)
    case .answering, .closed: #expect(actions == [])
    }
  }

  @Test func `answers nobody asked for are ignored`() {
    var session = Self.greeted()
    #expect(session.checked(.success(())) == [])
    #expect(session.applied(.success(.outcome(outcome()))) == [])
    #expect(session.applied(.success(.applied(change()))) == [])
    #expect(session.decided(.success(outcome())) == [])
    #expect(session.obeyed(.success("")) == [])
    #expect(session.ordered(.success(obeyed)) == [])
    #expect(session.reported(.success(report())) == [])
    #expect(session.textReady(.success([])) == [])
    #expect(session.phase == .idle)
  }
}
