package import Core

/// One line of the audit log: that an action began, how it ended, or what became of the log itself.
package struct AuditEntry: Hashable, Sendable, Codable {
  package enum Phase: String, Hashable, Sendable, Codable {
    /// Written before anything is done.
    case began
    case ended
    /// Not an action: something about this controller's memory that a reader must know.
    case note
  }

  package struct Actor: Hashable, Sendable, Codable {
    /// The login that started us: sudo's caller rather than root.
    package var user: String
    package var uid: UInt32
    /// Of the controller.
    package var host: String

    package init(user: String, uid: UInt32, host: String) {
      self.user = SafeText.escape(user.prefix(64))
      self.uid = uid
      self.host = SafeText.escape(host.prefix(64))
    }
  }

  package struct Hosts: Hashable, Sendable, Codable {
    package var count: Int
    /// Of their names in order, each with a line feed.
    package var digest: String
    /// Folded, and cut off when very long.
    package var names: String

    /// - Parameter folded: the same hosts in few words.
    package init(_ hosts: some Sequence<HostID>, folded: String) {
      let sorted = hosts.sorted()
      count = sorted.count
      digest = Digest(of: sorted.flatMap { Array("\($0)\n".utf8) }).description
      names = folded.utf8.count <= Self.longestNames ? folded : String(folded.prefix(Self.longestNames)) + "…"
    }

    private static let longestNames = 1024
  }

  /// Another log, which this one was begun in place of because its end did not hold.
  package struct Predecessor: Hashable, Sendable, Codable {
    /// Its name, in the same directory.
    package var file: String
    /// SHA-256 of the whole file.
    package var digest: String
    package var lines: Int
    /// The hash of its last line that holds; nil when none does.
    package var head: String?
    package var why: String

    package init(file: String, digest: String, lines: Int, head: String?, why: String) {
      self.file = file
      self.digest = digest
      self.lines = lines
      self.head = head
      self.why = why
    }
  }

  /// From 1, without gaps.
  package var sequence: UInt64
  package var time: String
  package var phase: Phase
  package var actor: Actor
  package var verb: String
  package var reason: String?
  /// Of an end: the sequence of its beginning.
  package var of: UInt64?
  package var hosts: Hosts?
  /// The release that was made, known at the end.
  package var release: UInt64?
  /// The epoch of the lockdown or unlock order that was made or sent, known at the end.
  package var order: UInt64?
  package var exitCode: Int32?
  /// Of an end that was an error, or a note: in words.
  package var words: String?
  /// Of the first entry of a log that was not the first.
  package var follows: Predecessor?

  package init(sequence: UInt64, time: UTCTime, phase: Phase, actor: Actor, verb: String) {
    self.sequence = sequence
    self.time = time.description
    self.phase = phase
    self.actor = actor
    self.verb = SafeText.escape(verb.prefix(64))
  }

  /// Of what people and programs say in words, so that an entry fits a line (`AuditLine.limit`).
  package static func safe(_ text: String) -> String { SafeText.escape(text.prefix(512)) }
}

/// An action from its beginning to its end.
package struct AuditAction: Hashable, Sendable {
  package let began: AuditEntry
  /// Nil: it still runs, or was killed.
  package let ended: AuditEntry?

  private struct Beginning: Hashable {
    let sequence: UInt64
    let verb: String
  }

  /// Notes are actions that ended as they began. In the order of their beginnings.
  /// - Parameter entries: in order, also those of several logs, in each of which numbers begin anew.
  package static func pair(_ entries: [AuditEntry]) -> [AuditAction] {
    var actions: [AuditAction] = []
    var open: [Beginning: Int] = [:]
    for entry in entries {
      switch entry.phase {
      case .began:
        open[Beginning(sequence: entry.sequence, verb: entry.verb)] = actions.count
        actions.append(AuditAction(began: entry, ended: nil))
      case .note: actions.append(AuditAction(began: entry, ended: entry))
      case .ended:
        guard let of = entry.of, let index = open.removeValue(forKey: Beginning(sequence: of, verb: entry.verb)) else {
          continue
        }
        actions[index] = AuditAction(began: actions[index].began, ended: entry)
      }
    }
    return actions
  }
}
