import Apply
import Core
import Glibc

/// A directory in memory that behaves like a disk: what was not synced is lost in a power cut, both content and names.
final class MemoryDisk: Disk {
  fileprivate final class Node {
    enum Kind: Sendable { case file, directory, link(String) }
    let kind: Kind
    var content: [UInt8] = []
    var durable: [UInt8] = []
    var entries: [String: Node] = [:]
    var durableEntries: [String: Node] = [:]
    init(_ kind: Kind) { self.kind = kind }
  }

  let faults: Faults
  /// As at boot before the file system is remounted.
  var isReadOnly = false
  private let root = Node(.directory)

  init(faults: Faults) { self.faults = faults }

  /// Everything that was not synced is gone.
  func cutPower() {
    func cut(_ node: Node) {
      node.content = node.durable
      node.entries = node.durableEntries
      for entry in node.entries.values { cut(entry) }
    }
    cut(root)
  }

  /// All there is, with what of it is not durable yet.
  struct Image: Sendable {
    fileprivate struct Item: Sendable {
      let kind: Node.Kind
      let content: [UInt8]
      let durable: [UInt8]
      var entries: [String: Int] = [:]
      var durableEntries: [String: Int] = [:]
    }

    /// The root is the first.
    fileprivate var items: [Item] = []
  }

  func image() -> Image {
    var image = Image()
    var places: [ObjectIdentifier: Int] = [:]
    func take(_ node: Node) -> Int {
      if let place = places[ObjectIdentifier(node)] { return place }
      let place = image.items.count
      places[ObjectIdentifier(node)] = place
      image.items.append(Image.Item(kind: node.kind, content: node.content, durable: node.durable))
      image.items[place].entries = node.entries.mapValues(take)
      image.items[place].durableEntries = node.durableEntries.mapValues(take)
      return place
    }
    _ = take(root)
    return image
  }

  /// In the place of all there was.
  func load(_ image: Image) {
    let nodes = [root] + image.items.dropFirst().map { Node($0.kind) }
    for (node, item) in zip(nodes, image.items) {
      node.content = item.content
      node.durable = item.durable
      node.entries = item.entries.mapValues { nodes[$0] }
      node.durableEntries = item.durableEntries.mapValues { nodes[$0] }
    }
  }

  /// A change behind the agent's back, durable at once.
  func tamper(_ name: String, _ content: [UInt8]) {
    guard let node = find(name) else { return }
    node.content = content
    node.durable = content
  }

  // MARK: - Disk

  func read(_ name: String, atMost limit: Int) throws(SystemCallError) -> [UInt8]? {
    try step("read", name)
    guard let node = find(name) else { return nil }
    guard node.content.count <= limit else { throw error("read", name, EFBIG) }
    return node.content
  }

  func create(_ name: String, _ content: [UInt8]) throws(SystemCallError) {
    let verdict = faults.verdict("create \(name)")
    if isReadOnly { throw error("create", name, EROFS) }
    if verdict == .nothing || verdict == .fail { throw error("create", name, faults.errno) }
    let parent = try directory(of: name)
    guard parent.entries[leaf(name)] == nil else { throw error("create", name, EEXIST) }
    let node = Node(.file)
    node.content = verdict == .half ? Array(content.prefix(content.count / 2)) : content
    parent.entries[leaf(name)] = node
    if verdict == .half { throw error("create", name, EIO) }
  }

  func append(_ name: String, _ content: [UInt8]) throws(SystemCallError) {
    let verdict = faults.verdict("append \(name)")
    if isReadOnly { throw error("append", name, EROFS) }
    if verdict == .nothing { throw error("append", name, EIO) }
    guard let node = find(name) else { throw error("append", name, ENOENT) }
    // A failed write too may have written a part.
    node.content += verdict == .proceed ? content : Array(content.prefix(content.count / 2))
    if verdict != .proceed { throw error("append", name, faults.errno) }
  }

  func truncate(_ name: String, to size: Int) throws(SystemCallError) {
    try step("truncate", name)
    guard let node = find(name) else { throw error("truncate", name, ENOENT) }
    node.content.removeLast(max(0, node.content.count - size))
  }

  func sync(_ name: String) throws(SystemCallError) {
    try step("sync", name)
    guard let node = name == "." ? root : find(name) else { throw error("sync", name, ENOENT) }
    node.durable = node.content
    node.durableEntries = node.entries
  }

  func rename(_ old: String, to new: String) throws(SystemCallError) {
    try step("rename", "\(old) \(new)")
    let from = try directory(of: old)
    let to = try directory(of: new)
    guard let node = from.entries[leaf(old)] else { throw error("rename", old, ENOENT) }
    from.entries[leaf(old)] = nil
    to.entries[leaf(new)] = node
  }

  func makeDirectory(_ name: String) throws(SystemCallError) {
    try step("mkdir", name)
    let parent = try directory(of: name)
    guard parent.entries[leaf(name)] == nil else { throw error("mkdir", name, EEXIST) }
    parent.entries[leaf(name)] = Node(.directory)
  }

  func link(_ name: String, to target: String) throws(SystemCallError) {
    try step("link", name)
    let parent = try directory(of: name)
    guard parent.entries[leaf(name)] == nil else { throw error("link", name, EEXIST) }
    parent.entries[leaf(name)] = Node(.link(target))
  }

  func linkTarget(_ name: String) throws(SystemCallError) -> String? {
    try step("readlink", name)
    guard case .link(let target) = find(name)?.kind else { return nil }
    return target
  }

  func list(_ name: String) throws(SystemCallError) -> [String] {
    try step("list", name)
    return (name == "." ? root : find(name))?.entries.keys.sorted() ?? []
  }

  func remove(_ name: String) throws(SystemCallError) {
    try step("remove", name)
    (try? directory(of: name))?.entries[leaf(name)] = nil
  }

  func removeDirectory(_ name: String) throws(SystemCallError) {
    try step("rmdir", name)
    guard let node = find(name) else { return }
    guard node.entries.isEmpty else { throw error("rmdir", name, ENOTEMPTY) }
    (try? directory(of: name))?.entries[leaf(name)] = nil
  }

  // MARK: - Parts

  private func step(_ call: String, _ name: String) throws(SystemCallError) {
    if isReadOnly, !["read", "readlink", "list"].contains(call) { throw error(call, name, EROFS) }
    switch faults.verdict("\(call) \(name)") {
    case .proceed: return
    // Calls that have no half: they happened or they did not. Here they did not; dying in the next call covers that
    // they did.
    case .half, .fail, .nothing: throw error(call, name, faults.errno)
    }
  }

  private func error(_ call: String, _ name: String, _ number: Int32) -> SystemCallError {
    SystemCallError(call, name, errno: number, meaning: String(cString: strerror(number)))
  }

  private func find(_ name: String) -> Node? {
    name.split(separator: "/").reduce(root as Node?) { node, component in node?.entries[String(component)] }
  }

  private func directory(of name: String) throws(SystemCallError) -> Node {
    let parent = name.split(separator: "/").dropLast().joined(separator: "/")
    guard let node = parent.isEmpty ? root : find(parent) else { throw error("open", name, ENOENT) }
    return node
  }

  private func leaf(_ name: String) -> String { String(name.split(separator: "/").last ?? "") }
}
