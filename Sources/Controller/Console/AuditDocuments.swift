package import Audit
package import Core
package import Store

/// Who did what, when and why.
package struct AuditListDocument: Document {
  package static let kind = "AuditList"

  package struct Action: Encodable, Sendable {
    let sequence: UInt64
    let began: String
    /// Nil: it still runs, or was killed.
    @ExplicitNull var ended: String?
    let user: String
    let uid: UInt32
    let controller: String
    let verb: String
    @ExplicitNull var reason: String?
    @ExplicitNull var release: UInt64?
    /// The epoch of a lockdown or unlock order.
    @ExplicitNull var order: UInt64?
    @ExplicitNull var hosts: AuditEntry.Hosts?
    @ExplicitNull var exitCode: Int32?
    let outcome: String
  }

  let actions: [Action]
  /// Lines of the log that are no entries: what they said is not among the actions.
  let unreadable: Int
  /// Why an earlier log is not read; nil when all are.
  @ExplicitNull var missing: String?

  package init(_ record: AuditRecord, since: UTCTime?) {
    self.init(AuditAction.pair(record.entries), since: since, unreadable: record.unreadable, missing: record.missing)
  }

  package init(_ actions: [AuditAction], since: UTCTime?, unreadable: Int = 0, missing: String? = nil) {
    self.unreadable = unreadable
    self.missing = missing
    self.actions =
      actions
      .filter { action in since.map { since in UTCTime(action.began.time).map { $0 >= since } ?? true } ?? true }
      .map { action in
        let (began, ended) = (action.began, action.ended)
        return Action(
          sequence: began.sequence, began: began.time, ended: ended?.time, user: began.actor.user, uid: began.actor.uid,
          controller: began.actor.host, verb: began.verb, reason: began.reason, release: ended?.release,
          order: ended?.order,
          hosts: began.hosts, exitCode: ended?.exitCode, outcome: Self.outcome(ended))
      }
  }

  private static func outcome(_ ended: AuditEntry?) -> String {
    guard let ended else { return "no end: it still runs, or was killed" }
    if let words = ended.words { return ended.phase == .note ? words : "failed: \(words)" }
    return ended.exitCode == 0 ? "done" : "ended with \(ended.exitCode ?? 1)"
  }

  package var names: [String] { actions.map { String($0.sequence) } }
  package var records: [any Encodable] { actions }
  package var summary: [String: Int] {
    ["actions": actions.count, "without_end": actions.count { $0.ended == nil }, "unreadable": unreadable]
  }

  package func text(_ style: TextStyle) -> String {
    var table = TextTable(["ENTRY", "BEGAN", "WHO", "VERB", "RELEASE", "HOSTS", "OUTCOME", "REASON"])
    for action in actions {
      table.add([
        String(action.sequence), action.began, "\(action.user)@\(action.controller)", action.verb,
        action.release.map(String.init) ?? action.order.map { "order \($0)" } ?? "-",
        action.hosts.map { Self.text($0, style) } ?? "-", action.outcome,
        action.reason ?? "-",
      ])
    }
    var text = table.text()
    if unreadable > 0 {
      let lines = unreadable == 1 ? "1 line" : "\(unreadable) lines"
      text += "\(lines) could not be read; 'portcullis audit verify' tells which\n"
    }
    if let missing { text += "\(SafeText.escape(missing)): what it said is not all here\n" }
    return text
  }

  private static func text(_ hosts: AuditEntry.Hosts, _ style: TextStyle) -> String {
    style.wide || hosts.names.count <= 40 ? hosts.names : "\(hosts.count) hosts"
  }
}

/// Whether the audit log's chain holds.
package struct AuditVerifyDocument: Document {
  package static let kind = "AuditVerify"

  package struct Problem: Encodable, Sendable {
    let path: String
    let line: Int
    let problem: String
  }

  let path: String
  let lines: Int
  let intact: Bool
  @ExplicitNull var head: String?
  let problems: [Problem]
  /// Besides those.
  let more: Int
  /// Whether the hash that was asked for is there; nil when none was.
  @ExplicitNull var found: Bool?
  /// The log that this one was begun in place of, because its end did not hold; nil when there was none.
  @ExplicitNull var follows: AuditEntry.Predecessor?
  /// Those before that one, for the same reason, the newest first.
  let earlier: [AuditEntry.Predecessor]

  package init(_ verification: AuditVerification, path: String) {
    self.path = path
    lines = verification.lines
    intact = verification.isIntact
    head = verification.head?.description
    problems = verification.problems.map { Problem(path: $0.path, line: $0.line, problem: $0.words) }
    more = verification.untold
    found = verification.hasHead
    follows = verification.follows.first
    earlier = Array(verification.follows.dropFirst())
  }

  package var exitCode: Int32 { intact ? 0 : 2 }

  package var names: [String] { [head ?? "-"] }
  package var records: [any Encodable] { [self] }
  package var summary: [String: Int] { ["lines": lines, "problems": problems.count + more] }

  package func text(_ style: TextStyle) -> String {
    let file = SafeText.escape(path)
    var text = problems.map { "\(SafeText.escape($0.path)):\($0.line): \(SafeText.escape($0.problem))\n" }.joined()
    if more > 0 { text += "… and \(more) more\n" }
    if found == false {
      text += "no line has the hash that was asked for: the end was cut off, or the log was written anew\n"
    }
    if lines == 0, problems.isEmpty { return text + "\(file): no entries yet\n" }
    text += intact ? "\(lines) entries, each following from the one before\n" : "the audit log does not hold\n"
    for before in [follows].compactMap(\.self) + earlier {
      text +=
        "begun in place of \(SafeText.escape(before.file)), whose end did not hold: \(SafeText.escape(before.why))\n"
    }
    return text + (head.map { "head \($0)\n" } ?? "")
  }
}
