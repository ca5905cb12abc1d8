internal import Core
internal import Inventory
internal import Ruleset

/// Rules of the filter table, and what helpers need in raw, from one policy's items.
struct FilterCompiler {
  /// Rules as they were made, by family.
  struct Rules {
    var lines: [(family: Family, table: String, chain: String, text: String, source: SourceLocation)] = []
  }

  private(set) var rules = Rules()
  /// What stands before answers are accepted where windows end the connections opened in them.
  private(set) var early = EarlyRules()
  /// Of `rules`: the first that accepts answers because an item says so, and the first of an item that is strict.
  private(set) var firstAnswers: Int?
  private(set) var firstStrict: Int?
  let hook: BuiltInHook

  /// Of iptables' limit match.
  private static let defaultBurst = 5

  init(_ hook: BuiltInHook) { self.hook = hook }

  mutating func add(_ item: FilterItem, _ compiler: inout MatchCompiler) {
    if case .raw(let lines) = item.action {
      for family in Family.allCases {
        guard let line = lines[family] else { continue }
        if line.contains("ESTABLISHED".utf8) { firstAnswers = firstAnswers ?? rules.lines.count }
        rules.lines.append((family, "filter", hook.chain, String(decoding: line, as: UTF8.self), item.location))
      }
      return
    }
    let texts = compiler.texts(item.match, in: hook)
    let suffix: [String]
    switch item.action {
    case .accept, .drop, .reject: suffix = compiler.suffix(item.match)
    case .log(let words): suffix = compiler.suffix(item.match, before: Self.limit(words))
    case .limit: suffix = compiler.suffix(item.match, states: [])
    case .raw: suffix = []
    }
    if case .accept = item.action {
      let isAnswers = item.match.word == .established || item.match.states.contains(.established)
      if isAnswers { firstAnswers = firstAnswers ?? rules.lines.count }
      if item.match.isStrict { firstStrict = firstStrict ?? rules.lines.count }
    }
    if case .reject(.tcpReset) = item.action { requireTCP(texts, item, &compiler) }
    for family in Family.allCases {
      for text in texts[family] {
        var text = text
        if case .limit(let limit) = item.action {
          text.modules += Self.hashlimit(limit, texts, family, in: "\(compiler.name) \(hook.rawValue)")
        }
        text.modules += suffix
        append(text, target: Self.target(item.action, family), family, item.location)
      }
    }
    if case .accept = item.action {
      compiler.refuseHeaders(item.match, texts)
      if item.match.word != .established, item.match.word != .invalid { judgeAnswers(item, texts, &compiler) }
    }
    if let helper = item.match.helper {
      let before = rules.lines.count
      attach(helper.value, item, texts)
      if rules.lines.count == before, compiler.resolver.problems.isEmpty {
        compiler.resolver.problems.add(
          helper.location, "helper \(helper.value) would be attached to nothing",
          hint: ConnectionHelper(helper.value)?.words ?? "name TCP or UDP ports")
      }
    }
  }

  /// What services stand for is known only here.
  private func requireTCP(_ texts: PerFamily<[MatchText]>, _ item: FilterItem, _ compiler: inout MatchCompiler) {
    let isTCP = Family.allCases.allSatisfy { texts[$0].allSatisfy { $0.transport == PortTransport.tcp.rawValue } }
    guard !isTCP else { return }
    compiler.resolver.problems.add(
      item.location, "only TCP is reset, and this item is about more",
      hint: "name TCP ports or services: {tcp: 25, with: tcp-reset}")
  }

  private mutating func append(_ text: MatchText, target: String, _ family: Family, _ source: SourceLocation) {
    rules.lines.append((family, "filter", hook.chain, text.rule(in: hook.chain, target: target), source))
  }

