import Core
import Foundation
import Testing

@testable import Inventory
@testable import Policy

@Suite("Policy files")
struct PolicySetTests {
  @Test(
    "What is wrong in policy.yaml is named at its place",
    arguments: [
      ("policy: p\napplies_to: all\nrules: {ipv4: rules.v4}\n", "policy.yaml:3:8 the IPv6 half is missing"),
      ("policy: p\napplies_to: all\nrules: {ipv6: rules.v6}\n", "policy.yaml:3:8 the IPv4 half is missing"),
      (
        "policy: p\napplies_to: all\nipv6: drop\nrules: {ipv4: rules.v4}\n",
        "policy.yaml:3:7 expected drop-all, found \"drop\""
      ),
      (
        "policy: p\napplies_to: all\nipv6: drop-all\nrules: {ipv4: rules.v4, ipv6: rules.v6}\n",
        "policy.yaml:3:7 ipv6: drop-all and a rules file for IPv6 exclude each other"
      ),
      (
        "policy: q\napplies_to: all\nrules: {ipv4: rules.v4, ipv6: rules.v6}\n",
        "policy.yaml:1:9 policy \"q\" stands in the folder \"p\""
      ),
      (
        "policy: p\napply_to: all\nrules: {ipv4: rules.v4, ipv6: rules.v6}\n",
        "policy.yaml:1:1 the key \"applies_to\" is missing"
      ),
      (
        "policy: p\napplies_to: {a: b}\nrules: {ipv4: rules.v4, ipv6: rules.v6}\n",
        "policy.yaml:2:13 expected a text, found a mapping"
      ),
      (
        "policy: p\napplies_to: \"a,b\"\nrules: {ipv4: rules.v4, ipv6: rules.v6}\n",
        "policy.yaml:2:13 \"a,b\" is no group name"
      ),
      (
        "policy: p\napplies_to: all\nmode: shared\nrules: {ipv4: rules.v4, ipv6: rules.v6}\n",
        "policy.yaml:3:7 unknown mode \"shared\""
      ),
      (
        "policy: p\napplies_to: all\nrules: {ipv4: rules.v4, ip6: rules.v6}\n",
        "policy.yaml:3:8 the IPv6 half is missing"
      ),
      ("policy: p\napplies_to: all\nrules: [rules.v4]\n", "policy.yaml:3:8 expected a mapping, found a list"),
      (
        "policy: p\napplies_to: all\nrules: {ipv4: ../x, ipv6: rules.v6}\n",
        "policy.yaml:3:15 \"../x\" is not a file of this policy's folder"
      ),
      (
        "policy: p\napplies_to: all\nrules: {ipv4: /etc/passwd, ipv6: rules.v6}\n",
        "policy.yaml:3:15 \"/etc/passwd\" is not a file of this policy's folder"
      ),
      (
        "policy: p\napplies_to: all\nrules: {ipv4: link.v4, ipv6: rules.v6}\n",
        "policy.yaml:3:15 \"link.v4\" is a link out of this policy's folder"
      ),
    ])
  func mistakes(text: String, message: String) throws {
    let folder = try PolicyFolder()
    try folder.add("p", to: "all")
    try folder.write("p/policy.yaml", text)
    try FileManager.default.createSymbolicLink(
      atPath: folder.path + "/p/link.v4", withDestinationPath: "/etc/hostname")
    #expect(messages { () throws(Diagnostics) in try folder.load() }.first == message)
  }

  @Test("Mistakes of all policies and rules files are shown at once")
  func allAtOnce() throws {
    let folder = try PolicyFolder()
    try folder.add("a", to: "all", v4: "*filter\n:INPUT DROP\n-A INPUT -s example.net -j ACCEPT\nCOMMIT\n")
    try folder.add("b", to: "web", v6: "*filter\n-A INPTU -j ACCEPT\nCOMMIT\n")
    try folder.add("c", to: "web")
    try folder.write("d/policy.yml", "")
    try folder.write("README.md", "not looked at")
    let found = messages { () throws(Diagnostics) in try folder.load() }
    #expect(found.contains { $0.hasPrefix("rules.v4:3:13 ") })
    #expect(found.contains { $0.hasPrefix("rules.v6:2:4 ") })
    #expect(found.contains("policy.yaml:1:1 no such file"))
  }

  @Test("A folder without policies, and one that is not there, are errors")
  func empty() throws {
    let folder = try PolicyFolder()
    #expect(
      messages { () throws(Diagnostics) in try folder.load() }.map { $0.hasSuffix("the folder holds no policy") } == [
        true
      ])
    let found = messages { () throws(Diagnostics) in try PolicySet.load(directory: folder.path + "/none") }
    #expect(found.count == 1 && found[0].hasSuffix("cannot read the policies: no such file"))
  }

  @Test("Every policy of a host's groups applies: by order, then the less specific group first, then by name")
  func composition() throws {
    let folder = try PolicyFolder()
    func add(_ name: String, to groups: String, order: Int? = nil) throws {
      let line = order.map { "order: \($0)\n" } ?? ""
      try folder.write("\(name).yaml", "policy: \(name)\napplies_to: \(groups)\n\(line)defaults: {input: drop}\n")
    }
    try add("site", to: "dc1")
    try add("web", to: "web")
    try add("db", to: "[db, web]")
    try add("late", to: "dc1", order: 90)
    try add("first", to: "web", order: 10)
    let fleet = try inventory(
      """
      dc1: {hosts: {plain: }, children: {web: {hosts: {w1: , both1: }}, db: {hosts: {both1: }}}}
      other: {hosts: {stray: }}
      """)
    let compiler = try PolicyCompiler(folder.load(), inventory: fleet)
    func policies(_ host: String) -> [String] { compiler.policies(of: fleet.host(named: host)!) }
    #expect(policies("plain") == ["site", "late"])
    #expect(policies("w1") == ["first", "site", "db", "web", "late"])
    #expect(policies("both1") == ["first", "site", "db", "web", "late"])
    #expect(
      messages { () throws(Diagnostics) in try compiler.compile(for: fleet.host(named: "stray")!, controllers: []) }
        == ["hosts.yaml:2:17 no policy applies to host \"stray\""])
    #expect(compiler.uncovered(in: fleet).map(\.id.description) == ["stray"])
  }

  @Test("A policy for a group that the inventory does not have is an error with the nearest name")
  func unknownGroup() throws {
    let folder = try PolicyFolder()
    try folder.add("web", to: "wbe")
    do {
      _ = try PolicyCompiler(folder.load(), inventory: inventory("web: {hosts: {a: }}"))
      Issue.record("an unknown group was accepted")
    } catch let error as Diagnostics {
      #expect(error.all.map(\.message) == ["group \"wbe\" is not in the inventory"])
      #expect(error.all.map(\.hint) == ["did you mean \"web\"?"])
    }
  }
}
