internal import CLibSSH
internal import Core
internal import Glibc

/// What a non-blocking libssh call came to. Their numbers are easily taken for one another: SSH_AGAIN is -2, SSH_ERROR
/// -1, SSH_EOF -127, and 0 is success in some calls and "no bytes" in others.
enum Step<Value> {
  case done(Value)
  /// Nothing yet: repeat the *same* call after the socket moved ("Bad call during pending SSH call" otherwise).
  case again
  case failed
}

/// The one owner of a `ssh_session`. Lives and dies on its loop's thread.
final class SSHSession {
  /// libssh reads this much from the socket in one go (MAX_BUF_SIZE); a shorter read means the socket is empty.
  static let readSize = 4096

  private var handle: OpaquePointer?
  private let counter: UnsafeMutablePointer<ssh_counter_struct>
  private var agentDescriptor: Int32 = -1

  /// Nil when out of memory or when the descriptor cannot be given to libssh, which keeps only 16 bits of it. Takes
  /// `descriptor` over in every case.
  init?(takeOwnershipOf descriptor: Int32, user: String) {
    guard descriptor <= 0xffff, let handle = ssh_new() else {
      Glibc.close(descriptor)
      return nil
    }
    counter = .allocate(capacity: 1)
    counter.initialize(to: ssh_counter_struct())
    self.handle = handle
    ssh_set_counters(handle, counter, nil)
    ssh_set_blocking(handle, 0)
    if !configure(descriptor: descriptor, user: user) {
      // Before ssh_connect the descriptor is not yet libssh's to close.
      free()
      Glibc.close(descriptor)
      return nil
    }
  }

  deinit {
    free()
    counter.deallocate()
  }

  /// Closes the socket too. Channels that are still there must have been abandoned before.
  ///
  /// Not ssh_disconnect(): with SSH_OPTIONS_FD it leaves the descriptor open but forgets it, unless sending the
  /// goodbye failed and closed it, and there is no telling which.
  func free() {
    guard let handle else { return }
    self.handle = nil
    releaseAgent(handle)
    ssh_free(handle)
  }

