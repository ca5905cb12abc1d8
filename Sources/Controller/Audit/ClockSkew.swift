/// How far a host's clock is off, in words.
package enum ClockSkew {
  /// - Parameter ahead: seconds; negative: it is behind.
  package static func words(_ ahead: Int64) -> String {
    let seconds = ahead.magnitude
    let time =
      switch seconds {
      case ..<120: "\(seconds) s"
      case ..<7200: "\(seconds / 60) min"
      case ..<172_800: "\(seconds / 3600) h"
      default: "\(seconds / 86_400) d"
      }
    return "\(time) \(ahead < 0 ? "behind" : "ahead of") ours"
  }
}
