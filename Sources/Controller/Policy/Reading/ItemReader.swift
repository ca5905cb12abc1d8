internal import Core
internal import Inventory
internal import Ruleset

/// Reads the items of `input`, `forward`, `output` and their `_last` parts.
enum ItemReader {
  enum Verb: String, CaseIterable {
    case accept, drop, reject, log, limit

    /// What it takes besides a match.
    var keys: [String] {
      switch self {
      case .accept, .drop: []
      case .reject: ["with"]
      case .log: ["prefix", "limit", "burst", "level"]
      case .limit: ["rate", "burst", "by", "over"]
      }
    }

    /// Of a match, what makes no sense with it.
    func excludes(_ key: MatchReader.Key) -> Bool {
      switch (self, key) {
      case (.accept, _): false
      case (_, .helper), (_, .strict): true
      case (.limit, .state): true
      default: false
      }
    }

    /// Of the match and of its own.
    var allKeys: [String] { keys + MatchReader.Key.allCases.filter { !excludes($0) }.map(\.rawValue) }
  }

  static func read(
    _ node: YAMLNode, in section: PolicyFile.Section, _ raw: RawItemReader, _ problems: inout Problems
  ) -> [FilterItem] {
    guard !node.isNull else { return [] }
    return (node.list(&problems) ?? []).compactMap { item($0, section, raw, &problems) }
  }

  private static func item(
    _ node: YAMLNode, _ section: PolicyFile.Section, _ raw: RawItemReader, _ problems: inout Problems
  ) -> FilterItem? {
    guard let (word, body) = verb(node, Verb.allCases.map(\.rawValue) + [RawItemReader.verb], &problems) else {
      return nil
    }
    guard let verb = Verb(rawValue: word) else {
      return raw.read(body, &problems).map {
        FilterItem(action: .raw($0), match: TrafficMatch(location: node.location))
      }
    }
    if body.tag == nil, case .scalar = body.content { return Self.word(verb, body, section, &problems) }
    guard let mapping = mapping(body, allowing: verb.allKeys, &problems) else { return nil }
    let match = MatchReader.read(mapping, at: node.location, &problems)
    check(match, mapping, section, &problems)
    switch verb {
    case .accept: return FilterItem(action: .accept, match: match)
    case .drop: return FilterItem(action: .drop, match: match)
    case .reject: return FilterItem(action: .reject(rejection(mapping, match, &problems)), match: match)
    case .log: return FilterItem(action: .log(log(mapping, &problems)), match: match)
    case .limit: return limit(mapping, match, &problems).map { FilterItem(action: .limit($0), match: match) }
    }
  }

  /// `- accept: …`: one verb and what it applies to.
  static func verb(
    _ node: YAMLNode, _ verbs: [String], _ problems: inout Problems
  ) -> (word: String, body: YAMLNode)? {
    let before = problems.all.count
    guard let choice = node.mapping(allowing: verbs, &problems) else { return nil }
    let chosen = verbs.compactMap { verb in choice[verb].map { (verb, $0) } }
    guard chosen.count == 1, let only = chosen.first else {
      // An unknown word has been named already.
      if problems.all.count == before {
        problems.add(
          node.location, "an item is one of \(verbs.joined(separator: ", "))",
          hint: chosen.count > 1 ? "write each as an item of its own" : "such as - \(verbs[0]): {tcp: 443}")
      }
      return nil
    }
    return only
  }

  /// A mapping that may be empty, but not left out.
  static func mapping(_ body: YAMLNode, allowing keys: [String], _ problems: inout Problems) -> YAMLMapping? {
    guard !body.isNull else {
      problems.add(body.location, "expected a mapping, found nothing", hint: "{} is everything")
      return nil
    }
    return body.mapping(allowing: keys, &problems)
  }

  private static func word(
    _ verb: Verb, _ node: YAMLNode, _ section: PolicyFile.Section, _ problems: inout Problems
  ) -> FilterItem? {
    if case .scalar(let text) = node.content, ServiceTable.names.contains(text) {
      problems.add(
        node.location, "\(quoted(text)) is a service", hint: "write it as - \(verb.rawValue): {service: \(text)}")
      return nil
    }
    guard let word: TrafficMatch.Word = MatchReader.choice(node, "kind of traffic", &problems) else { return nil }
    var match = TrafficMatch(location: node.location)
    match.word = word
    if section.hook == .forward, word == .dhcpClient {
      problems.add(node.location, "a DHCP client's traffic is never forwarded", hint: "move it to input")
    }
    switch verb {
    case .accept: return FilterItem(action: .accept, match: match)
    case .drop: return FilterItem(action: .drop, match: match)
    case .reject: return FilterItem(action: .reject(.portUnreachable), match: match)
    case .log: return FilterItem(action: .log(LogWords()), match: match)
    case .limit:
      problems.add(node.location, "a limit needs its rate", hint: "such as - limit: {service: ssh, rate: 6/minute}")
      return nil
    }
  }

