package import Core
internal import Inventory
internal import Synchronization

/// A policy for one host: restore text of both families. The same policy and sources give the same bytes.
package struct CompiledPolicy: Sendable {
  /// The policy's name.
  package let policy: String
  package let rules: PerFamily<[UInt8]>
  /// The bundle's file of ipsets that the rules name; nil when they name none.
  package internal(set) var sets: [UInt8]?
  /// The bundle's file of kernel settings; nil when the policy makes none.
  package internal(set) var sysctl: [UInt8]?
  package let beside: BesideOthers
  /// `ipv6: drop-all`: nobody reaches the host over it.
  package let closesIPv6: Bool
  /// Families in which forwarded packets that no rule of the policy accepts are dropped.
  package let dropsForward: [Family]
  private let templates: PerFamily<PolicyTemplate>
  private let sourceCounts: PerFamily<Int>

  init(policy: HostPolicy, sources: PerFamily<[NumericAddress]>) {
    self.policy = policy.name
    beside = policy.beside
    closesIPv6 = policy.closesIPv6
    dropsForward = Family.allCases.filter { policy.templates[$0].dropsForward }
    templates = policy.templates
    sourceCounts = sources.map { $1.count }
    rules = sources.map { family, addresses in policy.templates[family].render(addresses) }
  }

  /// Where a line of `rules`, counted from 1, comes from: what a failed rehearsal points at. Nil behind the end.
  package func source(of family: Family, line: Int) -> SourceLocation? {
    templates[family].source(ofLine: line, sources: sourceCounts[family])
  }
}

/// Hosts with the same policy and sources share one text.
final class CompileCache: Sendable {
  private struct Key: Hashable {
    let policy: String
    let sources: [NumericAddress]
  }

  /// A fleet has few controllers; one that has a source for each host would only fill memory.
  private static let limit = 256

  private let entries = Mutex<[Key: CompiledPolicy]>([:])

  subscript(policy: String, sources: [NumericAddress]) -> CompiledPolicy? {
    get { entries.withLock { $0[Key(policy: policy, sources: sources)] } }
    set {
      entries.withLock { entries in
        if entries.count >= Self.limit { entries.removeAll() }
        entries[Key(policy: policy, sources: sources)] = newValue
      }
    }
  }
}
