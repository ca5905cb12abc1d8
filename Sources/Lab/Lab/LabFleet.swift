package import Core

/// A fleet of hosts on this machine. Every host is one process tree in namespaces of its own, and so is the
/// controller; nothing pins those namespaces, so they end with their processes.
///
/// Verbs on one directory are serialised by a lock on the directory itself. All of them need root.
package struct LabFleet: Sendable {
  package static let defaultDirectory = "/var/tmp/portcullis-lab"

  package let directory: LabDirectory
  package let plan: LabPlan

  package var hosts: [LabHost] { plan.hosts }

  /// Opens a lab that `up` made. Throws when there is none.
  package init(directory path: String) throws(Failure) {
    directory = try LabDirectory(path)
    plan = try directory.readPlan()
  }

  init(directory: LabDirectory, plan: LabPlan) {
    self.directory = directory
    self.plan = plan
  }

  /// The planned host. Throws a usage failure that names the nearest host.
  package func host(_ name: String) throws(Failure) -> LabHost {
    guard let host = plan.host(named: name) else {
      let nearest = NearestName.to(name, among: hosts.map(\.name) + [LabPlan.controllerName])
      throw Failure(
        "find \(SafeText.escape(name)) in the lab", because: Reason("the lab has no such host"),
        hint: nearest.map { "did you mean \($0)?" }
          ?? "the hosts are \(LabHost.name(of: 1)) to \(hosts.last?.name ?? "")",
        kind: .usage)
    }
    return host
  }
}
