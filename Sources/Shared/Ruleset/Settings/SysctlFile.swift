internal import Core

/// Kernel settings of one bundle, as the file `sysctl`: lines `net.ipv4.ip_forward = 1`, sorted by their bytes, which
/// need an order when they are written: `inWritingOrder`.
package struct SysctlFile: Hashable, Sendable {
  package static let maximumSettings = 128
  static let name = BundleFile.sysctl.fileName
  /// In bytes, of what a host had: a gateway has thousands of interfaces.
  package static let maximumFound = 1 << 20

  package let values: [SysctlKey: Int]

  package static let empty = SysctlFile(unchecked: [:])

  private init(unchecked values: [SysctlKey: Int]) { self.values = values }

  /// Throws for a value that its key does not allow.
  package init(_ values: [SysctlKey: Int]) throws(StrictTextProblem) {
    for (key, value) in values where !key.allows(value) {
      throw StrictTextProblem(Self.name, "\(key) may be \(key.allowedWords), not \(value)")
    }
    guard values.count <= Self.maximumSettings else {
      throw StrictTextProblem(Self.name, "\(values.count) settings, more than the \(Self.maximumSettings) allowed")
    }
    self.values = values
  }

  /// What a host had before we touched it, which may be anything.
  package init(found values: [SysctlKey: Int]) { self.values = values }

  package var isEmpty: Bool { values.isEmpty }

  /// Empty when there are no settings; a bundle then has no such file.
  package func encode() -> [UInt8] {
    values.map { "\($0.key) = \($0.value)\n" }.sorted(by: bytewise).flatMap { Array($0.utf8) }
  }

  /// The order in which they are written. A forwarding switch sets others too, which come after it; before it, interfaces
  /// learn to keep listening to routers (2), as the kernel drops their routes when the host begins to forward; and they
  /// stop listening last.
  package var inWritingOrder: [(key: SysctlKey, value: Int)] {
    func rank(_ key: SysctlKey, _ value: Int) -> Int { !key.isRouterListening ? 1 : value == 2 ? 0 : 2 }
    return values.map { (key: $0.key, value: $0.value) }.sorted { a, b in
      let (first, second) = (rank(a.key, a.value), rank(b.key, b.value))
      return first == second ? a.key < b.key : first < second
    }
  }

  /// For `sysctl -p`, in the order that matters. With slashes, because an interface's name may have dots.
  package var plainText: [UInt8] {
    inWritingOrder.flatMap { Array("\($0.key.path) = \($0.value)\n".utf8) }
  }

  /// Accepts exactly what `encode` writes.
  package static func parse(_ bytes: [UInt8]) throws(StrictTextProblem) -> SysctlFile {
    try SysctlFile(read(bytes, atMost: BundleFile.sysctl.maximumSize).values)
  }

  /// The same with values that no policy may ask for: a host's own. An empty file is whole: nothing was found.
  package static func parse(found bytes: [UInt8]) throws(StrictTextProblem) -> SysctlFile {
    bytes.isEmpty ? .empty : try read(bytes, atMost: maximumFound)
  }

  /// What can still be read of a host's own, line by line, and why that may not be all.
  package static func salvage(found bytes: [UInt8]) -> (file: SysctlFile, problem: StrictTextProblem?) {
    do throws(StrictTextProblem) { return (try parse(found: bytes), nil) } catch {
      var values: [SysctlKey: Int] = [:]
      for line in bytes.prefix(maximumFound).split(separator: newline) {
        guard case .setting(let key, let value) = read(line: line) else { continue }
        values[key] = values[key] ?? value
      }
      return (SysctlFile(found: values), error)
    }
  }

  private static func read(_ bytes: [UInt8], atMost limit: Int) throws(StrictTextProblem) -> SysctlFile {
    var values: [SysctlKey: Int] = [:]
    let lines = try bytes.strictLines(of: name, atMost: limit)
    for (index, line) in lines.enumerated() {
      switch read(line: line) {
      case .setting(let key, let value): values[key] = value
      case .wrong(let reason): throw StrictTextProblem(name, line: index + 1, reason)
      }
    }
    let file = SysctlFile(unchecked: values)
    guard file.encode() == bytes else { throw StrictTextProblem(name, "its lines are out of order, or stand twice") }
    return file
  }

  private enum Line {
    case setting(SysctlKey, Int)
    case wrong(String)
  }

  private static func read(line: ArraySlice<UInt8>) -> Line {
    let text = String(decoding: line, as: UTF8.self)
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[1] == "=", let value = Int(words[2]) else {
      return .wrong("'\(text)' is not a line like net.ipv4.ip_forward = 1")
    }
    guard let key = SysctlKey(String(words[0])) else {
      return .wrong("\(words[0]) is not one of the settings that a policy may make")
    }
    return .setting(key, value)
  }
}
