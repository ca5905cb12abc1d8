package import Core
internal import Inventory
internal import Policy

/// The files a new fleet starts with.
package struct FleetFiles: Sendable {
  let folder: String
  let fleet: FleetID

  package init(folder: String, fleet: FleetID) {
    self.folder = folder
    self.fleet = fleet
  }

  /// What of the examples a newcomer begins with: policies for the groups of the inventory below, and what they share.
  package static let starters: Set<String> = ["base.yaml", "common.yaml", "database.yaml", "gateway.yaml", "web.yaml"]

  /// Refuses, with nothing made, when any of the files exists.
  /// - Parameters:
  ///   - policies: the folder whose policies are copied.
  ///   - chosen: names of files and folders in it; nil copies every policy.
  /// - Returns: the files made, in order.
  package func make(policies: String, only chosen: Set<String>? = nil) throws -> [String] {
    var files = [
      (
        "\(folder)/\(Configuration.fileName)",
        Array((FileSchema.config.modeline + "\n" + Configuration.template(fleet: fleet)).utf8)
      ),
      ("\(folder)/inventory/hosts.yaml", Array((FileSchema.inventory.modeline + "\n" + Self.inventory).utf8)),
      ("\(folder)/.gitignore", Array(Self.ignored.utf8)),
    ]
    for name in try Self.policyFiles(in: policies, only: chosen) {
      let isOneFile = name.hasSuffix(".yaml") && !name.contains("/")
      let schema: FileSchema = name == "common.yaml" ? .common : .policy
      let modeline = isOneFile ? schema.modeline + "\n" : ""
      files.append(("\(folder)/policies/\(name)", Array(modeline.utf8) + (try Files.read("\(policies)/\(name)"))))
    }
    for schema in FileSchema.allCases { files.append(("\(folder)/\(schema.fileName)", Array(schema.text.utf8))) }
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

  /// Relative to the folder: policies that are files, what stands beside them, and the files of policies that are folders.
  private static func policyFiles(in policies: String, only chosen: Set<String>?) throws -> [String] {
    try BoundedFile.names(in: policies).filter { chosen?.contains($0) ?? true }.flatMap { name in
      if BoundedFile.isDirectory("\(policies)/\(name)") {
        return try BoundedFile.names(in: "\(policies)/\(name)").map { "\(name)/\($0)" }
      }
      return name.hasSuffix(".yaml") || name == NamePins.fileName ? [name] : []
    }
  }

  private static let ignored = """
    # What must not be reviewed in public: private keys, and the controller's memory.
    keys/release
    keys/lockdown
    keys/controller
    state/

    """

  private static let inventory = """
    # Your hosts, as in an Ansible inventory. policies/base.yaml applies to all of them; each other policy adds to it for
    # one of these groups. A host may be in several. Policies for other jobs (bastions, mail, containers, office hours …)
    # are among the examples that come with portcullis, and in docs/policies.md.
    all:
      vars:
        ansible_user: root          # the administrator's login, for enrolment only
      children:
        web:
          hosts: {}
            # web01.example.net: { ansible_host: 192.0.2.21, portcullis_addresses: ["2001:db8::21"] }
        db:                         # database.yaml lets in group:web, by the addresses given here
          hosts: {}
            # db1.example.net: { ansible_host: 192.0.2.11, ansible_port: 2222 }
        gateways:                   # gateway.yaml names interfaces and networks: make them yours
          hosts: {}

    """
}
