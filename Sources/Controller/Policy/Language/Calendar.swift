package import Core

/// `until: 2027-01-31`: the whole of that day in UTC still counts.
package struct LastDay: Hashable, Sendable {
  /// The kernel's time match ends on 2038-01-19T03:14:07 (xt_time keeps 32 bits): this is the last whole day before it.
  package static let latest = "2038-01-18"

  package let text: String

  /// Nil unless the text is a day that exists, written `YYYY-MM-DD`.
  package init?(_ text: String) {
    guard text.utf8.count == 10, UTCTime("\(text)T00:00:00Z") != nil else { return nil }
    self.text = text
  }

  package var isTooLate: Bool { text > Self.latest }

  /// Whether the day was over at that time.
  package func isOver(at time: UTCTime) -> Bool {
    guard let start = UTCTime("\(text)T00:00:00Z") else { return false }
    return time.secondsSinceEpoch >= start.secondsSinceEpoch + 86_400
  }

  /// As iptables-save prints it.
  var options: String { "--datestop \(text)T23:59:59" }
}

/// A weekly window of `schedule:`, in UTC.
struct Schedule: Sendable {
  static let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
  private static let dayNames = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

  let location: SourceLocation
  /// Indices into `days`; empty for every day.
  let days: Set<Int>
  /// Seconds of the day, from 0 to 86,399; the window is open at both.
  let start: Int?
  let stop: Int?

  /// As iptables-save prints them, but for the end that it adds by itself.
  var options: String {
    var words: [String] = []
    if let start { words.append("--timestart \(Self.clock(start))") }
    if let stop { words.append("--timestop \(Self.clock(stop))") }
    if !days.isEmpty { words.append("--weekdays " + days.sorted().map { Self.dayNames[$0] }.joined(separator: ",")) }
    // A window over midnight belongs to the day it begins on.
    if let start, let stop, start > stop { words.append("--contiguous") }
    return words.joined(separator: " ")
  }

  private static func clock(_ seconds: Int) -> String {
    [seconds / 3600, seconds / 60 % 60, seconds % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
  }
}
