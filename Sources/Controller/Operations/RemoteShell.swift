internal import Core
internal import Transport

/// Commands on a host over an administrator's login, before there is an agent to talk to. What the host's login shell
/// gets to read is made of fixed words only: nothing from files or hosts is ever part of a command line.
struct RemoteShell: Sendable {
  let connection: any HostConnection
  let deadline: ContinuousClock.Instant
  /// "sudo -n " unless the login is root.
  let prefix: String

  struct Finished: Sendable {
    let status: Int32?
    let output: [UInt8]
    let error: String

    var text: String { String(decoding: output, as: UTF8.self) }
  }

  func run(_ command: String, privileged: Bool, input: [UInt8] = []) async throws -> Finished {
    let channel = try await connection.run(privileged ? prefix + command : command, deadline: deadline)
    do {
      // A program that fails early stops reading; what it said then matters more than that we could not write.
      var writeError: (any Error)?
      do {
        for start in stride(from: 0, to: input.count, by: Self.pieceSize) {
          try await channel.write(Array(input[start..<min(start + Self.pieceSize, input.count)]))
        }
        try await channel.finishWriting()
      } catch {
        writeError = error
      }
      var output: [UInt8] = []
      while let piece = try await channel.read() { output += piece }
      let status = try await channel.exitStatus()
      let said = await channel.standardError().split(separator: UInt8(ascii: "\n")).map { SafeText.escape($0) }
      await channel.close()
      if let writeError, status == 0 { throw writeError }
      return Finished(status: status, output: output, error: said.joined(separator: "; "))
    } catch {
      await channel.close()
      throw error
    }
  }

  /// As `run`, but anything except 0 is an error that carries what the host said.
  func succeed(
    _ command: String, privileged: Bool, input: [UInt8] = [], doing operation: String, hint: String? = nil
  ) async throws -> Finished {
    let finished = try await run(command, privileged: privileged, input: input)
    guard finished.status == 0 else {
      let status = finished.status.map { "ended with \($0)" } ?? "was cut off"
      throw Failure(
        operation, because: Reason(finished.error.isEmpty ? "'\(command)' \(status)" : finished.error), hint: hint)
    }
    return finished
  }

  private static let pieceSize = 256 << 10
}
