import Core
import Foundation
import Subprocess
import SystemPackage
import Testing

@testable import Lab

extension LabSuite {
  @Suite struct Down {
    @Test func downTwiceIsFine() async throws {
      try await withLabDirectory { path in
        _ = try await LabFleet.up(LabOptions(directory: path, hosts: 1, hostProgram: hostProgram))
        #expect(try await LabFleet.down(directory: path))
        #expect(!LabFiles.exists(path))
        #expect(try await LabFleet.down(directory: path) == false)
      }
    }

    @Test func upOnALabIsRefusedAndLeavesItRunning() async throws {
      try await withLabDirectory { path in
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: 1, hostProgram: hostProgram))
        let error = await #expect(throws: Failure.self) {
          try await LabFleet.up(LabOptions(directory: path, hosts: 1, hostProgram: hostProgram))
        }
        #expect(error?.hint?.contains("lab down") == true)
        #expect(try await fleet.ssh("h001", "hostname").out == "h001\n")
      }
    }

    @Test func somebodyElsesFolderIsNotTouched() async throws {
      try await withLabDirectory { path in
        try LabFiles.makeFolder(path)
        try LabFiles.write("mine\n", to: path + "/precious")
        await #expect(throws: Failure.self) {
          try await LabFleet.up(LabOptions(directory: path, hosts: 1, hostProgram: hostProgram))
        }
        await #expect(throws: Failure.self) { try await LabFleet.down(directory: path) }
        #expect(LabFiles.text(path + "/precious") == "mine\n")
        try FileManager.default.removeItem(atPath: path)
      }
    }

    @Test func twoCommandsOnOneLabDoNotMeet() async throws {
      try await withLabDirectory { path in
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: 1, hostProgram: hostProgram))
        try await LabLock.hold(fleet.directory) {
          let error = await #expect(throws: Failure.self) { try await LabFleet.down(directory: path) }
          let message = ErrorChain(try #require(error)).message
          #expect(message.contains("another lab command"))
        }
      }
    }

    @Test func aLabWhoseFolderWasRemovedByHandIsStillFound() async throws {
      try await withLabLeavingNothing { path in
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: 2, hostProgram: hostProgram))
        try FileManager.default.removeItem(atPath: path)
        #expect(LabProcess.all(of: fleet.directory).count == 3)
        #expect(try await LabFleet.down(directory: path))
        #expect(LabProcess.all(of: fleet.directory).isEmpty)
      }
    }

    @Test func whoStaysInTheLabsNetworkIsEndedWithIt() async throws {
      try await withLabDirectory { path in
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: 1, hostProgram: hostProgram))
        let network = try #require(fleet.process(of: "controller")).pid
        async let lingering = LabProgram.run("/usr/bin/nsenter", ["--net=/proc/\(network)/ns/net", "/bin/sleep", "60"])
        try await Task.sleep(for: .milliseconds(200))
        #expect(try await LabFleet.down(directory: path))
        #expect(try await lingering.succeeded == false)
      }
    }

    /// The launcher is what makes processes and mounts; it is killed after so many milliseconds, as `up` with it.
    @Test(arguments: [0, 3, 6, 12, 25, 50, 100, 200])
    func downCleansUpAfterAnUpThatWasKilledMidway(milliseconds: Int) async throws {
      try await withLabLeavingNothing { path in
        let options = LabOptions(directory: path, hosts: 8, hostProgram: hostProgram)
        let fleet = LabFleet(directory: try LabDirectory(path), plan: try LabPlan(options))
        try fleet.directory.create(fleet.plan)
        try fleet.write(options, program: hostProgram, userlands: [:])
        _ = try await Subprocess.run(
          .path(FilePath(hostProgram)), arguments: Arguments(["launch", path, "0"] + fleet.hosts.map(\.name)),
          input: .none, output: .discarded, error: .discarded
        ) { execution in
          try await Task.sleep(for: .milliseconds(milliseconds))
          try? execution.send(signal: .kill)
        }
        #expect(try await LabFleet.down(directory: path))
        #expect(LabProcess.all(of: fleet.directory).isEmpty)
        #expect(!LabFiles.exists(path))
      }
    }

    @Test func downCleansUpBesideALauncherStillAtWork() async throws {
      try await withLabLeavingNothing { path in
        let options = LabOptions(directory: path, hosts: 20, hostProgram: hostProgram)
        let fleet = LabFleet(directory: try LabDirectory(path), plan: try LabPlan(options))
        try fleet.directory.create(fleet.plan)
        try fleet.write(options, program: hostProgram, userlands: [:])
        async let launch: Void = fleet.launch(fleet.hosts.map(\.name), controller: nil)
        try await Task.sleep(for: .milliseconds(30))
        #expect(try await LabFleet.down(directory: path))
        _ = try? await launch
        #expect(LabProcess.all(of: fleet.directory).isEmpty)
        #expect(!LabFiles.exists(path))
      }
    }

    @Test(arguments: [5, 40, 80])
    func aCancelledUpClearsUpAfterItself(milliseconds: Int) async throws {
      try await withLabLeavingNothing { path in
        let task = Task { try await LabFleet.up(LabOptions(directory: path, hosts: 8, hostProgram: hostProgram)) }
        try await Task.sleep(for: .milliseconds(milliseconds))
        task.cancel()
        if (try? await task.value) == nil { #expect(!LabFiles.exists(path)) }
      }
    }

    @Test func anUpThatFailsNamesTheHostAndTheReasonAndLeavesNothing() async throws {
      try await withLabLeavingNothing { path in
        let error = await #expect(throws: Failure.self) {
          try await LabFleet.up(
            LabOptions(directory: path, hosts: 3, hostProgram: hostProgram),
            configuration: { directory, _ in
              try LabFiles.write("NoSuchSetting yes\n", to: directory.disk(of: "h002") + "/etc/ssh/sshd_config")
              return ""
            })
        }
        let message = ErrorChain(try #require(error)).message
        #expect(message.contains("boot h002: sshd ended at once"))
        #expect(message.contains("NoSuchSetting"))
        #expect(!LabFiles.exists(path))
      }
    }
  }
}
