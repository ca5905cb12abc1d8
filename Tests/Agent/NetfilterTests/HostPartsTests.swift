import AgentTestSupport
import Apply
import Core
import Glibc
import Testing
import Wire

@testable import Netfilter

@Suite struct HostPartsTests {
  @Test func `a machine starts with its clock, and a container with its first process`() throws {
    try withTemporaryDirectory { root in
      let facts = LinuxFacts(root: root)
      #expect(facts.started == BootTime(nanoseconds: 0))
      try LinuxDisk.makePath("\(root)/run/systemd")
      try LinuxDisk("\(root)/run/systemd").create("container", Array("lxc\n".utf8))
      let first = try #require(ProcessStart.time(of: 1))
      #expect(facts.started == first)
    }
    let own = try #require(ProcessStart.time(of: getpid()))
    #expect(own < LinuxBootClock().now() && LinuxBootClock().now() - own < .seconds(3600))
  }

  @Test func `files are for their owner only, and links below the directory are never followed`() throws {
    try withTemporaryDirectory { root in
      let disk = try LinuxDisk(root)
      try disk.makeDirectory("bundles")
      try disk.create("bundles/file", [1, 2, 3])
      try disk.append("bundles/file", [4])
      try disk.truncate("bundles/file", to: 2)
      #expect(try disk.read("bundles/file", atMost: 2) == [1, 2])
      #expect(throws: SystemCallError.self) { try disk.read("bundles/file", atMost: 1) }
      #expect(try disk.read("bundles/nothing", atMost: 1) == nil)
      #expect(try disk.read("nowhere/nothing", atMost: 1) == nil)
      #expect(throws: SystemCallError.self) { try disk.create("bundles/file", []) }
      var status = stat()
      #expect(stat("\(root)/bundles", &status) == 0 && status.st_mode & 0o777 == 0o700)
      #expect(stat("\(root)/bundles/file", &status) == 0 && status.st_mode & 0o777 == 0o600)
      try disk.link("link", to: "bundles")
      try disk.link("bundles/link", to: "/etc/passwd")
      #expect(try disk.linkTarget("link") == "bundles")
      #expect(try disk.linkTarget("bundles/file") == nil)
      #expect(throws: SystemCallError.self) { try disk.read("link/file", atMost: 10) }
      #expect(throws: SystemCallError.self) { try disk.read("bundles/link", atMost: 1 << 20) }
      #expect(throws: SystemCallError.self) { try disk.append("bundles/link", [0]) }
      #expect(throws: SystemCallError.self) { try disk.create("link/other", []) }
      #expect(try disk.list("bundles") == ["file", "link"])
      #expect(try disk.list("nowhere").isEmpty)
      try disk.rename("bundles/file", to: "file")
      try disk.sync("file")
      try disk.sync("bundles")
      try disk.sync(".")
      try disk.remove("file")
      try disk.remove("file")
      try disk.removeDirectory("nowhere")
    }
  }

  @Test func `a fifo or a device in a file's place is refused at once`() throws {
    try withTemporaryDirectory { root in
      #expect(mkfifo("\(root)/fifo", 0o600) == 0)
      #expect(throws: SystemCallError.self) { try LinuxDisk(root).read("fifo", atMost: 10) }
    }
  }

  @Test func `a second agent is refused while the first one lives`() throws {
    try withTemporaryDirectory { root in
      var first: AgentLock? = try AgentLock("\(root)/lock")
      #expect(first != nil)
      let failure = #expect(throws: Failure.self) { try AgentLock("\(root)/lock") }
      let cause = failure?.cause as? AgentLock.Taken
      #expect(cause?.process == getpid())
      first = nil
      _ = try AgentLock("\(root)/lock")
    }
  }

  @Test func `a program that a dead agent left behind is ended before a new agent starts`() throws {
    try withTemporaryDirectory { root in
      // A shell that starts a holder of the lock, says which, and dies like a killed agent.
      let path = "\(root)/lock"
      let script = "exec 9>>\(path); flock -n 9 || exit 1; exec 3>&-; sleep 61.5 >/dev/null 2>&1 & echo $!"
      let output = try SignedBundles.run("/bin/sh", ["-c", script])
      let child = try #require(pid_t(String(decoding: output, as: UTF8.self).dropLast()))
      let statistics = try #require(SmallFile.read("/proc/\(child)/stat"))
      let fields = statistics[(statistics.lastIndex(of: UInt8(ascii: ")"))! + 1)...].split(separator: 32)
      let start = String(decoding: fields[19], as: UTF8.self)
      let disk = try LinuxDisk(root)
      try disk.append("lock", Array("agent 4194304 1\nchild \(child) \(start)\n".utf8))
      let begin = monotonicMilliseconds()
      _ = try AgentLock(path)
      #expect(monotonicMilliseconds() - begin < 5000)
    }
  }

