internal import Glibc
internal import Wire

/// Where sshd listens for others, as the kernel knows it: a port that a forward leads to from elsewhere, or that was
/// given on sshd's command line, is found; one that only stands in its configuration is not.
///
/// A listening socket is sshd's when a process of sshd has it open that is root's: anybody may call a process sshd. In
/// the sandbox of its unit the agent may not look at the files of other processes; there the socket's control group
/// tells, which is the service's. Where neither is to be had, a port counts that root listens on and sshd's
/// configuration names.
struct SSHListeners {
  /// Processes beyond are not looked at.
  static let maximumProcesses = 16_384
  /// Of one process.
  static let maximumFiles = 256

  /// Sockets that systemd holds for sshd until somebody comes.
  private static let units = ["ssh.socket", "sshd.socket"]

  private let processes: String
  private let groups: String

  /// - Parameters:
  ///   - root: where `sys` is looked for; empty for the machine's own.
  ///   - processes: what the kernel says of them.
  init(root: String = "", processes: String = "/proc") {
    self.processes = processes
    groups = "\(root)/sys/fs/cgroup"
  }

  /// - Parameter configured: what sshd's configuration says.
  /// - Returns: sorted, each once; none where it cannot be told, as where there are too many.
  func ports(configured: Set<UInt16>) -> [UInt16] {
    guard let listeners = try? ListedSocket.listeningForOthers(), !listeners.isEmpty else { return [] }
    let owners = owners()
    let owned = listeners.filter { socket in
      owners.inodes.contains(socket.inode) || socket.cgroup.map(owners.groups.contains) ?? false
    }
    let ports = Set(owned.isEmpty ? listeners.map(\.port).filter(configured.contains) : owned.map(\.port))
    // Some of too many would leave out the one that matters.
    let told = ports.count > WireLimit.sshPorts ? ports.intersection(configured) : ports
    return told.count > WireLimit.sshPorts ? [] : told.sorted()
  }

  private struct Owners {
    var inodes: Set<UInt32> = []
    var groups: Set<UInt64> = []
  }

  private func owners() -> Owners {
    var owners = Owners()
    owners.groups = Set(Self.units.compactMap { group("/system.slice/\($0)") })
    for process in daemons() {
      let inodes = sockets(of: process)
      owners.inodes.formUnion(inodes)
      // A service's group holds nobody else; that of a login would.
      if inodes.isEmpty, let path = groupPath(of: process), path.hasSuffix(".service"), let id = group(path) {
        owners.groups.insert(id)
      }
    }
    return owners
  }

  /// The identity of a control group is the number of its directory, in the one hierarchy or in the hybrid one.
  private func group(_ path: String) -> UInt64? {
    for base in [groups, "\(groups)/unified"] {
      var status = stat()
      if stat(base + path, &status) == 0 { return UInt64(status.st_ino) }
    }
    return nil
  }

  /// Those of sshd that listen. A session is a child of one, and what it listens on is a forward of its user's.
  private func daemons() -> [String] {
    guard let directory = opendir(processes) else { return [] }
    defer { closedir(directory) }
    var parents: [String: String] = [:]
    var seen = 0
    while seen < Self.maximumProcesses, let entry = readdir(directory) {
      let name = Self.entryName(entry)
      guard name.utf8.allSatisfy({ (48...57).contains($0) }) else { continue }
      seen += 1
      guard SmallFile.line("\(processes)/\(name)/comm", atMost: 32) == "sshd", isRoots(name), !isSession(name) else {
        continue
      }
      parents[name] = parent(of: name)
    }
    return parents.filter { parents[$0.value] == nil }.keys.sorted()
  }

  /// One calls itself `sshd: root@pts/0`, `sshd: root [priv]`, `sshd: [accepted]`, and may outlive its daemon. That is called
  /// by its path, or `sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups`.
  private func isSession(_ process: String) -> Bool {
    let title = Array("sshd: ".utf8)
    guard let line = SmallFile.read("\(processes)/\(process)/cmdline", atMost: 64), line.starts(with: title) else {
      return false
    }
    return line.dropFirst(title.count).first != UInt8(ascii: "/")
  }

  /// By what the process may do. Who owns its folder says less: that is root for every process that may not be dumped.
  private func isRoots(_ process: String) -> Bool {
    let lines = (SmallFile.read("\(processes)/\(process)/status", atMost: 8 << 10) ?? []).split(
      separator: UInt8(ascii: "\n"))
    guard let users = lines.first(where: { $0.starts(with: "Uid:".utf8) }) else { return false }
    let words = users.split(separator: UInt8(ascii: "\t"))
    return words.count == 5 && words.dropFirst().allSatisfy { $0.elementsEqual("0".utf8) }
  }

  /// `pid (comm) state ppid …`
  private func parent(of process: String) -> String? {
    guard let bytes = SmallFile.read("\(processes)/\(process)/stat", atMost: 512),
      let end = bytes.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " "), maxSplits: 2)
    return fields.count > 1 ? String(decoding: fields[1], as: UTF8.self) : nil
  }

  /// Of `socket:[123]`; none where we may not look.
  private func sockets(of process: String) -> Set<UInt32> {
    let path = "\(processes)/\(process)/fd"
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var inodes: Set<UInt32> = []
    var seen = 0
    var buffer = [UInt8](repeating: 0, count: 64)
    while seen < Self.maximumFiles, let entry = readdir(directory) {
      seen += 1
      let count = buffer.withUnsafeMutableBytes { bytes in
        readlink("\(path)/\(Self.entryName(entry))", bytes.baseAddress!, bytes.count)
      }
      guard count > 9 else { continue }
      let text = String(decoding: buffer.prefix(count), as: UTF8.self)
      if text.hasPrefix("socket:["), let inode = UInt32(text.dropFirst(8).dropLast()) { inodes.insert(inode) }
    }
    return inodes
  }

  /// `0::/system.slice/ssh.service`
  private func groupPath(of process: String) -> String? {
    let lines = (SmallFile.read("\(processes)/\(process)/cgroup", atMost: 8 << 10) ?? []).split(
      separator: UInt8(ascii: "\n"))
    return lines.first { $0.starts(with: "0::".utf8) }.map { String(decoding: $0.dropFirst(3), as: UTF8.self) }
  }

  private static func entryName(_ entry: UnsafeMutablePointer<dirent>) -> String {
    withUnsafeBytes(of: &entry.pointee.d_name) { bytes in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
