import Foundation
import Testing

extension FleetSuite {
  /// How hosts are reached, and whom the controller takes for them.
  @Suite(.serialized) struct Reach {
    private static let host = "h001"

    // MARK: - Host keys

    private func refresh(_ lab: TestLab, knownHosts: String) async throws -> Finished {
      try write(knownHosts, to: lab.path("other_hosts"))
      let config = try lab.configuration("keys.yaml", ["known_hosts": "other_hosts"])
      return try await lab.portcullis("status", "--refresh", "-l", Self.host, "--config", config, "--timeout", "10")
    }

    private func fingerprint(_ line: String) async throws -> String {
      let words = line.split(separator: " ").filter { !$0.hasPrefix("@") }
      let finished = try await Command.succeed(
        "/usr/bin/ssh-keygen", ["-l", "-f", "-"], input: .bytes(Array("\(words[1]) \(words[2])\n".utf8)))
      return String(finished.out.split(separator: " ")[1])
    }

    @Test func aHostWithAnotherKeyThanThePinnedOneIsRefusedWithBothFingerprints() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle(Self.host)
      let lines = try text(of: lab.path("known_hosts")).split(separator: "\n").map(String.init)
      let own = try #require(lines.first { $0.hasPrefix(Self.host) })
      let others = try #require(lines.first { $0.hasPrefix("h002") })
      let names = own.split(separator: " ")[0]
      let swapped = "\(names) \(others.split(separator: " ").dropFirst().joined(separator: " "))"
      let refused = try await refresh(lab, knownHosts: swapped + "\n")
      #expect(refused.status == 4, "\(refused)")
      let ownPrint = try await fingerprint(own)
      let othersPrint = try await fingerprint(others)
      for print in [ownPrint, othersPrint] { #expect(refused.out.contains(print), "\(refused)") }

      let unknown = try await refresh(lab, knownHosts: others + "\n")
      #expect(unknown.status == 4 && unknown.out.contains(ownPrint), "\(unknown)")

      let revoked = try await refresh(
        lab, knownHosts: "@revoked * \(own.split(separator: " ").dropFirst().joined(separator: " "))\n\(own)\n")
      #expect(revoked.status == 4, "\(revoked)")
      #expect(revoked.out.contains("revoked") && revoked.out.contains(ownPrint), "\(revoked)")

      let good = try await refresh(lab, knownHosts: own + "\n")
      #expect(good.status == 0, "\(good)")
    }

    // MARK: - Addresses

    private func inventory(_ lab: TestLab, _ lines: String) throws -> String {
      try write(
        "gateways:\n  hosts: {}\nlab:\n  vars:\n    ansible_user: root\n  children:\n    db:\n      hosts: {}\n    web:\n      hosts:\n"
          + lines, to: lab.path("reach-hosts.yaml"))
      return try lab.configuration(
        "reach.yaml", ["inventory": "reach-hosts.yaml", "controllers": "[\"fd77::1\", \"10.77.1.1\"]"])
    }

    private func addresses(_ addresses: String) -> String {
      "        h004:\n          portcullis_addresses: [\(addresses)]\n"
    }

    @Test func aHostIsManagedOverIPv6AloneAndADeadAddressIsPassedOver() async throws {
      let lab = try await TestLab.mixed
      // First the host's rules must let the controller in over IPv6.
      var config = try inventory(lab, addresses("\"10.77.1.4\""))
      try await lab.succeed("apply", "--yes", "-l", "h004", "--config", config)
      config = try inventory(lab, addresses("\"fd77::1:4\""))
      let refreshed = try await lab.portcullis("status", "--refresh", "-l", "h004", "--config", config)
      #expect(refreshed.status == 0 && refreshed.out.contains("intact"), "\(refreshed)")
      let log = try text(of: lab.path("hosts/h004/log"))
      #expect(log.contains("Accepted publickey for portcullis from fd77::1 "), "\(log.suffix(500))")
      try await lab.shell("h004", "iptables -F INPUT")
      let drift = try await lab.portcullis("drift", "-l", "h004", "--config", config)
      #expect(drift.status == 2, "\(drift)")
      try await lab.succeed("apply", "--yes", "-l", "h004", "--config", config)

      config = try inventory(lab, addresses("\"10.77.99.99\", \"fd77::99:99\", \"10.77.1.4\""))
      let passed = try await lab.portcullis("status", "--refresh", "-l", "h004", "--config", config, "--timeout", "20")
      #expect(passed.status == 0 && passed.out.contains("fresh"), "\(passed)")
      #expect(passed.seconds < 12)
      let dead = try inventory(lab, addresses("\"10.77.99.99\""))
      let unreachable = try await lab.portcullis(
        "status", "--refresh", "-l", "h004", "--config", dead, "--timeout", "5")
      #expect(unreachable.status == 4 && unreachable.seconds < 8, "\(unreachable)")
      #expect(unreachable.out.contains("10.77.99.99"), "\(unreachable)")
      try await lab.settle("h004")
    }

