internal import Core
internal import Inventory

/// Reads `mode`, `forward` and `foreign` of a policy.yaml.
enum BesideOthersReader {
  /// In bytes, as a manifest takes them.
  private static let foreignRuleLimit = 1024
  private static let anyRule = "*"
  /// Those that our hooks stand in.
  private static let chains = ["INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING", "DOCKER-USER"]

  static func read(_ top: YAMLMapping, _ problems: inout Problems) -> BesideOthers.Statement {
    var beside = BesideOthers.Statement()
    if let node = top["mode"], let word = node.string(&problems) {
      let words = BesideOthers.Mode.allCases.map(\.rawValue)
      if let mode = BesideOthers.Mode(rawValue: word) {
        beside.mode = Located(mode, node.location)
      } else {
        problems.add(
          node.location, "unknown mode \(quoted(word))",
          hint: nearestHint(word, among: words)
            ?? "owned (the default) leaves other people's rules alone; exclusive takes every table the policy declares")
      }
    }
    if let node = top["forward"], case .scalar(let word) = node.content, node.tag == nil {
      if word == "foreign" {
        beside.forwardsForeign = node.location
      } else {
        problems.add(
          node.location, "expected foreign or a list of items, found \(quoted(word))",
          hint: "forward: foreign leaves packets that the FORWARD rules do not decide to Docker's or Kubernetes' own")
      }
    }
    if let node = top["foreign"] {
      beside.foreignAllowed = allowed(node, &problems)
      if node.tag == nil, case .scalar("deny") = node.content { beside.deniesForeign = node.location }
    }
    for key in ["foreign", "containers"] {
      if let place = top.keyLocation(key) { beside.ownedOnly = Located(key, place) }
    }
    if let place = beside.forwardsForeign { beside.ownedOnly = Located("forward: foreign", place) }
    if beside.mode?.value == .exclusive, let only = beside.ownedOnly { problems.add(BesideOthers.exclusion(only)) }
    return beside
  }

  private static func allowed(_ node: YAMLNode, _ problems: inout Problems) -> [String] {
    if node.tag == nil, case .scalar(let word) = node.content {
      if word == "allow" { return [anyRule] }
      if word == "deny" { return [] }
    }
    guard let foreign = node.mapping(allowing: ["allow"], &problems),
      let allow = foreign.required("allow", &problems)
    else { return [] }
    if case .scalar(anyRule) = allow.content, allow.tag == nil { return [anyRule] }
    guard case .list(let nodes) = allow.content, allow.tag == nil else {
      problems.add(
        allow.location, "expected a list of rules or \"*\", found \(allow.kindName)",
        hint: "a rule is written as iptables-save prints it: [\"-A INPUT -s 192.0.2.1/32 -j ACCEPT\"]")
      return []
    }
    return nodes.compactMap { rule($0, &problems) }
  }

  private static func rule(_ node: YAMLNode, _ problems: inout Problems) -> String? {
    guard let text = node.string(&problems) else { return nil }
    func refuse(_ why: String, hint: String) -> String? {
      problems.add(node.location, "foreign rule \(quoted(text)) \(why)", hint: hint)
      return nil
    }
    let example = "write it as iptables-save prints it: -A INPUT -s 192.0.2.1/32 -j ACCEPT"
    guard text.utf8.count <= foreignRuleLimit else {
      return refuse("has \(text.utf8.count) bytes, more than the \(foreignRuleLimit) allowed", hint: example)
    }
    guard text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }), !text.hasSuffix(" ") else {
      return refuse("holds more than printable ASCII, or ends in a space", hint: example)
    }
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count > 2, words[0] == "-A" else {
      return refuse("is no rule", hint: text == anyRule ? "write allow: \"*\", without a list" : example)
    }
    guard chains.contains(String(words[1])) else {
      return refuse(
        "is in no chain that our rules are hooked from",
        hint: nearestHint(String(words[1]), among: chains) ?? "those are \(chains.joined(separator: ", "))")
    }
    return text
  }
}
