internal import Core
internal import Inventory

/// A host that was asked and did not answer.
package struct SilentHost: Encodable, Sendable {
  let name: String
  let reason: String

  static func list(_ unreachable: [HostID: String]) -> [SilentHost] {
    unreachable.sorted { $0.key < $1.key }.map { SilentHost(name: $0.key.description, reason: $0.value) }
  }

  /// Of those whose last report stands for them.
  static func text(_ hosts: [SilentHost], _ style: TextStyle) -> String {
    ReasonLines.text(hosts.map { ($0.name, $0.reason) }, led: "unreachable, taken as last reported: ", style)
  }

  static func records(_ hosts: [SilentHost]) -> [any Encodable] { Records.each("unreachable", hosts) }
}

enum ReasonLines {
  /// One line for the hosts that have the same reason.
  static func text(
    _ reasons: [(host: String, why: String)], led lead: String = "", _ style: TextStyle
  ) -> String {
    Alike.fold(reasons.map { (host: $0.host, key: lead, texts: [$0.why]) }, style).map { group in
      "\(lead)\(Folding.fold(group.hosts)): " + Paint.bad.on(SafeText.escape(group.texts[0]), style) + "\n"
    }.joined()
  }
}
