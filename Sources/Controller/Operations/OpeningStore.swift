internal import Audit
internal import Core
package import Store

/// The controller's memory is compared with the audit log whenever it is opened: one that was lost, or came back from an
/// older backup, must not pass for a new fleet.
extension Workspace {
  package var storePath: String { configuration.state + "/fleet.sqlite" }

  /// Makes the store if there is none, and in place of a damaged or lost one.
  package func store() throws -> FleetStore {
    try Files.makeDirectory(configuration.state, mode: 0o700)
    let (store, setAside) = try FleetStore.replacingDamaged(
      path: storePath, fleet: configuration.fleet, at: clock.now(),
      believing: {
        let record = WaiverRecord(try? audit.record())
        return { record.stillCounts($0) }
      },
      hadContent: hadHosts)
    if let setAside { try tell(setAside) }
    let (gap, doubt) = try gap(in: store)
    if let doubt { told("warning: \(doubt)") }
    if let gap {
      try store.catchUp(with: gap.made, at: clock.now())
      // Of a new one nothing else is to be expected.
      if setAside == nil { try tell(gap) }
    }
    return store
  }

  /// Nil when there is none yet: for verbs that must not write.
  package func existingStore() throws -> FleetStore? {
    func refused(_ why: String, _ hint: String) -> Failure {
      Failure(
        "open the store (\(SafeText.escape(storePath)))", because: Reason(why),
        hint: "put back a \(hint) the hosts")
    }
    let anew = "backup, or run 'portcullis status --refresh', which begins a new one and asks"
    if FleetStore.isLost(storePath, { hadHosts(.missing) }) {
      throw refused("it is missing or empty, although the audit log tells of hosts", anew)
    }
    guard Files.exists(storePath) else { return nil }
    let store = try FleetStore(path: storePath, fleet: configuration.fleet)
    if try store.knowsNothing(), hadHosts(.blank) {
      throw refused("there is nothing in it, although the audit log tells of hosts", anew)
    }
    if let gap = try gap(in: store).gap {
      throw refused(
        gap.words, "newer backup, or run 'portcullis status --refresh', which goes on above that number and asks")
    }
    return store
  }

  // A log that cannot be read says nothing: whoever has to write it fails for that.

  private func hadHosts(_ emptiness: FleetStore.Emptiness) -> Bool {
    guard let record = try? audit.record() else { return false }
    let hosts = HostRecord(record)
    return switch emptiness {
    case .missing: hosts.tellsOfActions
    case .blank: hosts.tellsOfHosts
    }
  }

  /// What was done that a store knows nothing of.
  private struct Gap {
    let known: Serial
    let made: Serial

    var words: String {
      "it is older than the audit log: the last release it knows of is \(known == .none ? "none" : "\(known)"), and "
        + "release \(made) was made"
    }
  }

  /// - Returns: also, in words for an operator, which entry is not believed.
  private func gap(in store: FleetStore) throws -> (gap: Gap?, doubt: String?) {
    let known = try store.newestSerial()
    guard let last = try? audit.lastRelease(upTo: ClaimedFloor.believable(after: known.value)) else {
      return (nil, nil)
    }
    let gap = last.number.flatMap { Serial($0) > known ? Gap(known: known, made: Serial($0)) : nil }
    return (gap, last.unbelievable.map { Self.doubt($0, known: known) })
  }

  private static func doubt(_ entry: AuditEntry, known: Serial) -> String {
    let (verb, user) = (SafeText.escape(entry.verb), SafeText.escape(entry.actor.user))
    let last = known == .none ? "it knows of none" : "the last it knows of is \(known)"
    return
      "the audit log's entry \(entry.sequence) (\(verb) by \(user) at \(SafeText.escape(entry.time))) names release "
      + "\(entry.release.map { "\($0)" } ?? "?"), which is too far above what the store knows to be believed: \(last); "
      + "'portcullis audit verify' tells whether the log was altered. If that release was made, put back a newer backup of "
      + "the store; if not, archive the log (docs/audit.md)"
  }

  private func tell(_ gap: Gap) throws {
    told("warning: the store may be an old backup: \(gap.words)")
    told(
      "the next release is numbered above that one; 'portcullis status --refresh' asks every host of the inventory what "
        + "it runs, and until then a host that runs what this controller knows nothing of is left alone; events, waivers "
        + "and releases since are gone, unless you put back a newer backup now")
    try note("store", gap.words)
  }

  /// What is left to believe is the audit log, if its chain holds.
  private func tell(_ setAside: FleetStore.SetAside) throws {
    let words =
      switch (setAside.path.map { SafeText.escape($0) }, setAside.isDamaged) {
      case (let kept?, true): "the store was damaged: it is kept as \(kept), and a new one was begun"
      case (let kept?, false):
        "the store had nothing in it, although there were hosts: what is left of it is kept as \(kept), and a new one was "
          + "begun"
      case (nil, _): "the store is missing or empty, although the audit log tells of hosts: a new one was begun"
      }
    told("warning: \(words)")
    told("warning: \(setAside.waivers.words)")
    let verification = try audit.verify()
    told(
      verification.isIntact
        ? "the audit log holds: \(verification.lines) entries, each following from the one before"
        : "warning: the audit log does not hold; 'portcullis audit verify' tells where")
    try note("store", "\(words); \(setAside.waivers.words)")
    told(
      "releases of before cannot be gone back to; 'portcullis status --refresh' asks every host of the inventory what it "
        + "runs, and 'portcullis enroll' learns again where each is managed from; changes that wait for 'portcullis confirm' go "
        + "back by themselves")
  }
}
