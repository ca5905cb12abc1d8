internal import Apply
internal import Core
internal import Glibc
internal import Wire

/// One family's programs on this host.
struct FamilyPrograms: Hashable, Sendable {
  var family: Family
  var restore: String
  var save: String
  var version: ProgramVersion
  /// The programs of the other backend, where the host has them.
  var otherSave: String?
  var otherRestore: String?

  /// The legacy programs take a lock; the others ignore the option. Restore knows it since 1.6.2.
  var restoreArguments: [String] {
    version.backend == .legacy && version.isAtLeast(1, 6, 2) ? ["-w", "5"] : []
  }

  static func prefix(_ family: Family) -> String {
    switch family {
    case .ipv4: "iptables"
    case .ipv6: "ip6tables"
    }
  }
}

/// "v1.8.9 (nf_tables)", as `iptables --version` prints it. Programs from before there were two backends print no
/// parentheses: they are legacy.
struct ProgramVersion: Hashable, Sendable {
  let number: String
  var backend: Backend

  init?(printed: [UInt8]) {
    let words = String(decoding: printed, as: UTF8.self).split { $0 == " " || $0 == "\n" }
    guard words.count >= 2, words[1].hasPrefix("v") else { return nil }
    let number = String(words[1].dropFirst())
    guard !number.isEmpty, number.utf8.count <= 32,
      number.utf8.allSatisfy({ ($0 >= 0x30 && $0 <= 0x39) || $0 == UInt8(ascii: ".") })
    else { return nil }
    self.number = number
    switch words.dropFirst(2).first {
    case "(nf_tables)": backend = .nft
    case "(legacy)", nil: backend = .legacy
    default: return nil
    }
  }

  func isAtLeast(_ wanted: Int...) -> Bool {
    let found = number.split(separator: ".").map { Int($0) ?? 0 }
    for (index, part) in wanted.enumerated() {
      let mine = index < found.count ? found[index] : 0
      if mine != part { return mine > part }
    }
    return true
  }
}

/// Finds the programs and remembers what they are until one of their files changes: asking costs a few stat(2) calls,
/// and an upgrade or a switched alternative is still noticed.
struct ProgramFinder {
  static let standardDirectories = ["/usr/sbin", "/sbin", "/usr/local/sbin"]

  private let directories: [String]
  private let runner: ProgramRunner
  private var known: PerFamily<FamilyPrograms>?
  private var identities: [FileIdentity] = []

  init(in directories: [String], runner: ProgramRunner) {
    self.directories = directories
    self.runner = runner
  }

  mutating func programs() throws(FirewallProblem) -> PerFamily<FamilyPrograms> {
    if let known, identities == Self.identities(of: known) { return known }
    let found = try PerFamily<FamilyPrograms> { (family) throws(FirewallProblem) in try find(family) }
    known = found
    identities = Self.identities(of: found)
    return found
  }

  /// Of a program of any name, or nil when the host has none.
  func path(of name: String) -> String? {
    directories.lazy.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
  }

  private func find(_ family: Family) throws(FirewallProblem) -> FamilyPrograms {
    let prefix = FamilyPrograms.prefix(family)
    func required(_ name: String) throws(FirewallProblem) -> String {
      guard let path = path(of: name) else {
        throw FirewallProblem(
          .unavailable, program: name, family: family,
          words: "not found in \(directories.joined(separator: ", ")); install iptables")
      }
      return path
    }
    let main = try required(prefix)
    let result: ProgramResult
    do throws(SystemCallError) {
      result = try runner.run(ProgramRequest(main, ["--version"], outputLimit: 4096, milliseconds: 10_000))
    } catch {
      throw FirewallProblem(.unavailable, program: prefix, family: family, words: error.description)
    }
    guard result.end == .exited(0), let version = ProgramVersion(printed: result.output) else {
      throw FirewallProblem(
        .unavailable, program: prefix, family: family,
        words: "its version cannot be told from '\(SafeText.escape(result.output.prefix(80)))'")
    }
    let other = "\(prefix)-\(version.backend.other.name)"
    return FamilyPrograms(
      family: family, restore: try required("\(prefix)-restore"), save: try required("\(prefix)-save"),
      version: version, otherSave: path(of: "\(other)-save"), otherRestore: path(of: "\(other)-restore"))
  }

  private static func identities(of programs: PerFamily<FamilyPrograms>) -> [FileIdentity] {
    Family.allCases.flatMap { family in
      [programs[family].restore, programs[family].save].map(FileIdentity.init)
    }
  }
}

/// Another file under the same name, or the same one written anew, has another identity.
struct FileIdentity: Hashable {
  private let device: UInt64
  private let inode: UInt64
  private let size: Int64
  private let changed: Int64
  private let nanoseconds: Int64

  init(_ path: String) {
    var status = stat()
    // A file that is gone has an identity too: none of the others.
    if stat(path, &status) != 0 { status = stat() }
    self.init(status)
  }

  init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int64(status.st_size)
    changed = Int64(status.st_ctim.tv_sec)
    nanoseconds = Int64(status.st_ctim.tv_nsec)
  }
}
