import Core
import Foundation
import Inventory
import Lint
import Policy
import Rollout
import Ruleset
import Store
import Testing
import Wire

@testable import Operations

/// What `plan` and `validate` say beyond the change itself: pinned names, other hosts, mistakes.
@Suite final class OutlookTests {
  private let folder = "/tmp/po-\(UUID().uuidString)"

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func workspace(_ policies: [String: String], lock: String? = nil) throws -> Workspace {
    var files = [
      ("portcullis.yaml", "fleet: lab\ninventory: hosts.yaml\n"),
      (
        "hosts.yaml",
        "all: {children: {web: {hosts: {w1: {ansible_host: 192.0.2.11}, named.example.net: {}}}, db: {hosts: {d1: {ansible_host: 192.0.2.21}}}}}\n"
      ),
    ]
    files += policies.map { ("policies/\($0).yaml", "policy: \($0)\n\($1)\n") }
    if let lock { files.append(("policies/dns.lock", lock)) }
    for (name, text) in files {
      let path = "\(folder)/\(name)"
      try Files.makeDirectory((path as NSString).deletingLastPathComponent)
      try Files.write(Array(text.utf8), to: path)
    }
    return try Workspace.open(config: folder + "/portcullis.yaml", environment: nil)
  }

  private static let common = "defaults: {input: drop}\ninput: [{accept: {in: lo}}, {accept: icmp-essential}, "

  @Test("Names of policies and of the hosts that policies name are asked for; what has moved is told, silence is not")
  func names() async throws {
    let workspace = try workspace(
      ["p": "applies_to: db\n\(Self.common){accept: {from: [mirror.example.com, group:web]}}]"],
      lock: "mirror.example.com 198.51.100.1\nnamed.example.net 192.0.2.12\nforgotten.example.com 192.0.2.99\n")
    let policies = try workspace.policies()
    let inventory = try workspace.inventory()
    #expect(policies.namesToPin(in: inventory) == ["mirror.example.com", "named.example.net"])

    let moved = await NameResolution.ask(policies, inventory) { name in
      guard name == "mirror.example.com" else { throw Reason("no answer") }
      return ["2001:db8::1", "198.51.100.2", "198.51.100.2"]
    }
    #expect(moved.names.map(\.hasMoved) == [true, false])
    #expect(moved.names[0].pinned == ["198.51.100.1"] && moved.names[0].found == ["198.51.100.2", "2001:db8::1"])
    #expect(moved.names[1].problem == "no answer")
    let pins = String(decoding: moved.newPins().encode(), as: UTF8.self)
    #expect(pins.contains("mirror.example.com 198.51.100.2 2001:db8::1\nnamed.example.net 192.0.2.12\n"))
    #expect(!pins.contains("forgotten"))

    let still = await NameResolution.ask(policies, inventory) { _ in ["198.51.100.1"] }
    #expect(still.names.map(\.hasMoved) == [false, true])
  }

