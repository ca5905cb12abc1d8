internal import Core
internal import Foundation
internal import Glibc

extension LabFleet {
  /// Takes a lab away: processes, with them their namespaces, mounts, and files. Works on what a half-failed or
  /// interrupted `up` left as well.
  ///
  /// - Returns: false when there was nothing to do, which is not an error.
  /// - Throws: `Failure` when DIR is not a lab's, or when something does not go away.
  package static func down(directory path: String) async throws -> Bool {
    let directory = try LabDirectory(path)
    guard geteuid() == 0 else {
      throw Failure("take down \(directory.path)", because: Reason("only root can"), hint: "use sudo")
    }
    guard directory.exists else {
      let strays = LabProcess.all(of: directory)
      try await LabProcess.kill(strays)
      return !strays.isEmpty
    }
    if !directory.isMarked {
      // An empty folder is what an interrupted `down` may leave, or somebody's own: it hurts nobody.
      if (try? FileManager.default.contentsOfDirectory(atPath: directory.path))?.isEmpty == true { return false }
      throw Failure(
        "take down \(directory.path)", because: Reason("the folder does not carry the marker of a lab"),
        hint: "nothing was touched; is this the right --dir?")
    }
    try await LabLock.hold(directory) { try await clear(directory) }
    return true
  }

  /// What `down` does, with the lock held.
  static func clear(_ directory: LabDirectory) async throws {
    // Twice: a launcher that was at work may have started another host meanwhile.
    for _ in 0..<2 {
      let ours = LabProcess.all(of: directory)
      let namespaces = Set(ours.compactMap(\.networkNamespace)).subtracting([LabProcess.ownNetworkNamespace])
      try await LabProcess.kill(ours)
      // Whoever else stayed in a network of the lab would keep it alive.
      try await LabProcess.kill(LabProcess.inside(namespaces))
    }
    for mount in mounts(under: directory.path).reversed() { umount2(mount, Int32(MNT_DETACH)) }
    try directory.remove()
  }

  /// Mounts in our own namespace, in the order they were made. There should be none; a lab's are in its own.
  private static func mounts(under path: String) -> [String] {
    (LabFiles.text("/proc/self/mountinfo") ?? "").split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      // Paths of a lab hold no character that the kernel writes as an octal escape.
      guard fields.count > 4, fields[4] == Substring(path) || fields[4].hasPrefix(path + "/") else { return nil }
      return String(fields[4])
    }
  }
}
