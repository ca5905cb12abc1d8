internal import Core
internal import Inventory
package import Ruleset

/// Rules of the nat table, and the forwarding that translated connections need, from one policy's items.
package struct TranslationCompiler {
  typealias Line = (family: Family, chain: String, text: String, source: SourceLocation)

  private(set) var rules: [Line] = []
  /// Of FORWARD in the filter table.
  private(set) var forwards: [Line] = []
  /// What `strict` of an item below `forward` leaves alone.
  private(set) var early = EarlyRules()

  mutating func add(_ item: TranslationItem, _ compiler: inout MatchCompiler) {
    let before = rules.count
    translate(item, &compiler)
    if rules.count == before, compiler.resolver.problems.isEmpty {
      compiler.resolver.problems.add(
        item.match.location, "the item would become no rule: what it translates is of the other family than its target",
        hint: "from and to must have addresses of one family")
    }
  }

  private mutating func translate(_ item: TranslationItem, _ compiler: inout MatchCompiler) {
    let texts = compiler.texts(item.match, in: .forward)
    let suffix = compiler.suffix(item.match)
    switch item.action {
    case .masquerade: append(texts, suffix, "POSTROUTING", "MASQUERADE", item)
    case .exempt: append(texts, suffix, "POSTROUTING", "ACCEPT", item)
    case .redirect(let port): append(Self.local(texts, item), suffix, "PREROUTING", "REDIRECT --to-ports \(port)", item)
    case .snat(let endpoint):
      guard let (family, address) = target(endpoint, &compiler) else { return }
      append(texts, suffix, "POSTROUTING", "SNAT --to-source \(address)", item, only: family)
    case .raw(let rules):
      for family in Family.allCases {
        guard let rule = rules[family] else { continue }
        let text = String(decoding: rule, as: UTF8.self)
        // The reader has seen that it begins `-A CHAIN`.
        let chain = text.split(separator: " ", maxSplits: 2)[1]
        self.rules.append((family, String(chain), text, item.match.location))
      }
    case .forwardPort(let endpoint):
      translate([endpoint], isRandom: false, texts, suffix, item, &compiler)
    case .balance(let endpoints, let isRandom):
      translate(endpoints, isRandom: isRandom, texts, suffix, item, &compiler)
    }
  }

  private mutating func append(
    _ texts: PerFamily<[MatchText]>, _ suffix: [String], _ chain: String, _ target: String, _ item: TranslationItem,
    only family: Family? = nil
  ) {
    for each in Family.allCases where family == nil || family == each {
      for text in texts[each] {
        var text = text
        text.modules += suffix
        rules.append((each, chain, text.rule(in: chain, target: target), item.match.location))
      }
    }
  }

  /// Of the first of k targets every k-th connection, of the rest every (k-1)-th of what is left, and so on.
  private mutating func translate(
    _ endpoints: [Located<Endpoint>], isRandom: Bool, _ texts: PerFamily<[MatchText]>, _ suffix: [String],
    _ item: TranslationItem, _ compiler: inout MatchCompiler
  ) {
    var targets: [(endpoint: Located<Endpoint>, family: Family, text: String)] = []
    for endpoint in endpoints {
      guard let (family, text) = target(endpoint, &compiler) else { return }
      targets.append((endpoint, family, text))
    }
    let local = Self.local(texts, item)
    for family in Family.allCases {
      let mine = targets.filter { $0.family == family }
      for (index, target) in mine.enumerated() {
        let left = mine.count - index
        let share =
          left == 1
          ? nil
          : isRandom
            ? "-m statistic --mode random --probability \(Self.probability(1, of: left))"
            : "-m statistic --mode nth --every \(left) --packet 0"
        for text in local[family] {
          var rule = text
          rule.modules += [share].compactMap(\.self) + suffix
          rules.append(
            (
              family, "PREROUTING", rule.rule(in: "PREROUTING", target: "DNAT --to-destination \(target.text)"),
              item.match.location
            ))
        }
        forward(target.endpoint, family, texts[family], item, &compiler)
      }
    }
  }

  /// What was translated may pass, and only that: who sends to the inner address directly is not let in by this.
  private mutating func forward(
    _ endpoint: Located<Endpoint>, _ family: Family, _ texts: [MatchText], _ item: TranslationItem,
    _ compiler: inout MatchCompiler
  ) {
    guard !item.placesForward, let inner = address(endpoint, &compiler) else { return }
    for text in texts {
      var text = text
      text.destination = inner.ruleText
      if let port = endpoint.value.port {
        text.modules = text.modules.filter { !$0.contains("--dport") } + ["-m \(text.transport) --dport \(port)"]
      }
      text.modules.append("-m conntrack --ctstate DNAT")
      let answers = text.with(EarlyRules.answers).rule(in: "FORWARD", target: "ACCEPT")
      if let comment = item.match.comment { text.modules.append("-m comment --comment \(RuleWriting.quoted(comment))") }
      let rule = text.rule(in: "FORWARD", target: "ACCEPT")
      if !forwards.contains(where: { $0.family == family && $0.text == rule }) {
        forwards.append((family, "FORWARD", rule, item.match.location))
        early.lasting.append(
          EarlyRules.Line(family: family, text: answers, transport: text.transport, source: item.match.location))
      }
    }
  }

  /// Where no interface is named, only what is for the host's own addresses: connections that others have with others
  /// pass here too.
  private static func local(_ texts: PerFamily<[MatchText]>, _ item: TranslationItem) -> PerFamily<[MatchText]> {
    guard item.match.input.isEmpty else { return texts }
    return texts.map { _, texts in texts.map { $0.with("-m addrtype --dst-type LOCAL") } }
  }

  /// As iptables-save prints what the kernel keeps of it, in 31 bits.
  package static func probability(_ share: Int, of whole: Int) -> String {
    let kept = (Double(share) / Double(whole) * 0x1p31).rounded() / 0x1p31
    let digits = Int((kept * 1e11).rounded())
    let text = String(digits)
    return "0." + String(repeating: "0", count: 11 - text.utf8.count) + text
  }

  package static func canTranslate(to address: AddressPrefix) -> Bool { Endpoint.fault(of: address) == nil }

  private func target(
    _ endpoint: Located<Endpoint>, _ compiler: inout MatchCompiler
  ) -> (family: Family, text: String)? {
    guard let prefix = address(endpoint, &compiler) else { return nil }
    let address = prefix.description
    guard let port = endpoint.value.port else { return (prefix.family, address) }
    return (prefix.family, prefix.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)")
  }

  private func address(_ endpoint: Located<Endpoint>, _ compiler: inout MatchCompiler) -> AddressPrefix? {
    switch endpoint.value.address {
    case .numeric(let prefix): return prefix
    case .variable(let name):
      let sides = compiler.resolver.resolve([Located(.variable(name), endpoint.location)])
      let all = sides.ipv4.inline + sides.ipv6.inline
      guard all.count == 1, let only = all.first, only.isOneAddress else {
        if compiler.resolver.problems.isEmpty {
          compiler.resolver.problems.add(
            endpoint.location, "variable \(name) must be one address to translate to")
        }
        return nil
      }
      if let fault = Endpoint.fault(of: only) {
        compiler.resolver.problems.add(endpoint.location, "variable \(name): \(fault.message)", hint: fault.hint)
        return nil
      }
      return only
    }
  }
}
