/// What a name in a signed statement may look like: ASCII letters, digits, `.`, `_` and `-`, not starting with `-` or
/// `.`, so that it is safe as a file name, a YAML scalar and a word on a terminal.
private func isName(_ text: String, atMost limit: Int) -> Bool {
  guard !text.isEmpty, text.utf8.count <= limit, text.utf8.first != UInt8(ascii: "-"),
    text.utf8.first != UInt8(ascii: ".")
  else { return false }
  return text.utf8.allSatisfy { byte in
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
}

/// A host's identity: its name in the inventory when it was enrolled, never what the host calls itself.
package struct HostID: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The longest name DNS allows.
  package static let maximumLength = 253

  package let description: String

  /// Nil unless the text is 1–253 of ASCII letters, digits, `.`, `_`, `-`, beginning with neither `-` nor `.`.
  package init?(_ text: String) {
    guard isName(text, atMost: Self.maximumLength) else { return nil }
    description = text
  }

  package static func < (a: HostID, b: HostID) -> Bool {
    a.description.utf8.lexicographicallyPrecedes(b.description.utf8)
  }
}

/// The fleet a release is for. A host accepts only its own fleet's.
package struct FleetID: Hashable, Sendable, CustomStringConvertible {
  package static let maximumLength = 63

  package let description: String

  /// Nil unless the text is 1–63 of ASCII letters, digits, `.`, `_`, `-`, beginning with neither `-` nor `.`.
  package init?(_ text: String) {
    guard isName(text, atMost: Self.maximumLength) else { return nil }
    description = text
  }
}

/// The number of a release within its fleet. It never goes back on any host.
package struct Serial: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// How far ahead of what a host has seen a serial may be: a stolen key must not be able to end all updates by
  /// signing the highest number there is.
  package static let maximumStep: UInt64 = 1 << 20

  /// No release yet: what a host holds right after enrolment.
  package static let none = Serial(0)

  package let value: UInt64

  package init(_ value: UInt64) { self.value = value }

  package var next: Serial? { value == .max ? nil : Serial(value + 1) }
  package var description: String { String(value) }
  package static func < (a: Serial, b: Serial) -> Bool { a.value < b.value }
}

/// The number of a lockdown or unlock order within its fleet: one row for both kinds. It never goes back on any host.
package struct Epoch: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// As for `Serial`: a stolen lockdown key must not be able to end all unlocking.
  package static let maximumStep: UInt64 = 1 << 20

  /// No order yet.
  package static let none = Epoch(0)

  package let value: UInt64

  package init(_ value: UInt64) { self.value = value }

  package var next: Epoch? { value == .max ? nil : Epoch(value + 1) }
  package var description: String { String(value) }
  package static func < (a: Epoch, b: Epoch) -> Bool { a.value < b.value }
}

/// The two halves of every ruleset.
package enum Family: String, Hashable, Sendable, CaseIterable, Comparable, CustomStringConvertible {
  case ipv4
  case ipv6

  package var description: String { rawValue }
  package static func < (a: Family, b: Family) -> Bool { a == .ipv4 && b == .ipv6 }
}

/// One value per family; there is no way to forget one.
package struct PerFamily<Value> {
  package var ipv4: Value
  package var ipv6: Value

  package init(ipv4: Value, ipv6: Value) {
    self.ipv4 = ipv4
    self.ipv6 = ipv6
  }

  package subscript(family: Family) -> Value {
    get {
      switch family {
      case .ipv4: ipv4
      case .ipv6: ipv6
      }
    }
    set {
      switch family {
      case .ipv4: ipv4 = newValue
      case .ipv6: ipv6 = newValue
      }
    }
  }

  package func map<Other, Failure: Error>(
    _ transform: (Family, Value) throws(Failure) -> Other
  ) throws(Failure) -> PerFamily<Other> {
    PerFamily<Other>(ipv4: try transform(.ipv4, ipv4), ipv6: try transform(.ipv6, ipv6))
  }

  /// Builds both halves by the same rule.
  package init<Failure: Error>(_ build: (Family) throws(Failure) -> Value) throws(Failure) {
    ipv4 = try build(.ipv4)
    ipv6 = try build(.ipv6)
  }
}

extension PerFamily {
  /// Nil when a half is missing.
  package func whole<Half>() -> PerFamily<Half>? where Value == Half? {
    guard let ipv4, let ipv6 else { return nil }
    return PerFamily<Half>(ipv4: ipv4, ipv6: ipv6)
  }
}

extension PerFamily: Sendable where Value: Sendable {}
extension PerFamily: Equatable where Value: Equatable {}
extension PerFamily: Hashable where Value: Hashable {}