  private func configure(descriptor: Int32, user: String) -> Bool {
    guard let handle else { return false }
    var no: CInt = 0
    var seconds: CLong = 10
    var fd = descriptor
    // ssh_connect() would parse ~/.ssh/config after our options and let it override them.
    guard ssh_options_set(handle, SSH_OPTIONS_PROCESS_CONFIG, &no) == SSH_OK,
      ssh_options_set(handle, SSH_OPTIONS_TIMEOUT, &seconds) == SSH_OK,
      ssh_options_set(handle, SSH_OPTIONS_FD, &fd) == SSH_OK
    else { return false }
    func list(_ names: [String]) -> String { names.joined(separator: ",") }
    // Without SSH_OPTIONS_HOST libssh never looks a key up in a file of its own. The empty files say it once more, and
    // the directory keeps it from asking the name service for our home.
    let options: [(ssh_options_e, String)] = [
      (SSH_OPTIONS_SSH_DIR, "/dev/null"), (SSH_OPTIONS_KNOWNHOSTS, "/dev/null"),
      (SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null"), (SSH_OPTIONS_USER, user), (SSH_OPTIONS_COMPRESSION, "no"),
      (SSH_OPTIONS_KEY_EXCHANGE, list(Algorithms.keyExchange)),
      (SSH_OPTIONS_CIPHERS_C_S, list(Algorithms.ciphers)), (SSH_OPTIONS_CIPHERS_S_C, list(Algorithms.ciphers)),
      (SSH_OPTIONS_HMAC_C_S, list(Algorithms.macs)), (SSH_OPTIONS_HMAC_S_C, list(Algorithms.macs)),
      (SSH_OPTIONS_HOSTKEYS, list(Algorithms.hostKeys)),
      (SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES, list(Algorithms.publicKeys)),
    ]
    return options.allSatisfy { ssh_options_set(handle, $0, $1) == SSH_OK }
  }

  /// To be called before libssh has seen the server's identification, which is when it writes its own KEXINIT.
  func restrictHostKeys(to algorithms: [String]) -> Bool {
    guard let handle else { return false }
    return ssh_options_set(handle, SSH_OPTIONS_HOSTKEYS, algorithms.joined(separator: ",")) == SSH_OK
  }

  /// -1 once libssh closed it, which it does on errors; the number may be another file's by then.
  var descriptor: Int32 { handle.map { ssh_get_fd($0) } ?? -1 }
  var isConnected: Bool { handle.map { ssh_is_connected($0) == 1 } ?? false }
  var receivedBytes: UInt64 { counter.pointee.in_bytes }

  /// Bytes wait in libssh for the socket to take them.
  var hasUnsentBytes: Bool { handle.map { ssh_get_status($0) & SSH_WRITE_PENDING != 0 } ?? false }

  /// The connection cannot be used any more.
  var isBroken: Bool {
    guard let handle else { return true }
    return ssh_get_status(handle) & (SSH_CLOSED | SSH_CLOSED_ERROR) != 0 || ssh_is_connected(handle) == 0
  }

  /// libssh's words for what went wrong, with the host's words in them: escaped and cut.
  var errorText: String {
    guard let handle, let text = ssh_get_error(UnsafeMutableRawPointer(handle)) else { return "closed" }
    return SafeText.cut(UnsafeRawBufferPointer(start: text, count: strlen(text)), to: 512)
  }

  // MARK: Handshake

  /// Takes the descriptor over and sends our identification; reads nothing: libssh's first turn on a connected
  /// descriptor only writes. Done once the identification is handed to the socket.
  ///
  /// libssh makes the descriptor blocking at that moment, which serves here as the sign that it happened, and is
  /// undone: it writes all it has at once after poll(2) said that *something* can be written, and on a blocking socket
  /// one stalled host would hold up the loop. Since it writes only after such a poll, EAGAIN does not come up.
  func begin() -> Step<Void> {
    guard let handle else { return .failed }
    guard ssh_connect(handle) != SSH_ERROR else { return .failed }
    let current = ssh_get_fd(handle)
    guard current >= 0 else { return .failed }
    let flags = fcntl(current, F_GETFL)
    guard flags & O_NONBLOCK == 0 else { return .again }
    guard fcntl(current, F_SETFL, flags | O_NONBLOCK) == 0 else { return .failed }
    return .done(())
  }

  func exchangeKeys() -> Step<Void> {
    guard let handle else { return .failed }
    return switch ssh_connect(handle) {
    case SSH_OK: .done(())
    case SSH_AGAIN: .again
    default: .failed
    }
  }

  /// The key the host has just proved to hold.
  func hostKey() -> HostKey? {
    guard let handle else { return nil }
    var key: OpaquePointer?
    guard ssh_get_server_publickey(handle, &key) == SSH_OK, let key else { return nil }
    defer { ssh_key_free(key) }
    var text: UnsafeMutablePointer<CChar>?
    guard ssh_pki_export_pubkey_base64(key, &text) == SSH_OK, let text else { return nil }
    defer { ssh_string_free_char(text) }
    return HostKey(base64: UnsafeRawBufferPointer(start: text, count: strlen(text)))
  }

  // MARK: Logging in

  enum LoginResult: Hashable {
    case accepted
    case refused
    /// The key was accepted, but the host wants another proof as well.
    case partial
  }

  func authenticate(with key: SSHKey) -> Step<LoginResult> {
    guard let handle else { return .failed }
    return Self.login(ssh_userauth_publickey(handle, nil, key.handle))
  }

  /// Logs in through whatever agent `useAgent` gave. Blocks as long as that agent does.
  func authenticateWithAgent() -> Step<LoginResult> {
    guard let handle else { return .failed }
    return Self.login(ssh_userauth_agent(handle, nil))
  }

  /// Takes `descriptor` over as the agent's socket. It stays blocking, and is only ever one of a pair whose other end
  /// is ours.
  func useAgent(takeOwnershipOf descriptor: Int32) -> Bool {
    guard let handle else {
      Glibc.close(descriptor)
      return false
    }
    releaseAgent(handle)
    agentDescriptor = descriptor
    return ssh_set_agent_socket(handle, descriptor) == SSH_OK
  }

  func releaseAgent() {
    if let handle { releaseAgent(handle) }
  }

  /// libssh forgets the previous descriptor when it is given another, so that closing is up to us; -1 makes it see none.
  private func releaseAgent(_ handle: OpaquePointer) {
    guard agentDescriptor >= 0 else { return }
    ssh_set_agent_socket(handle, -1)
    Glibc.close(agentDescriptor)
    agentDescriptor = -1
  }

  private static func login(_ result: CInt) -> Step<LoginResult> {
    switch result {
    case CInt(SSH_AUTH_SUCCESS.rawValue): .done(.accepted)
    case CInt(SSH_AUTH_DENIED.rawValue): .done(.refused)
    case CInt(SSH_AUTH_PARTIAL.rawValue): .done(.partial)
    case CInt(SSH_AUTH_AGAIN.rawValue): .again
    default: .failed
    }
  }

  // MARK: Moving bytes

  /// Reads what the socket holds, at most `readSize` bytes, and writes what it takes. Requests that a host makes of us
  /// (to open channels, to forward) are refused and forgotten here.
  func pump() {
    guard let handle else { return }
    _ = ssh_execute_message_callbacks(handle)
  }

  func makeChannel(onChange: @escaping () -> Void) -> SSHChannel? {
    guard let handle, let channel = ssh_channel_new(handle) else { return nil }
    return SSHChannel(takeOwnershipOf: channel, onChange: onChange)
  }
}

/// The one owner of a private `ssh_key`.
final class SSHKey {
  let handle: OpaquePointer

  /// Nil when libssh cannot read it.
  init?(privateKey text: [UInt8]) {
    var key: OpaquePointer?
    let result = (text + [0]).withUnsafeBytes { bytes in
      ssh_pki_import_privkey_base64(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), nil, nil, nil, &key)
    }
    guard result == SSH_OK, let key else { return nil }
    handle = key
  }

  deinit { ssh_key_free(handle) }
}

extension SafeText {
  /// The first `limit` bytes, made safe to print.
  static func cut(_ bytes: some Collection<UInt8>, to limit: Int) -> String {
    bytes.count <= limit ? escape(bytes) : escape(bytes.prefix(limit)) + "…"
  }
}
