import Core
import Foundation
import Glibc
import Testing

@testable import Lab

/// The disk of a host on a made-up userland that is itself managed by us.
@Suite(.enabled(if: geteuid() == 0, "marking layers needs root"))
struct HostDiskTests {
  private func withDisk(_ body: (LabDirectory, String) throws -> Void) throws {
    let parent = "/var/tmp/portcullis-disk-\(UInt32.random(in: .min ... .max))"
    defer { try? FileManager.default.removeItem(atPath: parent) }
    let userland = parent + "/userland"
    for folder in ["/etc/portcullis", "/var/lib/portcullis", "/usr/sbin"] { try LabFiles.makeFolder(userland + folder) }
    for family in ["iptables", "ip6tables"] {
      for verb in ["", "-save", "-restore"] { try LabFiles.write("", to: "\(userland)/usr/sbin/\(family)-nft\(verb)") }
    }
    try LabFiles.write("host machine\n", to: userland + "/etc/portcullis/host")
    try LabFiles.write(
      "root:x:0:0:root:/root:/usr/bin/zsh\nportcullis:x:990:990::/var/lib/portcullis/login:/bin/x\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n",
      to: userland + "/etc/passwd")
    try LabFiles.write("root:!:1::::::\nportcullis:*:1::::::\n", to: userland + "/etc/shadow", mode: 0o640)
    chown(userland + "/etc/shadow", 0, 42)
    try body(try LabDirectory(parent + "/lab"), userland)
  }

  @Test func aManagedMachineDoesNotLendItsIdentity() throws {
    try withDisk { directory, userland in
      let host = LabHost(number: 1, root: .host, backend: .nft)
      let disk = HostDisk(directory: directory, host: host, userland: userland)
      try disk.write(hostKey: LabKey(comment: "h001"), adminKey: LabKey(comment: "admin"))
      let root = directory.disk(of: "h001")
      for path in ["/etc/portcullis", "/var/lib/portcullis"] {
        var status = stat()
        #expect(lstat(root + path, &status) == 0)
        #expect(status.st_mode & S_IFMT == S_IFCHR && status.st_rdev == 0, "\(path) is not a whiteout")
      }
      #expect(
        LabFiles.text(root + "/etc/passwd")
          == "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n")
      #expect(LabFiles.text(root + "/etc/shadow") == "root:*:19000:0:99999:7:::\n")
      var status = stat()
      #expect(stat(root + "/etc/shadow", &status) == 0)
      #expect(status.st_mode & 0o7777 == 0o640 && status.st_gid == 42)
    }
  }

  @Test func aBackendThatTheUserlandLacksIsNamed() throws {
    try withDisk { directory, userland in
      let host = LabHost(number: 2, root: .host, backend: .legacy)
      let disk = HostDisk(directory: directory, host: host, userland: userland)
      let error = #expect(throws: Failure.self) {
        try disk.write(hostKey: LabKey(comment: "h002"), adminKey: LabKey(comment: "admin"))
      }
      let message = ErrorChain(try #require(error)).message
      #expect(message.contains("iptables-legacy does not exist"))
    }
  }
}
