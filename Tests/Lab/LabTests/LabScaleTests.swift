import Core
import Foundation
import Testing

@testable import Lab

extension LabSuite {
  @Suite struct Scale {
    @Test(arguments: [20, 100])
    func aFleetIsUpAndDownInTime(count: Int) async throws {
      try await withLabLeavingNothing { path in
        let start = ContinuousClock.now
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: count, hostProgram: hostProgram))
        let up = start.duration(to: .now) / .seconds(1)
        let status = fleet.status()
        #expect(status.controller != nil)
        #expect(status.hosts.allSatisfy { $0.isUp && $0.isSSHListening })
        let last = try #require(fleet.hosts.last)
        #expect(try await fleet.ssh(last.ipv4, "hostname").out == "\(last.name)\n")
        #expect(try await fleet.ssh(last.ipv6, "hostname").out == "\(last.name)\n")
        let end = ContinuousClock.now
        #expect(try await LabFleet.down(directory: path))
        print("\(count) hosts: up \(up) s, down \(end.duration(to: .now) / .seconds(1)) s")
        // The budget is 10 s for 20 hosts.
        #expect(up < 0.5 * Double(count))
      }
    }

    /// More than fit in one row of addresses, or in a neighbour table together. PORTCULLIS_LARGE_LAB makes it 500.
    @Test func everyHostOfALargeFleetAnswersOnBothFamilies() async throws {
      let isLarge = ProcessInfo.processInfo.environment["PORTCULLIS_LARGE_LAB"] != nil
      let count = isLarge ? 500 : 260
      try await withLabDirectory { path in
        let start = ContinuousClock.now
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: count, hostProgram: hostProgram))
        print("\(count) hosts: up \(start.duration(to: .now) / .seconds(1)) s")
        for host in fleet.hosts {
          for address in [host.ipv4, host.ipv6] {
            let answer = try await fleet.exec(
              "controller", "/bin/bash", "-c", "read -t 5 -r line < /dev/tcp/\(address)/22; echo $line")
            #expect(answer.out.hasPrefix("SSH-2.0-"), "\(address)")
          }
        }
        let end = ContinuousClock.now
        #expect(try await LabFleet.down(directory: path))
        print("\(count) hosts: down \(end.duration(to: .now) / .seconds(1)) s")
      }
    }
  }
}
