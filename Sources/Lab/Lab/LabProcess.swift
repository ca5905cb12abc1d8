internal import CLinux
internal import Core
internal import Foundation
internal import Glibc

/// Which process, for certain: ids are used again, but not within one tick of the clock that start times count.
package struct LabProcess: Sendable, Hashable {
  /// As this machine counts, not as the host does.
  package let pid: Int32
  /// Field 22 of /proc/PID/stat, in clock ticks since the machine booted.
  package let startTime: UInt64

  /// The process that now has this id; nil when there is none, or only its remains.
  package init?(pid: Int32) {
    guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/stat"),
      // The name, in parentheses, may hold anything: fields count from the last parenthesis.
      let end = bytes.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
    guard fields.count > 19, fields[0] != "Z", fields[0] != "X", let start = UInt64(fields[19]) else { return nil }
    self.pid = pid
    startTime = start
  }

  init(pid: Int32, startTime: UInt64) {
    self.pid = pid
    self.startTime = startTime
  }

  /// What a `state` file names, if that very process is still there.
  init?(stateFile path: String) {
    guard let words = LabFiles.text(path)?.split(whereSeparator: \.isWhitespace), words.count == 2,
      let pid = Int32(words[0]), let start = UInt64(words[1]), let process = LabProcess(pid: pid),
      process.startTime == start
    else { return nil }
    self = process
  }

  var isAlive: Bool { LabProcess(pid: pid) == self }

  /// The inode of its network namespace as text, such as `net:[4026532008]`.
  var networkNamespace: String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/net")
  }

  static var ownNetworkNamespace: String {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")) ?? ""
  }

  /// A descriptor for signalling this process and no later one with its id; nil when it is gone.
  private func descriptor() -> Int32? {
    let descriptor = clinux_pidfd_open(pid)
    guard descriptor >= 0 else { return nil }
    // Between reading the start time and opening, the id may have changed hands: look again.
    guard isAlive else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  /// SIGKILL to all, then waits for all of them. Those already gone are not an error. Throws, naming one, when some are
  /// not gone within `seconds`.
  static func kill(_ processes: [LabProcess], within seconds: Int = 30) async throws {
    var waiting: [(process: LabProcess, descriptor: Int32)] = []
    defer { for (_, descriptor) in waiting { close(descriptor) } }
    for process in processes {
      guard let descriptor = process.descriptor() else { continue }
      waiting.append((process, descriptor))
      _ = clinux_pidfd_send_signal(descriptor, SIGKILL)
    }
    let deadline = ContinuousClock.now + .seconds(seconds)
    while !waiting.isEmpty {
      waiting.removeAll { item in
        var look = pollfd(fd: item.descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&look, 1, 0) > 0 else { return false }
        close(item.descriptor)
        return true
      }
      guard !waiting.isEmpty else { return }
      guard ContinuousClock.now < deadline else {
        throw Failure(
          "end process \(waiting[0].process.pid)", because: Reason("it did not end within \(seconds) s of SIGKILL"))
      }
      try await Task.sleep(for: .milliseconds(4))
    }
  }

  /// Every process of this lab that is ours: inits and launchers carry a path inside DIR in their arguments.
  static func all(of directory: LabDirectory) -> [LabProcess] {
    processes { pid in
      guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return false }
      let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      guard words.count >= 3, words[0] == "portcullis-lab-host" || words[0].hasSuffix("/portcullis-lab-host") else {
        return false
      }
      return words[2] == directory.path || words[2].hasPrefix(directory.path + "/")
    }
  }

  /// Every process inside one of these network namespaces, except ourselves and those we descend from.
  static func inside(_ namespaces: Set<String>) -> [LabProcess] {
    guard !namespaces.isEmpty else { return [] }
    var ours: Set<Int32> = []
    var ancestor = getpid()
    while ancestor > 1, ours.insert(ancestor).inserted {
      let stat = LabFiles.text("/proc/\(ancestor)/stat") ?? ""
      let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
      ancestor = fields.count > 2 ? Int32(fields[2]) ?? 0 : 0
    }
    return processes { pid in
      guard !ours.contains(pid),
        let namespace = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/net")
      else { return false }
      return namespaces.contains(namespace)
    }
  }

  private static func processes(where matches: (Int32) -> Bool) -> [LabProcess] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap(Int32.init).sorted().filter(matches).compactMap(LabProcess.init(pid:))
  }
}
