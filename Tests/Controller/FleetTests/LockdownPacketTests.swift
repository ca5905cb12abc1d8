import Core
import Foundation
import Glibc
import Testing
import Wire

extension FleetSuite {
  /// What passes locked hosts: real packets of others, in both families.
  @Suite(.serialized, .timeLimit(.minutes(60))) struct LockdownPackets {
    /// A payload byte a second after the order was obeyed is one too many, each way, in each family.
    @Test func anOutsidersConnectionsEndWithinASecond() async throws {
      try await LockdownLab.with("cutting", insiders: Safety.count("PORTCULLIS_LOCKED_HOSTS", 2)) { lab in
        let hosts = lab.insiders
        for profile in LockdownLab.profiles {
          let streams = LockdownStreams(fleet: lab)
          // They are opened one after the other.
          let seconds = 20 + hosts.count
          let opened = Date().timeIntervalSince1970
          try await streams.open(hosts, seconds: seconds)
          // The controller's own connection lives through it.
          let own = try LiveConversation(with: "h001", of: lab.lab)
          _ = try await own.hear(0)
          let begun = Date().timeIntervalSince1970
          let started = try await lab.start(profile)
          let ended = Date().timeIntervalSince1970
          #expect(started.status == 0, "\(started)")
          try await Task.sleep(for: .seconds(4))
          let heard = try await streams.lastHeard(hosts)
          // None ended by itself before it was looked at.
          #expect(Date().timeIntervalSince1970 < opened + Double(seconds))
          for (stream, last) in heard {
            #expect(last >= begun - 1, "\(profile), \(stream): silent before the order")
            #expect(last <= ended + 1, "\(profile), \(stream): heard \(last - ended) s after the order")
          }
          let nonce = Nonce.random()
          try own.say(.report(nonce))
          guard case .report(let report) = try await own.hear(1) else { Issue.record("no report"); continue }
          #expect(report.lockdown?.lock?.profile.description == profile)
          own.end()
          let lifted = try await lab.lift()
          #expect(lifted.status == 0, "\(lifted)")
          // Streams that live on after the lift end by themselves.
          try await Task.sleep(for: .seconds(max(0, Double(seconds) + 3 - (Date().timeIntervalSince1970 - begun))))
        }
      }
    }

    /// Ports in a scan's answer: a host that says anything at all of one is not filtered there.
    private func scan(_ lab: LockdownLab, _ host: String, from machine: String) async throws -> [String: Set<String>] {
      var heard: [String: Set<String>] = [:]
      for address in LabAddress.both(Int(host.dropFirst())!) {
        let family = address.contains(":") ? ["-6"] : []
        let scanned = try await Command.run(
          Machine.portcullis,
          ["lab", "exec", machine, "--dir", lab.lab.folder, "--", "/usr/bin/nmap"] + family + [
            "-Pn", "-n", "-sS", "-sU", "-p", "T:1-1024,4001,8080,U:53,67,68,123,161", "--max-retries", "1", "-T5",
            "-oG", "-", address,
          ], in: lab.lab.folder, timeout: 280)
        try #require(scanned.status == 0, "\(scanned)")
        let ports = scanned.out.split(separator: "\n").filter { $0.contains("Ports: ") }.flatMap { line in
          line.split(separator: "\t").first { $0.hasPrefix("Ports: ") }?.dropFirst(7).split(separator: ",") ?? []
        }
        heard[address] = Set(
          ports.map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.contains("/filtered/") && !$0.contains("/open|filtered/") }
            .map { $0.split(separator: "/").prefix(3).joined(separator: "/") })
        let pinged = try await lab.lab.exec(
          machine, "/bin/ping", "-c", "2", "-W", "1", address)
        if pinged.status == 0 { heard[address]?.insert("ping") }
      }
      return heard
    }

    @Test(.enabled(if: access("/usr/bin/nmap", X_OK) == 0, "needs nmap"))
    func aScanOfALockedHostFindsManagementsWayAndForManagementOnly() async throws {
      try await LockdownLab.with("scanned", insiders: Safety.count("PORTCULLIS_LOCKED_HOSTS", 2)) { lab in
        let hosts = lab.insiders
        for host in hosts { try await lab.lab.listen(host, port: LockdownLab.port) }
        for (_, heard) in try await scan(lab, hosts[0], from: lab.outsider) {
          #expect(heard.contains("4001/open/tcp"), "\(heard)")
        }
        let started = try await lab.start("isolate")
        #expect(started.status == 0, "\(started)")
        try await withThrowingTaskGroup(of: Void.self) { group in
          for (number, host) in hosts.enumerated() {
            if number >= 4 { try await group.next() }
            group.addTask { try await expectSilence(lab, host) }
          }
          try await group.waitForAll()
        }
        try Safety.record("lockdown.scanned", Double(hosts.count))
      }
    }

    private func expectSilence(_ lab: LockdownLab, _ host: String) async throws {
      for (address, heard) in try await scan(lab, host, from: lab.outsider) {
        #expect(heard.isEmpty, "\(address) answers an outsider: \(heard)")
      }
      for (address, heard) in try await scan(lab, host, from: "controller") {
        // Echoes pass the lockdown, and in IPv4 not the policy beneath.
        let wanted: Set = address.contains(":") ? ["22/open/tcp", "ping"] : ["22/open/tcp"]
        #expect(heard == wanted, "\(address) answers management: \(heard)")
      }
    }
  }
}
