package import Core
internal import Inventory

/// The files a new fleet starts with.
package struct FleetFiles: Sendable {
  let folder: String
  let fleet: FleetID

  package init(folder: String, fleet: FleetID) {
    self.folder = folder
    self.fleet = fleet
  }

  /// Refuses, with nothing made, when any of the files exists.
  /// - Parameter policies: the folder whose policies are copied.
  /// - Returns: the files made, in order.
  package func make(policies: String) throws -> [String] {
    var files = [
      ("\(folder)/\(Configuration.fileName)", Array(Configuration.template(fleet: fleet).utf8)),
      ("\(folder)/inventory/hosts.yaml", Array(Self.inventory.utf8)),
      (
        "\(folder)/.gitignore",
        Array(
          "# What must not be reviewed in public: private keys, and the controller's memory.\nkeys/release\nkeys/controller\nstate/\n"
            .utf8)
      ),
    ]
    for policy in try BoundedFile.names(in: policies) where BoundedFile.isDirectory("\(policies)/\(policy)") {
      for name in try BoundedFile.names(in: "\(policies)/\(policy)") {
        files.append(
          ("\(folder)/policies/\(policy)/\(name)", try Files.read("\(policies)/\(policy)/\(name)")))
      }
    }
    for (path, _) in files where Files.exists(path) {
      throw Failure(
        "start a fleet in \(SafeText.escape(folder))", because: Reason("\(SafeText.escape(path)) exists"),
        hint: "name another folder", kind: .refused)
    }
    for (path, content) in files {
      try Files.makeDirectory(directory(of: path))
      try Files.write(content, to: path)
    }
    return files.map(\.0)
  }

  private static let inventory = """
    # Your hosts, as in an Ansible inventory. Every policy names one of these groups, or all.
    all:
      vars:
        ansible_user: root          # the administrator's login, for enrolment only
      children:
        web:
          hosts: {}
            # web[01:04].example.net: {}
        db:
          hosts: {}
            # db1.example.net: { ansible_host: 192.0.2.11, ansible_port: 2222 }
        gateways:
          hosts: {}

    """
}
