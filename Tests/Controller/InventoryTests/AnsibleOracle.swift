import Core
import Foundation
import Glibc
import TestSupport

/// Ansible itself, in one Python process that answers for many inventories: ansible-oracle.py.
enum AnsibleOracle {
  static let directory =
    ProcessInfo.processInfo.environment["PORTCULLIS_ANSIBLE"] ?? repository + "/.build/ansible"

  static var isPresent: Bool { access(directory + "/bin/python", X_OK) == 0 }

  /// Continuous integration has it, or has a fault.
  static var isNeeded: Bool { ProcessInfo.processInfo.environment["CI"] == "true" && geteuid() == 0 }

  struct Question: Encodable {
    let sources: [String]
    let patterns: [String]
  }

  struct Answer: Decodable {
    let error: String?
    let parsed: Bool?
    let warnings: [String]?
    let list: String?
    let graph: String?
    let order: [String]?
    let patterns: [Matches?]?
  }

  struct Matches: Decodable {
    /// As `--limit`.
    let limited: [String]
    /// As the pattern of the command itself.
    let named: [String]
  }

  static func answers(to questions: [Question], in folder: TemporaryFolder) throws -> [Answer] {
    let encoder = JSONEncoder()
    var input = Data()
    for question in questions { input += try encoder.encode(question) + [0x0a] }
    let file = try folder.write("questions", String(decoding: input, as: UTF8.self))
    let script = repository + "/Tests/Controller/InventoryTests/ansible-oracle.py"
    let output = try run(directory + "/bin/python", [script], input: file)
    return try output.split(separator: 0x0a).map { try JSONDecoder().decode(Answer.self, from: $0) }
  }

  /// Standard output; what the program says on standard error is shown only when it fails.
  static func run(
    _ program: String, _ arguments: [String], input: String = "/dev/null", in folder: String? = nil
  ) throws -> Data {
    let process = Process()
    if let folder {
      // Nobody's configuration, and no group_vars of where the tests run.
      process.currentDirectoryURL = URL(filePath: folder)
      process.environment = [
        "HOME": folder, "ANSIBLE_HOME": folder, "ANSIBLE_CONFIG": folder + "/none.cfg", "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1",
      ]
    }
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.standardInput = try FileHandle(forReadingFrom: URL(filePath: input))
    let output = Pipe()
    process.standardOutput = output
    let errors = FileManager.default.temporaryDirectory.appending(path: "portcullis-\(UUID().uuidString)")
    _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
    defer { try? FileManager.default.removeItem(at: errors) }
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let said = try String(decoding: Data(contentsOf: errors), as: UTF8.self)
      throw Reason("\(program) ended with \(process.terminationStatus): \(said)")
    }
    return data
  }
}

extension TemporaryFolder {
  func writeProgram(_ name: String, _ text: String) throws {
    try TestSupport.writeProgram(text, to: path + "/" + name)
  }
}
