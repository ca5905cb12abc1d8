internal import CLinux
internal import Glibc

/// What a host sees of files. All of it in the host's own mount namespace, so it ends with the host.
struct Mounts {
  let spec: Spec

  func set() throws {
    try mount("none", on: "/", flags: MS_REC | MS_PRIVATE)
    if spec.isController {
      try layer("/etc")
      try processes(in: "")
    } else if let userland = spec.userland {
      try enter(userland)
    } else {
      try overTheMachine()
    }
    try Files.makeFolder("/run/sshd")
    try Files.makeFolder("/run/lock")
  }

  /// The machine's own userland: read-only, except for layers of the host's own where hosts write.
  private func overTheMachine() throws {
    // First everything is made read-only, so that nothing done in a host can touch the machine's files…
    if clinux_mounts_read_only("/") != 0 { try mount("none", on: "/", flags: MS_REMOUNT | MS_BIND | MS_RDONLY) }
    // … then the host's folder writable again, in a mount of its own, for the upper layers in it.
    try mount(spec.folder, on: spec.folder, flags: MS_BIND)
    try mount("none", on: spec.folder, flags: MS_REMOUNT | MS_BIND)
    for path in ["/etc", "/var/lib", "/usr/local"] where Files.exists(path) { try layer(path) }
    for path in ["/root", "/var/log"] where Files.exists(path) { try mount(spec.disk + path, on: path, flags: MS_BIND) }
    try scratch(in: "")
    try mount("tmpfs", on: "/var/tmp", type: "tmpfs", data: "mode=1777")
    try terminals(in: "")
    try processes(in: "")
    try bootID(in: "")
    // The other hosts' disks and the lab's keys are none of this host's business.
    if Files.exists(spec.lab) { try mount("tmpfs", on: spec.lab, type: "tmpfs", flags: MS_RDONLY, data: "size=4k") }
  }

  /// Another distribution's userland, as the whole of what the host sees.
  private func enter(_ userland: String) throws {
    let root = "\(spec.folder)/mount"
    try overlay(lower: layers(below: userland), upper: spec.disk, work: spec.work, on: root)
    try mount("tmpfs", on: root + "/dev", type: "tmpfs", flags: MS_NOSUID, data: "mode=755,size=64k")
    for node in ["null", "zero", "full", "random", "urandom", "tty"] {
      let target = "\(root)/dev/\(node)"
      close(open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666))
      try mount("/dev/\(node)", on: target, flags: MS_BIND)
    }
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
      symlink("/proc/self/fd\(target)", "\(root)/dev/\(name)")
    }
    symlink("pts/ptmx", "\(root)/dev/ptmx")
    try Files.makeFolder(root + "/dev/pts")
    try Files.makeFolder(root + "/dev/shm")
    try scratch(in: root)
    try terminals(in: root)
    try processes(in: root)
    try bootID(in: root)
    // pivot_root(2): new_root and put_old may be the same folder; the old root is then on top, and goes with umount.
    guard chdir(root) == 0 else { throw HostError(call: "chdir", root) }
    guard clinux_pivot_root(".", ".") == 0 else { throw HostError(call: "pivot_root", root) }
    guard umount2(".", Int32(MNT_DETACH)) == 0 else { throw HostError(call: "umount", "the machine's root") }
    guard chdir("/") == 0 else { throw HostError(call: "chdir", "/") }
  }

  private func scratch(in root: String) throws {
    try mount("tmpfs", on: root + "/run", type: "tmpfs", flags: MS_NOSUID | MS_NODEV, data: "mode=755")
    try mount("tmpfs", on: root + "/tmp", type: "tmpfs", flags: MS_NOSUID | MS_NODEV, data: "mode=1777")
  }

  private func terminals(in root: String) throws {
    try mount(
      "devpts", on: root + "/dev/pts", type: "devpts", flags: MS_NOSUID | MS_NOEXEC,
      data: "newinstance,ptmxmode=0666,mode=0620,gid=5")
    if Files.exists(root + "/dev/shm") {
      try mount("tmpfs", on: root + "/dev/shm", type: "tmpfs", flags: MS_NOSUID | MS_NODEV, data: "mode=1777")
    }
  }

  private func processes(in root: String) throws {
    try mount("proc", on: root + "/proc", type: "proc", flags: MS_NOSUID | MS_NODEV | MS_NOEXEC)
    // Shows the host's interfaces; a machine that forbids it can do without.
    _ = try? mount(
      "sysfs", on: root + "/sys", type: "sysfs", flags: MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
  }

  /// Of this boot of the host. Whoever counts running time, or remembers what the kernel holds, goes by it.
  private func bootID(in root: String) throws {
    let random = "/proc/sys/kernel/random"
    guard let id = Files.read("\(random)/uuid") else { throw HostError(call: "read", "\(random)/uuid") }
    let file = root + "/run/boot_id"
    try Files.replace(file, with: id)
    try mount(file, on: "\(root)\(random)/boot_id", flags: MS_BIND)
  }

  /// The host's own layer over a folder of the machine.
  private func layer(_ path: String) throws {
    let seeded = spec.seed + path
    let lower = Files.exists(seeded) && !spec.isController ? "\(seeded):\(path)" : path
    try overlay(lower: lower, upper: spec.disk + path, work: spec.work + path, on: path)
  }

  private func layers(below userland: String) -> String {
    Files.exists(spec.seed) ? "\(spec.seed):\(userland)" : userland
  }

  private func overlay(lower: String, upper: String, work: String, on target: String) throws {
    try Files.makeFolder(upper)
    try Files.makeFolder(work)
    if spec.userland != nil { try Files.makeFolder(target) }
    // Just after a power cut the kernel may still be letting go of the same layers.
    let deadline = now() + 2000
    while true {
      do {
        return try mount(
          "overlay", on: target, type: "overlay", data: "lowerdir=\(lower),upperdir=\(upper),workdir=\(work)")
      } catch {
        guard errno == EBUSY, now() < deadline else { throw error }
        usleep(20_000)
      }
    }
  }

  private func mount(_ source: String, on target: String, type: String? = nil, flags: Int = 0, data: String? = nil)
    throws
  {
    guard Glibc.mount(source, target, type, UInt(flags), data) == 0 else {
      throw HostError(call: "mount \(type ?? "folder") on", "\(target)\(data.map { " (\($0))" } ?? "")")
    }
  }
}
