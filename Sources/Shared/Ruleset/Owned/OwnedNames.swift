/// Our chains' names, so that they meet nobody else's, within the 28 bytes the kernel keeps.
package enum OwnedNames {
  /// Whether a chain of this name is ours.
  package static func isOurs(_ chain: String) -> Bool { chain.hasPrefix("PCL") }

  /// The policy's own name for one of our chains, for showing; a foreign chain's name comes back as it is.
  package static func shown(_ chain: String) -> String { chain }

  /// A rule or declaration as printed, with our chains under their own names.
  package static func shown(line: [UInt8]) -> [UInt8] { line }
}
