internal import Core
internal import Inventory
internal import Ruleset

/// Makes one host's rules of a lockdown profile.
///
/// Each chain has, from above: loopback and management, also that of hosts behind it; what the profile keeps; what the
/// host's addresses live on; the line against TCP that does not begin a connection and belongs to none. Only below it is
/// the connection's state asked: what begins here is judged by this side's items and default, and an answer by those of
/// the side where it began.
struct ProfileCompiler {
  /// In one family.
  static let ruleLimit = 4096
  private static let answers = "-m conntrack --ctdir REPLY"
  private static let beginnings = "-m conntrack --ctdir ORIGINAL"

  private struct Line {
    let text: String
    let place: SourceLocation
  }

  private let profile: ProfileFile
  private let facts: HostFacts
  private let ways: [JumpWays.Way]
  private var compiler: MatchCompiler
  private var chains = PerFamily<[BuiltInHook: [Line]]>(ipv4: [:], ipv6: [:])

  init(
    _ profile: ProfileFile, common: CommonFile, facts: HostFacts, ways: [JumpWays.Way], fleet: FleetAddresses,
    pins: NamePins
  ) {
    self.profile = profile
    self.facts = facts
    self.ways = ways
    compiler = MatchCompiler(
      named: profile.name.description, Definitions(own: profile.definitions, common: common), facts: facts,
      fleet: fleet, pins: pins)
  }

  mutating func compile() throws(Diagnostics) -> CompiledProfile {
    guard !facts.controllers.isEmpty else {
      throw Diagnostics(AddressResolver.noControllers(facts, at: profile.place))
    }
    let sources = facts.controllers.map { AddressPrefix($0).ruleText }
    let ports = facts.sshPorts.map(\.first)
    add { LockRules.door($0, sources: sources, sshPorts: ports) }
    for way in ways { add { LockRules.way($0, to: way.prefixes.map(\.ruleText), sshPort: way.port) } }
    for hook in BuiltInHook.allCases {
      for match in profile.keep[hook] ?? [] { keep(match, hook) }
    }
    add { LockRules.ground($0, sources: sources) }
    let items = items()
    for family in Family.allCases {
      for hook in BuiltInHook.allCases {
        append(LockRules.nonSYN, family, hook, profile.place)
        judge(hook, items[family], family)
      }
    }
    var problems = compiler.resolver.problems
    let texts = chains.map { family, chains in text(chains, family, &problems) }
    try problems.throwIfAny()
    return try CompiledProfile(profile, texts)
  }

  private mutating func append(_ text: String, _ family: Family, _ hook: BuiltInHook, _ place: SourceLocation) {
    chains[family][hook, default: []].append(Line(text: "-A \(hook.chain) \(text)", place: place))
  }

  private mutating func append(
    _ text: MatchText, to target: String, _ family: Family, _ hook: BuiltInHook, _ place: SourceLocation
  ) {
    chains[family][hook, default: []].append(Line(text: text.rule(in: hook.chain, target: target), place: place))
  }

  private mutating func add(_ rules: (Family) -> LockRules) {
    for family in Family.allCases {
      let rules = rules(family)
      for rule in rules.input { append(rule, family, .input, profile.place) }
      for rule in rules.output { append(rule, family, .output, profile.place) }
    }
  }

  // MARK: Flows that live on

  /// By address and port alone, so that it needs no state; answers of TCP never begin a connection.
  private mutating func keep(_ match: TrafficMatch, _ hook: BuiltInHook) {
    let texts = compiler.texts(match, in: hook)
    compiler.refuseHeaders(match, texts)
    for family in Family.allCases {
      for var text in texts[family] {
        text.comment = match.comment
        guard !text.transport.isEmpty else {
          compiler.resolver.problems.add(
            match.location, "this protocol is a header that may stand before anything in IPv6, and keeps no flow",
            hint: "keep what follows it; as IPv4's alone: family: ipv4")
          return
        }
        append(text, to: "RETURN", family, hook, match.location)
        append(text.answered(in: hook.answering), to: "RETURN", family, hook.answering, match.location)
      }
    }
  }

  // MARK: What may begin

  private struct Item {
    enum Verdict { case accepts, drops, goesOn }
    let verdict: Verdict
    let target: String
    let texts: [MatchText]
    let place: SourceLocation
  }

