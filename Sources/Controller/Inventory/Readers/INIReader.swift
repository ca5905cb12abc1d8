internal import Core

/// Ansible's INI inventories: `[group]`, `[group:vars]`, `[group:children]`, and hosts with variables on their line.
struct INIReader {
  private enum State { case hosts, vars, children }

  /// A group that a line speaks of before any section declares it.
  private struct Pending {
    let location: SourceLocation
    var parents: [(group: String, location: SourceLocation)] = []
    let isVars: Bool
  }

  private let file: String
  private var state = State.hosts
  private var group = InventoryDraft.ungrouped
  private var groupName = "ungrouped"
  /// Nothing in a section without a proper name is read.
  private var isSkipping = false
  private var pending: [String: Pending] = [:]
  private var pendingOrder: [String] = []

  static func read(_ bytes: [UInt8], file: String, into draft: inout InventoryDraft) throws(Diagnostics) {
    // For what it refuses: text that is not UTF-8, or not what it looks like.
    _ = try YAMLText(checking: bytes, file: file, anchors: .expanded)
    var reader = INIReader(file: file)
    var number = 0
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      let blanks = line.prefix(while: Self.isBlank)
      let text = Self.trimmed(line)
      guard let first = text.first, first != UInt8(ascii: "#"), first != UInt8(ascii: ";") else { continue }
      let location = SourceLocation(file: file, line: number, column: blanks.count + 1)
      reader.read(String(decoding: text, as: UTF8.self), at: location, into: &draft)
    }
    reader.finish(into: &draft)
  }

  private init(file: String) { self.file = file }

  private mutating func read(_ line: String, at location: SourceLocation, into draft: inout InventoryDraft) {
    if let section = INISection(line) {
      open(section, at: location, into: &draft)
    } else if line.hasPrefix("["), line.hasSuffix("]") {
      draft.problems.add(
        location, "\(quoted(line)) is no section",
        hint: "[GROUP], [GROUP:vars] or [GROUP:children], without blanks")
      isSkipping = true
    } else if !isSkipping {
      switch state {
      case .hosts: readHost(line, at: location, into: &draft)
      case .vars: readVariable(line, at: location, into: &draft)
      case .children: readChild(line, at: location, into: &draft)
      }
    }
  }

  private mutating func open(_ section: INISection, at location: SourceLocation, into draft: inout InventoryDraft) {
    isSkipping = true
    switch section.kind {
    case nil, "hosts": state = .hosts
    case "vars": state = .vars
    case "children": state = .children
    case .some(let kind):
      draft.problems.add(
        location, "a section of unknown kind \(quoted(kind))", hint: "known are :vars, :children and :hosts")
      return
    }
    let isNew = draft.index(ofGroup: section.group) == nil
    guard let index = draft.group(section.group, at: location) else { return }
    isSkipping = false
    (group, groupName) = (index, section.group)
    if isNew, state == .vars, pending[groupName] == nil {
      pending[groupName] = Pending(location: location, isVars: true)
      pendingOrder.append(groupName)
    }
    if state != .vars, let waiting = pending[groupName] {
      if !waiting.isVars { adopt(groupName, into: &draft) } else { pending[groupName] = nil }
    }
  }

  /// Puts a group below those that named it as a child before it was declared.
  private mutating func adopt(_ name: String, into draft: inout InventoryDraft) {
    guard let waiting = pending.removeValue(forKey: name), let child = draft.index(ofGroup: name) else { return }
    for parent in waiting.parents {
      guard let index = draft.index(ofGroup: parent.group) else { continue }
      draft.link(parent: index, child: child, parent.location)
    }
  }

  private func readHost(_ line: String, at location: SourceLocation, into draft: inout InventoryDraft) {
    let words: [INIWord]
    do throws(Reason) {
      words = try INIWord.split(line)
    } catch {
      draft.problems.add(location, error.description)
      return
    }
    guard let first = words.first else { return }
    guard first.text != "---", !first.text.hasSuffix(":") else {
      draft.problems.add(
        location, "\(quoted(first.text)) is no host name",
        hint: "this looks like YAML: give the file the extension .yaml")
      return
    }
    guard let pattern = draft.pattern(first.text, at: location) else { return }
    var variables: [RawVariable] = []
    for word in words.dropFirst() {
      let place = SourceLocation(file: file, line: location.line, column: location.column + word.offset)
      guard let equals = word.text.firstIndex(of: "=") else {
        draft.problems.add(place, "expected NAME=VALUE, found \(quoted(word.text))")
        return
      }
      variables.append(variable(word.text[..<equals], word.text[word.text.index(after: equals)...], at: place))
    }
    for name in pattern.names {
      guard let host = draft.host(name, in: group, port: pattern.port, at: location) else { return }
      for variable in variables { draft.set(variable, ofHost: host) }
    }
  }

  private func readVariable(_ line: String, at location: SourceLocation, into draft: inout InventoryDraft) {
    guard let equals = line.firstIndex(of: "=") else {
      draft.problems.add(location, "expected NAME=VALUE, found \(quoted(line))")
      return
    }
    let name = Self.trimmed(Array(line[..<equals].utf8)[...])
    let value = Self.trimmed(Array(line[line.index(after: equals)...].utf8)[...])
    draft.set(
      variable(String(decoding: name, as: UTF8.self)[...], String(decoding: value, as: UTF8.self)[...], at: location),
      ofGroup: group)
  }

  private mutating func readChild(_ line: String, at location: SourceLocation, into draft: inout InventoryDraft) {
    let name = line.prefix { $0 != "#" && $0 != " " && $0 != "\t" }
    let rest = line.dropFirst(name.count).drop { $0 == " " || $0 == "\t" }
    guard !name.isEmpty, !name.contains(":"), !name.contains("]"), rest.isEmpty || rest.hasPrefix("#") else {
      draft.problems.add(location, "expected the name of a group, found \(quoted(line))")
      return
    }
    if let child = draft.index(ofGroup: String(name)) {
      draft.link(parent: group, child: child, location)
    } else {
      if pending[String(name)] == nil {
        pending[String(name)] = Pending(location: location, isVars: false)
        pendingOrder.append(String(name))
      }
      pending[String(name)]?.parents.append((groupName, location))
    }
  }

  private func finish(into draft: inout InventoryDraft) {
    for name in pendingOrder {
      guard let waiting = pending[name] else { continue }
      let hint = nearestHint(name, among: draft.groups.lazy.map(\.name).filter { $0 != name })
      draft.problems.add(
        waiting.location,
        waiting.isVars
          ? "variables of group \(quoted(name)), which no section declares"
          : "group \(quoted(name)) is declared nowhere",
        hint: hint ?? "[\(SafeText.escape(name))] declares it, also without hosts")
    }
  }

  private func variable(_ name: Substring, _ text: Substring, at location: SourceLocation) -> RawVariable {
    RawVariable(
      name: String(name), location: location, node: YAMLNode(PythonLiteral.value(of: String(text)), at: location))
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }

  private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var text = line.drop(while: isBlank)
    while let last = text.last, isBlank(last) { text.removeLast() }
    return text
  }
}

