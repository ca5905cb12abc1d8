internal import Core
internal import Ruleset

/// Finds rules of one table whose packets never come to them.
///
/// Rules that take all their packets are kept in buckets by what they ask for, so that each rule is compared only with
/// those that could stand before it. The number of comparisons is bounded: a text made to be slow is not looked through
/// to its end.
struct ShadowSearch {
  struct Shadow: Hashable {
    enum Kind: Hashable {
      case shadowed, duplicate, behindCatchAll
    }
    let kind: Kind
    let chain: String
    /// Of the chain's rules.
    let rule: Int
    let earlier: Int
    /// One accepts what the other drops.
    let isOverruled: Bool
  }

  static let maximumComparisons = 20_000_000

  private let table: TableView
  private var ends: ChainEnds
  private var comparisons = 0
  private(set) var found: [Shadow] = []

  init(_ table: TableView) {
    self.table = table
    ends = ChainEnds(table)
  }

  mutating func run() {
    for chain in table.chains { look(through: chain) }
  }

  private mutating func look(through chain: ChainView) {
    // What asks for states, marks and the like holds only until a rule changes them.
    var lasting = ShadowBuckets()
    var passing = ShadowBuckets()
    var catchAll: Int?
    for (index, rule) in chain.rules.enumerated() where rule.isClear {
      if let catchAll {
        let drops = ends.drops(chain.rules[catchAll])
        let kind: Shadow.Kind = drops && rule.target == .jump("ACCEPT") ? .behindCatchAll : .shadowed
        add(kind, chain, index, catchAll)
        continue
      }
      if let earlier = first(covering: rule, in: chain, lasting, passing) {
        add(rule.isDuplicate(of: chain.rules[earlier]) ? .duplicate : .shadowed, chain, index, earlier)
      }
      if ends.takesAll(rule), !rule.opaque.contains(where: { !$0.isStateless }) {
        if rule.isUnconditional {
          catchAll = index
        } else if rule.opaque.isEmpty, rule.states == nil {
          lasting.insert(rule, index)
        } else {
          passing.insert(rule, index)
        }
      } else if ends.mayChange(rule) {
        passing = ShadowBuckets()
      } else if ends.isRepeatable(rule) {
        // It lets packets go on, so that only the very same rule is pointless behind it.
        passing.insert(rule, index, isRepeatable: true)
      }
    }
  }

  private mutating func add(_ kind: Shadow.Kind, _ chain: ChainView, _ rule: Int, _ earlier: Int) {
    let (mine, other) = (chain.rules[rule], chain.rules[earlier])
    let isOverruled =
      mine.target == .jump("ACCEPT") && ends.drops(other) || ends.drops(mine) && other.target == .jump("ACCEPT")
    found.append(
      Shadow(kind: kind, chain: chain.name, rule: rule, earlier: earlier, isOverruled: isOverruled))
  }

  private mutating func first(
    covering rule: RuleView, in chain: ChainView, _ lasting: ShadowBuckets, _ passing: ShadowBuckets
  ) -> Int? {
    var best: Int?
    for buckets in [lasting, passing] {
      guard comparisons < Self.maximumComparisons else { return nil }
      let keys = buckets.keys(for: rule, tried: &comparisons)
      for key in keys {
        for entry in buckets[key] {
          guard entry.index < best ?? .max, comparisons < Self.maximumComparisons else { break }
          comparisons += 1
          let earlier = chain.rules[entry.index]
          guard earlier.covers(rule), !entry.isRepeatable || rule.isDuplicate(of: earlier) else { continue }
          best = entry.index
          break
        }
      }
    }
    return best
  }
}

/// Rules by what a rule must ask for to be covered by them.
struct ShadowBuckets {
  struct Key: Hashable {
    fileprivate enum Address: Hashable {
      case none
      case source(AddressPrefix)
      case destination(AddressPrefix)
    }
    fileprivate enum Interface: Hashable {
      case any
      case input(String)
      case output(String)
    }
    fileprivate var transport: ProtocolNumber?
    fileprivate var port: UInt16?
    fileprivate var address = Address.none
    fileprivate var opaque: OpaqueMatch?
    fileprivate var interface = Interface.any
  }

  struct Entry {
    let index: Int
    let isRepeatable: Bool
  }

  private var entries: [Key: [Entry]] = [:]
  private var sourceLengths: Set<Int> = []
  private var destinationLengths: Set<Int> = []
  private var firstOpaques: Set<OpaqueMatch?> = []

  subscript(key: Key) -> [Entry] { entries[key] ?? [] }

  mutating func insert(_ rule: RuleView, _ index: Int, isRepeatable: Bool = false) {
    var key = Key()
    key.transport = rule.transport?.positive
    key.port = rule.destinationPorts?.only
    key.opaque = rule.opaque.first
    firstOpaques.insert(key.opaque)
    key.interface = Self.interfaces(of: rule).last ?? .any
    if let source = rule.source?.positive {
      key.address = .source(source)
      sourceLengths.insert(source.length)
    } else if let destination = rule.destination?.positive {
      key.address = .destination(destination)
      destinationLengths.insert(destination.length)
    }
    entries[key, default: []].append(Entry(index: index, isRepeatable: isRepeatable))
  }

  /// Of the buckets that may hold a rule that covers this one.
  ///
  /// - Parameter tried: counts those that were looked for.
  func keys(for rule: RuleView, tried: inout Int) -> [Key] {
    guard !entries.isEmpty else { return [] }
    var addresses: [Key.Address] = [.none]
    if let source = rule.source?.positive {
      addresses += sourceLengths.filter { $0 <= source.length }.map { .source(source.widened(to: $0)) }
    }
    if let destination = rule.destination?.positive {
      addresses += destinationLengths.filter { $0 <= destination.length }.map {
        .destination(destination.widened(to: $0))
      }
    }
    let transports = [nil, rule.transport?.positive].uniqued
    let ports = [nil, rule.destinationPorts?.only].uniqued
    let opaques = ([nil] + rule.opaque.map(Optional.some)).uniqued.filter { $0 == nil || firstOpaques.contains($0) }
    let interfaces = [.any] + Self.interfaces(of: rule)
    tried += addresses.count * transports.count * ports.count * opaques.count * interfaces.count
    var keys: [Key] = []
    for address in addresses {
      for transport in transports {
        for port in ports {
          for opaque in opaques {
            for interface in interfaces {
              let key = Key(transport: transport, port: port, address: address, opaque: opaque, interface: interface)
              if entries[key] != nil { keys.append(key) }
            }
          }
        }
      }
    }
    return keys
  }

  /// Named ones: a rule for `eth+` may cover one for `eth0`, and stands with those for any.
  private static func interfaces(of rule: RuleView) -> [Key.Interface] {
    var found: [Key.Interface] = []
    if let output = rule.output?.positive, !output.isPrefix { found.append(.output(output.name)) }
    if let input = rule.input?.positive, !input.isPrefix { found.append(.input(input.name)) }
    return found
  }
}

extension Array where Element: Hashable {
  fileprivate var uniqued: [Element] {
    var seen: Set<Element> = []
    return filter { seen.insert($0).inserted }
  }
}
