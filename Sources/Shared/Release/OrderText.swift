internal import Core

/// The lines of an order's text, in their one order: what only one kind of order has stands between the others.
enum OrderText {
  static func encode(_ kind: OrderKind, _ terms: OrderTerms, first: [String] = [], last: [String] = []) -> [UInt8] {
    let lines =
      ["\(kind.header) 1", "fleet \(terms.fleet)", "epoch \(terms.epoch)"] + first + terms.scope.lines
      + ["issued \(terms.issued)", "arrive-by \(terms.arriveBy)"] + last + ["reason \(terms.reason)"]
    return lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }
  }

  static func parse<First, Last>(
    _ bytes: [UInt8], as kind: OrderKind, first: (inout StrictLines) throws(FormatProblem) -> First,
    last: (inout StrictLines) throws(FormatProblem) -> Last
  ) throws(FormatProblem) -> (terms: OrderTerms, first: First, last: Last) {
    var lines = try StrictLines(bytes, file: kind.textName, atMost: OrderKind.maximumSize)
    try lines.header(kind.header)
    let fleet = try lines.fleet()
    let epoch = Epoch(try lines.unsigned("epoch"))
    let first = try first(&lines)
    let scope = try LockScope.parse(&lines)
    let issued = try lines.time("issued")
    let arriveBy = try lines.time("arrive-by")
    let last = try last(&lines)
    let reason = try lines.value(of: "reason")
    try lines.end()
    let terms = try OrderTerms(
      fleet: fleet, epoch: epoch, scope: scope, issued: issued, arriveBy: arriveBy, reason: reason)
    return (terms, first, last)
  }

  /// Whole as it would be sent, so that no order is signed that no host reads.
  static func checkSize(_ text: [UInt8], of kind: OrderKind) throws(FormatProblem) {
    guard text.count <= OrderKind.maximumSize else {
      throw FormatProblem(
        kind.textName, "\(text.count) bytes, more than the \(OrderKind.maximumSize) allowed: too many words of scope")
    }
  }
}
