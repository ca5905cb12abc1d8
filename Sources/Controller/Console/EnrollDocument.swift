internal import Core
internal import Inventory
package import Operations
internal import Wire

/// What came of enrolling or removing, host by host.
package struct EnrollDocument: Document {
  package static let kind = "Enroll"

  package struct Host: Encodable, Sendable {
    let name: String
    /// enrolled, upgraded, kept (nothing to do), removed, absent, failed, unreachable
    let result: String
    let detail: String
    let hints: [String]
    let architecture: String?
    let backend: String?
    let managedFrom: [String]
    /// Addresses of the host that did not answer.
    let silentAddresses: [String]
    let service: String?
    let generationZero: String?
    let conflicts: [String]
    /// Came or changed since the host's last enrolment.
    let dropIns: [String]
  }

  let hosts: [Host]

  package init(_ results: [Enrolling.Host]) {
    hosts = results.map { host in
      switch host.result {
      case .enrolled(let enrolled):
        let answer = enrolled.installation
        let word = answer.upgraded ? "upgraded" : answer.generationZero == .captured ? "enrolled" : "kept"
        return Host(
          name: host.host.description, result: word, detail: "", hints: [], architecture: enrolled.architecture,
          backend: enrolled.report.backend.name, managedFrom: enrolled.managementSources.map { SafeText.escape($0) },
          silentAddresses: enrolled.silentAddresses.map { SafeText.escape($0) }, service: answer.service.rawValue,
          generationZero: answer.generationZero.rawValue, conflicts: answer.conflicts, dropIns: answer.dropIns)
      case .removed: return Self.plain(host, "removed")
      case .absent: return Self.plain(host, "absent")
      case .failed(let chain): return Self.plain(host, "failed", chain)
      case .unreachable(let chain): return Self.plain(host, "unreachable", chain)
      }
    }
  }

  private static func plain(_ host: Enrolling.Host, _ result: String, _ chain: ErrorChain? = nil) -> Host {
    Host(
      name: host.host.description, result: result, detail: chain?.message ?? "", hints: chain?.hints ?? [],
      architecture: nil, backend: nil, managedFrom: [], silentAddresses: [], service: nil, generationZero: nil,
      conflicts: [], dropIns: [])
  }

  package var exitCode: Int32 {
    if hosts.contains(where: { $0.result == "failed" }) { return 3 }
    return hosts.contains { $0.result == "unreachable" } ? 4 : 0
  }

  package var names: [String] { hosts.map(\.name) }
  package var records: [any Encodable] { hosts }
  package var summary: [String: Int] { Dictionary(hosts.map { ($0.result, 1) }, uniquingKeysWith: +) }

  /// Hosts that went alike are one line.
  package func text(_ style: TextStyle) -> String {
    // Where a host is managed from is no detail that may be left out.
    let said = hosts.map { host in
      let line = Self.line(host)
      return host.architecture == nil ? (host.name, "", [line]) : (host.name, line, [])
    }
    return Alike.fold(said, style).map { group in
      "\(Folding.fold(group.hosts)): \(group.texts.first ?? group.key)\n"
    }.joined()
  }

  private static func line(_ host: Host) -> String {
    guard let architecture = host.architecture else {
      let detail = host.detail.isEmpty ? "" : ": \(SafeText.escape(host.detail))"
      return host.result + detail + host.hints.map { "\n  hint: \(SafeText.escape($0))" }.joined()
    }
    var words = [
      "\(host.result), \(architecture), \(host.backend ?? "-")",
      "managed from \(host.managedFrom.joined(separator: " and "))",
    ]
    if !host.silentAddresses.isEmpty {
      words.append(
        "no answer over \(host.silentAddresses.joined(separator: " and ")): enroll again when there is, or rules that name "
          + "controllers may shut that way")
    }
    if host.generationZero == "captured" { words.append("the rules found are kept as generation 0") }
    if host.service == "detached" { words.append("no systemd there, so the daemon runs detached") }
    if !host.conflicts.isEmpty {
      words.append(
        "\(host.conflicts.map { SafeText.escape($0) }.joined(separator: ", ")) is enabled and loads rules too")
    }
    if !host.dropIns.isEmpty {
      words.append("taken as it is, and changes how services are started: \(host.dropIns.joined(separator: ", "))")
    }
    return words.joined(separator: "; ")
  }
}
