package import Core
internal import Inventory
package import Store

/// Writes a host's bundle as plain files, for people who check releases without Portcullis.
package struct BundleExport: Sendable {
  let workspace: Workspace

  package init(_ workspace: Workspace) { self.workspace = workspace }

  /// - Parameter serial: nil exports the newest release that names the host.
  /// - Parameter folder: made when it is not there. It may hold this very bundle, and files that are none of a bundle's:
  ///   what is checked there must be one bundle, and an auditor's evidence is never overwritten.
  /// - Returns: the names of the files written, sorted.
  package func export(_ host: HostID, serial: Serial?, to folder: String, store: FleetStore) async throws -> [String] {
    guard let files = try await store.bundleFiles(for: host, serial: serial) else {
      throw Failure(
        "export the bundle of \(host)",
        because: Reason(serial.map { "release \($0) does not name it, or is not kept" } ?? "no release names it"),
        hint: "see 'portcullis release list'", kind: .usage)
    }
    for file in BundleFile.all {
      let path = "\(folder)/\(file.fileName)"
      guard Files.exists(path), try Files.read(path) != files[file] else { continue }
      throw Failure(
        "export the bundle of \(host)", because: Reason("\(SafeText.escape(path)) is of another bundle"),
        hint: "choose an empty folder", kind: .refused)
    }
    try Files.makeDirectory(folder)
    for (file, content) in files { try Files.write(content, to: "\(folder)/\(file.fileName)") }
    return files.keys.map(\.fileName).sorted()
  }
}
