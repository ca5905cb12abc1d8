internal import Audit
package import Core
internal import Inventory
package import Store

/// How an action ended, for the audit log.
package struct ActionEnd: Sendable {
  package var exitCode: Int32
  /// The release that was made.
  package var release: Serial?
  /// The lockdown or unlock order that was made, signed or sent.
  package var order: Epoch?

  package init(exitCode: Int32, release: Serial? = nil, order: Epoch? = nil) {
    self.exitCode = exitCode
    self.release = release
    self.order = order
  }
}

extension Workspace {
  package var audit: AuditLog { AuditLog(path: configuration.state + "/audit.ndjson") }

  /// Does something that changes hosts, keys or what is remembered of them. Who, what and why is on the disk before it
  /// begins; when it cannot be written there, nothing begins.
  /// - Parameters:
  ///   - reason: the operator's; nil when none was given.
  ///   - body: all of the action, with what it tells people.
  /// - Returns: the exit code of the end.
  package func audited(
    _ verb: String, hosts: [HostID], reason: String?, _ body: () async throws -> ActionEnd
  ) async throws -> Int32 {
    let began: UInt64
    do {
      try Files.makeDirectory(configuration.state, mode: 0o700)
      began = try write { sequence in
        var entry = AuditEntry(sequence: sequence, time: clock.now(), phase: .began, actor: Actor.entry, verb: verb)
        entry.reason = reason.map(AuditEntry.safe)
        entry.hosts =
          hosts.isEmpty
          ? nil : .init(hosts, folded: Folding.fold(hosts.map(\.description)))
        return entry
      }
    } catch {
      throw Failure("begin \(verb); nothing was done", because: error)
    }
    let end: ActionEnd
    do {
      end = try await body()
    } catch {
      // What the action says matters more than that its end could not be written: a beginning without one says that.
      _ = try? self.end(verb, began, nil, ErrorChain(error).line)
      throw error
    }
    try self.end(verb, began, end, nil)
    return end.exitCode
  }

  /// Something that is no action, and that a reader of the log must know.
  package func note(_ verb: String, _ words: String) throws {
    _ = try write { sequence in
      var entry = AuditEntry(sequence: sequence, time: clock.now(), phase: .note, actor: Actor.entry, verb: verb)
      entry.words = AuditEntry.safe(words)
      return entry
    }
  }

  private func end(_ verb: String, _ began: UInt64, _ end: ActionEnd?, _ words: String?) throws {
    do {
      _ = try write { sequence in
        var entry = AuditEntry(sequence: sequence, time: clock.now(), phase: .ended, actor: Actor.entry, verb: verb)
        entry.of = began
        entry.exitCode = end?.exitCode
        entry.release = end?.release?.value
        entry.order = end?.order?.value
        entry.words = words.map(AuditEntry.safe)
        return entry
      }
    } catch {
      throw Failure("record the end of \(verb), which was done", because: error)
    }
  }

  private func write(_ entry: (UInt64) -> AuditEntry) throws -> UInt64 {
    let appended = try audit.append(entry)
    if let warning = appended.warning { told("warning: \(warning)") }
    return appended.line.entry.sequence
  }
}
