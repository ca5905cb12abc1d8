internal import Core

/// How one file of an inventory is to be read. Ansible tries one reader after the other and takes the first that does
/// not fail; we decide by name and first bytes, so that a mistake in a YAML file is not reported as broken INI.
enum InventoryFormat: Hashable {
  case yaml
  case ini
  case program

  private static let yamlExtensions = ["yaml", "yml", "json"]

  static func of(_ path: String, beginning bytes: [UInt8]) throws(Diagnostics) -> InventoryFormat {
    let start = SourceLocation(file: path, line: 1, column: 1)
    if bytes.starts(with: "#!".utf8) || bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]) {
      guard BoundedFile.isExecutable(path) else {
        throw Diagnostics(
          Diagnostic(start, "a program that may not be executed", hint: "chmod +x it, or take the first line away"))
      }
      return .program
    }
    if bytes.starts(with: "$ANSIBLE_VAULT".utf8) {
      throw Diagnostics(
        Diagnostic(start, "is encrypted by ansible-vault", hint: "keep hosts in the clear, and secrets in group_vars"))
    }
    let suffix = self.suffix(of: path)
    if suffix == "toml" {
      throw Diagnostics(
        Diagnostic(
          start, "TOML inventories are not read",
          hint: "make it YAML with: ansible-inventory -i FILE --list --yaml --export"))
    }
    guard let suffix else { return looksLikeYAML(bytes) ? .yaml : .ini }
    return yamlExtensions.contains(suffix) ? .yaml : .ini
  }

  /// What follows the last dot of the name; a name that begins with its only dot has none.
  static func suffix(of path: String) -> String? {
    let name = path.split(separator: "/").last.map { $0.drop { $0 == "." } } ?? ""
    guard let dot = name.lastIndex(of: ".") else { return nil }
    let suffix = name[name.index(after: dot)...]
    return suffix.isEmpty ? nil : String(suffix)
  }

  /// Without an extension: `---`, a mapping in braces, or a first line `key:` or `key: value` that sets no variable.
  private static func looksLikeYAML(_ bytes: [UInt8]) -> Bool {
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      let text = line.drop { $0 == 0x20 || $0 == 0x09 }
      guard let first = text.first, first != 0x0d, first != UInt8(ascii: "#") else { continue }
      if first == UInt8(ascii: "[") || first == UInt8(ascii: ";") { return false }
      if first == UInt8(ascii: "{") || first == UInt8(ascii: "%") || text.starts(with: "---".utf8) { return true }
      let end = text.firstIndex { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: "#") } ?? text.endIndex
      let head = text[..<end]
      return head.indices.contains { index in
        head[index] == UInt8(ascii: ":")
          && (index + 1 == text.endIndex || [0x20, 0x09, 0x0d].contains(text[index + 1]))
      }
    }
    return true
  }
}
