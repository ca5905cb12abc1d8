/// Where a connection stands, seen from the agent.
package enum AgentPhase: Hashable, Sendable, CaseIterable {
  /// Our hello is out, theirs is awaited.
  case greeting
  /// Nothing is staged.
  case idle
  /// Announced bytes are arriving.
  case staging
  /// Announced bytes are arriving, and thrown away because the bundle was refused at its announcement.
  case discarding
  /// A bundle is there, whole and checked.
  case staged
  /// A bundle was refused; an `apply` that was sent along with it gets the same refusal.
  case rejected
  /// The answer to a request is being worked out or sent.
  case answering
  /// A change of the rules is waited for; whatever comes first ends that.
  case watching
  case closed

  /// What an agent accepts, all of it. Anything else is a protocol error, which ends the connection.
  package var allowed: Set<MessageType> {
    switch self {
    case .greeting: [.controllerHello]
    case .idle: Self.questions
    case .staging: [.data]
    case .discarding: [.data]
    case .staged, .rejected, .watching: Self.questions.union([.apply])
    // The next message is read when the answer is out.
    case .answering: []
    case .closed: []
    }
  }

  private static let questions: Set<MessageType> = [
    .stage, .reportRequest, .textRequest, .observe, .watch, .goodbye, .confirm, .cancel, .local, .order,
  ]

  /// Completes "message X is not allowed …".
  var words: String {
    switch self {
    case .greeting: "before hello"
    case .idle: "while nothing is staged"
    case .staging, .discarding: "before the announced files are complete"
    case .staged: "while a bundle is staged"
    case .rejected: "after a refused bundle"
    case .answering: "while an answer is pending"
    case .watching: "while a change is waited for"
    case .closed: "on a closed connection"
    }
  }
}

/// Where a connection stands, seen from the controller.
package enum ControllerPhase: Hashable, Sendable, CaseIterable {
  /// The agent's hello is awaited.
  case greeting
  /// Requests are out; their answers come in the order of the requests.
  case waiting
  /// Everything is answered.
  case idle
  /// Goodbye was said and everything is answered, or the stream has ended.
  case closed

  /// What a controller accepts, all of it. In `waiting` the answer must also be one to the oldest request.
  package var allowed: Set<MessageType> {
    switch self {
    // A refusal here: no room for another connection.
    case .greeting: [.agentHello, .refused]
    case .waiting: [.staged, .applied, .outcome, .report, .text, .observations, .changes, .done, .obeyed, .refused]
    // A refusal here: too long without a request.
    case .idle: [.refused]
    case .closed: []
    }
  }

  /// Completes "message X is not allowed …".
  var words: String {
    switch self {
    case .greeting: "before hello"
    case .waiting: "while answers are pending"
    case .idle: "when nothing was asked"
    case .closed: "after goodbye"
    }
  }
}
