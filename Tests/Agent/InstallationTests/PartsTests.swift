import Foundation
import Installation
import Testing

@testable import struct Installation.PasswordFile

struct PartsTests {
  @Test func `a daemon that keeps dying is started again ever more slowly, and never given up`() {
    var pause = RestartPause()
    #expect((0..<8).map { _ in pause.after(running: 0) } == [1, 2, 4, 8, 16, 32, 60, 60])
    // It ran for a while: whatever was wrong before is over.
    #expect(pause.after(running: 60) == 1)
    #expect(pause.after(running: 59) == 2)
  }

  @Test func `a password file is read by whole names and whole lines`() {
    let file = PasswordFile(
      parsing: Array(
        """
        portcullis2:x:5:5::/home/p:/bin/sh
        portcullis:x:not:5::/home/p:/bin/sh
        portcullis:x:1:2:short
        +nis::::::
        portcullis:x:990:991:a comment:/var/lib/portcullis/login:/usr/local/lib/portcullis/portcullis-bridge
        portcullis:x:0:0::/root:/bin/sh
        """.utf8))
    let entry = file["portcullis"]
    #expect(entry?.user == 990 && entry?.group == 991)
    #expect(entry?.home == "/var/lib/portcullis/login" && entry?.shell.hasSuffix("/portcullis-bridge") == true)
    #expect(file["portculli"] == nil && file[""] == nil)
    #expect(PasswordFile(parsing: [])["root"] == nil)
    #expect(PasswordFile(parsing: [0xff, 0x00, 0x3a])["root"] == nil)
  }

  @Test(arguments: [("/", ""), ("/tmp/x", "/tmp/x"), ("/tmp/x/", "/tmp/x")])
  func `a root moves every path`(root: String, base: String) {
    let paths = HostPaths(root: root)
    #expect(paths.agent == base + "/usr/local/lib/portcullis/portcullis-agent")
    #expect(paths.authorizedKeys == base + "/var/lib/portcullis/login/.ssh/authorized_keys")
  }
}
