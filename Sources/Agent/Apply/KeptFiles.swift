internal import Core
internal import Release
internal import Ruleset
internal import Wire

/// Files that the agent will go by later and that nothing signed covers: what others had before us, what enrolment
/// brought, who signed. They are compared with what they were when this agent started, or when it wrote them last.
///
/// Only in memory: a list on the disk would itself be one of them.
struct KeptFiles {
  private var digests: [String: Digest?] = [:]

  /// Longer ones are not ours.
  private static let maximumSize = 64 << 20

  init(_ names: [String], on disk: any Disk) {
    for name in names { note(name, on: disk) }
  }

  mutating func note(_ name: String, on disk: any Disk) {
    digests[name] = .some(Self.digest(name, on: disk))
  }

  func differences(on disk: any Disk, below directory: String, as shown: String = "") -> [DiskDifference] {
    digests.sorted { $0.key < $1.key }.compactMap { name, expected in
      guard name.hasPrefix(directory) else { return nil }
      return DiskDifference(
        shown + name.dropFirst(directory.count), in: name.contains("/\(Family.ipv6).") ? .ipv6 : .ipv4,
        expected: expected, found: Self.digest(name, on: disk))
    }
  }

  private static func digest(_ name: String, on disk: any Disk) -> Digest? {
    ((try? disk.read(name, atMost: maximumSize)) ?? nil).map { Digest(of: $0) }
  }
}

struct KeptBundle {
  let name: BundleName
  var files: KeptFiles
}

extension HostAgent {
  /// At the agent's start: as they are then is how they are to be.
  func noteKeptFiles() {
    let generation0 = Family.allCases.map { "\(BundleStore.generation0)/\(BundleFile.rules($0).fileName)" }
    keptFiles = KeptFiles([EnrolledFiles.fileName] + generation0, on: state)
  }

  /// The agent wrote or removed it.
  func noteKept(_ name: String) { keptFiles?.note(name, on: state) }

  /// What stands beside the signed files of the committed bundle, as it was committed: what somebody did to them since
  /// stays a difference, whatever changes came to nothing meanwhile.
  func noteKeptBundle() {
    let name = journal?.ledger.committed?.name
    guard keptBundle?.name != name else { return }
    keptBundle = name.map { KeptBundle(name: $0, files: KeptFiles(store.besideSigned(of: $0), on: state)) }
  }

  /// The agent wrote this file of the committed bundle anew.
  func noteKeptOfBundle(_ path: String) { keptBundle?.files.note(path, on: state) }

  /// No release puts these back: an agent that starts takes them as they are.
  func keptDifferences() -> [DiskDifference] { keptFiles?.differences(on: state, below: "") ?? [] }

  /// The next commit writes these anew.
  func keptBundleDifferences(_ committed: CommittedBundle) -> [DiskDifference] {
    keptBundle?.files.differences(on: state, below: "\(BundleStore.bundles)/\(committed.name)/", as: "bundle/") ?? []
  }
}
