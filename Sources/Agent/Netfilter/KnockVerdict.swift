internal import Core

/// What a path that did not open ran into, told by the counters before and after it was tried alone.
struct KnockVerdict {
  let before: CountedRules
  let after: CountedRules
  /// The first packet came as far as TCP, so that the answer is what was lost.
  let reachedTCP: Bool
  /// What was knocked at.
  let ports: Set<UInt16>

  private static let droppers: Set<String> = [
    "DROP", "REJECT", "TARPIT", "STEAL", "DELUDE", "CHAOS", "NFQUEUE", "QUEUE",
  ]
  /// What these decide depends on what the scratch stack does not have: a program behind the queue, the clock, who
  /// came before, hardware addresses, tunnels, chance.
  private static let uncertain: Set<String> = [
    "recent", "time", "policy", "geoip", "asn", "condition", "quota", "quota2", "statistic", "mac", "ttl", "hl",
    "physdev", "realm", "cgroup", "bpf", "psd", "cluster", "osf", "tcpmss", "length", "tos", "dscp", "connlimit",
    "hashlimit", "limit", "rateest", "dnetmap", "account", "nfacct", "devgroup",
  ]
  /// Targets after which the next rule is tried.
  private static let continuing: Set<String> = ["LOG", "NFLOG", "MARK", "CONNMARK", "SET"]
  private static let translators: Set<String> = ["DNAT", "REDIRECT", "NETMAP", "TPROXY"]

  /// In the order a packet to the host meets them, and its answer.
  private static let arriving = [
    ("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("nat", "PREROUTING"), ("mangle", "INPUT"), ("filter", "INPUT"),
    ("security", "INPUT"), ("nat", "INPUT"),
  ]
  private static let leaving = [
    ("raw", "OUTPUT"), ("mangle", "OUTPUT"), ("nat", "OUTPUT"), ("filter", "OUTPUT"), ("security", "OUTPUT"),
    ("mangle", "POSTROUTING"), ("nat", "POSTROUTING"),
  ]

  /// The rule, or the policy, that took a packet; nil when no counter says so.
  var culprit: String? {
    let takers = moved.filter { $0.target.map(Self.droppers.contains) ?? false }
    if let taker = takers.last(where: { !$0.isForOthers }) { return taker.shown }
    let ways = reachedTCP ? Self.leaving + Self.arriving : Self.arriving + Self.leaving
    let policies = ways.compactMap { table, chain in
      after.policies.first { $0.table == table && $0.chain == chain && $0.policy == "DROP" }
    }
    // Where policies are counted, the one that moved; else the filter table's before those that few people set.
    let counted = policies.first { policy in
      before.policies.contains {
        $0.table == policy.table && $0.chain == policy.chain && $0.packets != policy.packets
      }
    }
    guard let policy = counted ?? policies.first(where: { $0.table == "filter" }) ?? policies.first else { return nil }
    return "policy DROP of chain \(policy.chain)" + (policy.table == "filter" ? "" : " of table \(policy.table)")
  }

  /// Why the path's end proves nothing; nil when it does.
  var doubt: String? {
    if let rule = moved.first(where: { $0.target == "NFQUEUE" || $0.target == "QUEUE" }) {
      return "a program decides behind '\(rule.shown)'"
    }
    if let rule = moved.first(where: { $0.target.map(Self.translators.contains) ?? false }) {
      return "its destination was changed by '\(rule.shown)'"
    }
    let moved = Set(self.moved)
    for rule in after.onTheWay where !rule.isForOthers && !Self.uncertain.isDisjoint(with: rule.matches) {
      guard let target = rule.target else { continue }
      let denies = Self.droppers.contains(target)
      let letsOthersThrough = Self.continuing.contains(target)
      // A rule that took the packet may have done so for now; one that did not may let it in another time.
      if moved.contains(rule) ? denies : !denies && !letsOthersThrough {
        return "'\(rule.shown)' cannot be played here"
      }
    }
    return nil
  }

  /// Matches that let a packet in now and another one not at another time.
  private static let passing: Set<String> = ["time", "recent", "condition", "quota", "quota2", "statistic"]

  /// Why paths that opened may be shut another time; nil when no rule says so.
  var doubtOfOpen: String? {
    if let rule = moved.first(where: { $0.target == "NFQUEUE" || $0.target == "QUEUE" }) {
      return "a program decides behind '\(rule.shown)'"
    }
    let opener = moved.first { rule in
      guard let target = rule.target, !rule.isForOthers else { return false }
      return !Self.passing.isDisjoint(with: rule.matches) && !Self.droppers.contains(target)
        && !Self.continuing.contains(target)
    }
    if let opener { return "'\(opener.shown)' may not let it in at another time" }
    // What keeps others out at other times let this one pass by; recent and its like keep out who is no manager.
    let moved = Set(self.moved)
    let closer = after.onTheWay.first { rule in
      rule.matches.contains("time") && !rule.isForOthers && !rule.isForPorts(otherThan: ports) && !moved.contains(rule)
        && rule.target.map { $0 != "ACCEPT" && !Self.continuing.contains($0) } == true
    }
    return closer.map { "'\($0.shown)' may keep it out at another time" }
  }

  /// Whether a path that opened may still depend on something that is not there.
  static func needsCounters(_ saved: [UInt8]) -> Bool {
    saved.withUnsafeBufferPointer { text in
      text.holds("QUEUE") || text.holds("-m time") || text.holds("-m recent") || text.holds("-m condition")
        || text.holds("-m quota") || text.holds("-m statistic")
    }
  }

  private var moved: [CountedRules.Rule] { after.moved(since: before) }
}