  private mutating func judgeAnswers(
    _ item: FilterItem, _ texts: PerFamily<[MatchText]>, _ compiler: inout MatchCompiler
  ) {
    let answers = EarlyRules.answers
    let window = item.match.isStrict ? compiler.time(item.match) : nil
    for family in Family.allCases {
      for text in texts[family] {
        func line(_ modules: [String], _ target: String) -> EarlyRules.Line {
          var text = text
          text.modules += modules
          return EarlyRules.Line(
            family: family, text: text.rule(in: hook.chain, target: target), transport: text.transport,
            source: item.location)
        }
        if let window {
          early.inside.append(line([answers, window], "ACCEPT"))
          // Only of connections that were opened this way: answers to what the host itself asked are no business of it.
          early.outside.append(line(["\(answers) --ctdir ORIGINAL"], "DROP"))
        } else if item.match.states.isEmpty || item.match.states.contains(.new) {
          // One that opens nothing has no answers of its own.
          early.lasting.append(line([answers], "ACCEPT"))
        }
      }
    }
  }

  /// Before connection tracking sees the first packet. A rule for a helper that the kernel does not have, of this
  /// family and transport, does not load.
  private mutating func attach(_ name: String, _ item: FilterItem, _ texts: PerFamily<[MatchText]>) {
    let chain = hook == .output ? "OUTPUT" : "PREROUTING"
    let helper = ConnectionHelper(name)
    for family in Family.allCases where helper?.families.contains(family) ?? true {
      let transports = helper?.transports ?? PortTransport.allCases
      // Also of protocols without ports, where a service names one.
      for text in texts[family] where transports.contains(where: { $0.spelling == text.transport }) {
        var text = text
        if hook != .output { text.output = "" }
        rules.lines.append((family, "raw", chain, text.rule(in: chain, target: "CT --helper \(name)"), item.location))
      }
    }
  }

  static func target(_ action: FilterItem.Action, _ family: Family) -> String {
    switch action {
    case .accept: "ACCEPT"
    // A raw rule names its own.
    case .drop, .raw: "DROP"
    case .reject(let rejection): "REJECT --reject-with \(rejection.option(family))"
    case .limit(let limit):
      limit.excess == .drop ? "DROP" : "REJECT --reject-with \(Rejection.portUnreachable.option(family))"
    case .log(let words):
      [
        "LOG", words.prefix.map { "--log-prefix \(RuleWriting.quoted($0))" },
        // The default is not printed.
        words.level.flatMap { $0 == .warning ? nil : "--log-level \($0.number)" },
      ]
      .compactMap(\.self).joined(separator: " ")
    }
  }

  static func limit(_ words: LogWords) -> String? {
    guard let rate = words.limit else { return nil }
    let burst = words.burst ?? min(defaultBurst, rate.largestBurst)
    // The default is not printed.
    let option = burst == defaultBurst ? "" : " --limit-burst \(burst)"
    return "-m limit --limit \(rate.printed(.limit).text)\(option)"
  }

  /// New connections above the rate. One who has a network of IPv6 addresses counts as one.
  ///
  /// The kernel keeps one table for each name, with the rate it was made with: it lives on while rules are exchanged, so
  /// another rate must have another name, and the same item the same wherever it stands.
  private static func hashlimit(
    _ limit: RateLimit, _ texts: PerFamily<[MatchText]>, _ family: Family, in place: String
  ) -> [String] {
    let rate = limit.rate.printed(.hashlimit)
    var options = "--hashlimit-above \(rate.text) --hashlimit-burst \(limit.burst)"
    switch limit.key {
    case .source: options += " --hashlimit-mode srcip"
    case .destination: options += " --hashlimit-mode dstip"
    case .all: break
    }
    // Forgotten earlier than a burst takes to be allowed again, who waits a little would have a whole one.
    let expiry = max(rate.unit.seconds * 1000, limit.rate.milliseconds(ofBurst: limit.burst))
    let expiryOption = expiry == rate.unit.seconds * 1000 ? "" : " --hashlimit-htable-expire \(expiry)"
    let mask = family == .ipv6 && limit.key == .source ? " --hashlimit-srcmask 64" : ""
    let matches = Family.allCases.flatMap { texts[$0] }.map { $0.rule(in: place, target: "") }
    let name =
      "pcl" + Digest(of: Array(([options, expiryOption] + matches).joined(separator: "\n").utf8)).hex.prefix(10)
    return [
      "-m conntrack --ctstate NEW", "-m hashlimit \(options) --hashlimit-name \(name)\(expiryOption)\(mask)",
    ]
  }
}
