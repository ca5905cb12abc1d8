package import Core

/// The last order a host heard, whatever became of it: no older one is obeyed, nor another of the same epoch.
package struct EpochFloor: Hashable, Sendable {
  package let epoch: Epoch
  /// Of the order's kind and text, as `digest(of:_:)` makes it.
  package let order: Digest

  package init(epoch: Epoch, order: Digest) {
    self.epoch = epoch
    self.order = order
  }

  package static func digest(of kind: OrderKind, _ statement: [UInt8]) -> Digest {
    Digest(of: Array(kind.namespace.rawValue.utf8) + [0] + statement)
  }
}
