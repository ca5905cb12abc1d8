import Core
import Ruleset
import Wire

extension Document {
  init(_ listening: ListeningReport) {
    self = .object([
      (
        "sockets",
        .array(
          listening.sockets.map {
            .object([
              ("transport", .string("\($0.transport)")), ("port", .number(UInt64($0.port))),
              ("address", .string(AddressPrefix(bytes: $0.address).map { "\($0)" } ?? "")),
            ])
          })
      ), ("omitted", .number(UInt64(clamping: listening.omitted))),
    ])
  }

  init(_ lockdown: LockdownReport) {
    self = .object([
      ("lock", lockdown.lock.map(Document.init) ?? .null), ("heard", .number(lockdown.heard.value)),
      (
        "profiles",
        .array(
          lockdown.profiles.map {
            .object([
              ("name", .string($0.name.description)), ("rank", .number(UInt64($0.rank.value))),
              ("problem", Self.words($0.problem)),
            ])
          })
      ),
      ("last_lift", lockdown.lastLift.map(Document.init) ?? .null),
    ])
  }

  private init(_ lock: LockReport) {
    self = .object([
      ("order", .number(lock.epoch.value)), ("order_digest", .string(lock.order.description)),
      ("profile", .string(lock.profile.description)), ("rank", .number(UInt64(lock.rank.value))),
      ("signers", .array(lock.principals.map { .string($0) })), ("reason", .string(lock.reason)),
      ("phase", .string("\(lock.phase)")), ("since", .string(lock.since.description)),
      ("seconds_left", lock.secondsLeft.map { .number(UInt64($0)) } ?? .null),
      ("serial", .number(lock.serial.value)), ("ipv4_difference", Self.words(lock.differences.ipv4)),
      ("ipv6_difference", Self.words(lock.differences.ipv6)), ("uncut", Self.words(lock.uncut)),
    ])
  }

  private init(_ lift: LiftReport) {
    let (cause, order, reason): (String, Document, Document) =
      switch lift.cause {
      case .order(let epoch): ("order", .number(epoch.value), .null)
      case .itself: ("itself", .null, .null)
      case .console(let words): ("console", .null, .string(words))
      }
    self = .object([
      ("order", .number(lift.epoch.value)), ("cause", .string(cause)), ("by_order", order), ("reason", reason),
      ("at", .string(lift.at.description)),
    ])
  }

  private static func words(_ text: String?) -> Document { text.map { .string($0) } ?? .null }
}
