internal import Apply
internal import Core
internal import Ruleset

/// Puts tables together from the kernel's answers, which come by kind.
struct NftablesBuilder {
  private struct TableKey: Hashable {
    var family: UInt8
    var name: ArraySlice<UInt8>
  }

  private struct ChainKey: Hashable {
    var table: TableKey
    var name: ArraySlice<UInt8>
  }

  private struct Chain {
    var hook: NftablesChain.Hook?
    var rules = 0
    var drops = false
    var content = DigestBuilder()
    var notable: [NotableRule] = []
  }

  /// Part of what rules say: the set has no name but what the kernel invented, or says what becomes of a packet.
  struct Set: Hashable {
    var family: UInt8
    var table: ArraySlice<UInt8>
    var name: ArraySlice<UInt8>
  }

  /// With NFTA_TABLE_FLAGS.
  private var found: [TableKey: UInt32] = [:]
  private var chains: [(key: ChainKey, chain: Chain)] = []
  /// Where each is among `chains`.
  private var places: [ChainKey: Int] = [:]
  /// Rules come chain by chain.
  private var latest: (key: ChainKey, place: Int)?
  private var objects: [TableKey: [[UInt8]]] = [:]
  private let scope: SetScope
  private var setsThatTell: [TableKey: [Set]] = [:]
  /// Of tables that have too many of them.
  private var unreadSets: [TableKey: Int] = [:]
  /// Sets that have too many members.
  private var largeSets: [TableKey: Int] = [:]
  private var members: [Set: MemberSum] = [:]
  /// Of those without names: what they are besides their members.
  private var nameless: [Set: [UInt8]] = [:]

  init(_ scope: SetScope) { self.scope = scope }

  /// Whose elements are to be taken before the rules. Those of a table all are, or none is, so that the next reading finds
  /// the same: first of the tables that ours may be in, then of those that have the fewest. What known software keeps comes
  /// last, since it is asked for in some readings only.
  mutating func setsToTake(atMost limit: Int) -> [Set] {
    func rank(_ key: TableKey, _ sets: [Set]) -> (Int, Int, UInt8, String) {
      let name = NftablesMessages.text(key.name)
      let isIptables = [NftablesFamily.ipv4.rawValue, NftablesFamily.ipv6.rawValue].contains(key.family)
      let isOurs = isIptables && BuiltInChains.chains(of: name) != nil
      return (isOurs ? 0 : TableOwner(ofTable: name) == nil ? 1 : 2, sets.count, key.family, name)
    }
    var chosen: [Set] = []
    for (table, sets) in setsThatTell.sorted(by: { rank($0.key, $0.value) < rank($1.key, $1.value) }) {
      if chosen.count + sets.count <= limit { chosen += sets } else { unreadSets[table] = sets.count }
    }
    return chosen
  }

  func members(of set: Set) -> UInt64 { members[set]?.count ?? 0 }

  /// As if nobody had looked into it, but for its size: the order in which the kernel lists members tells nothing, so that
  /// the first of them are others each time.
  mutating func leaveOut(_ set: Set) {
    members[set] = .tooMany
    largeSets[TableKey(family: set.family, name: set.table), default: 0] += 1
  }

  mutating func take(_ reply: NetlinkReply, _ kind: NftablesMessages.Kind) {
    guard let family = reply.payload.first else { return }
    let fields = reply.fields(after: NftablesMessages.fixedSize)
    // The table's name comes first in every message.
    guard let table = fields[1].map({ TableKey(family: family, name: Self.name($0)) }) else { return }
    switch kind {
    case .table: found[table] = fields[2].flatMap(NftablesMessages.bigEndian) ?? 0
    case .chain: takeChain(fields, of: table)
    case .rule: takeRule(fields, of: table)
    case .set: takeSet(fields, of: table)
    case .element: takeElements(fields, of: table)
    case .object: takeNamed(kind, fields, [3, 4], of: table)
    case .flowTable: takeNamed(kind, fields, [3, 7], of: table)
    }
  }

