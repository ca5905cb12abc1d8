internal import Core
internal import Foundation
internal import Glibc

/// What a host finds on its disk when it first boots: the files in which it differs from the userland under it.
struct HostDisk {
  let directory: LabDirectory
  let host: LabHost
  /// The root of another distribution's userland; nil for the machine's own.
  let userland: String?
  var restartPause: Int?

  private var disk: String { directory.disk(of: host.name) }

  func write(hostKey: LabKey, adminKey: LabKey) throws {
    let etc = disk + "/etc"
    for folder in ["/root/.ssh", "/var/log"] { try LabFiles.makeFolder(disk + folder) }
    try LabFiles.makeFolder(etc + "/alternatives")
    chmod(disk + "/root", 0o700)
    chmod(disk + "/root/.ssh", 0o700)
    try LabFiles.write("\(host.name)\n", to: etc + "/hostname")
    try LabFiles.write(
      """
      127.0.0.1 localhost
      ::1 localhost
      \(host.ipv4) \(host.name)
      \(host.ipv6) \(host.name)
      \(LabPlan.controllerIPv4) controller
      \(LabPlan.controllerIPv6) controller

      """, to: etc + "/hosts")
    try LabFiles.link(etc + "/resolv.conf", to: "/dev/null")
    try writeShellFiles(etc)
    try writeAccounts(etc)
    try writeAlternatives(etc)
    try writeSSH(etc, hostKey: hostKey)
    try LabFiles.write(adminKey.publicLine + " lab-admin\n", to: disk + "/root/.ssh/authorized_keys", mode: 0o600)
    // A machine that is itself managed must not lend its identity to the hosts on it.
    for path in ["/etc/portcullis", "/var/lib/portcullis"] where LabFiles.exists((userland ?? "") + path) {
      try LabFiles.makeFolder(LabFiles.parent(of: disk + path))
      guard mknod(disk + path, S_IFCHR, 0) == 0 else { throw LabFiles.failed("mknod", disk + path) }
    }
    try writeSpec()
  }

  /// Nothing of the machine's that a shell would read when it starts.
  private func writeShellFiles(_ etc: String) throws {
    try LabFiles.write("", to: etc + "/environment")
    try LabFiles.write("", to: etc + "/bash.bashrc")
    try LabFiles.write("PATH=\(LabFleet.searchPath)\nexport PATH\n", to: etc + "/profile")
  }

  /// The userland's accounts: root with the plainest shell and no password, without an agent's login.
  private func writeAccounts(_ etc: String) throws {
    for name in ["passwd", "group", "shadow", "gshadow"] {
      let original = (userland ?? "") + "/etc/" + name
      guard let text = LabFiles.text(original) else { continue }
      let lines: [String] = text.split(separator: "\n").compactMap { line in
        let fields = line.split(separator: ":", omittingEmptySubsequences: false)
        switch (name, fields[0]) {
        case (_, "portcullis"): return nil
        case ("passwd", "root"): return "root:x:0:0:root:/root:/bin/sh"
        // `*` is no password but lets keys in; `!` would lock them out too.
        case ("shadow", "root"): return "root:*:19000:0:99999:7:::"
        default: return String(line)
        }
      }
      try LabFiles.write(lines.joined(separator: "\n") + "\n", to: "\(etc)/\(name)")
      var status = stat()
      guard stat(original, &status) == 0, chown("\(etc)/\(name)", status.st_uid, status.st_gid) == 0,
        chmod("\(etc)/\(name)", status.st_mode & 0o7777) == 0
      else { throw LabFiles.failed("chown", "\(etc)/\(name)") }
    }
  }

  private func writeAlternatives(_ etc: String) throws {
    for family in ["iptables", "ip6tables"] {
      for verb in ["", "-restore", "-save"] {
        let program = "/usr/sbin/\(family)-\(host.backend.rawValue)\(verb)"
        guard LabFiles.exists((userland ?? "") + program) else {
          throw Failure(
            "give \(host.name) the \(host.backend.rawValue) backend",
            because: Reason("\((userland ?? "") + program) does not exist"),
            hint: "install it: apt-get install iptables")
        }
        try LabFiles.link("\(etc)/alternatives/\(family)\(verb)", to: program)
      }
    }
  }

  /// The folder is the host's alone: the machine's host keys and settings do not show through.
  private func writeSSH(_ etc: String, hostKey: LabKey) throws {
    try LabFiles.makeFolder(etc + "/ssh")
    try LabFiles.makeOpaque(etc + "/ssh")
    try hostKey.write(to: etc + "/ssh/ssh_host_ed25519_key")
    var lines = [
      "Port 22", "HostKey /etc/ssh/ssh_host_ed25519_key", "PidFile /run/sshd.pid", "UsePAM no", "UseDNS no",
      "PermitRootLogin prohibit-password", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
      "AuthorizedKeysFile .ssh/authorized_keys",
      // A lab's controller calls all its hosts at once, again and again.
      "MaxStartups 100:30:200", "LoginGraceTime 60",
      // The default exchange costs OpenSSH's client ten times as much.
      "KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org", "PrintMotd no", "PrintLastLog no",
      "LogLevel VERBOSE",
    ]
    // Since OpenSSH 9.8 a few failed logins shut their source out for a while, and in a lab all come from one source.
    if host.root == .debian13 { lines.append("PerSourcePenalties no") }
    try LabFiles.write(lines.joined(separator: "\n") + "\n", to: etc + "/ssh/sshd_config")
  }

  /// What `portcullis-lab-host` needs to know.
  private func writeSpec() throws {
    var text = """
      name \(host.name)
      lab \(directory.path)
      folder \(directory.folder(of: host.name))
      ipv4 \(host.ipv4)
      ipv6 \(host.ipv6)
      gateway4 \(LabPlan.controllerIPv4)
      gateway6 \(LabPlan.controllerIPv6)
      hardware \(host.hardwareAddress)

      """
    if let restartPause { text += "pause \(restartPause)\n" }
    if let userland { text += "userland \(userland)\n" }
    try LabFiles.write(text, to: directory.spec(of: host.name))
  }
}
