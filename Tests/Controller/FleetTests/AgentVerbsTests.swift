import Glibc
import Testing

/// What the agent says to a person before it does anything. Nothing here changes a host.
@Suite struct AgentVerbsTests {
  static let agent = "\(Machine.programs)/portcullis-agent"

  @Test(arguments: [
    ["--help"], ["safe", "--help"], ["rollback", "--help"], ["lift", "--help"], ["restore", "--help"],
  ])
  func helpThatWasAskedForIsData(arguments: [String]) async throws {
    let help = try await Command.run(Self.agent, arguments)
    #expect(help.status == 0)
    #expect(help.out.contains("\nUsage: portcullis-agent "))
    #expect(help.err.isEmpty)
  }

  @Test(arguments: [
    ([], "--reason"), (["--local"], "--reason"), (["--local", "--reason", "x", "--rot", "/"], "takes no '--rot'"),
    (["--reason", "x"], "say --local too"),
    (["--local", "--reason", "  "], "must say why"),
    (["--local", "--reason", String(repeating: "x", count: 513)], "at most 512"),
  ])
  func anOrderAtTheConsoleNeedsToBeMeantAndExplained(flags: [String], complaint: String) async throws {
    for verb in ["safe", "rollback", "lift"] {
      let refused = try await Command.run(Self.agent, [verb] + flags)
      #expect(refused.status == 64)
      #expect(refused.err.contains(complaint))
      #expect(refused.out.isEmpty)
    }
  }

  @Test func anOrderAtTheConsoleIsForRoot() async throws {
    // Only root can become somebody else.
    guard getuid() == 0 else { return }
    let arguments = ["--reuid", "65534", "--clear-groups", Self.agent, "safe", "--local", "--reason", "x"]
    let refused = try await Command.run("/usr/bin/setpriv", arguments)
    #expect(refused.status == 5)
    #expect(refused.err.contains("only root"))
  }
}