  func tables() -> [NftablesTable] {
    let chains = Dictionary(grouping: chains) { $0.key.table }
    let maps = Dictionary(grouping: members.filter { nameless[$0.key] == nil }) {
      TableKey(family: $0.key.family, name: $0.key.table)
    }
    return found.compactMap { key, flags in
      guard let family = NftablesFamily(rawValue: key.family) else { return nil }
      var all = DigestBuilder()
      let named = (maps[key] ?? []).map { Array($0.key.name) + [0] + $0.value.digest.bytes }
      let told = ((objects[key] ?? []) + named).sorted { $0.lexicographicallyPrecedes($1) }
      for object in told { all.update(object) }
      return NftablesTable(
        family: family, name: NftablesMessages.text(key.name),
        // NFT_TABLE_F_DORMANT
        isDormant: flags & 1 != 0,
        chains: (chains[key] ?? []).map { name, chain in
          NftablesChain(
            name: NftablesMessages.text(name.name), hook: chain.hook, rules: chain.rules, drops: chain.drops,
            digest: chain.content.finish(), notable: chain.notable)
        }.sorted { $0.name < $1.name },
        objects: all.finish(), unreadSets: unreadSets[key] ?? 0, largeSets: largeSets[key] ?? 0)
    }.sorted { ($0.family, $0.name) < ($1.family, $1.name) }
  }

  /// NFTA_CHAIN_NAME 3, HOOK 4, POLICY 5, TYPE 7; NFTA_HOOK_HOOKNUM 1, PRIORITY 2, DEV 3, DEVS 4.
  private mutating func takeChain(_ fields: NetlinkFields, of table: TableKey) {
    guard let name = fields[3].map(Self.name) else { return }
    var chain = Chain()
    var head = ByteWriter()
    if let hook = fields[4].map({ NetlinkReply.list($0) }) {
      let parts = Dictionary(hook.map { ($0.type, $0.content) }) { first, _ in first }
      let policy = fields[5].flatMap(NftablesMessages.bigEndian) ?? 1
      chain.hook = NftablesChain.Hook(
        number: parts[1].flatMap(NftablesMessages.bigEndian) ?? 0,
        priority: Int32(bitPattern: parts[2].flatMap(NftablesMessages.bigEndian) ?? 0), dropsByDefault: policy == 0,
        type: fields[7].map(NftablesMessages.text) ?? "")
      chain.drops = policy == 0
      for part in hook { head.string(part.content) }
      head.uint32(policy)
      head.string(fields[7] ?? [])
    }
    chain.content.update(head.bytes)
    let key = ChainKey(table: table, name: name)
    if let place = places[key] {
      chains[place].chain = chain
    } else {
      places[key] = chains.count
      chains.append((key, chain))
    }
  }

  /// NFTA_RULE_CHAIN 2, EXPRESSIONS 4, COMPAT 5, USERDATA 7.
  private mutating func takeRule(_ fields: NetlinkFields, of table: TableKey) {
    guard let name = fields[2].map(Self.name) else { return }
    let rule = NftablesRule(
      family: table.family, expressions: fields[4] ?? [], compatibility: fields[5] ?? [], remarks: fields[7] ?? [],
      nameless: { content(ofNameless: $0, in: table) })
    guard let place = place(of: ChainKey(table: table, name: name)) else { return }
    let position = chains[place].chain.rules
    chains[place].chain.rules += 1
    if rule.drops { chains[place].chain.drops = true }
    chains[place].chain.content.update(rule.content)
    let ours = rule.chain.flatMap { OwnedNames.isOurs($0) ? $0 : nil }
    guard rule.isNative || ours != nil else { return }
    chains[place].chain.notable.append(
      NotableRule(
        position: position, digest: Digest(of: rule.content), isNative: rule.isNative, mayPass: rule.mayPass,
        looksUpVerdict: rule.looksUpVerdict, calls: ours, isUnconditional: rule.isUnconditional))
  }

  private mutating func place(of key: ChainKey) -> Int? {
    if let latest, latest.key == key { return latest.place }
    guard let place = places[key] else { return nil }
    // The key of the chain's own answer: that of a rule would keep the whole datagram.
    latest = (chains[place].key, place)
    return place
  }

