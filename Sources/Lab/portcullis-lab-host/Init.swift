internal import CLinux
internal import Glibc

/// The first process of a host. Its life is one straight line: namespaces, files, network, services, and then sleep
/// until a child ends. When it dies, the kernel takes the whole host with it.
struct Init {
  private let spec: Spec
  /// To the launcher: we say what has happened, it says when to go on. If it dies before, so do we.
  private let launcher: Int32 = 0

  init(specFile: String) throws { spec = try Spec(file: specFile) }

  func run() throws -> Never {
    do {
      try boot()
    } catch {
      Files.writeAll(launcher, "failed \(error)\n")
      throw error
    }
    var services = Services(spec: spec)
    services.restoreRules()
    do {
      try waitForLauncher()
      if let network = spec.network { try configure(network) }
      if spec.isController {
        try services.startRelay()
      } else {
        try services.start()
        try services.waitUntilListening()
      }
    } catch {
      Files.writeAll(launcher, "failed \(error)\n")
      throw error
    }
    Files.writeAll(launcher, "ready\(services.state)\n")
    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
    dup2(null, launcher)
    close(null)
    services.supervise()
  }

  private func boot() throws {
    guard getpid() == 1 else { throw HostError("not the first process of a namespace") }
    let log = open("\(spec.folder)/log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard log >= 0 else { throw HostError(call: "open", "\(spec.folder)/log") }
    dup2(log, 1)
    dup2(log, 2)
    close(log)
    umask(0o022)
    // Blocked, so that it waits for us instead of being dropped: sigtimedwait(2) takes it.
    var child = sigset_t()
    sigemptyset(&child)
    sigaddset(&child, SIGCHLD)
    sigprocmask(SIG_BLOCK, &child, nil)

    guard clinux_unshare(Namespaces.mount | Namespaces.network | Namespaces.hostname | Namespaces.ipc) == 0 else {
      throw HostError(call: "unshare", "namespaces of \(spec.name)")
    }
    guard sethostname(spec.name, spec.name.utf8.count) == 0 else { throw HostError(call: "sethostname", spec.name) }
    try Mounts(spec: spec).set()
    // Addresses work at once, and nobody asks for routers that are not there. New interfaces inherit `default`.
    for scope in ["all", "default"] {
      Files.set("/proc/sys/net/ipv6/conf/\(scope)/disable_ipv6", "0")
      Files.set("/proc/sys/net/ipv6/conf/\(scope)/accept_dad", "0")
      Files.set("/proc/sys/net/ipv6/conf/\(scope)/router_solicitations", "0")
      Files.set("/proc/sys/net/ipv6/conf/\(scope)/accept_ra", "0")
    }
    if spec.isController {
      // The bridge is a cable: no filter of the machine's looks into it.
      for program in ["arptables", "iptables", "ip6tables"] {
        Files.set("/proc/sys/net/bridge/bridge-nf-call-\(program)", "0")
      }
    }
    guard clinux_interface_up("lo") == 0 else { throw HostError(call: "set up", "lo") }
  }

  private func waitForLauncher() throws {
    guard Files.writeAll(launcher, "booted\n") else { throw HostError("the launcher is gone") }
    var byte: UInt8 = 0
    while true {
      let count = read(launcher, &byte, 1)
      if count < 0, errno == EINTR { continue }
      guard count == 1 else { throw HostError("the launcher is gone") }
      return
    }
  }

  private func configure(_ network: Spec.Network) throws {
    guard clinux_interface_address("eth0", network.ipv4, 16) == 0 else {
      throw HostError(call: "give eth0 the address", network.ipv4)
    }
    guard clinux_interface_up("eth0") == 0 else { throw HostError(call: "set up", "eth0") }
    guard clinux_interface_address("eth0", network.ipv6, 64) == 0 else {
      throw HostError(call: "give eth0 the address", network.ipv6)
    }
    for gateway in [network.gateway4, network.gateway6] {
      guard clinux_default_route("eth0", gateway) == 0 else { throw HostError(call: "add the route over", gateway) }
    }
  }
}
