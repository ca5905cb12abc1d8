import Core
import Ruleset
import Testing

@testable import Inventory
@testable import Policy

/// A locked host that others are reached through stays the way to them.
@Suite("Lockdown profiles keep the way to hosts behind")
struct LockdownJumpTests {
  private static let all = Lockdown.profile("defaults: {input: drop, forward: drop, output: drop}")

  /// Lines by which a host reaches the SSH of others, that another host does not have.
  private func way(
    _ host: String, in fleet: String, _ family: Family, _ chain: String = "OUTPUT", profile: String = all
  ) throws -> [String] {
    let fleet = try inventory(fleet)
    let compiler = try LockdownCompiler(Lockdown.folder(["p": profile]).load(), inventory: fleet)
    func lines(_ name: String) throws -> [String] {
      try compiler.compile(
        for: try #require(fleet.host(named: name)), controllers: ["203.0.113.1", "2001:db8:ff::1"])[0]
        .lines(family, chain)
    }
    let others = Set(try lines("plain"))
    return try lines(host).filter { !others.contains($0) && $0.contains(chain == "INPUT" ? "--sport" : "--dport") }
  }

  private static let fleet = """
    all:
      hosts:
        plain: {ansible_host: 192.0.2.9}
        first: {ansible_host: 192.0.2.1}
        second: {ansible_host: 192.0.2.2, ansible_port: 2202, portcullis_jump: first}
        web:
          ansible_host: 10.8.0.5
          portcullis_addresses: ["2001:db8:8::5"]
          portcullis_jump: second
        db: {ansible_host: 10.8.0.6, ansible_port: 2022, portcullis_jump: 192.0.2.1}
        pinned: {ansible_host: db.example.net, portcullis_jump: first}
        lost: {ansible_host: lost.example, portcullis_jump: first}
        chained: {ansible_host: 10.8.0.7, portcullis_jump: "first,someone@10.8.0.1:2201"}
        far: {ansible_host: 10.9.0.1, portcullis_jump: "someone@bastion.example:2200"}

    """

  @Test("to each of them, and to the next hop, in both families") func ways() throws {
    func rule(_ address: String, _ port: Int) -> String { "-d \(address) -p tcp -m tcp --dport \(port) -j RETURN" }
    #expect(
      try way("first", in: Self.fleet, .ipv4) == [
        rule("203.0.113.50/32", 22), rule("10.8.0.6/32", 2022), rule("10.8.0.1/32", 2201),
        rule("192.0.2.2/32", 2202),
      ])
    #expect(try way("first", in: Self.fleet, .ipv6) == [rule("2001:db8:50::1/128", 22)])
    #expect(try way("second", in: Self.fleet, .ipv4) == [rule("10.8.0.5/32", 22)])
    #expect(try way("second", in: Self.fleet, .ipv6) == [rule("2001:db8:8::5/128", 22)])
    for host in ["web", "db", "far"] { #expect(try way(host, in: Self.fleet, .ipv4).isEmpty) }
    // Of what comes back nothing begins.
    #expect(
      try way("second", in: Self.fleet, .ipv4, "INPUT") == [
        "-s 10.8.0.5/32 -p tcp -m tcp --sport 22 ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN"
      ])
    #expect(try way("second", in: Self.fleet, .ipv4, "FORWARD").isEmpty)
  }

  @Test("An administrator's session to a host behind it lives on") func spared() throws {
    let fleet = try inventory(Self.fleet)
    let profile = try LockdownCompiler(Lockdown.folder(["p": Self.all]).load(), inventory: fleet)
      .compile(for: try #require(fleet.host(named: "second")), controllers: ["203.0.113.1"])[0]
    let own = try #require(AddressPrefix("192.0.2.2"))
    let kept = KeptFlows(FlowPattern.patterns(profile.layers.ipv4), on: [own])
    func flow(_ port: UInt16) throws -> FlowTuple {
      FlowTuple(
        source: own, sourcePort: 40_000, destination: try #require(AddressPrefix("10.8.0.5")), destinationPort: port)
    }
    #expect(try kept.spare(flow(22)) && !kept.spare(flow(80)))
  }

  @Test("Of more hosts than rules are made for, the networks around them") func many() throws {
    let hosts = (0..<1500).map {
      "    h\($0): {ansible_host: 10.\($0 / 250).\($0 % 250).1, portcullis_jump: first, ansible_port: \($0 < 3 ? 23 : 22)}\n"
    }
    let fleet =
      "all:\n  hosts:\n    plain: {ansible_host: 192.0.2.9}\n    first: {ansible_host: 192.0.2.1}\n" + hosts.joined()
    let rules = try way("first", in: fleet, .ipv4)
    let prefixes = rules.compactMap { AddressPrefix(String($0.split(separator: " ")[1])) }
    #expect(rules.count > 100 && rules.count <= JumpWays.prefixLimit && prefixes.count == rules.count)
    for host in 0..<1500 {
      let address = try #require(AddressPrefix("10.\(host / 250).\(host % 250).1"))
      #expect(prefixes.contains { $0.contains(address) }, "\(address)")
    }
    #expect(prefixes.allSatisfy { $0.length > 16 })
  }

  private func remarks(_ profile: String) throws -> [String] {
    let fleet = try inventory(Self.fleet)
    return try Lockdown.folder(["p": profile]).load().profileRemarks(fleet)
      .filter { $0.kind == .lockdownLosesJumps }.map(\.diagnostic.message)
  }

  @Test("Names that it has to look up are told") func names() throws {
    func lost(_ names: String) -> String {
      "lockdown profile \"p\" leaves host \"first\" no way to look up \(names) behind it"
    }
    #expect(try remarks(Self.all) == [lost("lost,pinned")])
    let dns = "keep: {output: [{service: dns, to: 192.0.2.53}]}"
    #expect(try remarks(Self.all + dns + "\n") == [lost("lost")])
    #expect(try remarks(Lockdown.profile("defaults: {input: drop}")).isEmpty)
  }
}
