import AgentTestSupport
import Core
import Glibc
import Testing
import Wire

@testable import Netfilter

@Suite(.enabled(if: isRoot, "needs root, for network namespaces"))
struct SSHListenersTests {
  @Test func `the ports that a running sshd listens on are found, whatever its configuration says`() throws {
    try inNamespace {
      try withTemporaryDirectory { root in
        let listeners = SSHListeners(root: root)
        #expect(listeners.ports(configured: [22]).isEmpty)
        let other = try listen(on: "0.0.0.0", 8022)
        let sshd = try SSHDaemon(root, ["-p", "2222", "-o", "ListenAddress=0.0.0.0", "-o", "ListenAddress=[::]:2022"])
        // Not 2023, which only this host itself reaches.
        let own = try SSHDaemon(root, ["-o", "ListenAddress=127.0.0.1:2023"])
        #expect(listeners.ports(configured: [22]) == [2022, 2222])
        withExtendedLifetime((other, sshd, own)) {}
      }
    }
  }

  @Test func `without a way to tell whose a socket is, a port counts that is listened on and configured`() throws {
    try inNamespace {
      try withTemporaryDirectory { root in
        let listeners = SSHListeners(root: root, processes: "\(root)/none")
        let sockets = [try listen(on: "0.0.0.0", 22), try listen(on: "0.0.0.0", 80), try listen(on: "127.0.0.1", 24)]
        #expect(listeners.ports(configured: [22, 23, 24]) == [22])
        withExtendedLifetime(sockets) {}
      }
    }
  }

  @Test(
    .enabled(if: ownGroup != nil, "needs the one hierarchy of control groups"),
    arguments: [(true, 0), (false, 0), (true, 33)])
  func `where a process of root's does not let us look, its service's control group tells`(
    isService: Bool, user: Int
  ) throws {
    try inNamespace {
      try withTemporaryDirectory { root in
        // Of the same name as a service's, with the identity of the one that our sockets are made in.
        let path = isService ? "/system.slice/own.service" : "/user.slice/session-1.scope"
        let parent = path.split(separator: "/")[0]
        try LinuxDisk.makePath("\(root)/sys/fs/cgroup/\(parent)")
        try #require(symlink(ownGroup!, "\(root)/sys/fs/cgroup\(path)") == 0)
        try LinuxDisk.makePath("\(root)/proc/7")
        let process = try LinuxDisk("\(root)/proc/7")
        try process.create("comm", Array("sshd\n".utf8))
        // The effective user alone would not do: a program that root may start for others has it too.
        try process.create("status", Array("Name:\tsshd\nUid:\t\(user)\t0\t0\t0\n".utf8))
        try process.create("stat", Array("7 (sshd) S 1 7 7 0 -1".utf8))
        try process.create("cgroup", Array("1:name=systemd:/x\n0::\(path)\n".utf8))
        let socket = try listen(on: "::", 2200)
        let listeners = SSHListeners(root: root, processes: "\(root)/proc")
        #expect(listeners.ports(configured: [22]) == (isService && user == 0 ? [2200] : []))
        withExtendedLifetime(socket) {}
      }
    }
  }

  @Test(.enabled(if: ownGroup != nil, "needs the one hierarchy of control groups"))
  func `a socket that systemd holds for sshd is sshd's`() throws {
    try inNamespace {
      try withTemporaryDirectory { root in
        try LinuxDisk.makePath("\(root)/sys/fs/cgroup/unified/system.slice")
        try #require(symlink(ownGroup!, "\(root)/sys/fs/cgroup/unified/system.slice/ssh.socket") == 0)
        let socket = try listen(on: "0.0.0.0", 2200)
        #expect(SSHListeners(root: root, processes: "\(root)/none").ports(configured: []) == [2200])
        withExtendedLifetime(socket) {}
      }
    }
  }

