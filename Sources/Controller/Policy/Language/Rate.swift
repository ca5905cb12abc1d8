/// `6/minute`
struct Rate: Hashable, Sendable {
  enum Unit: String, CaseIterable, Sendable {
    case second, minute, hour, day

    /// As iptables-save prints it.
    var short: String {
      switch self {
      case .second: "sec"
      case .minute: "min"
      case .hour: "hour"
      case .day: "day"
      }
    }

    var seconds: Int {
      switch self {
      case .second: 1
      case .minute: 60
      case .hour: 3600
      case .day: 86_400
      }
    }
  }

  /// Of a match, the parts of a second that it counts in.
  enum Scale: Int {
    // XT_LIMIT_SCALE
    case limit = 10_000
    // XT_HASHLIMIT_SCALE_v2
    case hashlimit = 1_000_000
  }

  let count: Int
  let unit: Unit

  /// Packets that may come at once: saving up more than a day's worth overflows in the kernel.
  var largestBurst: Int { max(1, Unit.day.seconds * count / unit.seconds) }

  /// How long a burst takes to be allowed again, rounded up.
  func milliseconds(ofBurst burst: Int) -> Int { (burst * unit.seconds * 1000 + count - 1) / count }

  /// The rate that the match keeps, in the words of iptables-save: it keeps the time between two packets, and prints
  /// the largest unit that says it well.
  func printed(_ scale: Scale) -> Rate {
    let period = max(1, scale.rawValue * unit.seconds / count)
    var unit = Unit.day
    for smaller in [Unit.hour, .minute, .second] {
      let whole = scale.rawValue * smaller.seconds
      if period > whole || whole / period < whole % period { break }
      unit = smaller
    }
    return Rate(count: scale.rawValue * unit.seconds / period, unit: unit)
  }

  var text: String { "\(count)/\(unit.short)" }
}
