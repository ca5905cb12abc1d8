package import Audit
package import Core
package import Policy
package import Store
internal import Wire

extension ReportedFacts {
  init(_ report: Report) { self.init(sshPorts: report.sshPorts, leases: report.leases) }

  /// By host, of those that have ever reported.
  package static func of(_ observations: [HostID: HostObservation]) -> [HostID: ReportedFacts] {
    observations.compactMapValues { $0.lastReport.map { ReportedFacts($0.report) } }
  }
}

extension FleetStore {
  package func reportedFacts() async throws -> [HostID: ReportedFacts] { ReportedFacts.of(try await observations()) }
}
