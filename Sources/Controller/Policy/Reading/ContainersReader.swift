internal import Core
internal import Inventory

/// Reads the section `containers:` of a policy.
enum ContainersReader {
  static let keys = ["tcp", "udp", "service", "from", "in", "family", "comment", "owner"]
  private static let verdicts = ContainerRules.Verdict.allCases.map(\.rawValue)

  /// Nil when there is none, or nothing of it can be used.
  static func read(_ top: YAMLMapping, _ problems: inout Problems) -> ContainerRules? {
    guard let node = top["containers"], let nodes = node.list(&problems) else { return nil }
    guard let place = top.keyLocation("containers"), !nodes.isEmpty else {
      problems.add(node.location, "the list is empty", hint: "to keep everybody from containers: - drop: {}")
      return nil
    }
    var items: [ContainerRules.Item] = []
    for node in nodes {
      guard let item = item(node, &problems) else { continue }
      if items.last?.match.isEverything == true {
        problems.add(
          node.location, "this item is never reached: the one before it takes everything",
          hint: "what names neither port, source nor interface stands last")
      }
      items.append(item)
    }
    return ContainerRules(location: place, items: items)
  }

  private static func item(_ node: YAMLNode, _ problems: inout Problems) -> ContainerRules.Item? {
    guard let (word, content) = ItemReader.verb(node, verdicts, &problems),
      let verdict = ContainerRules.Verdict(rawValue: word),
      let body = ItemReader.mapping(content, allowing: keys, &problems)
    else { return nil }
    return ContainerRules.Item(verdict: verdict, match: MatchReader.read(body, at: node.location, &problems))
  }
}
