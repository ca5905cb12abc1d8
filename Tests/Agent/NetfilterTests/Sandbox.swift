import Core
import Glibc

@testable import Netfilter

/// The agent's executable as its unit lets it run, without systemd: no more capabilities than the unit lists, none to be
/// gained, /proc/sys read-only, other users' processes hidden, no devices but the harmless ones, and a file system that
/// is read-only but for the agent's own directories.
struct Sandbox {
  /// To be run in place of the agent's executable; it keeps the process id.
  let executable: String

  /// - Parameter root: of a host; what is below it stays writable.
  init(_ agent: String, root: String) throws {
    let script = """
      #!/bin/sh
      exec /usr/bin/unshare --mount --propagation private -- /bin/sh -ec '
        mount --bind \(root) \(root)
        : >> /run/xtables.lock
        mount --bind /run/xtables.lock /run/xtables.lock
        mount -t tmpfs -o size=64k devices \(root)/dev
        for name in null zero full random urandom; do
          : > \(root)/dev/$name
          mount --bind /dev/$name \(root)/dev/$name
        done
        mount --rbind \(root)/dev /dev
        mount -t proc -o hidepid=2 proc /proc
        mount --bind /proc/sys /proc/sys
        mount -o remount,bind,ro /proc/sys
        mount -o remount,bind,ro /
        exec setpriv --no-new-privs --inh-caps=-all --ambient-caps=-all \\
          --bounding-set=-all,\(try Self.capabilities().map { "+" + $0 }.joined(separator: ",")) -- \(agent) "$@"
        ' sh "$@"

      """
    try LinuxDisk.makePath("\(root)/dev")
    executable = "\(root)/sandboxed-agent"
    let disk = try LinuxDisk(root)
    try disk.create("sandboxed-agent", Array(script.utf8))
    guard chmod(executable, 0o700) == 0 else { throw SystemCallError.last("chmod", executable) }
  }

  /// As setpriv(1) names those that the unit allows.
  private static func capabilities() throws -> [String] {
    let key = "CapabilityBoundingSet=CAP_"
    guard let line = try unit().first(where: { $0.hasPrefix(key) }) else {
      throw SystemCallError.of("read", key, errno: ENOENT)
    }
    return line.dropFirst(key.count - 4).split(separator: " ").map { $0.dropFirst(4).lowercased() }
  }

  private static func unit() throws -> [String] {
    let folder = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    let bytes = SmallFile.read("\(folder)/packaging/portcullis-agent.service", atMost: 64 << 10) ?? []
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