  @Test func `a process of somebody else's is not sshd, whatever it is called and has open`() throws {
    try inNamespace {
      try withTemporaryDirectory { root in
        _ = try SignedBundles.run("/bin/ip", ["link", "set", "lo", "up"])
        // It is made by root and inherited, as a web server's workers have it.
        let script = """
          use POSIX; use IO::Socket::IP;
          my $l = IO::Socket::IP->new(LocalHost => "0.0.0.0", LocalPort => 443, Listen => 5) or die;
          my $p = fork; if ($p) { open my $f, ">", "$ARGV[0]/worker"; print $f "$p\n"; close $f; exit }
          close $_ for (*STDIN, *STDOUT, *STDERR); POSIX::setuid(33); $0 = "sshd"; sleep 60;
          """
        _ = try SignedBundles.run("/usr/bin/perl", ["-e", script, root])
        let worker = try #require(SmallFile.line("\(root)/worker").flatMap { pid_t($0) })
        defer { kill(worker, SIGKILL) }
        let deadline = monotonicMilliseconds() + 5000
        while SmallFile.line("/proc/\(worker)/comm") != "sshd", monotonicMilliseconds() < deadline { usleep(10_000) }
        #expect(SmallFile.line("/proc/\(worker)/comm") == "sshd")
        #expect(SSHListeners(root: root).ports(configured: [22]).isEmpty)
      }
    }
  }

  @Test func `thousands of sockets that others open hide nothing, and none of theirs counts`() throws {
    try inNamespace {
      try withTemporaryDirectory { root in
        _ = try SignedBundles.run("/bin/ip", ["link", "set", "lo", "up"])
        let theirs: [UInt16] = [2222, 2223, 2224, 2225]
        let script = """
          use POSIX; use IO::Socket::IP; pipe(my $r, my $w) or die;
          my $p = fork; if ($p) {
            close $w; <$r> eq "open\n" or die; open my $f, ">", "$ARGV[0]/holder"; print $f "$p\n"; close $f; exit }
          close $r; POSIX::setuid(33) or die $!; my @l;
          for my $n (\(theirs.map(String.init).joined(separator: ",")), (0) x \(ListedSocket.maximum + 100)) {
            push @l, IO::Socket::IP->new(LocalHost => "0.0.0.0", LocalPort => $n, Listen => 5) // die $! }
          close $_ for (*STDIN, *STDOUT, *STDERR); syswrite $w, "open\n"; close $w; sleep 60;
          """
        _ = try SignedBundles.run("/bin/sh", ["-c", "ulimit -n 8192 && exec perl -e \"$0\" \(root)", script])
        let holder = try #require(SmallFile.line("\(root)/holder").flatMap { pid_t($0) })
        defer { kill(holder, SIGKILL) }
        let socket = try listen(on: "0.0.0.0", 22)
        let listeners = SSHListeners(root: root, processes: "\(root)/none")
        #expect(listeners.ports(configured: Set([22] + theirs)) == [22])
        withExtendedLifetime(socket) {}
      }
    }
  }

