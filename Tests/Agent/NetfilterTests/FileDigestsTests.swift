import AgentTestSupport
import Core
import Glibc
import Testing

@testable import Netfilter

@Suite struct FileDigestsTests {
  @Test func `a file is read again only when it was written since, whatever it calls its time`() throws {
    try withTemporaryDirectory { root in
      let disk = try LinuxDisk(root)
      try disk.create("file", Array("one".utf8))
      var digests = FileDigests()
      #expect(digests.digest(of: "\(root)/file") == Digest(of: "one".utf8))
      // Two writings within one tick of the kernel's clock would look the same.
      #expect(digests.digest(of: "\(root)/file") == Digest(of: "one".utf8) && digests.reads == 2)
      usleep(2_100_000)
      _ = digests.digest(of: "\(root)/file")
      #expect(digests.digest(of: "\(root)/file") == Digest(of: "one".utf8) && digests.reads == 3)
      var status = stat()
      #expect(lstat("\(root)/file", &status) == 0)
      try disk.truncate("file", to: 0)
      try disk.append("file", Array("two".utf8))
      #expect(utimensat(AT_FDCWD, "\(root)/file", [status.st_atim, status.st_mtim], 0) == 0)
      #expect(digests.digest(of: "\(root)/file") == Digest(of: "two".utf8) && digests.reads == 4)
      try disk.remove("file")
      #expect(digests.digest(of: "\(root)/file") == nil)
    }
  }

  @Test func `a link is where it leads, and what is no file is none`() throws {
    try withTemporaryDirectory { root in
      let disk = try LinuxDisk(root)
      try disk.create("file", Array("link to x".utf8.dropLast()))
      try disk.link("link", to: "file")
      var digests = FileDigests()
      #expect(digests.digest(of: "\(root)/link") == Digest(ofLinkTo: "file"))
      #expect(digests.digest(of: "\(root)/link") != digests.digest(of: "\(root)/file"))
      #expect(mkfifo("\(root)/fifo", 0o600) == 0)
      for name in ["fifo", ".", "nothing"] { #expect(digests.digest(of: "\(root)/\(name)") == nil) }
    }
  }

  @Test func `drop-ins of our units are found wherever systemd looks for them, and nobody else's`() throws {
    try withTemporaryDirectory { root in
      #expect(LinuxFacts(root: root).dropIns.isEmpty)
      let ours = [
        "etc/systemd/system/portcullis-agent.service.d/a.conf", "run/systemd/system/portcullis-.service.d/b.conf",
        "etc/systemd/system.control/portcullis-restore.service.d/50-x.conf",
        "usr/lib/systemd/system/portcullis-safe.service.d/c.conf",
        // Of every service there is.
        "etc/systemd/system/service.d/d.conf", "run/systemd/generator.late/service.d/e.conf",
        // A unit that takes the place of ours.
        "etc/systemd/system.control/portcullis-agent.service", "run/systemd/transient/portcullis-restore.service",
      ]
      let others = [
        "etc/systemd/system/ssh.service.d/a.conf", "etc/systemd/system/portcullis-agent.service.d/a.bak",
        "etc/systemd/system/portcullis-agent.service", "etc/systemd/system/timer.d/a.conf",
        "run/systemd/system/portcullis-agent.service", "etc/systemd/system.control/ssh.service",
      ]
      for path in ours + others {
        let directory = path.split(separator: "/").dropLast().joined(separator: "/")
        try LinuxDisk.makePath("\(root)/\(directory)")
        try LinuxDisk("\(root)/\(directory)").create(String(path.split(separator: "/").last ?? ""), [])
      }
      try LinuxDisk("\(root)/run/systemd/system").link("portcullis-agent.service.d", to: "/elsewhere")
      #expect(Set(LinuxFacts(root: root).dropIns) == Set(ours + ["run/systemd/system/portcullis-agent.service.d"]))
    }
  }
}