  /// Packets that come in have no interface to leave by yet, and those of the host itself none to come by.
  static func check(
    _ match: TrafficMatch, _ body: YAMLMapping, _ section: PolicyFile.Section, _ problems: inout Problems
  ) {
    let wrong: String? =
      switch section.hook {
      case .input: match.output.isEmpty ? nil : "out"
      case .output: match.input.isEmpty ? nil : "in"
      case .forward: nil
      }
    if let wrong, let place = body.keyLocation(wrong) {
      problems.add(
        place, "\(section.rawValue) knows no interface of \(wrong)",
        hint: wrong == "out" ? "use in, or move the item to forward or output" : "use out, or move the item to input")
    }
    if match.isStrict, section.isLast, let place = body.keyLocation("strict") {
      problems.add(place, "strict stands only in \(section.hook.rawValue)", hint: "move the item there")
    }
  }

  // MARK: What verbs take

  private static func rejection(
    _ body: YAMLMapping, _ match: TrafficMatch, _ problems: inout Problems
  ) -> Rejection {
    guard let node = body["with"] else { return .portUnreachable }
    let rejection: Rejection = MatchReader.choice(node, "rejection", &problems) ?? .portUnreachable
    // Services are looked up for each host.
    let isTCP =
      match.protocols.allSatisfy { $0 == 6 } && match.ports.allSatisfy { $0.transport == .tcp }
      && !(match.ports.isEmpty && match.protocols.isEmpty && match.services.isEmpty)
    if rejection == .tcpReset, !isTCP {
      problems.add(
        node.location, "only TCP is reset", hint: "name TCP ports: {tcp: 25, with: tcp-reset}, or proto: tcp")
    }
    return rejection
  }

  static func log(_ body: YAMLMapping, _ problems: inout Problems) -> LogWords {
    var words = LogWords()
    if let node = body["prefix"], let text = node.string(&problems) {
      if (1...29).contains(text.utf8.count), RuleWriting.isPlain(text) {
        words.prefix = text
      } else {
        problems.add(
          node.location, "\(quoted(text)) is no log prefix",
          hint: "1 to 29 printable ASCII characters, without quotation marks and backslashes, not beginning with -")
      }
    }
    words.limit = body["limit"].flatMap { rate($0, &problems) }
    words.burst = body["burst"].flatMap { $0.integer(in: 1...10_000, &problems) }
    if words.burst != nil, words.limit == nil, let place = body.keyLocation("burst") {
      problems.add(place, "burst has a meaning only beside limit", hint: "such as limit: 5/minute, burst: 10")
    }
    if let rate = words.limit { check(words.burst, rate, body, &problems) }
    words.level = body["level"].flatMap { MatchReader.choice($0, "level", &problems) }
    return words
  }

  private static func limit(
    _ body: YAMLMapping, _ match: TrafficMatch, _ problems: inout Problems
  ) -> RateLimit? {
    guard let rate = body.required("rate", &problems).flatMap({ rate($0, &problems) }) else { return nil }
    let burst = body["burst"].flatMap { $0.integer(in: 1...10_000, &problems) } ?? rate.count
    check(burst, rate, body, &problems)
    let key: RateLimit.Key = body["by"].flatMap { MatchReader.choice($0, "unit of counting", &problems) } ?? .source
    let excess: RateLimit.Excess = body["over"].flatMap { MatchReader.choice($0, "verdict", &problems) } ?? .drop
    return RateLimit(rate: rate, burst: burst, key: key, excess: excess)
  }

  private static func check(_ burst: Int?, _ rate: Rate, _ body: YAMLMapping, _ problems: inout Problems) {
    guard let burst, burst > rate.largestBurst, let place = body["burst"]?.location else { return }
    problems.add(
      place, "a burst of \(burst) is more than a day of \(rate.count)/\(rate.unit.rawValue)",
      hint: "the kernel saves up no more than a day: \(rate.largestBurst) at most")
  }

  /// `6/minute`, up to the kernel's 10,000 a second.
  static func rate(_ node: YAMLNode, _ problems: inout Problems) -> Rate? {
    guard let text = node.string(&problems) else { return nil }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let units = ["s": Rate.Unit.second, "sec": .second, "m": .minute, "min": .minute, "h": .hour, "d": .day]
    if parts.count == 2, let unit = Rate.Unit(rawValue: parts[1]) ?? units[parts[1]],
      parts[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let count = Int(parts[0]), (1...10_000).contains(count)
    {
      return Rate(count: count, unit: unit)
    }
    problems.add(
      node.location, "\(quoted(text)) is no rate",
      hint: "a number from 1 to 10000 and a unit, such as 6/minute; units are second, minute, hour, day")
    return nil
  }
}
