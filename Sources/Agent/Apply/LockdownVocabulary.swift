package import Core
package import Release
package import Wire

// What the machine of locks is told and asks for.

extension LockdownMachine {
  package enum Request: Hashable, Sendable {
    /// A lock to be made, or to take the place of the one there is; with the change that waits to be confirmed.
    case lock(Lock, voids: TransactionID?)
    /// The very order that locked came again.
    case repeated
    /// - Parameter EpochFloor: of the order, if it is one.
    case lift(LiftCause, EpochFloor?)
    /// An order that asks nothing of this host; nil where it was heard before.
    case hear(EpochFloor?, LockAnswer.Result)
    /// The agent starts: the kernel may hold anything.
    case restart
    /// Something was done beneath.
    case check
  }

  package enum Side: Hashable, Sendable {
    /// The profile that was ordered.
    case ordered
    case builtIn
  }

  /// How a layer is loaded.
  package enum Manner: Hashable, Sendable {
    /// On a kernel that should hold nothing of one, unread.
    case first
    /// Into the chains that should be there, unread.
    case refill
    /// After a fresh read.
    case mend
  }

  package enum Action: Hashable, Sendable {
    /// Write the record durably: then `journalled` or `failed`.
    case journal(JournalRecord)
    /// Then `loaded` or `failed`. Nothing beneath is touched.
    case load(Side, Manner, Family, attempt: Int)
    /// Then `cut` or `failed`.
    case cutFlows(Side)
    /// Read both families back and compare with what is expected of this side: then `matched` or `failed`.
    case reread(Side)
    /// Take the change that waited back: then `tookBack` or `failed`.
    case takeBack
    /// Take the layer out: then `loaded` or `failed`.
    case remove(Family, attempt: Int)
    /// Read both families: then `gone` or `failed`.
    case readGone
    /// The end: nothing is other than it was.
    case refuse(Refusal)
    /// The end.
    case answer(LockAnswer)
  }
}

/// How an order, or a look at the lock, ended.
package struct LockAnswer: Hashable, Sendable {
  package enum Result: Hashable, Sendable {
    /// Both families hold the layer, re-read.
    case locked
    /// Locked in the journal, and nothing would load: it is tried again.
    case locking
    /// As `locked`, by the order that had locked already.
    case repeated
    case lifted
    case nothingToLift
    /// For other hosts.
    case outOfScope
    /// Heard before, and not locked by it any more.
    case ended
    /// Nobody asked for anything else.
    case kept
  }
  package var result: Result
  package var flowsCut: Int
  package var warnings: [String]

  package init(_ result: Result, flowsCut: Int = 0, warnings: [String] = []) {
    self.result = result
    self.flowsCut = flowsCut
    self.warnings = warnings
  }
}
