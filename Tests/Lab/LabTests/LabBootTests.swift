import Core
import Foundation
import Testing

@testable import Lab

extension LabSuite {
  @Suite struct Boot {
    @Test func hostsHaveTheirOwnNetworkRulesFilesAndNamesAndLeaveNothingBehind() async throws {
      try await withLabLeavingNothing { path in
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: 3, hostProgram: hostProgram))
        let backends = ["h001": "nf_tables", "h002": "legacy", "h003": "nf_tables"]
        for host in fleet.hosts {
          let status = fleet.status(of: host)
          #expect(status.isUp && status.isSSHListening && status.agent == .notEnrolled)
          for address in [host.name, host.ipv4, host.ipv6] {
            let answer = try await fleet.ssh(address, "hostname")
            #expect(answer.out == "\(host.name)\n", "\(address): \(answer.err)")
          }
          for program in ["iptables", "ip6tables-save", "iptables-restore"] {
            let answer = try await fleet.exec(host.name, program, "--version")
            #expect(answer.out.contains("(\(try #require(backends[host.name])))"))
          }
        }
        // So that finding nothing afterwards means something.
        #expect(try await traces(of: path).count { $0.hasPrefix("process") } >= 8)
        try await rulesStayWhereTheyAre(fleet)
        try await filesStayWhereTheyAre(fleet)
        try await commandsRunAsTold(fleet)
      }
    }

    private func rulesStayWhereTheyAre(_ fleet: LabFleet) async throws {
      for (host, program) in [("h001", "iptables"), ("h002", "ip6tables")] {
        let added = try await fleet.exec(host, program, "-A", "INPUT", "-p", "tcp", "--dport", "4242", "-j", "DROP")
        #expect(added.status == 0, "\(added.err)")
        #expect(try await fleet.exec(host, "\(program)-save").out.contains("4242"))
      }
      for program in ["iptables-save", "ip6tables-save"] {
        #expect(!(try await fleet.exec("h003", program).out.contains("4242")))
        #expect(!(try await fleet.exec("controller", program).out.contains("4242")))
        for backend in ["nft", "legacy"] {
          let name = program.replacingOccurrences(of: "tables-", with: "tables-\(backend)-")
          #expect(!(try await LabProgram.run("/usr/sbin/\(name)", []).output.contains("4242")))
        }
      }
    }

    private func filesStayWhereTheyAre(_ fleet: LabFleet) async throws {
      let name = "lab-trace-\(UInt32.random(in: .min ... .max))"
      for folder in ["/etc", "/var/lib", "/usr/local", "/run", "/tmp", "/var/tmp", "/root", "/var/log", "/dev/shm"] {
        let file = "\(folder)/\(name)"
        #expect(try await fleet.exec("h001", "touch", file).status == 0)
        #expect(!LabFiles.exists(file), "\(file) reached the machine")
        #expect(try await fleet.exec("h002", "test", "-e", file).status == 1)
      }
      let usr = try await fleet.exec("h001", "touch", "/usr/\(name)")
      #expect(usr.status == 1 && usr.err.contains("Read-only"))
      // Neither the lab's keys nor the other hosts' disks, nor who the machine itself is.
      #expect(try await fleet.exec("h001", "ls", "-A", fleet.directory.path).out.isEmpty)
      #expect(try await fleet.exec("h001", "ls", "/etc/ssh").out.split(separator: "\n").count == 3)
      #expect(try await fleet.exec("h001", "test", "-e", "/etc/portcullis").status == 1)
      #expect(try await fleet.exec("h001", "ls", "-A", "/root").out == ".ssh\n\(name)\n")
    }

    private func commandsRunAsTold(_ fleet: LabFleet) async throws {
      for status: Int32 in [0, 1, 2, 42, 255] {
        #expect(try await fleet.exec("h002", "sh", "-c", "exit \(status)").status == status)
      }
      let environment = try await fleet.exec("h002", "env")
      let names = environment.out.split(separator: "\n").map { $0.prefix { $0 != "=" } }.sorted()
      #expect(names == ["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "USER"])
      #expect(try await fleet.exec("h002", "pwd").out == "/\n")
      #expect(try await fleet.exec("h002", "hostname").out == "h002\n")
      #expect(try await fleet.exec("h002", "sh", "-c", "echo $PPID; ls /proc | grep -c '^[0-9]'").status == 0)
      // A login and an interactive shell see an environment that none of the machine's files had a hand in.
      let login = try await fleet.ssh("h002", "sh -lc env; bash -ic 'alias; echo PS1=$PS1' 2>/dev/null")
      #expect(!login.out.contains("alias ") && login.out.contains("HOME=/root"))
      #expect(try await fleet.exec("controller", "hostname").out == "controller\n")
      #expect(try await fleet.exec("controller", "ssh", "h003", "hostname").out == "h003\n")
      #expect(throws: Failure.self) { try fleet.execArguments("h004", ["true"]) }
      #expect(throws: Failure.self) { try fleet.execArguments("h001", []) }
      // Orphans are reaped.
      _ = try await fleet.exec("h001", "sh", "-c", "(sleep 0.05 &) ; exit 0")
      try await Task.sleep(for: .milliseconds(200))
      #expect(try await fleet.exec("h001", "sh", "-c", "cat /proc/[0-9]*/stat | grep -c ') Z '").out == "0\n")
    }

    @Test func theControllersNetworkIsEnteredWithoutItsFiles() async throws {
      try await withLabDirectory { path in
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: 1, hostProgram: hostProgram))
        var command = try fleet.reexecArguments(["status", "-o", "json"])
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        #expect(Array(command.arguments.suffix(4)) == [own, "status", "-o", "json"])
        #expect(command.environment[LabFleet.namespaceVariable] == fleet.directory.path)
        #expect(!fleet.isEntered)
        command = LabCommand(
          path: command.path,
          arguments: command.arguments.dropLast(4) + [
            "/bin/sh", "-c", "/usr/sbin/ip -o addr; ls -d \(path)/keys/admin",
          ],
          environment: command.environment)
        let seen = try await run(command)
        #expect(seen.out.contains("10.77.0.1/16") && seen.out.contains("fd77::1/64") && seen.out.contains("keys/admin"))
        try await LabProcess.kill([try #require(fleet.process(of: "controller"))])
        let error = #expect(throws: Failure.self) { try fleet.reexecArguments([]) }
        #expect(error?.hint?.contains("lab down") == true)
      }
    }

    @Test func aRebootLosesRulesAndProcessesAndKeepsFiles() async throws {
      try await withLabDirectory { path in
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: 2, hostProgram: hostProgram))
        for host in fleet.hosts {
          _ = try await fleet.exec(host.name, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "4242", "-j", "DROP")
          _ = try await fleet.exec(host.name, "sh", "-c", "echo kept > /etc/kept; echo lost > /run/lost; sync")
          _ = try await fleet.exec(host.name, "sh", "-c", "sleep 1000 & exit 0")
          let before = try #require(fleet.process(of: host.name))
          let reboot = try await fleet.reboot(host.name)
          #expect(reboot.status.isSSHListening)
          #expect(reboot.seconds < 5)
          #expect(reboot.status.process != before)
          #expect(!before.isAlive)
          #expect(try await fleet.ssh(host.name, "cat /etc/kept").out == "kept\n")
          #expect(try await fleet.ssh(host.ipv6, "cat /etc/kept").out == "kept\n")
          #expect(try await fleet.exec(host.name, "test", "-e", "/run/lost").status == 1)
          #expect(!(try await fleet.exec(host.name, "iptables-save").out.contains("4242")))
          #expect(!(try await fleet.exec(host.name, "cat", "/proc/1/task/1/children").out.contains("1000")))
          print("reboot of \(host.name): \(reboot.seconds) s")
        }
        // Again and at once: nothing of the old host may be in the way of the new one.
        for _ in 0..<5 { _ = try await fleet.reboot("h001") }
        #expect(try await fleet.ssh("h001", "hostname").out == "h001\n")
      }
    }

    @Test func hostsSleepWithoutUsingTheProcessor() async throws {
      try await withLabDirectory { path in
        let fleet = try await LabFleet.up(LabOptions(directory: path, hosts: 1, hostProgram: hostProgram))
        let pid = try #require(fleet.process(of: "h001")).pid
        func switches() -> [[Substring]] {
          LabFiles.lines("/proc/\(pid)/status").filter { $0.first?.hasSuffix("ctxt_switches:") == true }
        }
        // Orphans of the boot may still be reaped; one that wakes by itself would never have a quiet second.
        var quiet = false
        for _ in 0..<10 where !quiet {
          let before = switches()
          try await Task.sleep(for: .seconds(1))
          #expect(before.count == 2)
          quiet = switches() == before
        }
        #expect(quiet)
      }
    }
  }
}
