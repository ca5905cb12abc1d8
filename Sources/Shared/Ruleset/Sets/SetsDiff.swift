package import Core

extension RulesetDiff {
  /// What changes of a family's ipsets, for people: a table `ipset` with the members that come and go.
  ///
  /// A set never changes, so one with other members has another name: it is shown as a change of the old set with which
  /// it has most members in common.
  package static func members(from: SetsFile, to: SetsFile, _ family: Family) -> RulesetDiff {
    let (before, after) = (from.names, to.names)
    let old = from.sets.filter { $0.family == family && !after.contains($0.name) }
    let new = to.sets.filter { $0.family == family && !before.contains($0.name) }
    let predecessors = Self.predecessors(of: new, among: old)
    var change = BesideChange(table: "ipset")
    for (index, set) in old.enumerated() where !predecessors.values.contains(index) { change.whole(.removed, set) }
    for (index, set) in new.enumerated() {
      if let predecessor = predecessors[index] {
        change.members(from: old[predecessor], to: set)
      } else {
        change.whole(.added, set)
      }
    }
    return change.diff
  }

  /// Indices of old sets by those of the new ones. A set without any is all new.
  private static func predecessors(of new: [AddressSet], among old: [AddressSet]) -> [Int: Int] {
    guard !old.isEmpty, !new.isEmpty else { return [:] }
    var holders: [AddressPrefix: [Int]] = [:]
    for (index, set) in old.enumerated() {
      for element in set.elements { holders[element, default: []].append(index) }
    }
    var pairs: [(common: Int, old: Int, new: Int)] = []
    for (index, set) in new.enumerated() {
      var common = Array(repeating: 0, count: old.count)
      for holder in set.elements.lazy.flatMap({ holders[$0] ?? [] }) { common[holder] += 1 }
      pairs += common.enumerated().filter { $1 > 0 }.map { (common: $1, old: $0, new: index) }
    }
    var found: [Int: Int] = [:]
    var taken: Set<Int> = []
    for pair in pairs.sorted(by: { (-$0.common, $0.new, $0.old) < (-$1.common, $1.new, $1.old) })
    where found[pair.new] == nil && taken.insert(pair.old).inserted {
      found[pair.new] = pair.old
    }
    return found
  }
}

extension BesideChange {
  /// Members of one set that are shown; the rest is counted.
  private static let shown = 1000

  fileprivate mutating func whole(_ kind: DiffLine.Kind, _ set: AddressSet) {
    add(kind, ":\(set.name)")
    list(set.elements.map { ($0, kind) })
  }

  fileprivate mutating func members(from: AddressSet, to: AddressSet) {
    let (before, after) = (Set(from.elements), Set(to.elements))
    let gone = from.elements.filter { !after.contains($0) }.map { ($0, DiffLine.Kind.removed) }
    let new = to.elements.filter { !before.contains($0) }.map { ($0, DiffLine.Kind.added) }
    add(.header, ":\(to.name)   (was \(from.name); \(to.elements.count - new.count) members stay)")
    list((gone + new).sorted { $0.0 < $1.0 })
  }

  private mutating func list(_ members: [(AddressPrefix, DiffLine.Kind)]) {
    for (member, kind) in members.prefix(Self.shown) { add(kind, "\(member)") }
    for (_, kind) in members.dropFirst(Self.shown) { count(kind) }
    if members.count > Self.shown { add(.gap, "… and \(members.count - Self.shown) more members …") }
  }
}
