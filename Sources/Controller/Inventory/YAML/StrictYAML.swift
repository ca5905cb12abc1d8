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

  package static func load(path: String) throws(Diagnostics) -> YAMLNode {
    let bytes: [UInt8]
    do throws(BoundedFile.Problem) {
      bytes = try BoundedFile.read(path, limit: sizeLimit)
    } catch {
      throw Diagnostics(
        Diagnostic(SourceLocation(file: path, line: 1, column: 1), "cannot read the file: \(error.description)"))
    }
    return try parse(bytes, file: path)
  }

  package static func parse(_ bytes: [UInt8], file: String) throws(Diagnostics) -> YAMLNode {
    let text = try YAMLText(checking: bytes, file: file)
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
    var problems = Problems()
    // A node holds its anchor weakly: without its parser it forgets that it is an alias.
    let tree = withExtendedLifetime(parser) { root.map { convert($0, in: text, depth: 0, &problems) } }
    try problems.throwIfAny()
    guard let tree, !tree.isNull else {
      throw Diagnostics(Diagnostic(text.location(line: 1, column: 1), "the document is empty"))
    }
    return tree
  }

  private static func convert(_ node: Node, in text: YAMLText, depth: Int, _ problems: inout Problems) -> YAMLNode {
    let location = text.location(node.mark)
    guard node.anchor == nil else {
      // Not looked into: an alias is the node itself again, and nested ones grow without end.
      problems.add(
        location, "anchors and aliases (&name, *name) are not accepted", hint: "write the value out where it is used")
      return YAMLNode(location: location, tag: nil, content: .null)
    }
    guard depth < depthLimit else {
      problems.add(location, "lists and mappings are nested more than \(depthLimit) deep")
      return YAMLNode(location: location, tag: nil, content: .null)
    }
    switch node {
    case .scalar(let scalar):
      let isPlain = scalar.style == .plain
      let content: YAMLNode.Content =
        isPlain && ["", "~", "null", "Null", "NULL"].contains(scalar.string) ? .null : .scalar(scalar.string)
      return YAMLNode(location: location, tag: named(scalar.tag, besides: "str"), content: content)
    case .sequence(let sequence):
      return YAMLNode(
        location: location, tag: named(sequence.tag, besides: "seq"),
        content: .list(sequence.map { convert($0, in: text, depth: depth + 1, &problems) }))
    case .mapping(let mapping):
      var entries: [YAMLNode.Entry] = []
      var firsts: [[UInt8]: SourceLocation] = [:]
      for (keyNode, valueNode) in mapping {
        let key = convert(keyNode, in: text, depth: depth + 1, &problems)
        let value = convert(valueNode, in: text, depth: depth + 1, &problems)
        guard keyNode.anchor == nil else { continue }
        guard case .scalar(let name) = key.content, key.tag == nil else {
          problems.add(key.location, "a key must be plain text, found \(key.kindName)")
          continue
        }
        if name == "<<" {
          problems.add(
            key.location, "merge keys (<<) are not accepted", hint: "write the values out where they are used")
          continue
        }
        // Yams compares tags too; for us a key is its text.
        if let first = firsts.updateValue(key.location, forKey: Array(name.utf8)) {
          problems.add(key.location, "the key \(quoted(name)) is given twice, first on line \(first.line)")
          continue
        }
        entries.append(YAMLNode.Entry(key: name, keyLocation: key.location, value: value))
      }
      return YAMLNode(location: location, tag: named(mapping.tag, besides: "map"), content: .mapping(entries))
    case .alias:
      problems.add(location, "anchors and aliases (&name, *name) are not accepted")
      return YAMLNode(location: location, tag: nil, content: .null)
    }
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
