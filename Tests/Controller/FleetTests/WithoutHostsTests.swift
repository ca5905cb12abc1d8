import Foundation
import TestSupport
import Testing

/// Verbs and scripts that need no host at all.
@Suite(.enabled(if: Machine.obstacle == nil, "the executables, root and iptables are needed"))
struct WithoutHostsTests {
  private func save(_ rule: String) -> String { "*filter\n:INPUT DROP [0:0]\n-A INPUT \(rule)\nCOMMIT\n" }

  @Test func rulesetsAreReadFromPipesAsFromFiles() async throws {
    let fleet = try MistakesTests.Fleet(files: ["a": save("-i lo -j ACCEPT"), "b": save("-i eth0 -j ACCEPT")])
    func run(_ script: String) async throws -> Finished {
      try await Command.run("/bin/bash", ["-c", script, Machine.portcullis], in: fleet.folder)
    }
    let same = try await run("\"$0\" ruleset diff <(cat a) <(cat a)")
    #expect(same.status == 0, "\(same)")
    let differ = try await run("\"$0\" ruleset diff <(cat a) <(cat b)")
    #expect(differ.status == 2 && differ.out.contains("+-A INPUT -i eth0 -j ACCEPT"), "\(differ)")
    let digests = try await run("\"$0\" ruleset digest <(cat a); \"$0\" ruleset digest a; \"$0\" ruleset digest - <a")
    #expect(Set(digests.out.split(separator: "\n").map { $0.prefix(71) }).count == 1, "\(digests)")
    // What never ends is read no further than a file would be.
    let endless = try await run("\"$0\" ruleset digest <(tr '\\0' '#' </dev/zero)")
    #expect(endless.status == 1 && endless.err.contains("more than 64 MiB"), "\(endless)")
  }

  @Test func anInventoryWithoutHostsIsListedAsAnsibleDoes() async throws {
    let fleet = try MistakesTests.Fleet(hosts: "")
    let listed = try await fleet.portcullis("inventory", "--list")
    #expect(listed.status == 0, "\(listed)")
    let listing = try JSON(listed)
    #expect(listing["all"]["children"].strings == ["ungrouped"] && listing["_meta"].keys.contains("hostvars"))
    #expect(listing.keys == ["all", "_meta"], "\(listed)")
    #expect(try await fleet.portcullis("inventory", "--list", "-l", "web").status == 64)
  }

  @Test func rulesOfPoliciesAloneAreADocumentWhenThatIsAskedFor() async throws {
    let fleet = try MistakesTests.Fleet()
    let flags = [
      "render", "--standalone", "--policies", "policies", "--family", "ipv4", "--mode", "exclusive", "--controller",
      "192.0.2.9",
    ]
    let text = try await Command.run(Machine.portcullis, flags, in: fleet.folder)
    #expect(text.status == 0 && text.out.hasPrefix("*filter\n"), "\(text)")
    let json = try await Command.run(Machine.portcullis, flags + ["-o", "json"], in: fleet.folder)
    let document = try JSON(json)
    #expect(document["kind"].text == "Render" && document["ipv6"].list.isEmpty, "\(json)")
    let lines = document["ipv4"].list.compactMap { $0["text"].text }
    #expect(lines.joined(separator: "\n") + "\n" == text.out)
  }

  @Test func ansibleIsInstalledAgainWhereOtherVersionsAreWanted() async throws {
    let folder = "\(try Machine.scratch())/ansible-\(UInt64.random(in: .min ... .max))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // A python3 that makes an environment whose pip writes down what it was asked for.
    try writeProgram(
      """
      #!/bin/sh
      mkdir -p "$3/bin"
      printf '#!/bin/sh\\n' >"$3/bin/python"
      printf '#!/bin/sh\\necho "$@" >>"%s/asked"\\n' '\(folder)' >"$3/bin/pip"
      chmod 755 "$3/bin/python" "$3/bin/pip"

      """, to: "\(folder)/bin/python3")
    func install() async throws -> Int {
      try await Command.succeed(
        "/usr/bin/env",
        [
          "PATH=\(folder)/bin:/usr/bin:/bin", "/bin/sh", "\(Machine.checkout)/scripts/install-ansible.sh",
          "\(folder)/to",
        ])
      return try text(of: "\(folder)/asked").split(separator: "\n").count
    }
    #expect(try await install() == 1)
    #expect(try await install() == 1)
    try write("ansible-core>=2.17,<2.18\n", to: "\(folder)/to/installed")
    #expect(try await install() == 2)
    try FileManager.default.removeItem(atPath: "\(folder)/to/installed")
    #expect(try await install() == 3)
  }
}
