import Core
import Foundation
import Inventory
import TestSupport
import Testing

@testable import Operations

@Suite final class InventoryProgramTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "portcullis-\(UUID().uuidString)").path

  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func program(_ text: String) throws -> String {
    let path = folder + "/inventory.sh"
    try writeProgram("#!/bin/sh\n\(text)\n", to: path)
    return path
  }

  private func output(_ text: String, _ runner: InventoryProgramRunner = .init()) throws -> Result<[UInt8], Reason> {
    runner.programs.output(try program(text), ["--list"])
  }

  @Test func `a program's output is its inventory, whatever it says on standard error`() throws {
    let text = #"echo "a warning" >&2; echo '{"web": {"hosts": ["web1"]}, "_meta": {"hostvars": {"web1": {"x": 1}}}}'"#
    let inventory = try HostInventory.load(sources: [try program(text)], running: InventoryProgramRunner().programs)
    #expect(inventory.hosts.map(\.id.description) == ["web1"])
    #expect(inventory.hosts[0].variables["x"] == 1)
  }

  @Test func `its environment is ours, as with Ansible`() throws {
    let variables = ["AWS_PROFILE": "production", "ANSIBLE_CONFIG": "/srv/ansible.cfg", "VIRTUAL_ENV": folder]
    for (name, value) in variables { setenv(name, value, 1) }
    defer { for name in variables.keys { unsetenv(name) } }
    let said = String(decoding: try output("env; echo \"$1\"").get(), as: UTF8.self).split(separator: "\n")
    for (name, value) in variables { #expect(said.contains("\(name)=\(value)")) }
    for name in ["PATH", "HOME"] {
      if let value = getenv(name) { #expect(said.contains("\(name)=\(String(cString: value))")) }
    }
    #expect(said.last == "--list")
  }

  @Test(arguments: [
    ("echo no such cloud >&2; exit 3", "the program ended with 3: no such cloud"),
    ("kill -9 $$", "the program ended by signal 9"),
    ("yes", "the program printed more than 1 MiB"),
  ])
  func `one that fails or floods is an error that says how`(text: String, reason: String) throws {
    #expect(try output(text, InventoryProgramRunner(outputLimit: 1 << 20)) == .failure(Reason(reason)))
  }

  @Test(arguments: ["sleep 30 & sleep 30", "exec >&-; exec sleep 30"])
  func `one that hangs is killed at its deadline, with what it started`(text: String) throws {
    let start = ContinuousClock.now
    let result = try output(text, InventoryProgramRunner(seconds: 1))
    #expect(result == .failure(Reason("the program did not end within 1 seconds")))
    #expect(ContinuousClock.now - start < .seconds(20))
  }

  @Test func `what it leaves in the background does not keep us waiting`() throws {
    let start = ContinuousClock.now
    #expect(try output("sleep 30 & echo '{}'").get() == Array("{}\n".utf8))
    #expect(ContinuousClock.now - start < .seconds(20))
  }

  @Test func `a program that cannot be run says why`() {
    let result = InventoryProgramRunner().programs.output("/nonexistent/x", ["--list"])
    #expect(result == .failure(Reason("the program cannot be run: No such file or directory")))
  }
}
