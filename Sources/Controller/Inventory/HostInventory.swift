package import Core

/// The fleet as its owners wrote it down: Ansible's YAML inventory, read without Ansible.
///
/// Read are groups (`hosts`, `vars`, `children`), the connection variables of `HostSettings`, and our own
/// `portcullis_*`. Not read yet: INI files, `group_vars/` and `host_vars/`, templates; where one is met, a warning or an
/// error says so, because a half-read inventory would be a half-protected fleet.
package struct HostInventory: Sendable {
  /// More hosts than one controller can serve.
  package static let hostLimit = 200_000

  /// In inventory order: as the files first name them, ranges counted upwards.
  package let hosts: [InventoryHost]
  /// By name in ASCII order. `all` and `ungrouped` are always there.
  package let groups: [InventoryGroup]
  /// What was understood but is likely not meant.
  package let warnings: [Diagnostic]
  /// Assignments of `ansible_*` variables that mean nothing to us.
  package let ignoredVariables: Int

  private let hostIndex: [String: Int]
  private let groupIndex: [String: Int]

  init(hosts: [InventoryHost], groups: [InventoryGroup], warnings: [Diagnostic], ignoredVariables: Int) {
    self.hosts = hosts
    self.groups = groups
    self.warnings = warnings
    self.ignoredVariables = ignoredVariables
    hostIndex = Dictionary(uniqueKeysWithValues: hosts.enumerated().map { ($1.id.description, $0) })
    groupIndex = Dictionary(uniqueKeysWithValues: groups.enumerated().map { ($1.name, $0) })
  }

  /// Reads a file, or all `*.yaml` and `*.yml` of a folder in ASCII order as if they were one. An inventory without
  /// hosts is no error; a folder without files is one.
  package static func load(_ path: String) throws(Diagnostics) -> HostInventory {
    var builder = InventoryBuilder()
    for file in try inventoryFiles(at: path, &builder.warnings) {
      do throws(Diagnostics) {
        builder.add(try StrictYAML.load(path: file))
      } catch {
        builder.problems.add(withFormatHint(error, file: file))
      }
    }
    return try builder.build()
  }

  /// The same from text, for one file.
  package static func parse(_ bytes: [UInt8], file: String) throws(Diagnostics) -> HostInventory {
    var builder = InventoryBuilder()
    builder.add(try StrictYAML.parse(bytes, file: file))
    return try builder.build()
  }

  package func host(named name: String) -> InventoryHost? { hostIndex[name].map { hosts[$0] } }
  package func group(named name: String) -> InventoryGroup? { groupIndex[name].map { groups[$0] } }
  func index(ofHost name: String) -> Int? { hostIndex[name] }

  private static func inventoryFiles(at path: String, _ warnings: inout [Diagnostic]) throws(Diagnostics) -> [String] {
    let isDirectory = BoundedFile.isDirectory(path)
    let folder = isDirectory ? path : path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    let prefix = folder.hasSuffix("/") || folder.isEmpty ? folder : folder + "/"
    for name in ["group_vars", "host_vars"] where BoundedFile.isDirectory((prefix.isEmpty ? "/" : prefix) + name) {
      warnings.append(
        Diagnostic(
          SourceLocation(file: (prefix.isEmpty ? "/" : prefix) + name, line: 1, column: 1),
          "\(name) is not read yet", hint: "give these variables in the inventory itself, under vars"))
    }
    guard isDirectory else { return [path] }
    do throws(BoundedFile.Problem) {
      let files = try BoundedFile.names(in: path).filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }
      if !files.isEmpty { return files.map { prefix + $0 } }
    } catch {
      throw Diagnostics(Diagnostic(SourceLocation(file: path, line: 1, column: 1), error.description))
    }
    throw Diagnostics(
      Diagnostic(
        SourceLocation(file: path, line: 1, column: 1), "the folder holds no inventory (*.yaml, *.yml)",
        hint: "an INI inventory becomes YAML with: ansible-inventory -i FILE --list --yaml"))
  }

  /// Ansible's other format looks like broken YAML; say what it is.
  private static func withFormatHint(_ diagnostics: Diagnostics, file: String) -> Diagnostics {
    guard let bytes = try? BoundedFile.read(file, limit: StrictYAML.sizeLimit) else { return diagnostics }
    let significant = bytes.split(separator: UInt8(ascii: "\n")).first {
      ![UInt8(ascii: "#"), UInt8(ascii: ";")].contains($0.first ?? UInt8(ascii: "#"))
    }
    guard significant?.first == UInt8(ascii: "["), var first = diagnostics.all.first else { return diagnostics }
    first.hint = "this looks like an INI inventory; make it YAML with: ansible-inventory -i FILE --list --yaml"
    return Diagnostics([first] + diagnostics.all.dropFirst()) ?? diagnostics
  }
}

/// A group and what is in it.
package struct InventoryGroup: Hashable, Sendable {
  package let name: String
  /// 0 for `all`; for others one more than that of their deepest parent.
  package let depth: Int
  /// Direct ones, in ASCII order.
  package let children: [String]
  /// Indices into the inventory's hosts of all hosts in it or below it, ascending.
  package let hostIndices: [Int]
}
