internal import CLibSSH
internal import Glibc

/// The one owner of a `ssh_channel`. Lives and dies on its loop's thread, before its session.
///
/// Bytes are polled for, never taken in libssh's callbacks. The callbacks only note that something changed, so that a
/// bastion with a thousand channels need not ask each of them after every packet (asking an empty channel is a system
/// call). They return without touching libssh, and are taken out before the channel is freed.
final class SSHChannel {
  /// What libssh's callbacks noted. Owned by the channel, passed to libssh unretained.
  private final class Notes {
    let onChange: () -> Void
    var exitStatus: Int32?
    var isClosed = false
    init(_ onChange: @escaping () -> Void) { self.onChange = onChange }

    static func of(_ pointer: UnsafeMutableRawPointer?) -> Notes? {
      pointer.map { Unmanaged<Notes>.fromOpaque($0).takeUnretainedValue() }
    }
  }

  private var handle: OpaquePointer?
  private let notes: Notes
  private let callbacks: UnsafeMutablePointer<ssh_channel_callbacks_struct>

  init(takeOwnershipOf channel: OpaquePointer, onChange: @escaping () -> Void) {
    handle = channel
    notes = Notes(onChange)
    callbacks = .allocate(capacity: 1)
    var table = ssh_channel_callbacks_struct()
    table.size = MemoryLayout<ssh_channel_callbacks_struct>.size
    table.userdata = Unmanaged.passUnretained(notes).toOpaque()
    // Returns how many bytes it took: none, they stay in the channel until read.
    table.channel_data_function = { _, _, _, _, _, notes in
      Notes.of(notes)?.onChange()
      return 0
    }
    table.channel_eof_function = { _, _, notes in Notes.of(notes)?.onChange() }
    table.channel_close_function = { _, _, notes in
      Notes.of(notes)?.isClosed = true
      Notes.of(notes)?.onChange()
    }
    table.channel_exit_status_function = { _, _, status, notes in
      Notes.of(notes)?.exitStatus = status
      Notes.of(notes)?.onChange()
    }
    callbacks.initialize(to: table)
    ssh_set_channel_callbacks(channel, callbacks)
  }

  deinit {
    free()
    callbacks.deallocate()
  }

  /// Tells the host, when it does not know yet, that the channel is closed.
  func free() {
    guard let handle else { return }
    self.handle = nil
    ssh_remove_channel_callbacks(handle, callbacks)
    ssh_channel_free(handle)
  }

  /// The session is about to free the channel itself.
  func abandon() {
    guard let handle else { return }
    self.handle = nil
    ssh_remove_channel_callbacks(handle, callbacks)
  }

  var exitStatus: Int32? { notes.exitStatus }
  /// The host closed the channel; bytes may still be here to read.
  var isClosedByHost: Bool { notes.isClosed }
  /// How many bytes the host's program takes now.
  var writableBytes: Int { handle.map { Int(ssh_channel_window_size($0)) } ?? 0 }

  func open() -> Step<Void> { step { ssh_channel_open_session($0) } }

  func open(to host: String, port: UInt16) -> Step<Void> {
    step { ssh_channel_open_forward($0, host, CInt(port), "127.0.0.1", 0) }
  }

  func request(command: String?) -> Step<Void> {
    step { channel in
      guard let command else { return ssh_channel_request_shell(channel) }
      return ssh_channel_request_exec(channel, command)
    }
  }

  private func step(_ call: (OpaquePointer) -> CInt) -> Step<Void> {
    guard let handle else { return .failed }
    return switch call(handle) {
    case SSH_OK: .done(())
    case SSH_AGAIN: .again
    default: .failed
    }
  }

  enum Stream: CInt {
    case output = 0
    case error = 1
  }

  /// Bytes in libssh's buffer; nil at the end of the stream. Reads the socket when there are none.
  func available(_ stream: Stream) -> Step<Int?> {
    guard let handle else { return .failed }
    let count = ssh_channel_poll(handle, stream.rawValue)
    return switch count {
    case SSH_EOF: .done(nil)
    case 0: .again
    case 1...: .done(Int(count))
    default: .failed
    }
  }

  /// At most `limit` bytes; nil at the end of the stream.
  func read(_ stream: Stream, atMost limit: Int) -> Step<[UInt8]?> {
    guard let handle else { return .failed }
    let count: Int
    switch available(stream) {
    case .failed: return .failed
    case .again: return .again
    case .done(nil): return .done(nil)
    case .done(.some(let available)): count = min(available, limit)
    }
    var result: CInt = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      result = ssh_channel_read_nonblocking(handle, buffer.baseAddress, UInt32(count), stream.rawValue)
      initialized = max(0, Int(result))
    }
    return switch result {
    case SSH_EOF: .done(nil)
    case 0, SSH_AGAIN: .again
    case 1...: .done(bytes)
    default: .failed
    }
  }

  /// How many bytes libssh took, which may be none while the host's window is shut.
  func write(_ bytes: ArraySlice<UInt8>) -> Step<Int> {
    guard let handle else { return .failed }
    let count = bytes.withUnsafeBytes { ssh_channel_write(handle, $0.baseAddress, UInt32($0.count)) }
    return switch count {
    case 1...: .done(Int(count))
    case 0, SSH_AGAIN: .again
    default: .failed
    }
  }

  func sendEnd() -> Bool { handle.map { ssh_channel_send_eof($0) != SSH_ERROR } ?? false }
}
