internal import Core

/// The unprivileged user whose login shell is the bridge. Its home and keys belong to root, so that whoever logs in as
/// it cannot let others in.
struct LoginUser {
  let paths: HostPaths
  let runner: any ProgramRunning

  private var name: String { HostPaths.userName }

  /// Makes the user or mends it. Its password is `*`: sshd refuses even keys for a `!`.
  func ensure() throws {
    let properties = ["--home-dir", paths.login, "--shell", paths.bridge]
    if let entry = try PasswordFile.load(paths)[name] {
      guard entry.home != paths.login || entry.shell != paths.bridge else { return }
      try runner.succeed(
        ["/usr/sbin/usermod", "--home", paths.login, "--shell", paths.bridge, "--password", "*", name],
        doing: "mend the login user \(name)")
      return
    }
    try runner.succeed(
      ["/usr/sbin/useradd", "--system", "--user-group", "--no-create-home", "--password", "*"] + properties + [name],
      doing: "make the login user \(name)")
    guard try PasswordFile.load(paths)[name] != nil else {
      throw Failure(
        "make the login user \(name)", because: Reason("useradd ended well, but /etc/passwd does not name it"))
    }
  }

  /// An account of that name which somebody uses for something else is theirs: its shell and password are not taken
  /// away. And the bridge must never run as root, whatever became of an account of ours.
  func checkOurs() throws {
    guard let entry = try PasswordFile.load(paths)[name] else { return }
    guard entry.user != 0, entry.home == paths.login || entry.shell == paths.bridge else {
      throw Failure(
        "make the login user \(name)",
        because: Reason(
          "there is such an account already, which is not ours: uid \(entry.user), home \(SafeText.escape(entry.home)), "
            + "shell \(SafeText.escape(entry.shell))"),
        hint: "rename or remove that account, then enroll again", kind: .refused)
    }
  }

  /// Replaces the keys: who may log in is the controller's to say, each time.
  func authorize(_ keys: [String]) throws {
    try HostFiles.makeDirectory(paths.login, mode: 0o755)
    try HostFiles.makeDirectory(HostFiles.directory(of: paths.authorizedKeys), mode: 0o755)
    try HostFiles.write(Self.authorizedKeys(keys, paths), to: paths.authorizedKeys, mode: 0o644)
  }

  static func authorizedKeys(_ keys: [String], _ paths: HostPaths) -> [UInt8] {
    Array(keys.map { "restrict,command=\"\(paths.bridge)\" \($0)\n" }.joined().utf8)
  }

  func remove() throws {
    guard try PasswordFile.load(paths)[name] != nil, (try? checkOurs()) != nil else { return }
    // The home is removed with our state; --force because a connection of this user may be the one we run on.
    try runner.succeed(["/usr/sbin/userdel", "--force", name], doing: "remove the login user \(name)")
  }
}