  /// NFTA_SET_NAME 2, FLAGS 3, KEY_TYPE 4, KEY_LEN 5, DATA_TYPE 6, DATA_LEN 7, TIMEOUT 11.
  private mutating func takeSet(_ fields: NetlinkFields, of table: TableKey) {
    guard let name = fields[2].map(Self.name) else { return }
    let set = Set(family: table.family, table: table.name, name: name)
    let isKnown = TableOwner(ofTable: NftablesMessages.text(table.name)) != nil
    let flags = fields[3].flatMap(NftablesMessages.bigEndian) ?? 0
    // NFT_SET_ANONYMOUS
    if flags & 1 != 0 {
      var content = ByteWriter()
      for field: UInt16 in [3, 4, 5, 6, 7, 11] { content.string(fields[field] ?? []) }
      nameless[set] = content.bytes
      // NFT_SET_EVAL: packets make its members.
      if flags & 0x20 == 0, !isKnown || scope == .ofAll { setsThatTell[table, default: []].append(set) }
      return
    }
    takeNamed(.set, fields, [3, 4, 5, 6, 7, 11], of: table)
    // NFT_DATA_VERDICT: what it maps to decides. Whoever is known for his table changes it all the time.
    let isVerdict = fields[6].flatMap(NftablesMessages.bigEndian) == 0xffff_ff00
    if isVerdict, !isKnown { setsThatTell[table, default: []].append(set) }
  }

  private func content(ofNameless name: ArraySlice<UInt8>, in table: TableKey) -> Digest? {
    let set = Set(family: table.family, table: table.name, name: Self.name(name))
    guard let head = nameless[set] else { return nil }
    return Digest(of: head + (members[set] ?? MemberSum()).digest.bytes)
  }

  /// NFTA_SET_ELEM_LIST_SET 2, ELEMENTS 3; NFTA_SET_ELEM_KEY 1, DATA 2, FLAGS 3, EXPIRATION 5, KEY_END 10.
  private mutating func takeElements(_ fields: NetlinkFields, of table: TableKey) {
    guard let name = fields[2].map(Self.name) else { return }
    let set = Set(family: table.family, table: table.name, name: name)
    for element in NetlinkReply.list(fields[3] ?? []) {
      let parts = NetlinkReply.list(element.content)
      // What goes by itself is no change of anybody's.
      if parts.contains(where: { $0.type == 5 }) { continue }
      var content = ByteWriter()
      for part in parts where [1, 2, 3, 10].contains(part.type) {
        content.uint16(part.type)
        content.string(part.content)
      }
      members[set, default: MemberSum()].add(content.bytes)
    }
  }

  /// Of each, the name is field 2.
  private mutating func takeNamed(
    _ kind: NftablesMessages.Kind, _ fields: NetlinkFields, _ telling: [UInt16], of table: TableKey
  ) {
    var content = ByteWriter()
    content.uint16(kind.rawValue)
    for field in [2] + telling {
      content.uint16(field)
      // An object's own data is what it counts.
      if kind == .object && field == 4 { continue }
      content.string(fields[field] ?? [])
    }
    objects[table, default: []].append(content.bytes)
  }

  private static func name(_ field: ArraySlice<UInt8>) -> ArraySlice<UInt8> { field.prefix { $0 != 0 } }
}

/// All members of a set, in whatever order the kernel lists them, in the room of one.
private struct MemberSum {
  static let tooMany = MemberSum(count: .max)

  private var sum = SIMD4<UInt64>()
  private(set) var count: UInt64 = 0

  init(count: UInt64 = 0) { self.count = count }

  mutating func add(_ member: [UInt8]) {
    Digest(of: member).bytes.withUnsafeBytes { sum &+= $0.loadUnaligned(as: SIMD4<UInt64>.self) }
    count += 1
  }

  var digest: Digest { withUnsafeBytes(of: (sum, count)) { Digest(of: $0.prefix(40)) } }
}
