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
          // They are opened, and asked at the end, one host after the other.
          let seconds = 20 + 4 * hosts.count
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

    /// Of raw packets that the outsider sends to a locked host, by the counters of the lockdown's own rules: errors of the
    /// network pass it, whoever tells of them, and what only asks does not.
    @Test func errorsOfTheNetworkPassALockedHostsLockdownAndQuestionsDoNot() async throws {
      try await LockdownLab.with("errors", insiders: 1) { lab in
        let host = "h001"
        #expect(try await lab.start("isolate").status == 0)
        // Type, code, and an error's four bytes before the packet that it is about; the kernel sums up ICMPv6 itself.
        let send = """
          use Socket qw(:DEFAULT inet_pton AF_INET6 pack_sockaddr_in6 pack_sockaddr_in);
          my ($address, $types) = @ARGV;
          my $six = $address =~ /:/;
          socket(my $s, $six ? AF_INET6 : AF_INET, SOCK_RAW, $six ? 58 : 1) or die "socket: $!";
          my $to = $six ? pack_sockaddr_in6(0, inet_pton(AF_INET6, $address))
            : pack_sockaddr_in(0, inet_pton(AF_INET, $address));
          for my $type (split / /, $types) {
            my $packet = pack("CCnN", $type, 0, 0, 1400) . ("x" x 40);
            unless ($six) {
              my $sum = 0;
              $sum += $_ for unpack("n*", $packet);
              $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
              substr($packet, 2, 2) = pack("n", ~$sum & 0xffff);
            }
            defined send($s, $packet, 0, $to) or die "send: $!";
          }
          """
        let families: [(save: String, option: String, errors: [Int], questions: [Int])] = [
          ("iptables-save", "--icmp-type", [3, 11, 12], [8, 13, 5]),
          ("ip6tables-save", "--icmpv6-type", [1, 2, 3, 4], [128, 139]),
        ]
        for (address, family) in zip(LabAddress.both(1), families) {
          func counted() async throws -> [String: Int] {
            let saved = try await lab.lab.shell(host, "\(family.save) -c -t mangle | grep -e '-A PCLLOCK-INPUT '")
            return saved.split(separator: "\n").reduce(into: [:]) { counts, line in
              let parts = line.split(separator: " ", maxSplits: 1)
              counts[String(parts[1])] = Int(parts[0].dropFirst().prefix { $0 != ":" })
            }
          }
          let before = try await counted()
          let types = (family.errors + family.questions).map(String.init).joined(separator: " ")
          let sent = try await lab.lab.exec(lab.outsider, "/usr/bin/perl", "-e", send, address, types)
          #expect(sent.status == 0, "\(sent)")
          let after = try await counted()
          for error in family.errors {
            let rules = after.filter { rule, count in
              rule.hasSuffix("\(family.option) \(error) -j RETURN") && count > before[rule] ?? 0
            }
            #expect(rules.count == 1, "\(address), type \(error): \(after)")
          }
          let dropped = "-A PCLLOCK-INPUT -j DROP"
          #expect(try #require(after[dropped]) >= #require(before[dropped]) + family.questions.count, "\(after)")
        }
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
