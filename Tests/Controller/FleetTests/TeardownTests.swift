import Foundation
import Testing

extension FleetSuite {
  /// A lab that was used is gone without a trace, enrolled hosts and their daemons included.
  @Suite(.serialized) struct Teardown {
    @Test func aLabThatWasUsedLeavesNothing() async throws {
      let lab = try await TestLab.up("short", ["--hosts", "2"])
      try await lab.succeed("apply", "--yes")
      try await lab.succeed("lab", "reboot", "h002", "--dir", lab.folder)
      #expect(!processes(of: lab.folder).isEmpty)
      let down = try await Command.succeed(Machine.portcullis, ["lab", "down", "--dir", lab.folder])
      #expect(down.out.contains("is gone"))
      #expect(processes(of: lab.folder) == [])
      #expect(!FileManager.default.fileExists(atPath: lab.folder))
      #expect(try !text(of: "/proc/self/mountinfo").contains(lab.folder))
      let again = try await Command.succeed(Machine.portcullis, ["lab", "down", "--dir", lab.folder])
      #expect(again.out.contains("nothing to do"))
    }

    /// Everything that runs in a host of the lab sees mounts of the lab.
    private func processes(of folder: String) -> [String] {
      ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).filter { pid in
        Int(pid) != nil && (try? text(of: "/proc/\(pid)/mountinfo"))?.contains(folder) == true
      }
    }
  }
}
