internal import Core
internal import Foundation

/// The files of the lab around its hosts: keys, who is who, the inventory, and what `lab exec controller` finds.
struct ControllerDisk {
  let directory: LabDirectory
  let plan: LabPlan
  var line: LabLine?

  /// - Parameter chosen: names of files and folders among the policies; nil for all.
  func write(hostKeys: [(LabHost, LabKey)], policies: String?, only chosen: Set<String>?) throws {
    let known = hostKeys.map { "\($0.name),\($0.ipv4),\($0.ipv6) \($1.publicLine)\n" }.joined()
    try LabFiles.write(known, to: directory.knownHosts)
    try LabFiles.makeFolder(directory.state)
    try LabFiles.makeFolder(LabFiles.parent(of: directory.inventory))
    try LabFiles.write(inventory, to: directory.inventory)
    if let policies {
      guard LabFiles.exists(policies) else {
        throw Failure(
          "copy policies from \(SafeText.escape(policies))", because: Reason("there is no such folder"), kind: .usage)
      }
      if let chosen {
        try LabFiles.makeFolder(directory.policies)
        for name in chosen.sorted() where LabFiles.exists("\(policies)/\(name)") {
          try FileManager.default.copyItem(atPath: "\(policies)/\(name)", toPath: "\(directory.policies)/\(name)")
        }
      } else {
        try FileManager.default.copyItem(atPath: policies, toPath: directory.policies)
      }
    } else {
      try LabFiles.makeFolder(directory.policies)
    }

    let etc = directory.disk(of: LabPlan.controllerName) + "/etc"
    let home = directory.disk(of: LabPlan.controllerName) + "/root"
    try LabFiles.makeFolder(etc + "/ssh")
    try LabFiles.makeOpaque(etc + "/ssh")
    try LabFiles.makeFolder(home, mode: 0o700)
    let names = plan.hosts.map { "\($0.ipv4) \($0.name)\n\($0.ipv6) \($0.name)\n" }.joined()
    try LabFiles.write("127.0.0.1 localhost\n::1 localhost\n10.77.0.1 controller\n" + names, to: etc + "/hosts")
    try LabFiles.write("", to: etc + "/environment")
    try LabFiles.write("", to: etc + "/bash.bashrc")
    let accounts = (LabFiles.text("/etc/passwd") ?? "").split(separator: "\n").map { line in
      line.hasPrefix("root:") ? "root:x:0:0:root:\(home):/bin/sh" : String(line)
    }
    try LabFiles.write(accounts.joined(separator: "\n") + "\n", to: etc + "/passwd")
    try LabFiles.write(
      """
      Host *
        User root
        IdentityFile \(directory.adminKey)
        IdentitiesOnly yes
        UserKnownHostsFile \(directory.knownHosts)
        StrictHostKeyChecking yes
        KexAlgorithms curve25519-sha256
        LogLevel ERROR

      """, to: etc + "/ssh/ssh_config")
    let bad = line.map { "line \($0.loss) \($0.delay) \($0.seed)\n" } ?? ""
    try LabFiles.write(
      """
      name \(LabPlan.controllerName)
      lab \(directory.path)
      folder \(directory.controller)
      \(bad)
      """, to: directory.spec(of: LabPlan.controllerName))
  }

  /// In Ansible's YAML.
  private var inventory: String {
    func group(_ name: String, _ hosts: ArraySlice<LabHost>) -> String {
      guard !hosts.isEmpty else { return "    \(name):\n      hosts: {}\n" }
      return "    \(name):\n      hosts:\n"
        + hosts.map { host in
          """
                  \(host.name):
                    ansible_host: "\(host.ipv4)"
                    portcullis_addresses: ["\(host.ipv4)", "\(host.ipv6)"]

          """
        }.joined()
    }
    return """
      # Written by portcullis lab up. The hosts exist only inside the lab in \(directory.path).
      # No host is a gateway, but the example policies name that group.
      gateways:
        hosts: {}
      lab:
        vars:
          ansible_user: root
        children:

      """ + group("web", plan.web) + group("db", plan.db)
  }
}
