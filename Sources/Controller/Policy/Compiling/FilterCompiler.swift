internal import Core

/// Rules of the filter table, and what helpers need in raw, from one policy's items.
struct FilterCompiler {
  /// Rules as they were made, by family.
  struct Rules {
    var lines: [(family: Family, table: String, chain: String, text: String, source: SourceLocation)] = []
  }

  /// Before answers are accepted: windows whose connections end with them.
  private(set) var early = Rules()
  private(set) var rules = Rules()
  let hook: BuiltInHook

  init(_ hook: BuiltInHook) { self.hook = hook }

  /// - Parameter number: of the item within its policy, for names that must differ.
  mutating func add(_ item: FilterItem, number: Int, _ compiler: inout MatchCompiler) {
    let texts = compiler.texts(item.match, in: hook)
    let suffix: [String]
    switch item.action {
    case .accept, .drop, .reject: suffix = compiler.suffix(item.match)
    case .log(let words): suffix = compiler.suffix(item.match, before: Self.limit(words))
    case .limit: suffix = compiler.suffix(item.match, states: [])
    }
    for family in Family.allCases {
      for text in texts[family] {
        var text = text
        if case .limit(let limit) = item.action {
          text.modules += Self.hashlimit(limit, family, name: Self.name(compiler.policy.name, hook, number))
        }
        text.modules += suffix
        append(text, target: Self.target(item.action, family), family, item.location)
      }
    }
    if item.match.isStrict { cut(item, texts, &compiler) }
    if let helper = item.match.helper { attach(helper.value, item, texts) }
  }

  private mutating func append(_ text: MatchText, target: String, _ family: Family, _ source: SourceLocation) {
    rules.lines.append((family, "filter", hook.chain, text.rule(in: hook.chain, target: target), source))
  }

  /// Inside the window everything of the connection passes, outside of it nothing, before answers are accepted.
  private mutating func cut(_ item: FilterItem, _ texts: PerFamily<[MatchText]>, _ compiler: inout MatchCompiler) {
    let inside = compiler.suffix(item.match)
    let outside = ["-m conntrack --ctstate RELATED,ESTABLISHED"]
    for family in Family.allCases {
      for (suffix, target) in [(inside, "ACCEPT"), (outside, "DROP")] {
        for text in texts[family] {
          var text = text
          text.modules += suffix
          early.lines.append(
            (family, "filter", hook.chain, text.rule(in: hook.chain, target: target), item.location))
        }
      }
    }
  }

  /// Before connection tracking sees the first packet.
  private mutating func attach(_ helper: String, _ item: FilterItem, _ texts: PerFamily<[MatchText]>) {
    let chain = hook == .output ? "OUTPUT" : "PREROUTING"
    for family in Family.allCases {
      for text in texts[family] {
        var text = text
        if hook != .output { text.output = "" }
        rules.lines.append((family, "raw", chain, text.rule(in: chain, target: "CT --helper \(helper)"), item.location))
      }
    }
  }

  private static func target(_ action: FilterItem.Action, _ family: Family) -> String {
    switch action {
    case .accept: "ACCEPT"
    case .drop: "DROP"
    case .reject(let rejection): "REJECT --reject-with \(rejection.option(family))"
    case .limit(let limit):
      limit.excess == .drop ? "DROP" : "REJECT --reject-with \(Rejection.portUnreachable.option(family))"
    case .log(let words):
      [
        "LOG", words.prefix.map { "--log-prefix \(RuleWriting.quoted($0))" },
        words.level.map { "--log-level \($0.number)" },
      ]
      .compactMap(\.self).joined(separator: " ")
    }
  }

  private static func limit(_ words: LogWords) -> String? {
    guard let rate = words.limit else { return nil }
    // The default burst is not printed.
    let burst = words.burst.flatMap { $0 == 5 ? nil : " --limit-burst \($0)" } ?? ""
    return "-m limit --limit \(rate.text)\(burst)"
  }

  /// New connections above the rate. One who has a network of IPv6 addresses counts as one.
  private static func hashlimit(_ limit: RateLimit, _ family: Family, name: String) -> [String] {
    var options = "--hashlimit-above \(limit.rate.text) --hashlimit-burst \(limit.burst)"
    switch limit.key {
    case .source: options += " --hashlimit-mode srcip"
    case .destination: options += " --hashlimit-mode dstip"
    case .all: break
    }
    options += " --hashlimit-name \(name)"
    if family == .ipv6 {
      switch limit.key {
      case .source: options += " --hashlimit-srcmask 64"
      case .destination, .all: break
      }
    }
    return ["-m conntrack --ctstate NEW", "-m hashlimit \(options)"]
  }

  /// The kernel keeps one table for each name; the name must not change with other items.
  private static func name(_ policy: String, _ hook: BuiltInHook, _ number: Int) -> String {
    "pcl" + Digest(of: Array("\(policy) \(hook.rawValue) \(number)".utf8)).hex.prefix(10)
  }
}
