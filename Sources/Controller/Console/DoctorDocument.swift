internal import Audit
internal import Core
internal import Inventory
package import Operations

/// What will hurt later, each with what to do about it.
package struct DoctorDocument: Document {
  package static let kind = "Doctor"

  package struct Item: Encodable, Sendable {
    /// One word: keys, state, clock, conflict, stale …
    let check: String
    /// None for what is wrong at the controller itself.
    let hosts: [String]
    let problem: String
    let hint: String
  }

  /// The controller's first, then those of most hosts.
  let findings: [Item]
  /// How many hosts were looked at.
  let hosts: Int

  package init(_ found: Doctor.Found) {
    let pairs = found.hosts.flatMap { host in host.findings.map { (finding: $0, host: host.host) } }
    let folded = Dictionary(grouping: pairs, by: \.finding).map { finding, pairs in
      Item(
        check: finding.check, hosts: pairs.map(\.host).sorted().map(\.description), problem: finding.problem,
        hint: finding.hint)
    }
    findings =
      found.controller.map { Item(check: $0.check, hosts: [], problem: $0.problem, hint: $0.hint) }
      + folded.sorted { (-$0.hosts.count, $0.check, $0.problem) < (-$1.hosts.count, $1.check, $1.problem) }
    hosts = found.hosts.count
  }

  package var exitCode: Int32 { findings.isEmpty ? 0 : 2 }
  package var names: [String] { Set(findings.flatMap(\.hosts)).sorted() }
  package var records: [any Encodable] { findings }
  package var summary: [String: Int] { ["hosts": hosts, "findings": findings.count] }

  package func text(_ style: TextStyle) -> String {
    var text = ""
    for item in findings {
      let place = item.hosts.isEmpty ? "controller" : Folding.fold(item.hosts)
      text += Paint.heading.on("\(place)", style) + ": \(SafeText.escape(item.problem))\n"
      text += "  hint: \(SafeText.escape(item.hint))\n"
    }
    let counted = "\(hosts) enrolled \(hosts == 1 ? "host" : "hosts")"
    let verdict = findings.count == 1 ? "1 finding" : "\(findings.count) findings"
    return text + (findings.isEmpty ? "Nothing found" : verdict) + "; the controller and \(counted) examined.\n"
  }
}
