internal import Core

/// `group_vars/` and `host_vars/` beside one source of an inventory.
struct VariableFiles {
  enum Kind: String { case group = "group_vars", host = "host_vars" }

  /// Folders within a folder of variables.
  private static let depthLimit = 16
  private static let fileLimit = 10_000
  private static let suffixes = ["", ".yml", ".yaml", ".json"]

  private let paths: [Kind: String]
  private let names: [Kind: Set<String>]

  init(folder: String, _ problems: inout Problems, _ warnings: inout [Diagnostic]) {
    let prefix = folder == "." ? "" : folder.hasSuffix("/") ? folder : folder + "/"
    var names: [Kind: Set<String>] = [:]
    var paths: [Kind: String] = [:]
    for kind in [Kind.group, .host] {
      let path = prefix + kind.rawValue
      guard BoundedFile.exists(path) else { continue }
      let start = SourceLocation(file: path, line: 1, column: 1)
      guard BoundedFile.isDirectory(path) else {
        warnings.append(Diagnostic(start, "is no folder, and not read"))
        continue
      }
      do throws(BoundedFile.Problem) {
        names[kind] = Set(try BoundedFile.names(in: path))
        paths[kind] = path
      } catch {
        problems.add(start, error.description)
      }
    }
    self.names = names
    self.paths = paths
  }

  var isEmpty: Bool { names.isEmpty }

  /// What they say about one group or host, file after file.
  func read(_ kind: Kind, _ name: String, into draft: inout InventoryDraft) -> VariableLayer? {
    // Only the first that is there counts: `web/` or `web`, then `web.yml`, `web.yaml`, `web.json`.
    guard let names = names[kind], let folder = paths[kind],
      let suffix = Self.suffixes.first(where: { names.contains(name + $0) })
    else { return nil }
    let path = folder + "/" + name + suffix
    var files: [String] = []
    if BoundedFile.isDirectory(path) {
      Self.files(in: path, depth: 0, into: &files, &draft.problems)
    } else {
      files = [path]
    }
    var layer = VariableLayer()
    for file in files { Self.read(file, kind, into: &layer, &draft) }
    return layer
  }

  private static func files(in folder: String, depth: Int, into files: inout [String], _ problems: inout Problems) {
    let start = SourceLocation(file: folder, line: 1, column: 1)
    guard depth < depthLimit, files.count < fileLimit else {
      return problems.add(
        start, "folders are nested more than \(depthLimit) deep, or hold more than \(fileLimit) files")
    }
    do throws(BoundedFile.Problem) {
      for name in try BoundedFile.names(in: folder) where !name.hasSuffix("~") {
        let path = folder + "/" + name
        let suffix = InventoryFormat.suffix(of: name).map { "." + $0 } ?? (name.hasSuffix(".") ? "." : "")
        if BoundedFile.isDirectory(path) {
          if suffix.isEmpty { Self.files(in: path, depth: depth + 1, into: &files, &problems) }
        } else if suffixes.contains(suffix) {
          files.append(path)
        }
      }
    } catch {
      problems.add(start, error.description)
    }
  }

  private static func read(
    _ path: String, _ kind: Kind, into layer: inout VariableLayer, _ draft: inout InventoryDraft
  ) {
    do throws(Diagnostics) {
      let bytes = try StrictYAML.bytes(of: path)
      guard !bytes.starts(with: "$ANSIBLE_VAULT".utf8) else {
        draft.warnings.append(
          Diagnostic(
            SourceLocation(file: path, line: 1, column: 1), "is encrypted by ansible-vault: its variables are not read",
            hint: "keep what says how hosts are reached in another file of the same folder"))
        return
      }
      guard let root = try VariableText.root(bytes, file: path) else { return }
      for entry in root.entries(&draft.problems) ?? [] {
        draft.reader.read(RawVariable(entry), kind == .group ? .groupFile : .host, into: &layer)
      }
    } catch {
      draft.problems.add(error)
    }
  }
}