  @Test func `a session that outlives its daemon is none, whatever it forwards`() throws {
    try inNamespace {
      try withTemporaryDirectory { root in
        let client = "\(root)/client"
        _ = try SignedBundles.run("/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", client])
        // Root's, whose session is one process and stays root's.
        let daemon = try SSHDaemon(
          root,
          [
            "-4", "-p", "2222", "-o", "AuthorizedKeysFile=\(client).pub", "-o", "PermitRootLogin=yes",
            "-o", "StrictModes=no", "-o", "GatewayPorts=yes",
          ])
        _ = try SignedBundles.run(
          "/usr/bin/ssh",
          [
            "-F", "/dev/null", "-f", "-N", "-S", "\(root)/control", "-M", "-i", client, "-p", "2222",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "-o", "ExitOnForwardFailure=yes", "-R", "0.0.0.0:2300:127.0.0.1:9", "root@127.0.0.1",
          ])
        defer {
          _ = try? SignedBundles.run("/usr/bin/ssh", ["-F", "/dev/null", "-S", "\(root)/control", "-O", "exit", "x"])
        }
        #expect(SSHListeners(root: root).ports(configured: [22]) == [2222])
        daemon.stop()
        let deadline = monotonicMilliseconds() + 5000
        func listening() throws -> Set<UInt16> { Set(try ListedSocket.listeningForOthers().map(\.port)) }
        while try listening().contains(2222), monotonicMilliseconds() < deadline { usleep(10_000) }
        // It is there, and root's; but nobody comes in by it.
        #expect(try listening() == [2300])
        #expect(SSHListeners(root: root).ports(configured: [22]).isEmpty)
      }
    }
  }

  @Test func `of too many ports those are told that sshd's configuration names`() throws {
    try inNamespace {
      try withTemporaryDirectory { root in
        let others = (1...WireLimit.sshPorts).flatMap { ["-p", "\(100 + $0)"] }
        let sshd = try SSHDaemon(root, ["-4"] + others + ["-p", "2222"])
        let listeners = SSHListeners(root: root)
        #expect(listeners.ports(configured: [2222]) == [2222])
        #expect(listeners.ports(configured: [22]).isEmpty)
        withExtendedLifetime(sshd) {}
      }
    }
  }

  @Test func `what waits for others is told, whoever's it is, in both families where it takes both`() throws {
    try inNamespace {
      _ = try SignedBundles.run("/bin/ip", ["link", "set", "lo", "up"])
      _ = try SignedBundles.run("/bin/ip", ["address", "add", "192.0.2.1/32", "dev", "lo"])
      let hidden = [try listen(on: "127.0.0.1", 25), try listen(on: "::1", 25), try bound("0.0.0.0", 80, SOCK_STREAM)]
      let connected = try bound("192.0.2.1", 5000)
      try #require(IPAddress("192.0.2.1")?.withSocketAddress(port: 53) { connect(connected.raw, $0, $1) } == 0)
      let shown = [
        try listen(on: "::", 22), try listen(on: "::", 443, both: true), try bound("192.0.2.1", 53),
        try listen(on: "::ffff:192.0.2.1", 8080, both: true),
      ]
      let found = try ListedSocket.waiting()
      let zero = [UInt8](repeating: 0, count: 16)
      let expected: [(ListeningReport.Socket.Transport, UInt16, [UInt8])] = [
        (.tcp, 22, zero), (.tcp, 443, [0, 0, 0, 0]), (.tcp, 443, zero), (.tcp, 8080, [192, 0, 2, 1]),
        (.udp, 53, [192, 0, 2, 1]),
      ]
      #expect(found.sockets == expected.compactMap { ListeningReport.Socket($0.0, $0.2, port: $0.1) })
      #expect(found.omitted == 0)
      withExtendedLifetime((hidden, connected, shown)) {}
    }
  }

  @Test func `a client's socket or its fresh lease is a lease, in its own family`() throws {
    try inNamespace {
      try withTemporaryDirectory { root in
        func found() -> PerFamily<Bool> { Leases.found(root: root) }
        #expect(found() == PerFamily(ipv4: false, ipv6: false))
        let near = [try bound("0.0.0.0", 67), try bound("0.0.0.0", 69), try bound("::", 547)]
        #expect(found() == PerFamily(ipv4: false, ipv6: false))
        var client: Descriptor? = try bound("0.0.0.0", 68)
        #expect(found() == PerFamily(ipv4: true, ipv6: false))
        client = try bound("::", 546)
        #expect(found() == PerFamily(ipv4: false, ipv6: true))
        client = nil
        withExtendedLifetime((near, client)) {}
        // The names of networkd's are the numbers of interfaces.
        let paths: [(String, Family)] = [
          ("var/lib/dhcp/dhclient.eth0.leases", .ipv4), ("var/lib/dhclient/dhclient6.leases", .ipv6),
          ("var/lib/NetworkManager/internal-1-eth0.lease", .ipv4), ("var/lib/NetworkManager/dhclient-6.lease", .ipv4),
          ("var/lib/NetworkManager/internal6-1-eth0.lease", .ipv6), ("run/systemd/netif/leases/2", .ipv4),
          ("run/systemd/netif/leases/16", .ipv4), ("var/lib/dhcpcd/eth0.lease", .ipv4),
          ("var/lib/dhcpcd/eth0.lease6", .ipv6),
        ]
        for (path, family) in paths {
          let folder = "\(root)/" + path.split(separator: "/").dropLast().joined(separator: "/")
          let name = String(path.split(separator: "/").last!)
          try LinuxDisk.makePath(folder)
          try LinuxDisk(folder).create(name, [])
          #expect(found() == PerFamily(ipv4: false, ipv6: false), "an empty \(path)")
          try LinuxDisk(folder).append(name, [1])
          #expect(found() == PerFamily<Bool>({ $0 == family }), "\(path)")
          // Of before the machine started.
          let boot = try #require(Leases.bootTime())
          #expect(boot < time(nil))
          var times = [timeval(tv_sec: boot - 1, tv_usec: 0), timeval(tv_sec: boot - 1, tv_usec: 0)]
          try #require(utimes("\(root)/\(path)", &times) == 0)
          #expect(found() == PerFamily(ipv4: false, ipv6: false), "an old \(path)")
        }
        try LinuxDisk("\(root)/var/lib/dhcp").create("dhcpd.conf", [1])
        #expect(found() == PerFamily(ipv4: false, ipv6: false))
      }
    }
  }
}