/// `[group]`, `[group:kind]`, with nothing but a comment behind it.
private struct INISection {
  let group: String
  let kind: String?

  init?(_ line: String) {
    guard line.hasPrefix("["), let close = line.firstIndex(of: "]") else { return nil }
    let rest = line[line.index(after: close)...].drop { $0 == " " || $0 == "\t" }
    let inside = line[line.index(after: line.startIndex)..<close]
    let parts = inside.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard rest.isEmpty || rest.hasPrefix("#"), (1...2).contains(parts.count), !parts[0].isEmpty,
      !parts[0].contains(where: \.isWhitespace)
    else { return nil }
    if parts.count == 2 {
      guard !parts[1].isEmpty, parts[1].allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else { return nil }
    }
    group = parts[0]
    kind = parts.count == 2 ? parts[1] : nil
  }
}

/// A word of a host's line, as Python's `shlex` splits it, and where it begins.
struct INIWord {
  let text: String
  let offset: Int

  /// `#` begins a comment, inside of a word too; quotes and backslashes as in a shell.
  static func split(_ line: String) throws(Reason) -> [INIWord] {
    var words: [INIWord] = []
    var word: [UInt8] = []
    var start: Int?
    var quote: UInt8?
    var bytes = Array(line.utf8)[...]
    func finish() {
      if let begin = start { words.append(INIWord(text: String(decoding: word, as: UTF8.self), offset: begin)) }
      word = []
      start = nil
    }
    while let byte = bytes.popFirst() {
      let offset = bytes.startIndex - 1
      if let open = quote {
        if byte == open {
          quote = nil
        } else if byte == UInt8(ascii: "\\"), open == UInt8(ascii: "\"") {
          guard let escaped = bytes.popFirst() else { throw Reason("nothing follows the backslash") }
          if escaped != UInt8(ascii: "\\"), escaped != open { word.append(byte) }
          word.append(escaped)
        } else {
          word.append(byte)
        }
        continue
      }
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): finish()
      case UInt8(ascii: "#"):
        finish()
        return words
      case UInt8(ascii: "'"), UInt8(ascii: "\""):
        start = start ?? offset
        quote = byte
      case UInt8(ascii: "\\"):
        start = start ?? offset
        guard let escaped = bytes.popFirst() else { throw Reason("nothing follows the backslash") }
        word.append(escaped)
      default:
        start = start ?? offset
        word.append(byte)
      }
    }
    guard quote == nil else { throw Reason("a quote is opened and never closed") }
    finish()
    return words
  }
}
