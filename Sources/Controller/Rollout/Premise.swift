package import Core
package import Wire

/// What the plan took for committed on a host. One that has something else was changed by somebody whom this controller
/// knows nothing of: another one, or itself in a past that its memory does not reach.
package struct Premise: Hashable, Sendable {
  /// Nil when nothing was, or when the host had never said.
  package let committed: Committed?
  /// What we released for it since then, serials apart: it may have come there although the answer was lost.
  package let released: Set<Digest>
  /// What it is to get, serial apart: a retry finds what it brought itself.
  package let content: Digest

  package init(committed: Committed?, released: Set<Digest>, content: Digest) {
    self.committed = committed
    self.released = released
    self.content = content
  }

  /// Why the host must not get what was planned; nil when it may. One that has nothing at all loses nothing by it.
  func objection(to found: Committed?) -> String? {
    guard let found, found.content != content, found.content != committed?.content, !released.contains(found.content)
    else { return nil }
    let planned = committed.map { "over release \($0.serial)" } ?? "for a host of which no release was known"
    return "it has committed release \(found.serial), which this plan, made \(planned), knows nothing of"
  }
}
