internal import Wire

/// Where a delivery is. Only `DeliveryMachine` goes from one to another.
enum DeliveryState: Sendable {
  case idle
  /// A connection failed, or the host was busy, before anything was asked of it; waits before the next.
  case pausing(String)
  /// No connection yet that the host has greeted us on.
  case connecting(Errand, greeted: Bool)
  /// It is asked, under this nonce, whether it still has what the plan was made against.
  case checking(Nonce)
  /// The bundle is on its way; nothing has changed on the host by this attempt.
  case staging(Lost?)
  /// The host was told to apply.
  case applying(Lost?)
  /// The new rules are loaded; waits before the next try to reach the host anew.
  case unconfirmed(Waiting)
  /// A new connection reached the host, and the confirmation was sent over it.
  case confirming(Waiting)
  /// The answer is lost; waits before it connects again to ask.
  case lost(Lost)
  /// Waits for the answer to this nonce. With `final`, the bundle was refused and is not sent again.
  case asking(Lost, Nonce, final: Refusal?)
  /// Over; nothing that arrives later changes it.
  case answered(DeliveryResult)

  /// What a connection is made for.
  enum Errand: Sendable {
    case deliver
    case confirm(Waiting)
    case ask(Lost)
  }

  /// A change that the host will take back unless it is confirmed.
  struct Waiting: Sendable {
    let change: AppliedChange
    /// How long it was to wait when we learnt of it.
    let window: Duration
    /// From here on the host may go back at any moment.
    let end: DeliveryMachine.Time
    /// Why the last try failed, and how many did.
    var why = ""
    var tries = 0

    var lastTry: DeliveryMachine.Time { end - DeliveryTiming.margin(of: window) }
    var seconds: Int64 { window.components.seconds }
  }

  /// An apply was sent, and the answer to it or to its confirmation did not come.
  struct Lost: Sendable {
    var why: String
    /// How often we tried to find out: sets the back-off.
    var tries = 0
    /// Known when `applied` arrived.
    var waiting: Waiting?
    /// Nil until a confirmation was sent; then the host going back is not for want of a connection.
    var wasConfirmed = false
  }

  /// Was the host ever told to apply? Then cancelling must leave `unknown`, not `pending`.
  var mayHaveChangedHost: Bool {
    switch self {
    case .idle, .pausing, .connecting(.deliver, greeted: _), .checking, .staging(nil): false
    case .connecting, .staging, .applying, .unconfirmed, .confirming, .lost, .asking: true
    case .answered(let result):
      switch result {
      case .current(let touched, _): touched
      case .reverted, .unknown, .awaiting: true
      case .failed(_, let refusal): refusal == nil
      case .stale, .unreachable: false
      }
    }
  }

  /// Why what was tried last did not work.
  var lastWords: String? {
    switch self {
    case .idle, .answered, .checking, .connecting(.deliver, greeted: _): nil
    case .pausing(let why): why
    case .staging(let lost), .applying(let lost): lost?.why
    case .connecting(.ask(let lost), greeted: _), .lost(let lost), .asking(let lost, _, _): lost.why
    case .connecting(.confirm(let waiting), greeted: _), .unconfirmed(let waiting), .confirming(let waiting):
      waiting.why.isEmpty ? "the change was not confirmed yet" : waiting.why
    }
  }
}