/// The directory of the control group that this process is in, where sockets say theirs.
private let ownGroup: String? = {
  let lines = (SmallFile.read("/proc/self/cgroup") ?? []).split(separator: UInt8(ascii: "\n"))
  guard let line = lines.first(where: { $0.starts(with: "0::".utf8) }) else { return nil }
  let path = String(decoding: line.dropFirst(3), as: UTF8.self)
  return ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map { $0 + path }.first {
    access("\($0)/cgroup.procs", F_OK) == 0
  }
}()

private func bound(_ host: String, _ port: UInt16, _ kind: __socket_type = SOCK_DGRAM, both: Bool = false) throws
  -> Descriptor
{
  let address = try #require(IPAddress(host))
  let made = Descriptor(takingOwnershipOf: socket(address.number, Int32(kind.rawValue), 0))
  var only: Int32 = both ? 0 : 1
  if address.family == .ipv6 { setsockopt(made.raw, 41, 26, &only, socklen_t(MemoryLayout<Int32>.size)) }
  try #require(address.withSocketAddress(port: port) { bind(made.raw, $0, $1) } == 0)
  return made
}

private func listen(on host: String, _ port: UInt16, both: Bool = false) throws -> Descriptor {
  let socket = try bound(host, port, SOCK_STREAM, both: both)
  try #require(listen(socket.raw, 5) == 0)
  return socket
}

/// A real sshd in the namespace of the thread.
private final class SSHDaemon {
  private let process: pid_t

  init(_ root: String, _ arguments: [String]) throws {
    let key = "\(root)/key"
    if access(key, F_OK) != 0 {
      _ = try SignedBundles.run("/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key])
      _ = try SignedBundles.run("/usr/bin/mount", ["-t", "tmpfs", "tmpfs", "/run"])
      try #require(mkdir("/run/sshd", 0o755) == 0)
      _ = try SignedBundles.run("/bin/ip", ["link", "set", "lo", "up"])
    }
    _ = try SignedBundles.run(
      "/usr/sbin/sshd", ["-f", "/dev/null", "-h", key, "-o", "PidFile=\(root)/sshd.pid"] + arguments)
    let deadline = monotonicMilliseconds() + 5000
    while SmallFile.line("\(root)/sshd.pid") == nil, monotonicMilliseconds() < deadline { usleep(10_000) }
    process = try #require(SmallFile.line("\(root)/sshd.pid").flatMap { pid_t($0) })
    unlink("\(root)/sshd.pid")
  }

  /// Its sessions go on.
  func stop() { kill(process, SIGTERM) }

  deinit { stop() }
}
