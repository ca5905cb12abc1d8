package import Core

/// One directory of the host and the few file operations that its durable state needs, each a place where a crash or a
/// fault can be put. Names are relative to the directory, at most two components deep; no operation follows a
/// symbolic link below it. Nothing is durable before `sync`: a file's content after `sync` of the file, a name (a
/// creation, a rename, a removal) after `sync` of the directory that holds it.
package protocol Disk {
  /// The whole content, or nil when there is no such file. More than `limit` bytes is EFBIG, found before reading.
  func read(_ name: String, atMost limit: Int) throws(SystemCallError) -> [UInt8]?

  /// Makes a new file, readable by its owner only. EEXIST when the name is taken.
  func create(_ name: String, _ content: [UInt8]) throws(SystemCallError)

  /// Writes at the end of an existing file. After an error any part of `content` may have been written.
  func append(_ name: String, _ content: [UInt8]) throws(SystemCallError)

  func truncate(_ name: String, to size: Int) throws(SystemCallError)

  /// fsync(2) of a file or a directory; "." is the directory itself.
  func sync(_ name: String) throws(SystemCallError)

  /// rename(2): the new name is replaced at once or not at all.
  func rename(_ old: String, to new: String) throws(SystemCallError)

  /// Makes a directory for its owner only. EEXIST when the name is taken.
  func makeDirectory(_ name: String) throws(SystemCallError)

  /// Makes a symbolic link. EEXIST when the name is taken.
  func link(_ name: String, to target: String) throws(SystemCallError)

  /// Where a symbolic link points, or nil when there is none of that name.
  func linkTarget(_ name: String) throws(SystemCallError) -> String?

  /// The names in a directory, sorted; empty when there is no such directory.
  func list(_ name: String) throws(SystemCallError) -> [String]

  /// Removes a file or a link. One that is not there is not an error.
  func remove(_ name: String) throws(SystemCallError)

  /// Removes an empty directory. One that is not there is not an error.
  func removeDirectory(_ name: String) throws(SystemCallError)
}

extension Disk {
  /// Removes a directory of plain files with what it holds.
  func removeTree(_ name: String) throws(SystemCallError) {
    for entry in try list(name) { try remove("\(name)/\(entry)") }
    try removeDirectory(name)
  }

  /// Puts a file in place whole: a new file beside it, synced, renamed over it, the directory synced. `directory` is
  /// the one that holds `name`.
  func replace(_ name: String, in directory: String, with content: [UInt8]) throws(SystemCallError) {
    let temporary = "\(name).new"
    try remove(temporary)
    do {
      try create(temporary, content)
      try sync(temporary)
      try rename(temporary, to: name)
    } catch {
      // What is left over would only waste space; the fault that matters is the first one.
      try? remove(temporary)
      throw error
    }
    try sync(directory)
  }
}
