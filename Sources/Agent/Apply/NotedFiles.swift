package import Core
internal import Release
internal import Wire

/// Files by which the agent judges later and that nothing signed covers. The journal has their digests: whoever edits or
/// removes one hides nothing by it.
package enum NotedFile: Hashable, Sendable, CaseIterable {
  /// What else filtered packets when the host first ran a release of ours.
  case others
  /// Our rules in the kernel's own words.
  case kernel

  /// Longer ones are not ours.
  static let maximumSize = 4 << 20
  /// What stands in such a file is only comparable with what the same format makes. That of `others` went on from here.
  static let format = "format 1"

  var name: String {
    switch self {
    case .others: "others-found"
    case .kernel: "kernel-rules"
    }
  }

  /// Where a new one stands until the journal has its digest.
  var newName: String { "\(name).new" }
}

/// What the journal says of one.
package struct NotedState: Hashable, Sendable {
  /// Nil where there is to be none: it could not be written yet, or is of no use any more.
  package var digest: Digest?
  package var at: UTCTime
  /// It was to be written along with a change, and was only later.
  package var isLate: Bool

  package init(digest: Digest?, at: UTCTime, isLate: Bool) {
    self.digest = digest
    self.at = at
    self.isLate = isLate
  }
}

extension HostAgent {
  private func noted(_ file: NotedFile) -> NotedState? { (try? ledger())?.noted[file] }

  private func read(_ name: String) -> [UInt8]? { (try? state.read(name, atMost: NotedFile.maximumSize)) ?? nil }

  /// Where the agent died between writing the journal and giving a new file its name, that one counts.
  private func found(_ file: NotedFile) -> [UInt8]? {
    let placed = read(file.name)
    guard let digest = noted(file)?.digest, placed.map({ Digest(of: $0) }) != digest, let new = read(file.newName),
      Digest(of: new) == digest
    else { return placed }
    return new
  }

  /// Nil for anything but what the agent wrote.
  func readNoted(_ file: NotedFile) -> [UInt8]? {
    guard let digest = noted(file)?.digest, let content = found(file), Digest(of: content) == digest else { return nil }
    return content
  }

  /// Whatever it is now, it must not be written anew from what the host holds: that would be somebody else's doing.
  func isTampered(_ file: NotedFile) -> Bool { noted(file)?.digest != nil && readNoted(file) == nil }

  /// - Parameter isLate: not along with the change that it belongs to.
  func writeNoted(_ file: NotedFile, _ content: [UInt8], isLate: Bool) throws {
    guard readNoted(file) != content else { return }
    try replaceNoted(file, content, NotedState(digest: Digest(of: content), at: clock.now(), isLate: isLate))
  }

  /// In place of the one that the journal knows, which says no less.
  func rewriteNoted(_ file: NotedFile, _ content: [UInt8]) throws {
    guard let noted = noted(file), let present = readNoted(file), present != content else { return }
    try replaceNoted(file, content, NotedState(digest: Digest(of: content), at: noted.at, isLate: noted.isLate))
  }

  /// The new file is durable before the journal has its digest, and the old one is there until then: wherever this is cut
  /// short, one of the two is what the journal says.
  private func replaceNoted(_ file: NotedFile, _ content: [UInt8], _ next: NotedState) throws {
    try placeNoted(file)
    try state.remove(file.newName)
    try state.create(file.newName, content)
    try state.sync(file.newName)
    try state.sync(".")
    if noted(file)?.digest != next.digest { try append(.noted(file, next)) }
    try placeNoted(file)
  }

  /// Gives a new file its name once the journal knows it.
  func placeNoted(_ file: NotedFile) throws {
    guard let digest = noted(file)?.digest, let new = read(file.newName), Digest(of: new) == digest else { return }
    try state.rename(file.newName, to: file.name)
    try state.sync(".")
  }

  /// One that an agent wrote which noted nothing.
  func readUnnoted(_ file: NotedFile) -> [UInt8]? { noted(file) == nil ? found(file) : nil }

  /// There is to be one, and it cannot be written yet.
  func promiseNoted(_ file: NotedFile) {
    if noted(file).map({ $0.digest != nil }) ?? true {
      try? append(.noted(file, NotedState(digest: nil, at: clock.now(), isLate: false)))
    }
    removeUnnoted(file)
  }

  /// Whether there is one, or is to be. Earlier agents noted nothing.
  func isPromised(_ file: NotedFile) -> Bool { noted(file) != nil }

  /// One that the journal still knows stays.
  func forgetNoted(_ file: NotedFile) {
    if noted(file)?.digest != nil {
      try? append(.noted(file, NotedState(digest: nil, at: clock.now(), isLate: false)))
    }
    removeUnnoted(file)
  }

  /// One that an earlier agent wrote without noting it stays, for that agent.
  func removeUnnoted(_ file: NotedFile) {
    guard let noted = noted(file), noted.digest == nil else { return }
    try? state.remove(file.name)
    try? state.remove(file.newName)
  }

  func notedDifferences() -> [DiskDifference] {
    NotedFile.allCases.compactMap { file in
      guard let noted = noted(file) else { return nil }
      return DiskDifference(file.name, expected: noted.digest, found: found(file).map { Digest(of: $0) })
    }
  }

  /// In words, until the next commit: what was written late holds what came in between.
  func lateNotes(since committed: CommittedBundle) -> [String] {
    NotedFile.allCases.compactMap { file in
      guard let noted = noted(file), noted.isLate, noted.at >= committed.at else { return nil }
      return "\(file.name) \(OthersProblem.late.phrase) \(noted.at): nobody can tell what came before"
    }
  }
}

// MARK: - What could not be written when it was to be

extension HostAgent {
  /// Of the committed bundle; what is written here needs no repair, so that it is shown as done.
  func shownComplete(_ committed: CommittedBundle?, _ programs: FirewallPrograms) throws -> Shown {
    let shown = try shown(committed, Family.allCases, programs)
    guard let committed, journal != nil, let ledger = try? ledger(), ledger.open == nil, ledger.degraded == nil,
      let rules = shown.side?.rules, !rules.isNothing
    else { return shown }
    var isMore = false
    // What others bring along comes up after us.
    if isPastBoot {
      if othersBaseline() == nil {
        isMore = takeOthersBaseline(beside: shown.saved, rules, programs, isLate: true)
      } else {
        settleOthers(shown, rules, programs)
      }
    }
    if shown.difference.others.contains(where: \.isOfRules), renewOthers(programs) { isMore = true }
    if noteKernelLate(shown, rules, committed, programs) { isMore = true }
    return isMore ? try self.shown(committed, Family.allCases, programs) : shown
  }

  /// As long as software that is started at boot may take to set its rules up.
  private static let boot = Duration.seconds(300)

  var isPastBoot: Bool { bootClock.now() - facts.started >= Self.boot }
}