    @Test func hostsThatDoNotAnswerAreToldInOneLineByEveryVerbThatAsks() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle("h005,h006")
      // The lab's own words, of two hosts that are not where the inventory says.
      let moved = ["h005", "h006"].map {
        "        \($0):\n          portcullis_addresses: [\"10.77.99.\($0.suffix(1))\"]\n"
      }
      try write(
        "gateways:\n  hosts: {}\nlab:\n  vars:\n    ansible_user: root\n  children:\n    db:\n      hosts: {}\n    web:\n"
          + "      hosts:\n" + moved.joined(), to: lab.path("silent-hosts.yaml"))
      let config = try lab.configuration("silent.yaml", ["inventory": "silent-hosts.yaml"])
      for verb in [
        ["status", "--refresh"], ["plan", "--refresh"], ["apply", "--refresh", "--yes"], ["observe", "show"], ["drift"],
      ] {
        let told = try await Command.run(
          Machine.portcullis, verb + ["--config", config, "--timeout", "3"], in: lab.folder)
        #expect(told.status == 4, "\(told)")
        let lines = told.out.split(separator: "\n").filter { $0.contains("no answer") || $0.contains("not judged") }
        #expect(lines.count == 1 && lines[0].contains("h[005-006]") && !lines[0].contains("10.77"), "\(told)")
      }
      let applied = try await lab.portcullis(
        "apply", "--refresh", "--yes", "--config", config, "--timeout", "3", "-o", "json")
      #expect(try JSON(applied)["unreachable"].list.compactMap { $0["name"].text } == ["h005", "h006"], "\(applied)")
      #expect(!applied.said.contains("--refresh asks them"))
      try await lab.settle("h005,h006")
    }

    @Test func aHostIsReachedThroughAnotherOne() async throws {
      let lab = try await TestLab.mixed
      let direct = try inventory(lab, addresses("\"10.77.1.4\""))
      try await lab.succeed("apply", "--yes", "-l", "h004", "--config", direct)
      let bastion =
        "        h001:\n          ansible_host: 10.77.1.1\n          ansible_ssh_private_key_file: \(lab.path("keys/admin"))\n"
      let config = try inventory(
        lab, bastion + addresses("\"10.77.1.4\"") + "          portcullis_jump: h001\n")
      let refreshed = try await lab.portcullis("status", "--refresh", "-l", "h004", "--config", config)
      #expect(refreshed.status == 0 && refreshed.out.contains("intact"), "\(refreshed)")
      let log = try text(of: lab.path("hosts/h004/log"))
      #expect(log.contains("Accepted publickey for portcullis from 10.77.1.1 "), "\(log.suffix(500))")
      // The agent's own login forwards to nothing.
      let enrolled = try inventory(
        lab,
        "        h001:\n          ansible_host: 10.77.1.1\n          ansible_user: portcullis\n"
          + addresses("\"10.77.1.4\"") + "          portcullis_jump: h001\n")
      let refused = try await lab.portcullis(
        "status", "--refresh", "-l", "h004", "--config", enrolled, "--timeout", "10")
      #expect(refused.status == 4 && refused.out.contains("h001"), "\(refused)")
      try await lab.settle("h004")
    }
  }
}
