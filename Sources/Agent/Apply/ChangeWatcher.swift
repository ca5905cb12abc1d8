package import Wire

/// Notices that somebody changed the packet filter of this host, where its kernel announces that.
package protocol ChangeWatcher: AnyObject {
  /// Readable when there is something to take.
  var descriptor: Int32 { get }

  /// What was announced since the last call; it never waits.
  func take() -> Announced

  /// Which tables there are whose changes it does not notice. It costs next to nothing; another answer than before is a
  /// reason to look.
  func unannounced() -> [UInt8]
}

package struct Announced: Hashable, Sendable {
  /// There were changes, or announcements were lost, so that there may have been.
  package var isChange: Bool
  /// Who asked for them, each once, as far as it was announced.
  package var actors: [HostChange.Actor]

  package init(isChange: Bool = false, actors: [HostChange.Actor] = []) {
    self.isChange = isChange
    self.actors = actors
  }
}
