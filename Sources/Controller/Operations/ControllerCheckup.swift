internal import Audit
internal import Core
internal import Glibc
internal import Release
internal import Store

/// Whether this controller could sign and remember.
struct ControllerCheckup {
  let workspace: Workspace
  /// Clocks before this are not set: the year this was written in.
  static let earliest = UTCTime("2026-01-01T00:00:00Z")!

  init(_ workspace: Workspace) { self.workspace = workspace }

  func findings() -> [Finding] {
    var findings: [Finding] = []
    let now = workspace.clock.now()
    if now < Self.earliest {
      findings.append(
        Finding(
          check: "clock", problem: "this machine's clock says \(now)", hint: "set it (timedatectl): releases are dated")
      )
    }
    if !Files.exists(Program.sshKeygen.path) {
      findings.append(
        Finding(
          check: "ssh-keygen", problem: "there is no \(Program.sshKeygen.path), which signs releases",
          hint: "install OpenSSH's client"))
    }
    findings += signing(now)
    for (path, what, hint) in [
      (
        workspace.configuration.login.identity, "the key that opens the bridge on hosts",
        "portcullis keys init makes it with the other keys, 'ssh-keygen -t ed25519 -N \"\" -f FILE' alone; then enroll hosts"
      ),
      (
        workspace.configuration.login.knownHosts, "the host keys",
        "put them there, for example from 'ssh-keyscan HOST' after comparing the fingerprints"
      ),
    ] where !Files.exists(path) {
      findings.append(
        Finding(
          check: "ssh", problem: "there is no \(SafeText.escape(path)), which holds \(what)",
          hint: hint))
    }
    findings += state()
    findings += record()
    return findings
  }

  /// What was written down of who did what.
  private func record() -> [Finding] {
    do {
      let verification = try workspace.audit.verify()
      guard let first = verification.problems.first else { return [] }
      return [
        Finding(
          check: "audit", problem: "\(SafeText.escape(first.path)) does not hold at line \(first.line): \(first.words)",
          hint: "portcullis audit verify tells all")
      ]
    } catch {
      return [
        Finding(
          check: "audit", problem: SafeText.escape(ErrorChain(error).message), hint: "docs/audit.md says what it is")
      ]
    }
  }

  /// Whether hosts would take what the signing key signs.
  private func signing(_ now: UTCTime) -> [Finding] {
    let keys = workspace.configuration.keys
    func finding(_ problem: String, _ hint: String) -> [Finding] {
      [Finding(check: "keys", problem: SafeText.escape(problem), hint: hint)]
    }
    let path = keys.signingKeyPath.hasSuffix(".pub") ? keys.signingKeyPath : keys.signingKeyPath + ".pub"
    do {
      let signers = try AllowedSigners.parse(
        try Files.read(keys.allowedSignersPath, atMost: 1 << 20), file: keys.allowedSignersPath)
      let key = try PublicKeyFile.parse(try Files.read(path, atMost: 16 << 10), file: path)
      switch signers.signer(of: key.key.blob, namespace: SigningNamespace.release.rawValue, at: now) {
      case .signer: return []
      case .unknownKey, .otherNamespace, .expired, .notYetValid:
        return finding(
          "\(keys.allowedSignersPath) does not let \(path) sign releases now",
          "put its line there, with namespaces=\"release@portcullis\", and enroll hosts again")
      }
    } catch {
      return finding(ErrorChain(error).message, "portcullis keys init makes both, or adopts a key you have")
    }
  }

  private func state() -> [Finding] {
    // It is made by the first verb that remembers something.
    var folder = workspace.configuration.state
    while !Files.exists(folder), folder != "/", folder != "." { folder = directory(of: folder) }
    guard access(folder, W_OK | X_OK) != 0 else { return [] }
    let why = String(cString: strerror(errno))
    return [
      Finding(
        check: "state", problem: "cannot write in \(SafeText.escape(folder)): \(why)",
        hint: "verbs remember hosts and releases there: give it to whoever runs portcullis")
    ]
  }
}
