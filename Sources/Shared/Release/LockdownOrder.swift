package import Core

/// Tells the hosts in its scope to lock with a profile that their release has staged. The same bytes go to every host.
package struct LockdownOrder: Hashable, Sendable {
  /// In seconds.
  package static let lifetimes: ClosedRange<UInt32> = 60...2_592_000

  package let terms: OrderTerms
  /// Everything is done but locking.
  package let isDrill: Bool
  package let profile: ProfileName
  /// Seconds of running time after which the host lifts by itself; nil for never.
  package let liftsAfter: UInt32?

  /// Throws for a value the text format has no spelling for.
  package init(
    terms: OrderTerms, isDrill: Bool, profile: ProfileName, liftsAfter: UInt32?
  ) throws(FormatProblem) {
    if let liftsAfter, !Self.lifetimes.contains(liftsAfter) {
      throw FormatProblem(
        OrderKind.lockdown.textName,
        "it lifts itself after \(liftsAfter) seconds; \(Self.lifetimes.lowerBound) to \(Self.lifetimes.upperBound) "
          + "are allowed")
    }
    self.terms = terms
    self.isDrill = isDrill
    self.profile = profile
    self.liftsAfter = liftsAfter
    try OrderText.checkSize(encode(), of: .lockdown)
  }

  package func encode() -> [UInt8] {
    OrderText.encode(
      .lockdown, terms, first: ["kind \(isDrill ? Self.drill : Self.real)", "profile \(profile)"],
      last: ["lifts-after \(liftsAfter.map(String.init) ?? Self.never)"])
  }

  /// Accepts exactly what `encode` writes.
  package static func parse(_ bytes: [UInt8]) throws(FormatProblem) -> LockdownOrder {
    let (terms, (isDrill, profile), liftsAfter) = try OrderText.parse(
      bytes, as: .lockdown,
      first: { (lines) throws(FormatProblem) -> (Bool, ProfileName) in (try readKind(&lines), try readProfile(&lines))
      },
      last: { (lines) throws(FormatProblem) -> UInt32? in try readLiftsAfter(&lines) })
    return try LockdownOrder(terms: terms, isDrill: isDrill, profile: profile, liftsAfter: liftsAfter)
  }

  private static let real = "order"
  private static let drill = "drill"
  private static let never = "-"

  private static func readKind(_ lines: inout StrictLines) throws(FormatProblem) -> Bool {
    let kind = try lines.value(of: "kind")
    guard kind == real || kind == drill else { throw lines.problem("kind '\(kind)' is neither \(real) nor \(drill)") }
    return kind == drill
  }

  private static func readProfile(_ lines: inout StrictLines) throws(FormatProblem) -> ProfileName {
    let text = try lines.value(of: "profile")
    guard let name = ProfileName(text) else { throw lines.problem("'\(text)' is not a profile's name") }
    return name
  }

  private static func readLiftsAfter(_ lines: inout StrictLines) throws(FormatProblem) -> UInt32? {
    let text = try lines.value(of: "lifts-after")
    if text == never { return nil }
    guard let number = CanonicalNumber.parse(text), let seconds = UInt32(exactly: number) else {
      throw lines.problem("lifts-after '\(text)' is neither a number of seconds nor \(never)")
    }
    return seconds
  }
}
