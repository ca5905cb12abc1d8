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

    @Test(.enabled(if: LabFiles.text("/proc/self/environ")?.contains("PORTCULLIS_LARGE_LAB=") == true, "takes 1.3 GB"))
    func fiveHundredHostsAllAnswerOnBothFamilies() async throws {
      try await withLabDirectory { path in
        let start = ContinuousClock.now
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: 500, hostProgram: hostProgram))
        print("500 hosts: up \(start.duration(to: .now) / .seconds(1)) s")
        for host in fleet.hosts {
          for address in [host.ipv4, host.ipv6] {
            let answer = try await fleet.exec(
              "controller", "/bin/bash", "-c", "read -t 5 -r line < /dev/tcp/\(address)/22; echo $line")
            #expect(answer.out.hasPrefix("SSH-2.0-"), "\(address)")
          }
        }
        let end = ContinuousClock.now
        #expect(try await LabFleet.down(directory: path))
        print("500 hosts: down \(end.duration(to: .now) / .seconds(1)) s")
      }
    }
  }
}
