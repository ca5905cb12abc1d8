import Core
import Release
import Testing

/// Runs the very lines of docs/bundle.md that tell an auditor how to check a bundle with stock tools.
@Suite struct AuditorPageTests {
  /// The blocks that begin with "```sh audit", one after the other.
  private static func linesOfThePage() throws -> [String] {
    let root = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    let page = String(decoding: try #require(contents(of: "/\(root)/docs/bundle.md")), as: UTF8.self)
    var lines: [String] = []
    var isInside = false
    for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
      if line == "```sh audit" {
        isInside = true
      } else if line == "```" {
        isInside = false
      } else if isInside {
        lines.append(String(line))
      }
    }
    return lines
  }

  /// A release signed by the real ssh-keygen, one host's bundle laid out as plain files beside `allowed_signers`.
  private static func layOut(
    hosts: Int, index: Int, sets: [UInt8]? = nil, profiles: [String: UInt16] = [:], in directory: TemporaryDirectory
  ) throws {
    let names = (0..<hosts).map { "host" + String(repeating: "0", count: 3 - String($0).count) + String($0) }
    var manifests = try names.map { try ReleaseFixture.manifest($0) }
    let plain = try ReleaseFixture.manifest(names[index], profiles: profiles)
    manifests[index] = try Manifest(
      fleet: plain.fleet, host: plain.host, serial: plain.serial, mode: plain.mode, labels: [], sources: [],
      files: plain.files, sets: sets.map(Manifest.File.init), profiles: plain.profiles)
    let release = try ReleaseBuilder.build(
      fleet: plain.fleet, serial: plain.serial, issued: ReleaseFixture.now, expires: ReleaseFixture.now + 100,
      manifests: manifests)
    let key = try SSHKeygen.makeKey("signer", type: "ed25519", in: directory)
    let namespace = SigningNamespace.release.rawValue
    let signature = SSHKeygen.sign(
      release.statement.encode(), with: "signer", namespace: namespace, in: directory)
    let signer = try AllowedSigner(principal: "anna@example.net", namespaces: [namespace], key: key)
    directory.write(signer.line, to: "allowed_signers")
    let host = names[index]
    let bundle = try #require(
      release.bundle(
        for: HostID(host)!, rules: ReleaseFixture.rules(of: host), sets: sets,
        profiles: Dictionary(
          uniqueKeysWithValues: profiles.keys.map { (ProfileName($0)!, ReleaseFixture.rules(of: $0)) }),
        signatures: [signature]))
    for (file, content) in bundle { directory.write(content, to: file.fileName) }
    directory.write(try linesOfThePage().joined(separator: "\n") + "\n", to: "audit.sh")
  }

  private static func audit(_ directory: TemporaryDirectory) -> Int32 {
    run(
      "/usr/bin/env", ["--chdir=\(directory.path)", "/bin/sh", "-e", "audit.sh"], output: directory.file("output"))
  }

  @Test func thePageHasTheLines() throws {
    let lines = try Self.linesOfThePage()
    #expect(lines.contains { $0.hasPrefix("ssh-keygen -Y verify ") })
    #expect(lines.contains { $0.contains("sha256sum --check") })
    #expect(lines.count > 20)
  }

  @Test(arguments: [(5, 2), (1, 0), (2, 1), (5, 4), (37, 36), (37, 31), (64, 63), (100, 96)])
  func aGoodBundlePasses(_ hosts: Int, _ index: Int) throws {
    let directory = TemporaryDirectory()
    try Self.layOut(hosts: hosts, index: index, in: directory)
    let status = Self.audit(directory)
    let output = String(decoding: directory.read("output"), as: UTF8.self)
    #expect(status == 0, "\(output)")
    #expect(output.contains("part of release 42"))
  }

  @Test func setsAreCheckedByTheirNames() throws {
    let text = """
      create PCL-508bdd9fd82e604f1a0c hash:net family inet hashsize 1024 maxelem 65536
      add PCL-508bdd9fd82e604f1a0c 192.0.2.0/24
      add PCL-508bdd9fd82e604f1a0c 198.51.100.7
      create PCL-OBSERVE-4 hash:ip,port family inet hashsize 1024 maxelem 65536 counters forceadd

      """
    for (sets, isGood) in [(text, true), (text.replacing("100.7", with: "100.8"), false)] {
      let directory = TemporaryDirectory()
      try Self.layOut(hosts: 3, index: 1, sets: Array(sets.utf8), in: directory)
      let status = Self.audit(directory)
      #expect((status == 0) == isGood, "\(String(decoding: directory.read("output"), as: UTF8.self))")
    }
  }

  @Test(arguments: [nil, "lockdown.0.ipv4.rules", "lockdown.1.ipv6.rules"] as [String?])
  func lockdownProfilesAreCheckedByTheirDigests(_ altered: String?) throws {
    let directory = TemporaryDirectory()
    try Self.layOut(hosts: 3, index: 1, profiles: ["isolate": 30, "no-egress": 10], in: directory)
    if let altered { directory.write(directory.read(altered) + [10], to: altered) }
    let status = Self.audit(directory)
    let output = String(decoding: directory.read("output"), as: UTF8.self)
    #expect((status == 0) == (altered == nil), "\(output)")
    if altered == nil { #expect(output.contains("lockdown.1.ipv6.rules: OK")) }
  }

  static let tamperings: [(file: String, old: String, new: String)] = [
    ("ipv4.rules", "DROP", "dROP"), ("ipv6.rules", "filter", "filteR"), ("proof", "\nsha256:", "\nsha256:0"),
    ("proof", "leaf 2", "leaf 3"), ("proof", "leaf 2", "leaf 4"), ("proof", "hosts 5", "hosts 6"),
    ("proof", "leaf 2\nhosts 5\n", "leaf 2\nhosts 5\nsha256:\(TextFormatTests.zero)\n"),
    ("manifest", "host host002", "host host003"), ("manifest", "serial 42", "serial 43"),
    ("manifest", "fleet example", "fleet examplf"), ("manifest", "exclusive", "owned"),
    ("release.statement", "serial 42", "serial 43"), ("release.statement", "expires 2026", "expires 2036"),
    ("release.statement.0.sig", "SSHSIG", "SSHSIH"), ("release.statement.0.sig", "U1NIU0lH", "U1NIU0lI"),
    ("allowed_signers", "release@portcullis", "lockdown@portcullis"), ("allowed_signers", "AAAAIC", "AAAAID"),
  ]

  @Test(arguments: tamperings) func aTamperedBundleFails(_ file: String, _ old: String, _ new: String) throws {
    let directory = TemporaryDirectory()
    try Self.layOut(hosts: 5, index: 2, in: directory)
    #expect(Self.audit(directory) == 0)
    let content = directory.read(file)
    let changed = replacingFirst(Array(old.utf8), with: Array(new.utf8), in: content)
    directory.write(changed, to: file)
    if changed != content { #expect(Self.audit(directory) != 0) }
  }

  @Test func anyChangedByteOfRulesOrProofFails() throws {
    let directory = TemporaryDirectory()
    try Self.layOut(hosts: 5, index: 2, in: directory)
    for file in ["ipv4.rules", "ipv6.rules", "proof", "manifest", "release.statement"] {
      let good = directory.read(file)
      for at in stride(from: 0, to: good.count, by: max(1, good.count / 12)) {
        var bad = good
        bad[at] ^= 1
        directory.write(bad, to: file)
        // Only the name of the proof's format is beside the point for these lines.
        if file == "proof" && at < "portcullis-proof 1\n".utf8.count { continue }
        #expect(Self.audit(directory) != 0, "\(file), byte \(at)")
      }
      directory.write(good, to: file)
    }
    #expect(Self.audit(directory) == 0)
  }
}
