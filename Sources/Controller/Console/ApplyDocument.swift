internal import Core
internal import Inventory
package import Operations
package import Rollout
internal import Store

/// What came of an apply, host by host.
package struct ApplyDocument: Document {
  package static let kind = "Apply"

  package struct Release: Encodable, Sendable {
    let serial: UInt64
    let statement: String
    let expires: String
    let reason: String
  }

  package struct Host: Encodable, Sendable {
    let name: String
    /// committed, unchanged, reverted, failed, unreachable, unknown
    let result: String
    let detail: String
  }

  let release: Release?
  let hosts: [Host]
  let counts: [String: Int]
  /// Not enrolled, or without a policy.
  let leftOut: [String]

  package init(_ applied: Applying.Applied) {
    release = applied.release.map {
      Release(
        serial: $0.serial.value, statement: $0.statementDigest.description, expires: $0.expires.description,
        reason: $0.reason)
    }
    hosts = applied.hosts.map { host in
      Host(name: host.host.description, result: Self.word(host.result), detail: host.result.words.detail)
    }
    var counts = Dictionary(uniqueKeysWithValues: Self.words.map { ($0, 0) })
    for host in hosts { counts[host.result, default: 0] += 1 }
    self.counts = counts
    leftOut = applied.leftOut.map(\.description)
  }

  private static let words = ["committed", "unchanged", "reverted", "failed", "unreachable", "unknown"]

  /// One word for a host's result, for progress lines too.
  package static func word(_ result: DeliveryResult) -> String {
    switch result {
    case .current(let touched): touched ? "committed" : "unchanged"
    case .reverted: "reverted"
    case .failed: "failed"
    case .unreachable: "unreachable"
    case .unknown: "unknown"
    }
  }

  package var names: [String] { hosts.map(\.name) }
  package var records: [any Encodable] { hosts }
  package var summary: [String: Int] { counts }

  package func text(_ style: TextStyle) -> String {
    let left = leftOut.isEmpty ? "" : "left out, not enrolled or without a policy: \(Folding.fold(leftOut))\n"
    guard let release else {
      return "Nothing to do: every \(leftOut.isEmpty ? "" : "other ")host runs what it should.\n" + left
    }
    var text = "Release \(release.serial), installable until \(release.expires): \(SafeText.escape(release.reason))\n"
    let words = Self.words
    for (result, detail, members) in groups().sorted(by: {
      (words.firstIndex(of: $0.0)!, $0.2[0]) < (words.firstIndex(of: $1.0)!, $1.2[0])
    }) {
      let line =
        "  \(result.padded(to: 12))\(Folding.fold(members))" + (detail.isEmpty ? "" : ": \(SafeText.escape(detail))")
      text += (result == "committed" || result == "unchanged" ? line : Paint.bad.on(line, style)) + "\n"
    }
    let parts = words.compactMap { word in counts[word, default: 0] == 0 ? nil : "\(counts[word]!) \(word)" }
    return text + parts.joined(separator: ", ") + "\n" + left
  }

  private func groups() -> [(String, String, [String])] {
    struct Key: Hashable {
      let result: String
      let detail: String
    }
    return Dictionary(grouping: hosts) { Key(result: $0.result, detail: $0.detail) }
      .map { ($0.key.result, $0.key.detail, $0.value.map(\.name)) }
  }
}
