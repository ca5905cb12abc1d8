import Foundation
import Glibc
import Installation
import Testing

/// The sandboxes of the units, as a real systemd makes them: it runs as the first process of namespaces of its own, with the
/// lines of a unit around a program that tries what the agent does.
struct UnitSandboxTests {
  private static let systemd = "/lib/systemd/systemd"

  private static var canRun: Bool {
    guard geteuid() == 0, access(systemd, X_OK) == 0 else { return false }
    let mount = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup"
    return (try? run(["/usr/bin/unshare", "-m", "/bin/sh", "-c", mount]))?.status == 0
  }

  @Test(
    .enabled(if: canRun, "needs root, systemd and control groups"), arguments: [SystemdUnit.agent, .restore])
  func `of the kernel's settings those of the network can be written, and the lock file that was not there`(
    unit: SystemdUnit
  ) throws {
    let said = try Self.probe(
      unit,
      """
      try() { { echo "$2" > "$1"; } 2>/dev/null && echo "yes $1" || echo "no $1"; }
      try /proc/sys/net/ipv4/ip_forward 1
      try /proc/sys/net/ipv6/conf/all/forwarding 1
      try /proc/sys/net/ipv4/conf/lo/rp_filter 1
      try /proc/sys/kernel/printk_ratelimit "$(cat /proc/sys/kernel/printk_ratelimit)"
      try /proc/sys/vm/swappiness "$(cat /proc/sys/vm/swappiness)"
      try /run/xtables.lock ''
      try /etc/portcullis-probe ''
      """)
    #expect(
      said == [
        "yes /proc/sys/net/ipv4/ip_forward", "yes /proc/sys/net/ipv6/conf/all/forwarding",
        "yes /proc/sys/net/ipv4/conf/lo/rp_filter", "no /proc/sys/kernel/printk_ratelimit",
        "no /proc/sys/vm/swappiness",
        "yes /run/xtables.lock", "no /etc/portcullis-probe",
      ])
  }

  /// What the script printed in the unit's sandbox.
  private static func probe(_ unit: SystemdUnit, _ script: String) throws -> [String] {
    // Not below /tmp or /var/tmp, which the unit has for itself.
    let folder = "/srv/pu-\(UInt32.random(in: .min ... .max))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    func write(_ name: String, _ text: String) throws {
      try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
    }
    let service = try #require(
      unit.text.components(separatedBy: "[Service]\n").last?.components(separatedBy: "[Install]").first)
    let others = [
      "Type=", "NotifyAccess=", "RemainAfterExit=", "Restart", "ExecStart=", "ExecStartPre=-+/sbin/modprobe",
    ]
    let lines = service.split(separator: "\n").filter { line in !others.contains { line.hasPrefix($0) } }
    try write(
      "probe.service",
      """
      [Unit]
      DefaultDependencies=no
      SuccessAction=exit-force
      FailureAction=exit-force
      [Service]
      Type=oneshot
      ExecStart=/bin/sh \(folder)/probe
      ReadWritePaths=\(folder)
      \(lines.joined(separator: "\n"))

      """)
    try write("probe", "exec > \(folder)/said 2>&1\n\(script)\n")
    try write(
      "boot",
      """
      umount /sys/fs/cgroup
      mount -t cgroup2 none /sys/fs/cgroup
      for place in /run /var/lib /var/log /tmp; do mount -t tmpfs none $place; done
      export container=test SYSTEMD_UNIT_PATH=\(folder)
      exec \(systemd) --system --unit=probe.service --log-target=null --show-status=no
      """)
    let group = "/sys/fs/cgroup/\(folder.split(separator: "/").last ?? "")"
    _ = try run([
      "/usr/bin/unshare", "-m", "/bin/sh", "-c",
      """
      umount -R /sys/fs/cgroup 2>/dev/null
      mount -t cgroup2 none /sys/fs/cgroup && mkdir \(group) || exit 1
      ( sh -c 'echo $PPID' > \(group)/cgroup.procs
        exec unshare -m -C -n -p -u -i --fork --kill-child --mount-proc /bin/sh \(folder)/boot )
      find \(group) -depth -type d -exec rmdir {} +
      """,
    ])
    let said = try? String(contentsOfFile: "\(folder)/said", encoding: .utf8)
    return (said ?? "the program was not started").split(separator: "\n").map(String.init)
  }
}