  @Test func `what a living guard has started is waited for, and never ended`() throws {
    try withTemporaryDirectory { root in
      let path = "\(root)/lock"
      let script = "exec 9>>\(path); flock -n 9 || exit 1; exec 3>&-; sleep 1.5 >/dev/null 2>&1 & echo $!"
      let output = try SignedBundles.run("/bin/sh", ["-c", script])
      let child = try #require(pid_t(String(decoding: output, as: UTF8.self).dropLast()))
      func start(_ process: String) throws -> String {
        let statistics = try #require(SmallFile.read("/proc/\(process)/stat"))
        let fields = statistics[(statistics.lastIndex(of: UInt8(ascii: ")"))! + 1)...].split(separator: 32)
        return String(decoding: fields[19], as: UTF8.self)
      }
      let lines = "guard \(getpid()) \(try start("self"))\nchild \(child) \(try start("\(child)"))\n"
      try LinuxDisk(root).append("lock", Array(lines.utf8))
      let begin = monotonicMilliseconds()
      _ = try AgentLock(path)
      #expect(monotonicMilliseconds() - begin > 700, "what takes the host back was ended by who waits for it")
    }
  }

  @Test func `a number that another process has by now is not killed`() throws {
    try withTemporaryDirectory { root in
      let path = "\(root)/lock"
      let sleeper = "exec 9>>\(path); flock -n 9 || exit 1; exec 3>&-; sleep 1.5 >/dev/null 2>&1 & echo $!"
      let output = try SignedBundles.run("/bin/sh", ["-c", sleeper])
      let child = try #require(pid_t(String(decoding: output, as: UTF8.self).dropLast()))
      try LinuxDisk(root).append("lock", Array("agent 4194304 1\nchild \(child) 1\n".utf8))
      let begin = monotonicMilliseconds()
      _ = try AgentLock(path)
      // It was left to end by itself.
      #expect(monotonicMilliseconds() - begin > 700)
    }
  }

  @Test func `services that fight us are found where they are enabled`() throws {
    try withTemporaryDirectory { root in
      let facts = LinuxFacts(root: root)
      #expect(facts.conflicts.isEmpty)
      #expect(facts.sshPorts == [22])
      for path in ["etc/systemd/system/multi-user.target.wants", "etc/ufw", "etc/ssh/sshd_config.d"] {
        try LinuxDisk.makePath("\(root)/\(path)")
      }
      for name in ["nftables", "netfilter-persistent", "cron"] {
        try LinuxDisk("\(root)/etc/systemd/system/multi-user.target.wants").link(
          "\(name).service", to: "/lib/systemd/system/\(name).service")
      }
      try LinuxDisk("\(root)/etc/ufw").create("ufw.conf", Array("# ufw\nENABLED=yes\n".utf8))
      #expect(facts.conflicts == ["netfilter-persistent", "nftables", "ufw"])
      try LinuxDisk("\(root)/etc/ssh").create("sshd_config", Array("#Port 1\nPort 2222\nAddressFamily any\n".utf8))
      try LinuxDisk("\(root)/etc/ssh/sshd_config.d").create("x.conf", Array("  port\t22\n".utf8))
      #expect(facts.sshPorts == [22, 2222])
      try LinuxDisk("\(root)/etc/ssh/sshd_config.d").create("y.conf", Array("ListenAddress 192.0.2.1:2022\n".utf8))
      #expect(facts.sshPorts == [2022])
      #expect(!facts.bootID.isEmpty && !facts.kernel.isEmpty && !facts.architecture.isEmpty)
    }
  }

  @Test(
    arguments: [
      ("", [22]), ("Port 2200\nport = 22\n", [22, 2200]), ("ListenAddress 0.0.0.0\n", [22]),
      ("ListenAddress 192.0.2.1:2022\n", [2022]), ("Port 24\nListenAddress [2001:db8::1]:2022\n", [2022]),
      ("Port 24\nListenAddress 192.0.2.1:2022\nListenAddress 2001:db8::1\n", [24, 2022]),
      ("ListenAddress [2001:db8::1]\n", [22]), ("ListenAddress gate:25 rdomain red\n", [25]),
      ("ListenAddress \"192.0.2.1:2022\"\r\n", [2022]), ("#Port 1\nPort 0\nPort x\nPort 70000\n", [22]),
    ] as [(String, [UInt16])]) func `sshd's ports are read as sshd reads them`(file: String, ports: [UInt16])
  {
    #expect(SSHPorts([Array(file.utf8)]).ports == ports)
  }

