package import Core
package import Wire

// What the machine is told and asks for.

extension ApplyMachine {
  /// Which rules an action is about.
  package enum Side: Hashable, Sendable {
    case new
    /// The last committed bundle, or generation 0 before there is one.
    case old
    case safe
    /// The safe policy again, in place of whole tables: when it cannot stand beside other people's rules.
    case wholeSafe
  }

  /// When something happened, by the clock people read and by the one that deadlines run on.
  package struct Moment: Hashable, Sendable {
    package var time: UTCTime
    package var sinceBoot: BootTime

    package init(time: UTCTime, sinceBoot: BootTime) {
      self.time = time
      self.sinceBoot = sinceBoot
    }
  }

  package enum Action: Hashable, Sendable {
    /// Write the record durably: then `journalled` or `failed`.
    case journal(JournalRecord)
    /// Load into a scratch stack and judge what is printed: then `rehearsed` or `failed`.
    case rehearse
    /// Get the promise that the change is taken back at the deadline, whatever dies: then `promised` or `failed`.
    case arm(ArmedDeadline)
    /// Then `loaded` or `failed`.
    case load(Side, Family)
    /// Read both families back and compare with what is expected of this side: then `matched` or `failed`.
    case reread(Side)
    /// Wait for whichever comes first, `confirmed` or `takenBack`.
    case wait(Nonce, ArmedDeadline)
    /// Point `committed` at the bundle: then `flipped` or `failed`.
    case flip(BundleName)
    /// The end: nothing was changed.
    case refuse(Refusal)
    /// The end: this outcome is in the journal, or the transaction stays open there for another try.
    case answer(Outcome)
  }
}
