package import Core

/// How many hosts are in which state, on each axis on its own. Every word has its count, zeros too, so that a graph
/// has no holes.
package struct FleetSummary: Hashable, Sendable {
  package let hosts: Int
  package let delivery: [Delivery: Int]
  package let integrity: [Integrity: Int]
  package let contact: [Contact: Int]
  package let modifiers: [Modifier: Int]

  package init(_ statuses: some Sequence<HostStatus>) {
    var hosts = 0
    var delivery = Dictionary(uniqueKeysWithValues: Delivery.allCases.map { ($0, 0) })
    var integrity = Dictionary(uniqueKeysWithValues: Integrity.allCases.map { ($0, 0) })
    var contact = Dictionary(uniqueKeysWithValues: Contact.allCases.map { ($0, 0) })
    var modifiers = Dictionary(uniqueKeysWithValues: Modifier.allCases.map { ($0, 0) })
    for status in statuses {
      hosts += 1
      delivery[status.delivery, default: 0] += 1
      integrity[status.integrity, default: 0] += 1
      contact[status.contact, default: 0] += 1
      for modifier in status.modifiers { modifiers[modifier, default: 0] += 1 }
    }
    self.hosts = hosts
    self.delivery = delivery
    self.integrity = integrity
    self.contact = contact
    self.modifiers = modifiers
  }
}

extension HostStatus {
  /// What an operator wants to see first: 0 is worst.
  package enum Concern: Int, Comparable, Sendable, CaseIterable {
    case degraded, failed, reverted, drifted, unknown, unreachable, pending, unverified, stale, waived, none

    package static func < (a: Concern, b: Concern) -> Bool { a.rawValue < b.rawValue }
  }

  /// The worst of the three axes, and of what waits, was done at the console, or is locked down.
  package var concern: Concern {
    let delivery: Concern =
      switch delivery {
      case .failed: .failed
      case .reverted: .reverted
      case .unknown: .unknown
      case .pending: .pending
      case .current: .none
      }
    let integrity: Concern =
      switch integrity {
      case .drifted: .drifted
      case .unknown: .unverified
      case .waived: .waived
      case .intact: .none
      }
    let contact: Concern =
      switch contact {
      case .unreachable: .unreachable
      case .stale: .stale
      case .fresh: .none
      }
    let acts: Concern = pending != nil || localAct != nil || modifiers.contains(.lockedDown) ? .pending : .none
    return min(delivery, integrity, contact, acts, modifiers.contains(.degraded) ? .degraded : .none)
  }

  /// Worst first, then by name.
  package static func worstFirst(_ a: HostStatus, _ b: HostStatus) -> Bool {
    (a.concern, a.host) < (b.concern, b.host)
  }
}
