internal import Core
internal import Inventory

/// Reads `policies/lockdown/NAME.yaml`.
struct ProfileReader {
  enum Verb: String, CaseIterable {
    case accept, drop, log
  }

  static let keys =
    ["lockdown", "description", "rank", "applies_to", "sets", "services", "defaults", "keep"]
    + BuiltInHook.allCases.map(\.rawValue)
  /// Of a flow that is kept, and of items: nothing that knows a packet by its connection or by the time.
  static let matchKeys: [MatchReader.Key] = [
    .service, .tcp, .udp, .sctp, .dccp, .proto, .icmp, .icmpv6, .from, .to, .input, .output, .family, .comment, .owner,
  ]

  let file: String
  /// Without its ending.
  let name: String
  var problems = Problems()

  init(file: String, name: String) {
    self.file = file
    self.name = name
  }

  /// Nil when something is wrong, which `problems` then say.
  mutating func read() -> ProfileFile? {
    do throws(Diagnostics) {
      return read(try StrictYAML.load(path: file))
    } catch {
      problems.add(error)
      return nil
    }
  }

  mutating func read(_ root: YAMLNode) -> ProfileFile? {
    guard let top = root.mapping(allowing: Self.keys, &problems) else { return nil }
    let named = readName(top)
    let rank = top.required("rank", &problems).flatMap { $0.integer(in: 0...Int(LockRank.maximum), &problems) }
    let groups = PolicyFileReader.groups(top, &problems)
    let definitions = DefinitionsReader.read(top, &problems)
    let dropped = readDefaults(top)
    let keep = readKeep(top)
    let items = readItems(top)
    guard problems.isEmpty, let named, let rank = rank.flatMap({ LockRank($0) }) else { return nil }
    return ProfileFile(
      name: named.value, file: file, place: named.location, description: top["description"]?.string(&problems),
      rank: rank, appliesTo: groups, definitions: definitions, dropped: dropped, keep: keep, items: items)
  }

  private mutating func readName(_ top: YAMLMapping) -> Located<ProfileName>? {
    guard let node = top.required("lockdown", &problems), let written = node.string(&problems) else { return nil }
    guard written == name else {
      problems.add(
        node.location, "lockdown profile \(quoted(written)) stands in the file \(quoted(name))",
        hint: "a profile is called as its file is")
      return nil
    }
    guard let name = ProfileName(written) else {
      problems.add(
        node.location, "\(quoted(written)) is no name of a lockdown profile",
        hint: "1 to \(ProfileName.maximumLength) of a-z, 0-9 and '-', not beginning with '-'")
      return nil
    }
    return Located(name, node.location)
  }

  private mutating func readDefaults(_ top: YAMLMapping) -> Set<BuiltInHook> {
    guard let node = top.required("defaults", &problems),
      let body = node.mapping(allowing: BuiltInHook.allCases.map(\.rawValue), &problems)
    else { return [] }
    var actions: [BuiltInHook: DefaultAction] = [:]
    for hook in BuiltInHook.allCases {
      actions[hook] = body[hook.rawValue].flatMap { MatchReader.choice($0, "default", &problems) }
    }
    let dropped = actions.filter { $0.value == .drop }.keys
    if dropped.isEmpty, problems.isEmpty {
      problems.add(
        node.location, "a lockdown drops something by default",
        hint: "such as {input: drop, forward: drop}; what is not said stays accept")
    }
    return Set(dropped)
  }

  // MARK: Flows

  private mutating func readKeep(_ top: YAMLMapping) -> [BuiltInHook: [TrafficMatch]] {
    guard let node = top["keep"], !node.isNull,
      let body = node.mapping(allowing: BuiltInHook.allCases.map(\.rawValue), &problems)
    else { return [:] }
    var keep: [BuiltInHook: [TrafficMatch]] = [:]
    for hook in BuiltInHook.allCases {
      guard let node = body[hook.rawValue], !node.isNull else { continue }
      keep[hook] = (node.list(&problems) ?? []).compactMap { keptFlow($0, hook) }
    }
    return keep
  }

  private mutating func keptFlow(_ node: YAMLNode, _ hook: BuiltInHook) -> TrafficMatch? {
    let before = problems.all.count
    guard let body = node.mapping(allowing: Self.matchKeys.map(\.rawValue), &problems) else { return nil }
    let match = MatchReader.read(body, at: node.location, &problems)
    ItemReader.check(match, body, hook.main, &problems)
    // What was mistyped may be what is missed.
    guard problems.all.count == before else { return match }
    if !match.namesPorts, match.protocols.isEmpty, match.icmp.ipv4.isEmpty, match.icmp.ipv6.isEmpty {
      problems.add(
        node.location, "a flow that is kept names its ports, its protocol or its ICMP types",
        hint: "such as {tcp: 3260, from: 10.4.0.0/24}")
    }
    if match.protocols.contains(PortTransport.tcp.number), match.from == nil, match.to == nil {
      problems.add(
        node.location, "proto: tcp would keep every TCP connection there is", hint: "name its ports, or whose they are")
    }
    return match
  }

  private mutating func readItems(_ top: YAMLMapping) -> [BuiltInHook: [FilterItem]] {
    var items: [BuiltInHook: [FilterItem]] = [:]
    for hook in BuiltInHook.allCases {
      guard let node = top[hook.rawValue], !node.isNull else { continue }
      items[hook] = (node.list(&problems) ?? []).compactMap { item($0, hook) }
    }
    return items
  }

  private mutating func item(_ node: YAMLNode, _ hook: BuiltInHook) -> FilterItem? {
    guard let (word, body) = ItemReader.verb(node, Verb.allCases.map(\.rawValue), &problems),
      let verb = Verb(rawValue: word),
      let mapping = ItemReader.mapping(body, allowing: Self.keys(of: verb), &problems)
    else { return nil }
    let match = MatchReader.read(mapping, at: node.location, &problems)
    ItemReader.check(match, mapping, hook.main, &problems)
    switch verb {
    case .accept: return FilterItem(action: .accept, match: match)
    case .drop: return FilterItem(action: .drop, match: match)
    case .log: return FilterItem(action: .log(ItemReader.log(mapping, &problems)), match: match)
    }
  }

  static func keys(of verb: Verb) -> [String] {
    (verb == .log ? ItemReader.Verb.log.keys : []) + matchKeys.map(\.rawValue)
  }
}
