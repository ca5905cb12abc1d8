import Core
import Foundation
import Testing

@testable import Lab

private let canMakeRoots =
  [LabRoot.debian11, .debian13].allSatisfy { LabFiles.exists(LabRootMaker.defaultCache() + "/\($0)") }
  || LabFiles.exists("/usr/sbin/debootstrap")

extension LabSuite {
  @Suite(.enabled(if: canMakeRoots, "no debootstrap here, and no userland made before"))
  struct Roots {
    @Test func hostsRunRealUserlandsSideBySide() async throws {
      try await withLabLeavingNothing { path in
        let fleet = try await LabFleet.up(
          LabOptions(directory: path, hosts: 6, roots: [.host, .debian11, .debian13], hostProgram: hostProgram),
          progress: { print($0) })
        let versions: [LabRoot: (debian: String, iptables: String)] = [
          .debian11: ("11.", "v1.8.7"), .debian13: ("13.", "v1.8.11"),
        ]
        for host in fleet.hosts {
          guard let expected = versions[host.root] else { continue }
          #expect(try await fleet.exec(host.name, "cat", "/etc/debian_version").out.hasPrefix(expected.debian))
          for program in ["iptables", "ip6tables", "iptables-save", "ip6tables-restore"] {
            let answer = try await fleet.exec(host.name, program, "--version").out
            #expect(answer.contains(expected.iptables), "\(host.name) \(program): \(answer)")
            #expect(answer.contains(host.backend == .nft ? "(nf_tables)" : "(legacy)"), "\(program): \(answer)")
          }
          let rule = try await fleet.exec(
            host.name, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "42", "-j", "DROP")
          #expect(rule.status == 0, "\(rule.err)")
          for address in [host.ipv4, host.ipv6] {
            let answer = try await fleet.ssh(address, "hostname; ls / | wc -l; touch /usr/mine; id -u")
            #expect(answer.out.hasPrefix("\(host.name)\n") && answer.status == 0, "\(answer.err)")
          }
          let terminal = try await fleet.exec(
            "controller", "ssh", "-tt", host.name, "tty; test -w /dev/null && echo null")
          #expect(terminal.out.contains("/dev/pts/") && terminal.out.contains("null"), "\(terminal)")
          // The layer is the host's own; the userland below stays as it was, and the machine is out of sight.
          #expect(!LabFiles.exists(LabRootMaker.defaultCache() + "/\(host.root)/usr/mine"))
          #expect(try await fleet.exec(host.name, "ls", "/opt", "/home", "/var/tmp").status == 0)
          #expect(!(try await fleet.exec(host.name, "cat", "/proc/mounts").out.contains("/oldroot")))
        }
        let rebooted = try await fleet.reboot("h002")
        #expect(rebooted.status.isSSHListening)
        #expect(try await fleet.ssh("h002", "test -e /usr/mine").status == 0)
        #expect(!(try await fleet.exec("h002", "iptables-save").out.contains("--dport 42")))
      }
    }

    @Test(.enabled(if: LabFiles.exists("/usr/sbin/debootstrap"), "no debootstrap here"))
    func aReleaseThatTheMirrorDoesNotCarryIsNamed() async throws {
      try await withLabDirectory { path in
        let mirror = try await LabRootMaker.mirror()
        let error = await #expect(throws: Failure.self) {
          try await LabRootMaker.bootstrap("etch", into: path + "-root", from: mirror, root: .debian11)
        }
        let message = ErrorChain(try #require(error)).message
        #expect(message.contains("does not carry etch"), "\(message)")
      }
    }

    @Test func theMachinesOwnUserlandIsNotMade() async throws {
      await #expect(throws: Failure.self) { try await LabRootMaker.make(.host) }
    }
  }
}
