internal import Core
internal import Inventory
package import Operations

/// What came of confirming or cancelling by hand; the text is folded over hosts that say the same.
package struct SettleDocument: Document {
  package static let kind = "Settle"

  /// confirm, cancel
  let word: String
  let hosts: [ApplyDocument.Host]
  let counts: [String: Int]

  package init(_ settled: Settling.Settled, word: Settling.Word) {
    self.word = word.rawValue
    hosts = settled.hosts.map { ApplyDocument.Host($0) }
    counts = Dictionary(grouping: hosts, by: \.result).mapValues(\.count)
  }

  package var names: [String] { hosts.map(\.name) }
  package var records: [any Encodable] { hosts }
  package var summary: [String: Int] { counts }

  package func text(_ style: TextStyle) -> String {
    var text = ""
    for group in ApplyDocument.Host.folded(hosts, style) {
      let detail = (group.texts + group.key.warnings).filter { !$0.isEmpty }.joined(separator: "; ")
      text += "  \(group.key.result.padded(to: 12))\(Folding.fold(group.hosts))"
      text += detail.isEmpty ? "\n" : ": \(SafeText.escape(detail))\n"
    }
    return text + counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ") + "\n"
  }
}
