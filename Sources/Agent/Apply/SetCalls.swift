internal import Core
internal import Ruleset

/// The host's ipset program during one step: all its calls together have a limit, so that one that hangs holds nothing up
/// for longer, however many sets there are.
struct SetCalls {
  static let limit = Duration.seconds(15)
  /// On the way back, once the rules are loaded.
  static let shortLimit = Duration.seconds(1)
  /// The kernel may let go of sets a moment after the rules that named them are gone, or while somebody lists them.
  private static let pauses: [Duration] = [.milliseconds(20), .milliseconds(40), .milliseconds(80), .milliseconds(160)]

  private let firewall: any HostFirewall
  private let clock: any BootClock
  private let end: BootTime

  init(_ firewall: any HostFirewall, _ clock: any BootClock, within limit: Duration = Self.limit) {
    self.firewall = firewall
    self.clock = clock
    end = clock.now() + limit
  }

  func names() throws(FirewallProblem) -> Set<String> { Set(try firewall.setNames(within: try left())) }

  func save(_ name: String) throws(FirewallProblem) -> [UInt8] { try firewall.saveSet(name, within: try left()) }

  func change(_ text: [UInt8]) throws(FirewallProblem) { try firewall.changeSets(text, within: try left()) }

  /// Sets of sets, with their members.
  func lists() throws(FirewallProblem) -> [String: [String]] { try firewall.setLists(within: try left()) }

  /// Tries again, a few times, what fails because a set is in use.
  func insisting(_ change: () throws(FirewallProblem) -> Void) throws(FirewallProblem) {
    for pause in Self.pauses {
      do throws(FirewallProblem) { return try change() } catch { guard error.isSetInUse else { throw error } }
      clock.sleep(for: pause)
    }
    try change()
  }

  private func left() throws(FirewallProblem) -> Duration {
    let left = end - clock.now()
    guard left > .zero else {
      throw FirewallProblem(
        .timedOut, program: FirewallProblem.setProgram, family: nil, words: "it took too long before")
    }
    return left
  }
}

extension FirewallProblem {
  /// "Set cannot be destroyed: it is in use by a kernel component", "Device or resource busy".
  var isSetInUse: Bool { kind == .refused && (words.contains("in use") || words.contains("busy")) }
}
