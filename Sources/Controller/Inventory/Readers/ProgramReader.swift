package import Core

/// How an executable inventory is run: by its absolute path, without a shell, with bounded time and output. The real
/// one belongs to the controller's operations; this room starts no process.
package struct InventoryPrograms: Sendable {
  /// Standard output of the program with these arguments, or why there is none.
  package let output: @Sendable (_ path: String, _ arguments: [String]) -> Result<[UInt8], Reason>

  package init(output: @escaping @Sendable (_ path: String, _ arguments: [String]) -> Result<[UInt8], Reason>) {
    self.output = output
  }

  /// For callers that read files only.
  package static let refused = InventoryPrograms { _, _ in
    .failure(Reason("executable inventories are not run here"))
  }
}

/// Executable inventories: `--list` prints groups as JSON, `_meta` in it the variables of the hosts. Without `_meta`
/// the program is asked once for every host.
struct ProgramReader {
  private let path: String
  private let programs: InventoryPrograms
  /// Hosts that this program names, in order, each once.
  private var hosts: [Int] = []
  private var known: Set<Int> = []

  static func read(_ path: String, _ programs: InventoryPrograms, into draft: inout InventoryDraft) {
    var reader = ProgramReader(path: path, programs: programs)
    reader.read(into: &draft)
  }

  private init(path: String, programs: InventoryPrograms) {
    self.path = path
    self.programs = programs
  }

  private mutating func read(into draft: inout InventoryDraft) {
    guard let root = output(["--list"], into: &draft), let entries = root?.entries(&draft.problems) else { return }
    var hostVariables: [String: YAMLNode]?
    for entry in entries {
      if entry.key == "_meta" {
        guard let meta = entry.value.entries(&draft.problems) else { return }
        guard let variables = meta.first(where: { $0.key == "hostvars" }) else {
          draft.problems.add(entry.keyLocation, "_meta has no hostvars")
          return
        }
        guard let hosts = variables.value.entries(&draft.problems) else { return }
        hostVariables = Dictionary(hosts.map { ($0.key, $0.value) }) { $1 }
      } else {
        readGroup(entry, into: &draft)
      }
    }
    for host in hosts {
      let name = draft.hosts[host].id.description
      let node: YAMLNode?
      if let hostVariables {
        node = hostVariables[name]
      } else {
        // One that fails is likely to fail for every host.
        guard let answer = output(["--host", name], into: &draft) else { return }
        node = answer
      }
      guard let entries = node?.entries(&draft.problems) else { continue }
      for entry in entries { draft.set(RawVariable(entry), ofHost: host) }
    }
  }

  /// `nil` inside: it printed nothing.
  private func output(_ arguments: [String], into draft: inout InventoryDraft) -> YAMLNode?? {
    let command = ([path] + arguments).joined(separator: " ")
    do throws(Reason) {
      let bytes = try programs.output(path, arguments).get()
      if arguments[0] == "--host", bytes.allSatisfy({ [0x20, 0x09, 0x0a, 0x0d].contains($0) }) { return .some(nil) }
      do throws(Diagnostic) {
        return try JSONText.parse(bytes, file: command)
      } catch {
        draft.problems.add(
          Diagnostic(error.location, "what it printed is no JSON: \(error.message)"))
      }
    } catch {
      draft.problems.add(SourceLocation(file: command, line: 1, column: 1), error.description)
    }
    return nil
  }

  private mutating func readGroup(_ entry: YAMLNode.Entry, into draft: inout InventoryDraft) {
    guard let group = draft.group(entry.key, at: entry.keyLocation) else { return }
    if case .list(let nodes) = entry.value.content { return readHosts(nodes, in: group, into: &draft) }
    guard let parts = entry.value.entries(&draft.problems) else { return }
    guard parts.contains(where: { ["hosts", "vars", "children"].contains($0.key) }) else {
      // An old form: the group is its own only host, and these are its variables.
      draft.warnings.append(
        Diagnostic(
          entry.keyLocation, "group \(quoted(entry.key)) has neither hosts nor children: it is taken for a host"))
      let name = YAMLNode(.text(entry.key), at: entry.keyLocation)
      readHosts([name], in: group, into: &draft)
      for part in parts { draft.set(RawVariable(part), ofGroup: group) }
      return
    }
    if let hosts = parts.first(where: { $0.key == "hosts" })?.value.list(&draft.problems) {
      readHosts(hosts, in: group, into: &draft)
    }
    if let variables = parts.first(where: { $0.key == "vars" })?.value.entries(&draft.problems) {
      for variable in variables { draft.set(RawVariable(variable), ofGroup: group) }
    }
    for child in parts.first(where: { $0.key == "children" })?.value.list(&draft.problems) ?? [] {
      guard let name = child.string(&draft.problems), let index = draft.group(name, at: child.location) else {
        continue
      }
      draft.link(parent: group, child: index, child.location)
    }
  }

  /// Names as they are: a program has no use for ranges.
  private mutating func readHosts(_ nodes: [YAMLNode], in group: Int, into draft: inout InventoryDraft) {
    for node in nodes {
      guard let name = node.string(&draft.problems),
        let host = draft.host(name, in: group, at: node.location)
      else { continue }
      if known.insert(host).inserted { hosts.append(host) }
    }
  }
}
