internal import Core
internal import Inventory
internal import Ruleset

/// Reads the section `containers:` of a policy.yaml.
enum ContainersReader {
  /// Rules of one family: a list of ports times a list of networks grows fast.
  private static let ruleLimit = 4096
  private static let verdicts = ContainerRules.Verdict.allCases.map(\.rawValue)
  private static let keys = ContainerRules.Ports.Transport.allCases.map(\.rawValue) + ["from", "in"]

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
      if items.last?.takesEverything == true {
        problems.add(
          node.location, "this item is never reached: the one before it takes everything",
          hint: "what names neither port, source nor interface stands last")
      }
      items.append(item)
    }
    let count = items.reduce(0) { sum, item in
      sum + 2 * max(1, item.ports.reduce(0) { $0 + $1.ports.count }) * max(1, item.sources.count)
    }
    if count > ruleLimit {
      problems.add(
        node.location, "the list would make \(count) rules, more than the \(ruleLimit) allowed",
        hint: "name ranges of ports (8000:8010) and prefixes instead of every one")
    }
    return ContainerRules(location: place, items: items)
  }

  private static func item(_ node: YAMLNode, _ problems: inout Problems) -> ContainerRules.Item? {
    guard let choice = node.mapping(allowing: verdicts, &problems) else { return nil }
    let chosen = ContainerRules.Verdict.allCases.compactMap { verdict in
      choice[verdict.rawValue].map { (verdict, $0) }
    }
    guard chosen.count == 1, let (verdict, body) = chosen.first else {
      // An unknown word has been named already.
      if !(chosen.isEmpty && !problems.isEmpty) {
        problems.add(
          node.location, "an item is one of \(verdicts.joined(separator: ", "))", hint: "such as - accept: {tcp: 8080}")
      }
      return nil
    }
    guard !body.isNull else {
      problems.add(body.location, "expected a mapping, found nothing", hint: "{} is everything")
      return nil
    }
    guard let match = body.mapping(allowing: keys, &problems) else { return nil }
    var item = ContainerRules.Item(verdict: verdict, location: node.location)
    for transport in ContainerRules.Ports.Transport.allCases {
      guard let node = match[transport.rawValue] else { continue }
      item.ports.append(.init(transport: transport, ports: each(node, "port", &problems) { port($0, &$1) }))
    }
    if let node = match["from"] { item.sources = each(node, "source", &problems) { source($0, &$1) } }
    if let node = match["in"] { item.interface = interface(node, &problems) }
    return item
  }

  /// The value itself, or each of a list that is not empty.
  private static func each<Value>(
    _ node: YAMLNode, _ what: String, _ problems: inout Problems, _ read: (YAMLNode, inout Problems) -> Value?
  ) -> [Value] {
    guard node.tag == nil, case .list(let nodes) = node.content else { return read(node, &problems).map { [$0] } ?? [] }
    if nodes.isEmpty {
      problems.add(node.location, "the list names no \(what)", hint: "leave the key out to mean every \(what)")
    }
    return nodes.compactMap { read($0, &problems) }
  }

  private static func port(_ node: YAMLNode, _ problems: inout Problems) -> String? {
    guard let text = node.string(&problems) else { return nil }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(number)
    if parts.count == 1, parts[0] != nil { return text }
    if parts.count == 2, let first = parts[0], let last = parts[1], first < last { return text }
    problems.add(
      node.location, "\(quoted(text)) is no port",
      hint: text.contains(",")
        ? "write several as a list: [80, 443]" : "a number from 1 to 65535, or a range such as 8000:8010")
    return nil
  }

  private static func number(_ text: Substring) -> Int? {
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), text.first != "0", let value = Int(text) else {
      return nil
    }
    return (1...65535).contains(value) ? value : nil
  }

  private static func source(_ node: YAMLNode, _ problems: inout Problems) -> ContainerRules.Source? {
    guard let text = node.string(&problems) else { return nil }
    if text == PolicyTemplate.controllersWord { return .controllers }
    let family: Family = text.contains(":") ? .ipv6 : .ipv4
    let isNumeric =
      !text.isEmpty
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x3a, 0x41...0x46, 0x61...0x66, UInt8(ascii: "."), UInt8(ascii: "/"): true
        default: false
        }
      }
    guard isNumeric else {
      problems.add(
        node.location, "\(quoted(text)) is no numeric address or prefix",
        hint: "such as 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, or controllers")
      return nil
    }
    return judged("-s \(text)", family, node, &problems) ? .network(text, family) : nil
  }

  private static func interface(_ node: YAMLNode, _ problems: inout Problems) -> String? {
    guard let text = node.string(&problems) else { return nil }
    let isName =
      (1...15).contains(text.utf8.count) && text.first != "-" && text.first != "!" && text != "+"
      && text.utf8.allSatisfy { (0x21...0x7e).contains($0) && !"\"'\\/,".utf8.contains($0) }
    guard isName else {
      problems.add(
        node.location, "\(quoted(text)) is no interface",
        hint: "1 to 15 characters, such as eth0; a + at the end stands for any rest")
      return nil
    }
    return judged("-i \(text)", .ipv4, node, &problems) ? text : nil
  }

  /// Whether a rules file might say so; what it would be told is told here.
  private static func judged(
    _ match: String, _ family: Family, _ node: YAMLNode, _ problems: inout Problems
  ) -> Bool {
    let text = "*filter\n:FORWARD ACCEPT\n-A FORWARD \(match) -j ACCEPT\nCOMMIT\n"
    do throws(Diagnostics) {
      _ = try Ruleset.parse(policy: Array(text.utf8), file: node.location.file, family: family)
      return true
    } catch {
      for diagnostic in error.all { problems.add(node.location, diagnostic.message, hint: diagnostic.hint) }
      return false
    }
  }
}