  @Test func `what goes to a rehearsal child and back arrives as it was sent`() throws {
    let version = try #require(ProgramVersion(printed: Array("iptables v1.8.9 (legacy)".utf8)))
    let programs = PerFamily { FamilyPrograms(family: $0, restore: "/r\($0)", save: "/s\($0)", version: version) }
    let source = try #require(IPAddress("2001:db8::7"))
    let path = KnockPlan.Path(
      asked: "2001:db8::/64", source: source, destination: source, interface: "eth0", ports: [22, 2222])
    var request = RehearsalRequest(
      programs: programs, live: PerFamily(ipv4: [9], ipv6: []),
      texts: PerFamily(ipv4: RestoreText([1, 2], keepsOthers: true), ipv6: RestoreText([])), lockFile: "/run/x")
    request.sets = [7]
    request.setProgram = "/s/ipset"
    request.knock = KnockPlan(
      paths: [path], outsiders: [[], [path, path]],
      addresses: [HostStack.Address(interface: "eth0", address: source, length: 64)],
      undecided: ["why"])
    request.layers = [PerFamily(ipv4: [5], ipv6: [6]), PerFamily(ipv4: [], ipv6: [8])]
    let encoded = request.encode()
    let back = try RehearsalRequest(decoding: encoded)
    #expect(back.programs == programs && back.texts == request.texts && back.lockFile == "/run/x")
    #expect(back.live == request.live && back.sets == [7] && back.setProgram == "/s/ipset")
    #expect(back.knock == request.knock && back.layers == request.layers)
    for count in 0..<encoded.count {
      #expect(throws: ByteReader.Problem.self) { try RehearsalRequest(decoding: Array(encoded.prefix(count))) }
    }
    let shut = ShutPath(family: .ipv6, source: "::1", port: 22, culprit: "-A INPUT -j DROP")
    let answers: [RehearsalAnswer] = [
      .rehearsed(Rehearsed(saved: PerFamily(ipv4: [3], ipv6: []))),
      .rehearsed(
        Rehearsed(saved: PerFamily(ipv4: [], ipv6: [4]), withoutLive: "w", knock: .shut([shut]))),
      .rehearsed(Rehearsed(saved: PerFamily(ipv4: [], ipv6: []), knock: .undecided("u"))),
      .rehearsed(
        Rehearsed(
          saved: PerFamily(ipv4: [], ipv6: []), knock: .passed,
          layers: [
            .refused("w"), .loaded(LoadedLayer(printed: PerFamily(ipv4: [1], ipv6: []))),
            .loaded(LoadedLayer(printed: PerFamily(ipv4: [], ipv6: [2]), knock: .shut([shut]), answered: [80, 9])),
          ])),
      .failed(FirewallProblem(.refused, program: "p", family: .ipv6, line: 7, words: "w")),
      .failed(FirewallProblem(.timedOut, program: "p", family: nil, words: "")),
      .failed(FirewallProblem(.noNamespace, program: "p", family: nil, words: "w")),
    ]
    for answer in answers {
      let bytes = answer.encode()
      #expect(try RehearsalAnswer(decoding: bytes) == answer)
      for count in 0..<bytes.count {
        #expect(throws: ByteReader.Problem.self) { try RehearsalAnswer(decoding: Array(bytes.prefix(count))) }
      }
    }
  }

  @Test(.enabled(if: isRoot, "needs root, for network namespaces"))
  func `programs are asked for their version again only when their files change`() throws {
    try onRealHost(.nft) { host in
      let firewall = host.firewall()
      #expect(try firewall.programs().backend == .nft)
      let links = try LinuxDisk(host.programs)
      for name in ["iptables", "iptables-restore", "iptables-save"] {
        try links.remove(name)
        try links.link(name, to: "/usr/sbin/xtables-legacy-multi")
      }
      #expect(try firewall.programs().backend == .legacy)
      try links.remove("iptables-restore")
      let problem = #expect(throws: FirewallProblem.self) { try firewall.programs() }
      #expect(problem?.words.contains("not found") == true)
    }
  }
}
