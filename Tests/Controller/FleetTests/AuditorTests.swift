import Foundation
import Testing

extension FleetSuite {
  /// docs/bundle.md by its own words, on a bundle of the lab.
  @Suite(.serialized) struct Auditor {
    private func linesOfThePage() throws -> String {
      var lines: [Substring] = []
      var isInside = false
      for line in try text(of: "\(Machine.checkout)/docs/bundle.md").split(
        separator: "\n", omittingEmptySubsequences: false)
      {
        if line == "```sh audit" {
          isInside = true
        } else if line == "```" {
          isInside = false
        } else if isInside {
          lines.append(line)
        }
      }
      try #require(lines.count > 20)
      return lines.joined(separator: "\n") + "\n"
    }

    /// On this machine, and with nothing but what a Debian 11 has.
    @Test func thePagesLinesPassAnExportedBundleAndStopAtATamperedOne() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle()
      let folder = "\(try Machine.scratch())/audited"
      let exported = try await lab.succeed("release", "export", "h014", "--out", folder)
      #expect(exported.out.hasPrefix("bundle of h014: 6 files in "), "\(exported)")
      try write(try bytes(of: lab.path("keys/allowed_signers")), to: "\(folder)/allowed_signers")
      try write(try linesOfThePage(), to: "\(folder)/audit.sh")
      let passed = try await Command.run("/bin/sh", ["-e", "audit.sh"], in: folder)
      #expect(passed.status == 0 && passed.out.contains("host h014: part of release "), "\(passed)")

      let archive = try await Command.succeed("/usr/bin/tar", ["c", "-C", folder, "."]).bytes
      for host in ["h002", "h003"] {
        let script = "rm -rf /tmp/audited; mkdir /tmp/audited; cd /tmp/audited; tar x; exec sh -e audit.sh"
        let there = try await lab.exec(host, "/bin/sh", "-ec", script, input: .bytes(archive))
        #expect(there.status == 0 && there.out.contains("part of release"), "\(there)")
      }

      for (file, old, new) in [
        ("ipv4.rules", "DROP", "drop"), ("manifest", "h014", "h015"), ("proof", "leaf 13", "leaf 12"),
        ("release.statement", "hosts 20", "hosts 21"),
      ] {
        let good = try text(of: "\(folder)/\(file)")
        try #require(good.contains(old))
        try write(good.replacingOccurrences(of: old, with: new), to: "\(folder)/\(file)")
        let stopped = try await Command.run("/bin/sh", ["-e", "audit.sh"], in: folder)
        #expect(stopped.status != 0 && !stopped.out.contains("part of release"), "\(file): \(stopped)")
        try write(good, to: "\(folder)/\(file)")
      }
    }

    /// An old release can be shown too, and only what was made.
    @Test func everyReleaseThatWasMadeCanBeExported() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle()
      let list = try JSON(try await lab.succeed("release", "list", "-o", "json"))
      let serials = list["releases"].list.compactMap { $0["serial"].number }
      let first = try #require(serials.min())
      let folder = "\(try Machine.scratch())/first"
      try await lab.succeed("release", "export", "h001", "--out", folder, "--serial", "\(first)")
      #expect(try text(of: "\(folder)/release.statement").contains("\nserial \(first)\n"))
      let none = try await lab.portcullis("release", "export", "h001", "--out", folder, "--serial", "999999")
      #expect(none.status == 64 && none.err.contains("999999"), "\(none)")
    }
  }
}
