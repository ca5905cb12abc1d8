internal import Core
internal import Foundation

/// Makes a script that can be run at once, with its folder. It is written by a process of its own: another test that
/// starts a program at that moment would hand down a file that is open for writing, which cannot be run ("Text file
/// busy").
package func writeProgram(_ text: String, to path: String) throws {
  try FileManager.default.createDirectory(
    at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
  let install = Process()
  install.executableURL = URL(fileURLWithPath: "/usr/bin/install")
  install.arguments = ["-m", "755", "/dev/stdin", path]
  let input = Pipe()
  install.standardInput = input
  try install.run()
  try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
  try input.fileHandleForWriting.close()
  install.waitUntilExit()
  guard install.terminationStatus == 0 else {
    throw Reason("install ended with \(install.terminationStatus) for \(path)")
  }
}
