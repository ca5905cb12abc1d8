package import Core
internal import Yams

/// YAML as every file of ours is read: one document, no anchors, tags or surprises, and every value by its own text.
///
/// Yams follows YAML 1.1, where plain `22:30` is the number 1350, `no` is false and `0644` is 420. Nothing here asks
/// Yams what a value means: it only finds the nodes, and `YAMLNode` reads their text.
package enum StrictYAML {
  /// Bytes of one file.
  package static let sizeLimit = 8 << 20
  /// Lists and mappings within each other. libyaml itself gives up at 1,000.
  package static let depthLimit = 64

  /// What anchors and aliases may make of a file, in nodes.
  static let expansionLimit = 1_000_000

  /// Ansible's own files have anchors, aliases and merge keys; in ours they only hide what is meant.
  enum Anchors { case refused, expanded }

  package static func load(path: String) throws(Diagnostics) -> YAMLNode {
    try parse(try bytes(of: path), file: path)
  }

  static func bytes(of path: String) throws(Diagnostics) -> [UInt8] {
    do throws(BoundedFile.Problem) {
      return try BoundedFile.read(path, limit: sizeLimit)
    } catch {
      throw Diagnostics(
        Diagnostic(SourceLocation(file: path, line: 1, column: 1), "cannot read the file: \(error.description)"))
    }
  }

  package static func parse(_ bytes: [UInt8], file: String) throws(Diagnostics) -> YAMLNode {
    guard let root = try document(bytes, file: file, anchors: .refused) else {
      throw Diagnostics(Diagnostic(SourceLocation(file: file, line: 1, column: 1), "the document is empty"))
    }
    return root
  }

  /// Nil when there is nothing in it.
  static func document(_ bytes: [UInt8], file: String, anchors: Anchors) throws(Diagnostics) -> YAMLNode? {
    let text = try YAMLText(checking: bytes, file: file, anchors: anchors)
    if anchors == .expanded, let twin = text.withoutAliases {
      let root = try compose(YAMLText(checking: twin, file: file, anchors: .refused)).root
      var problems = Problems()
      if let root { refuseHiddenKeys(root, in: text, &problems) }
      try problems.throwIfAny()
    }
    let (root, parser) = try compose(text)
    var reading = Reading(text: text, anchors: anchors)
    // A node holds its anchor weakly: without its parser it forgets that it is an alias.
    let tree = withExtendedLifetime(parser) { root.map { convert($0, depth: 0, &reading) } }
    try reading.problems.throwIfAny()
    return tree.flatMap { $0.isNull ? nil : $0 }
  }

  private struct Reading {
    let text: YAMLText
    let anchors: Anchors
    var problems = Problems()
    /// Nodes still allowed while aliases are expanded.
    var left = StrictYAML.expansionLimit
  }

  private static func compose(_ text: YAMLText) throws(Diagnostics) -> (root: Node?, parser: Parser) {
    let parser: Parser
    let root: Node?
    do {
      parser = try Parser(yaml: text.string, resolver: .basic, encoding: .utf8)
      root = try parser.singleRoot()
    } catch let error as YamlError {
      throw Diagnostics(diagnostic(for: error, in: text))
    } catch {
      throw Diagnostics(Diagnostic(text.location(line: 1, column: 1), "cannot parse: \(SafeText.escape("\(error)"))"))
    }
    return (root, parser)
  }

  /// Keys that are lists or mappings, and aliases as keys: Yams hashes them, which an alias bomb makes last for ever. In
  /// a text without aliases they can be found in time.
  private static func refuseHiddenKeys(_ node: Node, in text: YAMLText, _ problems: inout Problems) {
    switch node {
    case .scalar, .alias: break
    case .sequence(let sequence): for node in sequence { refuseHiddenKeys(node, in: text, &problems) }
    case .mapping(let mapping):
      for (key, value) in mapping {
        if case .scalar(let scalar) = key, !scalar.string.hasPrefix(YAMLText.aliasStandIn) {
          refuseHiddenKeys(value, in: text, &problems)
        } else {
          problems.add(text.location(key.mark), "a key must be plain text")
        }
      }
    }
  }

  private static func convert(_ node: Node, depth: Int, _ reading: inout Reading) -> YAMLNode {
    let location = reading.text.location(node.mark)
    let nothing = YAMLNode(location: location, tag: nil, content: .null)
    if node.anchor != nil, reading.anchors == .refused {
      // Not looked into: an alias is the node itself again, and nested ones grow without end.
      reading.problems.add(
        location, "anchors and aliases (&name, *name) are not accepted", hint: "write the value out where it is used")
      return nothing
    }
    guard depth < depthLimit else {
      reading.problems.add(location, "lists and mappings are nested more than \(depthLimit) deep")
      return nothing
    }
    if reading.anchors == .expanded {
      guard reading.left > 0 else {
        reading.problems.add(location, "aliases make more than \(expansionLimit) values of this file")
        return nothing
      }
      reading.left -= 1
    }
    switch node {
    case .scalar(let scalar):
      let tag = scalar.tag.rawValue
      // A tag without quotes still says what the text is: `!!str 22`.
      let isPlain = scalar.style == .plain && tag.isEmpty
      let content: YAMLNode.Content =
        scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
        ? .null : .scalar(scalar.string)
      var node = YAMLNode(
        location: location, tag: named(scalar.tag, besides: "str"), content: content, style: isPlain ? .plain : .quoted)
      if scalar.style == .literal { node.blockStart = reading.text.start(ofBlock: scalar.string, below: location) }
      return node
    case .sequence(let sequence):
      return YAMLNode(
        location: location, tag: named(sequence.tag, besides: "seq"),
        content: .list(sequence.map { convert($0, depth: depth + 1, &reading) }))
    case .mapping(let mapping):
      return YAMLNode(
        location: location, tag: named(mapping.tag, besides: "map"),
        content: .mapping(entries(of: mapping, depth: depth, &reading)))
    case .alias:
      reading.problems.add(location, "anchors and aliases (&name, *name) are not accepted")
      return nothing
    }
  }

  private static func entries(
    of mapping: Node.Mapping, depth: Int, _ reading: inout Reading
  ) -> [YAMLNode.Entry] {
    var entries: [YAMLNode.Entry] = []
    var merged: [YAMLNode.Entry] = []
    var firsts: [[UInt8]: SourceLocation] = [:]
    for (keyNode, valueNode) in mapping {
      var key = convert(keyNode, depth: depth + 1, &reading)
      // Yams compares keys, and by that forgets that one had no tag.
      if case .scalar(let scalar) = keyNode, scalar.style == .plain { key.style = .plain }
      let value = convert(valueNode, depth: depth + 1, &reading)
      guard keyNode.anchor == nil || reading.anchors == .expanded else { continue }
      guard case .scalar(let name) = key.content, key.tag == nil else {
        reading.problems.add(key.location, "a key must be plain text, found \(key.kindName)")
        continue
      }
      if name == "<<", reading.anchors == .expanded, key.style == .plain {
        merged += mergedEntries(value, &reading)
        continue
      }
      if name == "<<" {
        reading.problems.add(
          key.location, "merge keys (<<) are not accepted", hint: "write the values out where they are used")
        continue
      }
      // Yams compares tags too; for us a key is its text.
      if let first = firsts.updateValue(key.location, forKey: Array(name.utf8)) {
        reading.problems.add(key.location, "the key \(quoted(name)) is given twice, first on line \(first.line)")
        continue
      }
      entries.append(
        YAMLNode.Entry(key: name, keyLocation: key.location, value: value, hasPlainKey: key.style == .plain))
    }
    return merged.isEmpty ? entries : merged.filter { firsts[Array($0.key.utf8)] == nil } + entries
  }

  /// Of several mappings the first one wins, and what the mapping itself says wins over all.
  private static func mergedEntries(_ value: YAMLNode, _ reading: inout Reading) -> [YAMLNode.Entry] {
    var sources: [YAMLNode] = [value]
    if case .list(let nodes) = value.content { sources = nodes }
    var seen: Set<[UInt8]> = []
    var merged: [YAMLNode.Entry] = []
    for source in sources {
      guard case .mapping(let entries) = source.content else {
        reading.problems.add(source.location, "only mappings can be merged (<<), found \(source.kindName)")
        return []
      }
      merged += entries.filter { seen.insert(Array($0.key.utf8)).inserted }
      // Merges of merges grow without an alias more.
      reading.left -= entries.count
    }
    return merged
  }

  /// The explicit tag of a node (`!vault`), or nil where it has none or only says what the node is anyway.
  private static func named(_ tag: Tag, besides own: String) -> String? {
    let name = tag.rawValue
    return name.isEmpty || name == "!" || name == "tag:yaml.org,2002:\(own)" ? nil : name
  }

  private static func diagnostic(for error: YamlError, in text: YAMLText) -> Diagnostic {
    switch error {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
      let words = context.map { "\($0.text), \(problem)" } ?? problem
      return Diagnostic(text.location(mark), SafeText.escape(words), hint: text.hint(for: mark))
    case .composer(let context, let problem, let mark, _):
      if context?.text.contains("single document") == true {
        return Diagnostic(
          text.location(mark), "a second document begins here", hint: "keep one document in a file: remove the \"---\"")
      }
      return Diagnostic(text.location(mark), SafeText.escape(problem))
    case .duplicatedKeysInMapping(let names, let context):
      return Diagnostic(
        text.location(context.mark), "the key \(quoted(names.first ?? "")) is given twice in this mapping")
    case .reader(let problem, _, _, _):
      return Diagnostic(text.location(line: 1, column: 1), SafeText.escape(problem))
    case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
      return Diagnostic(text.location(line: 1, column: 1), SafeText.escape("cannot parse: \(error)"))
    }
  }
}
