internal import CLinux
internal import Glibc

/// Boots hosts together: starts every init, wires all of them with one `ip` program, lets them go on, and waits until
/// they are ready. Prints one line for each on standard output: `ready NAME…` or `failed NAME REASON`.
///
/// If it dies in between, the hosts it was booting die too, because their line to it breaks.
struct Launcher {
  private let directory: String
  /// The controller's init, or 0: then it is booted as well.
  private let controller: pid_t
  private let names: [String]

  /// How many hosts start their services at once.
  private static let wave = 32

  private struct Host {
    let spec: Spec
    let pid: pid_t
    let line: Int32
    var received: [UInt8] = []
    var isBooted = false
    var isReady = false
    var failure: String?
  }

  init(directory: String, controller: pid_t, names: [String]) {
    self.directory = directory
    self.controller = controller
    self.names = names
  }

  /// The exit code: 0 when all are ready, 1 when some failed.
  func run() throws -> Int32 {
    raiseDescriptorLimit()
    let own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC)
    guard own >= 0 else { throw HostError(call: "open", "/proc/self/ns/pid") }
    var hosts: [Host] = []
    for name in (controller == 0 ? ["controller"] : []) + names { hosts.append(try start(name)) }
    // Back to where `ip` and process ids mean the same.
    guard clinux_setns(own, Namespaces.processes) == 0 else { throw HostError(call: "setns", "our own processes") }

    let deadline = now() + 60_000 + 300 * hosts.count
    try wait(for: &hosts, in: hosts.indices, until: deadline) { $0.isBooted || $0.failure != nil }
    if !hosts.contains(where: { $0.failure != nil }) {
      try wire(hosts, controller: controller == 0 ? hosts[0].pid : controller)
      // A few at a time: hundreds of sshd starting at once only get in each other's way.
      var next = 0
      while next < hosts.count {
        let wave = next..<min(next + Self.wave, hosts.count)
        for index in wave { Files.writeAll(hosts[index].line, "\n") }
        try wait(for: &hosts, in: wave, until: deadline) { $0.isReady || $0.failure != nil }
        next = wave.upperBound
      }
    }
    for host in hosts {
      if let failure = host.failure { Files.writeAll(1, "failed \(host.spec.name) \(failure)\n") }
    }
    return hosts.allSatisfy { $0.failure == nil } ? 0 : 1
  }

  /// One descriptor for each host.
  private func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = min(limit.rlim_max, 8192)
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// Starts an init as the first process of a new process namespace; it makes its other namespaces itself.
  private func start(_ name: String) throws -> Host {
    let folder = name == "controller" ? "\(directory)/controller" : "\(directory)/hosts/\(name)"
    let spec = try Spec(file: "\(folder)/spec")
    var pair: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
      throw HostError(call: "socketpair", name)
    }
    defer { close(pair[1]) }
    // unshare(2) may only go one step down from where we are, so step back first.
    let here = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC)
    defer { close(here) }
    guard clinux_setns(here, Namespaces.processes) == 0, clinux_unshare(Namespaces.processes) == 0 else {
      throw HostError(call: "unshare", "processes of \(name)")
    }
    let pid = try Program.start(
      "/proc/self/exe", ["portcullis-lab-host", "init", "\(folder)/spec"], input: pair[1], ownSession: true)
    guard let started = Files.startTime(of: pid) else { throw HostError("\(name) ended at once") }
    try Files.replace("\(folder)/state", with: "\(pid) \(started)\n")
    return Host(spec: spec, pid: pid, line: pair[0])
  }

  /// Reads what the hosts of a range say until `done` holds for each.
  private func wait(for hosts: inout [Host], in range: Range<Int>, until deadline: Int, done: (Host) -> Bool) throws {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let waiting = range.filter { !done(hosts[$0]) }
      guard !waiting.isEmpty else { return }
      let left = deadline - now()
      guard left > 0 else {
        for index in waiting { hosts[index].failure = "it is not up in time" }
        return
      }
      var looks = waiting.map { pollfd(fd: hosts[$0].line, events: Int16(POLLIN), revents: 0) }
      guard poll(&looks, nfds_t(looks.count), Int32(left)) >= 0 || errno == EINTR else {
        throw HostError(call: "poll", "the hosts")
      }
      for (index, look) in zip(waiting, looks) where look.revents != 0 {
        let count = read(look.fd, &buffer, buffer.count)
        if count > 0 {
          hosts[index].received += buffer[..<count]
          takeLines(&hosts[index])
        } else {
          hosts[index].failure = hosts[index].failure ?? "its first process ended"
        }
      }
    }
  }

  private func takeLines(_ host: inout Host) {
    while let end = host.received.firstIndex(of: UInt8(ascii: "\n")) {
      let line = String(decoding: host.received[..<end], as: UTF8.self)
      host.received.removeSubrange(...end)
      if line == "booted" {
        host.isBooted = true
      } else if line.hasPrefix("ready") {
        host.isReady = true
        Files.writeAll(1, "ready \(host.spec.name)\(line.dropFirst(5))\n")
      } else if line.hasPrefix("failed ") {
        host.failure = String(line.dropFirst(7))
      }
    }
  }

  /// A cable from each host to the controller's bridge.
  private func wire(_ hosts: [Host], controller pid: pid_t) throws {
    let space = open("/proc/\(pid)/ns/net", O_RDONLY | O_CLOEXEC)
    guard space >= 0, clinux_setns(space, Namespaces.network) == 0 else {
      throw HostError(call: "enter", "the controller's network")
    }
    close(space)
    let isBad = try Spec(file: "\(directory)/controller/spec").line != nil
    var batch = ""
    if controller == 0 {
      batch += Cable.batch(isBad: isBad)
    } else {
      // After a power cut the old cable may still be there until the kernel has cleaned up.
      _ = try ip(names.map { "link del \($0)\n" }.joined(), arguments: ["-force"], quiet: true)
    }
    // Neighbour tables hold 1,024 entries for all namespaces together; entries set by hand do not count.
    let isLarge = names.count > 200
    for host in hosts {
      guard let network = host.spec.network else { continue }
      let name = host.spec.name
      batch += "link add name \(name) type veth peer name eth0 address \(network.hardwareAddress) netns \(host.pid)\n"
      batch += "link set \(name) master br0 up\n"
      guard isLarge else { continue }
      for address in [network.ipv4, network.ipv6] {
        batch +=
          "neigh replace \(address) lladdr \(network.hardwareAddress) dev \(Cable.controller(isBad: isBad)) nud permanent\n"
      }
    }
    guard try ip(batch, arguments: [], quiet: false) else { throw HostError("wiring the hosts failed") }
    if controller == 0, isBad { Cable.silenceRelay() }
  }

  private func ip(_ batch: String, arguments: [String], quiet: Bool) throws -> Bool {
    var ends: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw HostError(call: "socketpair", "ip")
    }
    let errors = quiet ? dup(2) : -1
    if quiet {
      let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
      dup2(null, 2)
      close(null)
    }
    defer {
      if quiet {
        dup2(errors, 2)
        close(errors)
      }
    }
    let pid = try Program.start("/usr/sbin/ip", ["ip"] + arguments + ["-batch", "-"], input: ends[0])
    close(ends[0])
    Files.writeAll(ends[1], batch)
    close(ends[1])
    return Program.succeeded(pid)
  }
}