  /// Each is compiled once, for the side where it stands and the one that it answers for.
  private mutating func items() -> PerFamily<[BuiltInHook: [Item]]> {
    var items = PerFamily<[BuiltInHook: [Item]]>(ipv4: [:], ipv6: [:])
    for hook in BuiltInHook.allCases {
      for item in profile.items[hook] ?? [] {
        var texts = compiler.texts(item.match, in: hook)
        let verdict: Item.Verdict
        switch item.action {
        case .accept:
          verdict = .accepts
          compiler.refuseHeaders(item.match, texts)
        case .drop: verdict = .drops
        case .log, .reject, .limit, .raw: verdict = .goesOn
        }
        if case .log(let words) = item.action, let limit = FilterCompiler.limit(words) {
          texts = texts.map { $1.map { $0.with(limit) } }
        }
        for family in Family.allCases {
          let target = verdict == .accepts ? "RETURN" : FilterCompiler.target(item.action, family)
          items[family][hook, default: []].append(
            Item(
              verdict: verdict, target: target,
              texts: texts[family].map {
                var text = $0
                text.comment = item.match.comment
                return text
              }, place: item.location))
        }
      }
    }
    return items
  }

  private mutating func judge(_ hook: BuiltInHook, _ items: [BuiltInHook: [Item]], _ family: Family) {
    for item in items[hook] ?? [] {
      for text in item.texts {
        let text = item.verdict == .accepts ? text.with(Self.beginnings) : text
        append(text, to: item.target, family, hook, item.place)
      }
    }
    let (drops, asker) = (profile.dropped.contains(hook), hook.answering)
    let isAskerShut = profile.dropped.contains(asker)
    // The last ones that say what the default says need no line.
    let judged = (items[asker] ?? []).filter { $0.verdict != .goesOn }
    let decisive = judged.lastIndex { $0.verdict != (isAskerShut ? .drops : .accepts) }.map { $0 + 1 } ?? 0
    for item in judged.prefix(decisive) {
      for text in item.texts {
        append(text.exchanged().with(Self.answers), to: item.target, family, hook, item.place)
      }
    }
    if hook != .forward, drops != isAskerShut {
      append(
        drops ? "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN" : "\(Self.answers) -j DROP",
        family, hook, profile.place)
    }
    if drops { append("-j DROP", family, hook, profile.place) }
  }

  // MARK: Text

  private func text(
    _ chains: [BuiltInHook: [Line]], _ family: Family, _ problems: inout Problems
  ) -> (text: [UInt8], places: [SourceLocation]) {
    let hooks = BuiltInHook.allCases
    let rules = hooks.flatMap { chains[$0] ?? [] }
    let frame = ["*\(LockLayer.table)"] + hooks.map { ":\($0.chain) ACCEPT [0:0]" }
    let lines =
      frame.map { Line(text: $0, place: profile.place) } + rules + [Line(text: "COMMIT", place: profile.place)]
    let text = lines.flatMap { Array($0.text.utf8) + [UInt8(ascii: "\n")] }
    let limit = BundleFile.lockdown(0, family).maximumSize
    if rules.count > Self.ruleLimit || text.count > limit {
      problems.add(
        profile.place,
        "lockdown profile \(profile.name) would become \(rules.count) \(family) rules in \(text.count) bytes for host \(quoted(facts.host.id.description)), more than the \(Self.ruleLimit) rules or \(limit) bytes allowed",
        hint: "sets are spelled out here: name prefixes that hold their members")
    }
    return (text, lines.map(\.place))
  }
}

extension MatchText {
  /// Both ends in each other's place.
  fileprivate func exchanged() -> MatchText {
    var text = self
    (text.source, text.destination) = (destination, source)
    (text.input, text.output) = (output, input)
    // An answer is of another type than its question.
    text.modules = modules.filter { !$0.hasPrefix("-m icmp") }.map {
      $0.replacing(" --dport ", with: " --sport ").replacing(" --dports ", with: " --sports ")
    }
    return text
  }

  /// The other direction of a flow that is kept, whichever end began it.
  fileprivate func answered(in hook: BuiltInHook) -> MatchText {
    var text = exchanged()
    guard transport == PortTransport.tcp.spelling else {
      return text.answersStateless(in: hook) ? text : text.with("-m conntrack --ctdir REPLY")
    }
    let flags = "! --tcp-flags FIN,SYN,RST,ACK SYN"
    if let index = text.modules.firstIndex(where: { $0.hasPrefix("-m tcp ") }) {
      text.modules[index] += " \(flags)"
    } else {
      text.modules.append("-m tcp \(flags)")
    }
    return text
  }

  /// UDP that nobody tracks has no direction. By its port alone it passes out, and in from those who are named: anybody
  /// else could send from that port to every service of the host.
  private func answersStateless(in hook: BuiltInHook) -> Bool {
    transport == PortTransport.udp.spelling && modules.contains { $0.contains(" --sport") }
      && (hook == .output || !source.isEmpty)
  }
}
