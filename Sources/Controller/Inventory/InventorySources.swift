internal import Core

/// What `-i` names, one after the other: files, folders, programs, and lists of hosts with a comma in them.
struct InventorySources {
  /// Folders within folders.
  private static let depthLimit = 16
  private static let fileLimit = 10_000
  private static let ignoredNames = ["host_vars", "group_vars", "vars_plugins"]
  private static let ignoredSuffixes = [
    ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
  ]

  private let programs: InventoryPrograms
  private var files = 0
  /// Folders with `group_vars` and `host_vars`, one for every source that is no list of hosts.
  private(set) var folders: [String] = []

  init(programs: InventoryPrograms) { self.programs = programs }

  mutating func read(_ source: String, into draft: inout InventoryDraft) {
    let start = SourceLocation(file: source, line: 1, column: 1)
    if source.contains(","), !BoundedFile.exists(source) {
      return Self.readHostList(source, at: start, into: &draft)
    }
    let isFolder = BoundedFile.isDirectory(source)
    folders.append(isFolder ? source : Self.folder(of: source))
    guard isFolder else { return readFile(source, into: &draft) }
    let before = files
    readFolder(source, depth: 0, into: &draft)
    if files == before, draft.problems.isEmpty {
      draft.problems.add(
        start, "the folder holds no inventory",
        hint:
          "hidden files, group_vars, host_vars and names that end in .bak .cfg .md .orig .retry .rst .txt … are passed "
          + "over, as Ansible does")
    }
  }

  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private mutating func readFolder(_ path: String, depth: Int, into draft: inout InventoryDraft) {
    let start = SourceLocation(file: path, line: 1, column: 1)
    guard depth < Self.depthLimit else {
      return draft.problems.add(start, "folders are nested more than \(Self.depthLimit) deep")
    }
    let names: [String]
    do throws(BoundedFile.Problem) {
      names = try BoundedFile.names(in: path)
    } catch {
      return draft.problems.add(start, error.description)
    }
    for name in names where !Self.isIgnored(name) {
      let entry = path.hasSuffix("/") ? path + name : path + "/" + name
      if BoundedFile.isDirectory(entry) {
        readFolder(entry, depth: depth + 1, into: &draft)
      } else {
        readFile(entry, into: &draft)
      }
    }
  }

  static func isIgnored(_ name: String) -> Bool {
    ignoredNames.contains(name) || ignoredSuffixes.contains { name.hasSuffix($0) }
  }

  private mutating func readFile(_ path: String, into draft: inout InventoryDraft) {
    files += 1
    guard files <= Self.fileLimit else {
      return draft.problems.add(SourceLocation(file: path, line: 1, column: 1), "more than \(Self.fileLimit) files")
    }
    do throws(Diagnostics) {
      let bytes = try StrictYAML.bytes(of: path)
      switch try InventoryFormat.of(path, beginning: bytes) {
      case .program: ProgramReader.read(BoundedFile.absolute(path), programs, into: &draft)
      case .ini: try INIReader.read(bytes, file: path, into: &draft)
      case .yaml: try Self.readYAML(bytes, path, into: &draft)
      }
    } catch {
      draft.problems.add(error)
    }
  }

  static func readYAML(_ bytes: [UInt8], _ path: String, into draft: inout InventoryDraft) throws(Diagnostics) {
    guard let root = try VariableText.root(bytes, file: path) else {
      throw Diagnostics(Diagnostic(SourceLocation(file: path, line: 1, column: 1), "the document is empty"))
    }
    YAMLReader.read(root, into: &draft)
  }

  /// `web1,web2:2222` or `web1,`. A host that is known already is left in the groups it has.
  private static func readHostList(_ list: String, at start: SourceLocation, into draft: inout InventoryDraft) {
    for part in list.split(separator: ",") {
      var name = part.drop { $0 == " " }
      while name.last == " " { name.removeLast() }
      guard !name.isEmpty else { continue }
      guard let pattern = draft.pattern(String(name), at: start) else { continue }
      for name in pattern.names where draft.index(ofHost: name) == nil {
        _ = draft.host(name, in: InventoryDraft.ungrouped, port: pattern.port, at: start)
      }
    }
  }
}

/// A document that may be JSON or YAML. What is valid JSON is read as JSON, as Ansible does: `1e3` is a number there
/// and a text in YAML.
enum VariableText {
  static func root(_ bytes: [UInt8], file: String) throws(Diagnostics) -> YAMLNode? {
    if bytes.first(where: { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }) == UInt8(ascii: "{"),
      let node = try? JSONText.parse(bytes, file: file)
    {
      return node
    }
    return try StrictYAML.document(bytes, file: file, anchors: .expanded)
  }
}
