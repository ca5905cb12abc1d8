/// Tells the hosts in its scope to end a lockdown.
package struct UnlockOrder: Hashable, Sendable {
  package let terms: OrderTerms

  /// Throws for what does not fit the text format.
  package init(terms: OrderTerms) throws(FormatProblem) {
    self.terms = terms
    try OrderText.checkSize(encode(), of: .unlock)
  }

  package func encode() -> [UInt8] { OrderText.encode(.unlock, terms) }

  /// Accepts exactly what `encode` writes.
  package static func parse(_ bytes: [UInt8]) throws(FormatProblem) -> UnlockOrder {
    let (terms, _, _) = try OrderText.parse(
      bytes, as: .unlock, first: { (_) throws(FormatProblem) in }, last: { (_) throws(FormatProblem) in })
    return try UnlockOrder(terms: terms)
  }
}
