import Core
import Foundation
import Glibc
import Testing

@testable import Store

// Children are exit tests: this test program started again.

/// The same child three times at once.
func threeAtOnce(_ child: @escaping @Sendable () async -> Void) async {
  await withTaskGroup(of: Void.self) { group in
    for _ in 0..<3 { group.addTask { await child() } }
  }
}

/// Three processes that each have so many entries to write.
func threeWriters(of log: AuditLog, entries: Int) async {
  await threeAtOnce {
    await #expect(processExitsWith: .success) { [path = log.path as String, entries = entries as Int] in
      for _ in 0..<entries { _ = try AuditLog(path: path).append { entry($0) } }
    }
  }
}

/// Does the same thing again and again until this process, a child, is killed. Each time that came to its end leaves a
/// line.
func untilKilled(
  after milliseconds: Int, in directory: String, _ work: (_ number: Int) async throws -> Void
) async throws -> Never {
  let done = open(directory + "/acknowledged", O_CREAT | O_WRONLY | O_APPEND, 0o600)
  Thread.detachNewThread {
    usleep(UInt32(milliseconds) * 1000)
    kill(getpid(), SIGKILL)
  }
  var number = 0
  while true {
    number += 1
    try await work(number)
    _ = Glibc.write(done, "\n", 1)
  }
}

/// How often a child that is dead had come to the end of its work.
func acknowledged(in directory: String) -> Int {
  // One that was killed before the first time has left no file.
  (try? Data(contentsOf: URL(fileURLWithPath: directory + "/acknowledged")).count) ?? 0
}
