import Foundation

/// What a program says, on both its outputs, and how it ended; one that hangs is killed after half a minute.
func run(_ command: [String]) throws -> (status: Int32, said: String) {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
  // With it goes what it started.
  process.arguments = ["-s", "KILL", "30"] + command
  process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = pipe
  try process.run()
  let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  return (process.terminationStatus, said)
}
