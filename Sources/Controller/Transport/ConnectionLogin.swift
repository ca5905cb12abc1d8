internal import Core

/// Who the host is, and who we are.
extension Connection {
  // MARK: Host key

  func checkHostKey() {
    guard let key = session?.hostKey() else {
      return fail(.protocolViolation, "\(remoteAddress) showed no host key that can be read")
    }
    let known = knownKeys
    let alias = KnownHosts.lookupName(endpoint.name, port: endpoint.port)
    if known.revoked.contains(key) {
      return fail(
        .hostKeyRevoked, "\(remoteAddress) shows the revoked host key \(key)",
        hint: "whoever holds this key may be an impostor; if the host has a new key, pin that and restart its sshd")
    }
    if known.pinned.contains(key) {
      phase = .loggingIn
      return logIn()
    }
    if known.pinned.isEmpty {
      return fail(
        .hostKeyUnknown,
        "\(remoteAddress) shows the host key \(key), and known_hosts has none for \(SafeText.escape(alias))",
        hint: "compare the fingerprint on the host itself (ssh-keygen -lf /etc/ssh/ssh_host_…_key.pub), then pin it")
    }
    let pinned = known.pinned.map(\.description).joined(separator: ", ")
    fail(
      .hostKeyChanged, "\(remoteAddress) shows the host key \(key), but known_hosts has \(pinned)",
      hint: "either the host was set up again, or somebody stands between; nothing was sent to it")
  }

  // MARK: Logging in

  /// False when it failed already.
  func loadIdentity() -> Bool {
    guard let path = endpoint.identityFile else {
      if endpoint.agentSocket != nil { return true }
      fail(.localFile, "there is no key to log in with", hint: "name an identity file or an ssh-agent")
      return false
    }
    let ticket = core.mailbox.makeID()
    let mailbox = core.mailbox
    core.loading[ticket] = { [weak self] result in
      self?.identity = result
      if case .loggingIn = self?.phase { self?.logIn() }
    }
    core.helpers.submit {
      let result = IdentityFile.load(path)
      mailbox.post { $0.loading.removeValue(forKey: ticket)?(result) }
    }
    return true
  }

  func logIn() {
    guard let session else { return }
    guard let path = endpoint.identityFile else { return logInWithAgent(key: nil) }
    let shown = SafeText.escape(path)
    switch identity {
    case nil: break
    case .failure(let reason): fail(.localFile, "identity file \(shown): \(reason)")
    case .success(.agentKey(let blob, let why)):
      guard endpoint.agentSocket != nil, let blob else {
        return fail(
          .localFile, "identity file \(shown): \(why)",
          hint: "add it to ssh-agent (ssh-add \(shown)) and keep its .pub beside it; no passphrase is asked for here")
      }
      logInWithAgent(key: blob)
    case .success(.privateKey(let text)):
      guard let key = core.keys.key(for: text) else {
        return fail(.localFile, "identity file \(shown) is not a private key that can be read")
      }
      switch drive({ session.authenticate(with: key) }) {
      case .again: break
      case .failed: lost()
      case .done(.accepted): opened()
      case .done(.partial): refusedPartial()
      case .done(.refused): refused("identity file \(shown)")
      }
    }
  }

  private func logInWithAgent(key: [UInt8]?) {
    guard let session, let path = endpoint.agentSocket else { return }
    let login =
      agentLogin
      ?? AgentLogin(core: core, session: session, path: path, key: key) { [weak self] in
        guard let self else { return }
        // Not at once: the answer may have come before there was a login to drive.
        _ = core.schedule(at: .now) { [weak self] in if case .loggingIn = self?.phase { self?.logIn() } }
      }
    agentLogin = login
    switch drive(login.drive) {
    case .again: break
    case .failed, .done(.connectionLost): lost()
    case .done(.accepted): opened()
    case .done(.partial): refusedPartial()
    case .done(.refused(let count)): refused(count == 1 ? "a key of ssh-agent" : "\(count) keys of ssh-agent")
    case .done(.agentFailed(let why)): fail(.localFile, "ssh-agent \(SafeText.escape(path)): \(why)")
    }
  }

  private func refused(_ keys: String) {
    fail(
      .authenticationRefused, "\(SafeText.escape(endpoint.user)) is not let in with \(keys)",
      hint:
        "its public half must be in the user's authorized_keys, and the user's shell must exist: where the agent was "
        + "deleted, 'portcullis enroll' brings it back")
  }

  private func refusedPartial() {
    fail(
      .authenticationRefused, "\(SafeText.escape(endpoint.user)) must prove more than a key",
      hint: "allow publickey alone for this user (AuthenticationMethods)")
  }
}
