internal import Core
internal import Inventory
package import Operations

/// What came of confirming or cancelling by hand, host by host.
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
    for host in hosts {
      let detail = ([host.detail] + host.warnings).filter { !$0.isEmpty }.joined(separator: "; ")
      text += "  \(host.result.padded(to: 12))\(SafeText.escape(host.name))"
      text += detail.isEmpty ? "\n" : ": \(SafeText.escape(detail))\n"
    }
    return text + counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ") + "\n"
  }
}
