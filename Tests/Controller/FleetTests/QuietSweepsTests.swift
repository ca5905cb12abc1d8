import Foundation
import Testing

extension FleetSuite {
  /// Nobody touches what is ours, everything else goes on, and the whole fleet is asked again and again: not one answer may
  /// say drift.
  @Suite(.serialized, .timeLimit(.minutes(60))) struct QuietSweeps {
    /// Both backends in both modes, two of each: `lab up` makes the first half web servers, and even ones legacy.
    private static let owned = names(1...4)
    private static let exclusive = names(5...8)

    @Test func nothingIsDriftThatIsNot() async throws {
      let sweeps = Safety.count("PORTCULLIS_QUIET_SWEEPS", 20)
      let pause = max(5, sweeps / 20)
      try await Self.withLab { lab in
        var looks = 0
        var alarms: [String] = []
        for sweep in 1...sweeps {
          // In turn: a host loses its power, another one's programs are changed.
          let turn = sweep / pause
          let all = Self.owned + Self.exclusive
          if sweep % pause == 2 { try await Self.reboot(all[turn % all.count], of: lab) }
          if sweep % pause == 4 { try await lab.changePrograms(of: all[(turn + 3) % all.count], number: turn + 1) }
          let asked = try await Command.run(
            Machine.portcullis, ["status", "--refresh", "-o", "json"], in: lab.folder, timeout: 120)
          for (host, state) in try JSON(asked).hosts where state["contact"].text == "fresh" {
            looks += 1
            if state["integrity"].text != "intact" {
              let shown = try await lab.portcullis("drift", "show", host)
              alarms.append("sweep \(sweep): \(host): \(asked.out)\n\(shown)")
            }
          }
        }
        try Safety.record("quiet_sweeps", Double(sweeps))
        try Safety.record("quiet_looks", Double(looks))
        try Safety.record("quiet_false_alarms", Double(alarms.count))
        #expect(alarms.isEmpty, "\(alarms.count) of \(looks); the first: \(alarms.first ?? "")")
        // A host may be missed while it boots, and no more.
        #expect(looks > sweeps * 7)
        try await Self.expectWork(lab)
        try await Self.expectThatDriftIsSeen(lab)
      }
    }

    private static func withLab(_ body: (TestLab) async throws -> Void) async throws {
      let policies = "\(try Machine.scratch())/policies-quiet"
      // Docker puts itself above us after a boot: what it forwards is to be its own affair.
      try SafetyPolicy(port: 4001, fillers: 20, lines: "forward: foreign\n", group: "web").write(to: "\(policies)/web")
      try SafetyPolicy(port: 4001, fillers: 20, lines: "mode: exclusive\n", group: "db").write(to: "\(policies)/db")
      let lab = try await TestLab.up("quiet", ["--hosts", "8", "--backend", "mixed", "--policies", policies])
      do {
        for host in owned + exclusive { try await lab.wrapPrograms(of: host) }
        for host in owned { try await install(on: host, of: lab) }
        try await lab.succeed("apply", "--yes")
        for host in owned + exclusive { try await start(on: host, of: lab) }
        try await body(lab)
        try await lab.succeed("lab", "down", "--dir", lab.folder)
      } catch {
        _ = try? await lab.portcullis("lab", "down", "--dir", lab.folder)
        throw error
      }
    }

    private static func reboot(_ host: String, of lab: TestLab) async throws {
      try await lab.succeed("lab", "reboot", host, "--dir", lab.folder)
      // As after a boot on which we came first.
      if owned.contains(host) { try await install(on: host, of: lab) }
      try await start(on: host, of: lab)
    }

    private static func install(on host: String, of lab: TestLab) async throws {
      for software in [ForeignSoftware.docker, .fail2ban] { try await software.install(on: host, of: lab) }
      try await lab.shell(
        host,
        """
        ipset create -exist blocklist hash:ip
        iptables -w 30 -I INPUT -m set --match-set blocklist src -j DROP
        [ $(readlink /etc/alternatives/iptables | grep -c legacy) = 1 ] || nft -f - <<'END'
        table inet f2b-table {
          set addr-set-sshd { type ipv4_addr; }
          chain f2b-chain {
            type filter hook input priority -1; policy accept;
            tcp dport 22 ip saddr @addr-set-sshd counter reject
          }
        }
        END
        """)
    }

    /// Traffic everywhere; on hosts that are not ours alone containers that come and go, and bans.
    private static func start(on host: String, of lab: TestLab) async throws {
      let work = owned.contains(host) ? busyNeighbours : ""
      try await lab.shell(
        host,
        """
        mkdir -p /run/quiet
        cat > /run/quiet/script <<'END_OF_SCRIPT'
        ping -q -i 0.2 10.77.0.1 &
        \(work)
        wait
        END_OF_SCRIPT
        setsid timeout 3600 /bin/sh /run/quiet/script </dev/null >/run/quiet/log 2>&1 &
        """)
    }

    private static let busyNeighbours = """
      i=0
      while :; do
        i=$((i + 1)); n=$((i % 200 + 1)); old=$(((i + 190) % 200 + 1))
        for p in iptables ip6tables; do
          $p -w 30 -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport $((9000 + n)) -j REDIRECT --to-ports 80
          $p -w 30 -t nat -D DOCKER ! -i docker0 -p tcp -m tcp --dport $((9000 + old)) -j REDIRECT --to-ports 80
          $p -w 30 -I f2b-sshd 1 -p tcp -m tcp --sport $((9000 + n)) -j REJECT
          $p -w 30 -D f2b-sshd -p tcp -m tcp --sport $((9000 + old)) -j REJECT
        done
        ipset add -exist blocklist 203.0.113.$n; ipset del -exist blocklist 203.0.113.$old
        nft list table inet f2b-table >/dev/null 2>&1 && nft add element inet f2b-table addr-set-sshd "{ 203.0.113.$n }"
        echo $i > /run/quiet/rounds
        sleep 0.5
      done
      """

    /// That the quiet was not that of hosts on which nothing happened.
    private static func expectWork(_ lab: TestLab) async throws {
      for host in owned {
        let rounds = try await lab.shell(host, "cat /run/quiet/rounds")
        #expect(Int(rounds.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0 > 2, "\(host)")
      }
      for host in owned + exclusive {
        let counted = try await lab.shell(host, "iptables -nvxL | awk '$1 > 0' | wc -l")
        #expect(Int(counted.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0 > 1, "\(host)")
      }
    }

    private static func expectThatDriftIsSeen(_ lab: TestLab) async throws {
      for host in owned + exclusive {
        try await lab.shell(host, "iptables -w 30 -I INPUT -p tcp -m tcp --dport 8081 -j ACCEPT")
      }
      let drifted = try JSON(try await lab.portcullis("status", "--refresh", "-o", "json")).hosts
      for host in owned + exclusive { #expect(drifted[host]?["integrity"].text == "drifted", "\(host)") }
    }
  }
}

extension TestLab {
  /// Puts one program of ours in the place of all of iptables', so that another version of them can come at a stroke.
  fileprivate func wrapPrograms(of host: String) async throws {
    try await shell(host, "mkdir -p /usr/local/lib/wrapped")
    try await changePrograms(of: host, number: 0)
    try await shell(
      host,
      """
      for name in iptables ip6tables; do for verb in '' -restore -save; do
        ln -sf /usr/local/lib/wrapped/program /etc/alternatives/$name$verb
      done; done
      """)
  }

  /// Another version, which says the same rules in other words.
  fileprivate func changePrograms(of host: String, number: Int) async throws {
    let words = number.isMultiple(of: 2) ? "RELATED,ESTABLISHED" : "ESTABLISHED,RELATED"
    try await shell(
      host,
      """
      cd /usr/local/lib/wrapped
      [ -e backend ] || readlink /etc/alternatives/iptables | grep -o 'nft\\|legacy' > backend
      cat > next <<END
      #!/bin/bash
      set -o pipefail
      name=\\${0##*/}
      real=/usr/sbin/\\${name/tables/tables-$(cat backend)}
      case "$(cat backend) \\$name \\$1" in
        *" --version") "\\$real" --version | sed 's/ v[0-9.]*/ v1.9.\(number)/' ;;
        *"-save "*) "\\$real" "\\$@" | sed 's/ --ctstate RELATED,ESTABLISHED/ --ctstate \(words)/' ;;
        *) exec "\\$real" "\\$@" ;;
      esac
      END
      chmod 755 next
      mv next program
      """)
  }
}
