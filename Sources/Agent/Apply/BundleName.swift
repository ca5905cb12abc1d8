package import Core

/// A bundle's directory below `bundles`: its serial and sixteen random digits, since one serial may be staged more
/// than once. Only names of this form are ever opened or removed.
package struct BundleName: Hashable, Sendable, CustomStringConvertible {
  /// Twenty digits, a dash, sixteen digits.
  package static let maximumLength = 37

  package let description: String

  package init(_ serial: Serial, unique: UInt64) {
    let digits = String(unique, radix: 16)
    description = "\(serial)-" + String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }

  package init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let serial = UInt64(parts[0]), String(serial) == parts[0],
      parts[1].utf8.count == 16, let unique = UInt64(parts[1], radix: 16)
    else { return nil }
    self.init(Serial(serial), unique: unique)
    guard description == text else { return nil }
  }
}