  @Test("A plan for some hosts names those outside whom the same files would change")
  func outside() async throws {
    let workspace = try workspace(["p": "applies_to: all\n\(Self.common){accept: {service: ssh, from: controllers}}]"])
    let store = try workspace.store()
    for name in ["w1", "d1"] {
      try await store.save(
        Enrolment(
          host: HostID(name)!, at: FleetFolder.now, agent: Digest(of: []), agentVersion: "0.1.0",
          architecture: "x86_64",
          backend: .nft, hasGenerationZero: false, controllers: ["192.0.2.1"]))
    }
    let inventory = try workspace.inventory()
    let some = try await Planning(workspace).planWithOutlook(
      [inventory.host(named: "w1")!], store: store, lookup: { _ in [] })
    #expect(some.plan.touched.map(\.host.description) == ["w1"])
    #expect(some.alsoChanging.map(\.description) == ["d1"])
    let all = try await Planning(workspace).planWithOutlook(inventory.hosts, store: store, lookup: { _ in [] })
    #expect(all.alsoChanging.isEmpty && all.plan.touched.count == 2)
    // Every added rule leads to its line of the policy.
    let place = try #require(
      some.plan.groups.lazy.compactMap { group -> Core.SourceLocation? in
        guard case .rules(let diff) = group.difference else { return nil }
        return diff.ipv4.lines.compactMap { some.sources(of: group)(.ipv4, $0) }.first { $0.line == 4 }
      }.first)
    #expect(place.file.hasSuffix("/policies/p.yaml"))
    try store.close()
  }

  @Test("Mistakes of all kinds are found with their hosts; strict makes errors of warnings")
  func mistakes() throws {
    let workspace = try workspace([
      "a":
        "applies_to: web\nsets: {unused: [10.0.0.0/8]}\nservices: {idle: tcp/81}\nschedule: {never: {days: mon}}\n"
        + "\(Self.common){accept: {tcp: 80, until: 2020-01-01}}, {accept: {tcp: 21, helper: fpt}}, {drop: {}}, {accept: {tcp: 443}}]",
      "b": "applies_to: ungrouped\ndefaults: {input: drop}",
    ])
    let found = try Validation.run(workspace)
    let rules = Set(found.findings.map(\.lint.rule.rawValue))
    for rule in [
      "unused-set", "unused-service", "unused-schedule", "expired-item", "unknown-helper", "accept-after-catch-all",
      "no-ssh-from-controllers", "policy-without-hosts", "host-without-policy",
    ] {
      #expect(rules.contains(rule), "\(rule): \(rules)")
    }
    // Nobody knows who manages them, so nobody can tell that they are shut out.
    #expect(found.errors == 0)
    let known = try Validation.run(workspace, sources: [HostID("w1")!: ["192.0.2.1"]])
    let shut = try #require(
      known.findings.first { $0.lint.rule == .noSSHFromControllers && $0.lint.severity == .error })
    #expect(shut.hosts == ["w1"])
    let warnings = found.findings.count { $0.lint.severity == .warning }
    #expect(warnings > 0)
    #expect(try Validation.run(workspace, strict: true).findings.allSatisfy { $0.lint.severity == .error })
  }

  @Test(
    "A long list lets its members in and nobody else; a translation that takes SSH is told",
    arguments: [
      ("{accept: {service: ssh, from: [LIST]}}]", "10.1.139.7", []),
      ("{accept: {service: ssh, from: [LIST]}}]", "192.0.2.1", ["error 3"]),
      ("{accept: {service: ssh}}]\nnat: [{forward-port: {tcp: 22, to: \"10.8.0.5:22\"}}]", "192.0.2.1", ["error 5"]),
      ("{accept: {service: ssh}}]\nnat: [{redirect: {in: eth0, tcp: 22, to: 2222}}]", "192.0.2.1", ["warning 5"]),
      (
        "{accept: {service: ssh}}]\nnat: [{forward-port: {tcp: 22, from: 10.1.0.0/16, to: \"10.8.0.5:22\"}}]",
        "192.0.2.1", []
      ),
    ])
  func waysIn(items: String, controller: String, expected: [String]) throws {
    let list = (0..<140).map { "10.1.\($0).7" }.joined(separator: ", ")
    let workspace = try workspace(["p": "applies_to: db\n\(Self.common)\(items.replacing("LIST", with: list))"])
    let found = try Validation.run(workspace, sources: [HostID("d1")!: [controller]]).findings
      .filter { $0.lint.rule == .noSSHFromControllers }
    #expect(found.map { "\($0.lint.severity.rawValue) \($0.lint.diagnostic.location.line)" } == expected)
  }

  @Test(
    "A dead item is named in its own family, and answers that nobody wrote are not called its first item's",
    arguments: [
      (
        "input: [{drop: established}, {accept: {tcp: 80}}]",
        "4:16 this rule can never match: INPUT accepts answers by itself before it"
      ),
      (
        "input: [{drop: {from: 203.0.113.66}}, {drop: {from: 198.51.100.0/24, state: established}}]",
        "4:39 this rule can never match: INPUT accepts answers by itself before it"
      ),
      (
        "input: [{accept: established}, {drop: established}]",
        "4:39 this rule can never match: the rule of INPUT at p.yaml:4:18 takes all its packets"
      ),
      (
        "input: [{drop: {family: ipv4}}, {accept: {tcp: 90, from: [10.0.0.0/8, \"2001:db8::/32\"]}}]",
        "4:33 this accept can never match over IPv4: the rule of INPUT at p.yaml:4:9 drops everything before it"
      ),
    ])
  func dead(items: String, expected: String) throws {
    let workspace = try workspace(["p": "applies_to: all\ndefaults: {input: drop}\n\(items)"])
    let dead: Set<LintRule> = [.shadowedRule, .duplicateRule, .acceptAfterCatchAll]
    let found = try Validation.run(workspace).findings.map(\.lint).filter { dead.contains($0.rule) }
    #expect(
      found.map {
        let said = $0.diagnostic
        return "\(said.location.line):\(said.location.column) "
          + said.message.replacing("\(folder)/policies/", with: "")
      } == [expected])
  }

  @Test("What was judged is what is planned, whatever happens to the files meanwhile")
  func readOnce() throws {
    let workspace = try workspace(["p": "applies_to: all\n\(Self.common){accept: {service: ssh, from: controllers}}]"])
    let once = try workspace.readingOnce()
    try Files.write(Array("policy: p\naplies_to: all\n".utf8), to: folder + "/policies/p.yaml")
    try Files.write(Array("all: {hosts: {x1: {}}}\n".utf8), to: folder + "/hosts.yaml")
    #expect(throws: Diagnostics.self) { try workspace.policies() }
    #expect(try once.policies().names == ["p"] && once.inventory().hosts.count == 3)
  }

  @Test("A way in that has ended is none, and what drop-all leaves out is named, by the fleet's own clock")
  func endedAndClosed() throws {
    func found(_ until: String) throws -> [String] {
      let workspace = try workspace([
        "a":
          "applies_to: web\n\(Self.common){accept: {service: ssh, from: controllers, until: \(until)}},"
          + " {accept: {tcp: 80, from: \"2001:db8::/32\"}}]",
        "b": "applies_to: web\nipv6: drop-all",
      ])
      return try Validation.run(workspace, sources: [HostID("w1")!: ["192.0.2.1"]]).findings.compactMap { finding in
        let place = finding.lint.diagnostic.location
        guard [.noSSHFromControllers, .closedFamily].contains(finding.lint.rule) else { return nil }
        return "\(finding.lint.severity) \(finding.lint.rule.rawValue) \((place.file as NSString).lastPathComponent)"
      }
    }
    // Of the second host nobody knows who manages it.
    #expect(
      Set(try found("2020-01-01")) == [
        "error no-ssh-from-controllers a.yaml", "warning no-ssh-from-controllers a.yaml",
        "warning closed-family a.yaml",
      ])
    #expect(
      Set(try found("2037-01-01")) == ["warning no-ssh-from-controllers a.yaml", "warning closed-family a.yaml"])
  }
}
