import Core
import Foundation
import Testing

extension FleetSuite {
  /// What hosts hold when they come up, whatever became of their disks meanwhile.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct Boot {
    private func reboot(_ lab: TestLab, _ host: String) async throws {
      // The lab says so when the agent does not come up; that is what some of these tests look at.
      _ = try await lab.portcullis("lab", "reboot", host, "--dir", lab.folder)
    }

    /// Closed but for the managers, in both families, and they really get in.
    private func isSafe(_ lab: TestLab, _ number: Int, port: Int) async throws {
      let host = names(number...number)[0]
      let rules = try await lab.rules(of: host)
      for text in rules {
        #expect(text.contains(":INPUT DROP") && text.contains("--dport 22"), "\(host): \(text)")
        #expect(!text.contains("--dport \(port)"), "\(host): \(text)")
      }
      try await lab.listen(host, port: port)
      for address in LabAddress.both(number) {
        #expect(try await lab.connects("controller", address, 22), "\(host) by \(address)")
        #expect(try await !lab.connects("controller", address, port), "\(host) by \(address)")
      }
    }

    @Test func theCommittedRulesAreThereBeforeTheNetworkIs() async throws {
      try await SafetyLab.with("boot", hosts: 2) { fleet in
        let lab = fleet.lab
        _ = try await fleet.apply()
        for host in fleet.hosts {
          let committed = try await lab.rules(of: host)
          // Says what there is when `restore` has ended.
          try await lab.shell(
            host,
            """
            cd /usr/local/lib/portcullis
            cp portcullis-agent agent.real; mv portcullis-agent agent.enrolled
            cat > portcullis-agent <<'END'
            #!/bin/sh
            here=/usr/local/lib/portcullis
            [ "$1" = restore ] || exec $here/agent.real "$@"
            $here/agent.real "$@"; status=$?
            { ip -o address show scope global; echo =; iptables -S INPUT; ip6tables -S INPUT; } > $here/seen
            exit $status
            END
            chmod 755 portcullis-agent
            """)
          try await reboot(lab, host)
          let seen = try await lab.shell(host, "cat /usr/local/lib/portcullis/seen").components(separatedBy: "=\n")
          #expect(seen[0].isEmpty, "addresses: \(seen[0])")
          #expect(seen[1].components(separatedBy: "-P INPUT DROP\n-A INPUT -j PCL-INPUT").count == 3, "\(seen[1])")
          #expect(try await lab.rules(of: host) == committed)
          // Docker starts after us, and finds our hook above what it adds.
          try await ForeignSoftware.docker.install(on: host, of: lab)
          let status = try await lab.portcullis("status", "--refresh", "-o", "json", "-l", host)
          #expect(try JSON(status).hosts[host]?["integrity"].text == "intact", "\(status)")
          #expect(try JSON(status).hosts[host]?["modifiers"].strings == [], "\(status)")
        }
      }
    }

    @Test func aDamagedDiskEndsInTheSafePolicyAndNeverOpen() async throws {
      let damages = [
        "a bundle": "for f in bundles/*/ipv?.rules; do printf 'garbage' | dd of=$f bs=1 seek=40 conv=notrunc; done",
        "a journal": "printf '\\377\\377\\377\\377\\377\\377' | dd of=journal bs=1 seek=12 conv=notrunc",
        "a journal that cannot be read": "rm journal; mkdir journal",
        "a disk that gives bundles no more": "rm -r bundles; : > bundles",
      ].sorted { $0.key < $1.key }
      try await SafetyLab.with("damaged", hosts: 2 * damages.count) { fleet in
        let lab = fleet.lab
        _ = try await fleet.apply()
        for (index, damage) in damages.enumerated() {
          // Both backends.
          for number in [2 * index + 1, 2 * index + 2] {
            let host = names(number...number)[0]
            try await lab.shell(host, "cd /var/lib/portcullis; \(damage.value)")
            try await reboot(lab, host)
            try await isSafe(lab, number, port: 4001)
            let status = try await lab.portcullis("status", "--refresh", "-o", "json", "-l", host)
            let shown = try JSON(status).hosts[host]
            if damage.key == "a bundle" {
              #expect(shown?["modifiers"].strings.contains("degraded") == true, "\(damage.key): \(status)")
              // The next apply mends it.
              try await lab.succeed("apply", "--yes", "-l", host)
              #expect(try await lab.rules(of: host).allSatisfy { $0.contains("--dport 4001") })
            } else {
              // Degraded, or so broken that the agent says nothing: never as if all were well.
              let isHonest =
                shown?["modifiers"].strings.contains("degraded") == true || shown?["contact"].text == "unreachable"
              #expect(isHonest, "\(damage.key): \(status)")
            }
          }
        }
      }
    }

    @Test func theSafeFilesAreLoadedByTheUnitsOwnLines() async throws {
      let unit = try text(of: "\(Machine.checkout)/packaging/portcullis-safe.service")
      let lines = unit.split(separator: "\n").filter { $0.hasPrefix("ExecStart=") || $0.hasPrefix("ExecStopPost=") }
        .map { $0.split(separator: "=", maxSplits: 1)[1] }
      try #require(lines.count == 2)
      try await SafetyLab.with("unit", hosts: 2) { fleet in
        let lab = fleet.lab
        _ = try await fleet.apply()
        for number in 1...2 {
          let host = names(number...number)[0]
          // As after a boot on which nothing of ours ran.
          try await lab.shell(
            host,
            """
            rm -r /usr/local/lib/portcullis; kill -9 $(pgrep -f '^[^ ]*portcullis-agent serve' | head -1)
            for p in iptables ip6tables; do $p -w 10 -F; $p -w 10 -X; $p -w 10 -P INPUT ACCEPT; done
            \(lines.joined(separator: "\n"))
            """)
          try await isSafe(lab, number, port: 4001)
        }
      }
    }
  }
}
