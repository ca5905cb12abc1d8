import Core
import Foundation
import Ruleset
import Testing

@testable import Inventory
@testable import Policy

@Suite("Lockdown profiles become the layer that hosts load")
struct LockdownProfileTests {
  private typealias L = Lockdown

  private func example(_ name: String) throws -> CompiledProfile {
    try L.compiled([name: L.example(name)])[0]
  }

  @Test("isolate is what is loaded when nothing else can be", arguments: Family.allCases)
  func isolate(family: Family) throws {
    let profile = try example("isolate")
    let builtIn = BuiltInIsolate.ruleset(
      family, sources: ["203.0.113.1/32", "2001:db8:ff::1/128"], sshPorts: [2222])
    #expect(try LockLayer(builtIn, family).first == profile.layers[family].first)
    #expect(profile.name.description == "isolate" && profile.rank == LockRank(30))
  }

  @Test("All of isolate for IPv4")
  func isolateText() throws {
    let text = """
      *mangle
      :INPUT ACCEPT [0:0]
      :FORWARD ACCEPT [0:0]
      :OUTPUT ACCEPT [0:0]
      -A INPUT -i lo -j RETURN
      -A INPUT -s 203.0.113.1/32 -p tcp -m tcp --dport 2222 -j RETURN
      -A INPUT -p udp -m udp --sport 67 --dport 68 -j RETURN
      -A INPUT -p icmp -m icmp --icmp-type 3 -j RETURN
      -A INPUT -p icmp -m icmp --icmp-type 11 -j RETURN
      -A INPUT -p icmp -m icmp --icmp-type 12 -j RETURN
      -A INPUT -d 224.0.0.0/4 -p 2 -m ttl --ttl-eq 1 -j RETURN
      -A INPUT -s 203.0.113.1/32 -p icmp -m icmp --icmp-type 8 -j RETURN
      -A INPUT \(L.nonSYN)
      -A INPUT -j DROP
      -A FORWARD \(L.nonSYN)
      -A FORWARD -j DROP
      -A OUTPUT -o lo -j RETURN
      -A OUTPUT -d 203.0.113.1/32 -p tcp -m tcp --sport 2222 ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN
      -A OUTPUT -p udp -m udp --sport 68 --dport 67 -j RETURN
      -A OUTPUT -d 224.0.0.0/4 -p 2 -m ttl --ttl-eq 1 -j RETURN
      -A OUTPUT -d 203.0.113.1/32 -p icmp -j RETURN
      -A OUTPUT \(L.nonSYN)
      -A OUTPUT -j DROP
      COMMIT

      """
    let profile = try example("isolate")
    #expect(String(decoding: profile.rules.ipv4, as: UTF8.self) == text)
    #expect(profile.digests.ipv4 == Digest(of: text.utf8))
  }

  private static let replies = "-m conntrack --ctdir REPLY"
  private static let answers = "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN"

  @Test("no-ingress hears answers, and gives none", arguments: Family.allCases)
  func noIngress(family: Family) throws {
    let rest = "defaults: {input: drop, forward: drop}"
    #expect(try L.said(rest, family, "INPUT").below == [Self.answers, "-j DROP"])
    #expect(try L.said(rest, family, "OUTPUT").below == ["\(Self.replies) -j DROP"])
    #expect(try L.said(rest, family, "FORWARD").below == ["-j DROP"])
  }

  @Test("no-egress gives answers, hears none, and carries nothing", arguments: Family.allCases)
  func noEgress(family: Family) throws {
    let profile = try example("no-egress")
    func below(_ chain: String) -> [String] {
      let lines = profile.lines(family, chain)
      return Array(lines[(lines.firstIndex(of: L.nonSYN)! + 1)...])
    }
    #expect(below("INPUT") == ["\(Self.replies) -j DROP"])
    #expect(below("OUTPUT") == [Self.answers, "-j DROP"])
    #expect(below("FORWARD") == ["-j DROP"])
    let resolver = family == .ipv4 ? "192.0.2.53/32" : "2001:db8::53/128"
    #expect(profile.lines(family, "OUTPUT").contains("-d \(resolver) -p udp -m udp --dport 53 -j RETURN"))
  }

  @Test("What is kept passes both ways above the line, and its answers begin no connection")
  func keep() throws {
    let flags = "! --tcp-flags FIN,SYN,RST,ACK SYN"
    let rest = """
      sets: {storage: [10.4.0.0/24, "2001:db8:4::/64"]}
      defaults: {input: drop, forward: drop, output: drop}
      keep:
        input:
          - { tcp: 3260, from: storage, comment: iscsi }
          - { udp: [5404, 5405], from: 10.4.0.0/24, in: eth1 }
        output: [{ tcp: [111, 2049], to: storage }, { udp: 123, to: 10.4.0.1 }, { udp: 53 }, { proto: vrrp, to: 224.0.0.18 }, { icmp: 8, to: 10.4.0.1 }]
        forward: [{ proto: tcp, from: 10.4.0.1, to: 10.5.0.1 }]
      """
    #expect(
      try L.said(rest, .ipv4, "INPUT").kept == [
        "-s 10.4.0.0/24 -p tcp -m tcp --dport 3260 -m comment --comment iscsi -j RETURN",
        "-s 10.4.0.0/24 -i eth1 -p udp -m multiport --dports 5404,5405 -j RETURN",
        "-s 10.4.0.0/24 -p tcp -m multiport --sports 111,2049 -m tcp \(flags) -j RETURN",
        "-s 10.4.0.1/32 -p udp -m udp --sport 123 -j RETURN",
        // Without an address everybody's datagrams from that port would come in.
        "-p udp -m udp --sport 53 \(Self.replies) -j RETURN",
        "-s 224.0.0.18/32 -p 112 \(Self.replies) -j RETURN", "-s 10.4.0.1/32 -p icmp \(Self.replies) -j RETURN",
      ])
    #expect(
      try L.said(rest, .ipv4, "OUTPUT").kept == [
        "-d 10.4.0.0/24 -p tcp -m tcp --sport 3260 \(flags) -m comment --comment iscsi -j RETURN",
        "-d 10.4.0.0/24 -o eth1 -p udp -m multiport --sports 5404,5405 -j RETURN",
        "-d 10.4.0.0/24 -p tcp -m multiport --dports 111,2049 -j RETURN",
        "-d 10.4.0.1/32 -p udp -m udp --dport 123 -j RETURN", "-p udp -m udp --dport 53 -j RETURN",
        "-d 224.0.0.18/32 -p 112 -j RETURN",
        "-d 10.4.0.1/32 -p icmp -m icmp --icmp-type 8 -j RETURN",
      ])
    #expect(
      try L.said(rest, .ipv4, "FORWARD").kept == [
        "-s 10.4.0.1/32 -d 10.5.0.1/32 -p tcp -j RETURN",
        "-s 10.5.0.1/32 -d 10.4.0.1/32 -p tcp -m tcp \(flags) -j RETURN",
      ])
    // What is of the other family alone is nothing here.
    #expect(
      try L.said(rest, .ipv6, "INPUT").kept == [
        "-s 2001:db8:4::/64 -p tcp -m tcp --dport 3260 -m comment --comment iscsi -j RETURN",
        "-s 2001:db8:4::/64 -p tcp -m multiport --sports 111,2049 -m tcp \(flags) -j RETURN",
        "-p udp -m udp --sport 53 \(Self.replies) -j RETURN",
      ])
    #expect(try L.said(rest, .ipv6, "FORWARD").kept.isEmpty)
  }

  @Test("Answers are judged where their connection began")
  func items() throws {
    let rest = """
      defaults: {input: drop, forward: drop}
      input:
        - log: { tcp: 22, prefix: "locked: ", limit: 5/minute }
        - accept: { tcp: 443, from: 10.7.0.0/16, comment: clinic }
        - drop: { udp: 53 }
      output:
        - accept: { udp: 123 }
        - drop: { to: 10.66.0.0/16 }
      """
    #expect(
      try L.said(rest, .ipv4, "INPUT").below == [
        "-p tcp -m tcp --dport 22 -m limit --limit 5/min -j LOG --log-prefix \"locked: \"",
        "-s 10.7.0.0/16 -p tcp -m tcp --dport 443 -m conntrack --ctdir ORIGINAL -m comment --comment clinic -j RETURN",
        "-p udp -m udp --dport 53 -j DROP", "-p udp -m udp --sport 123 \(Self.replies) -j RETURN",
        "-s 10.66.0.0/16 \(Self.replies) -j DROP", Self.answers, "-j DROP",
      ])
    #expect(
      try L.said(rest, .ipv4, "OUTPUT").below == [
        "-p udp -m udp --dport 123 -m conntrack --ctdir ORIGINAL -j RETURN", "-d 10.66.0.0/16 -j DROP",
        "-d 10.7.0.0/16 -p tcp -m tcp --sport 443 \(Self.replies) -m comment --comment clinic -j RETURN",
        "\(Self.replies) -j DROP",
      ])
    let through = """
      defaults: {input: drop, forward: drop, output: drop}
      forward: [{ accept: { tcp: 443, from: 10.7.0.0/16, in: eth1, out: eth2 } }]
      """
    #expect(
      try L.said(through, .ipv4, "FORWARD").below == [
        "-s 10.7.0.0/16 -i eth1 -o eth2 -p tcp -m tcp --dport 443 -m conntrack --ctdir ORIGINAL -j RETURN",
        "-d 10.7.0.0/16 -i eth2 -o eth1 -p tcp -m tcp --sport 443 \(Self.replies) -j RETURN", "-j DROP",
      ])
    #expect(try L.said("defaults: {output: drop}", .ipv4, "FORWARD").below.isEmpty)
  }

  @Test("Lists that are ipsets elsewhere are spelled out, since whoever may change sets would change a lockdown")
  func sets() throws {
    let members = (0..<200).map { "10.0.\($0).1" }.joined(separator: ", ")
    let rest = "defaults: {input: drop}\nkeep: {input: [{tcp: 1, from: [\(members)]}]}"
    #expect(try L.said(rest, .ipv4, "INPUT").kept.count == 200)
  }

  @Test("A host has the profiles of its groups, by name, and the same ones share their text")
  func groups() throws {
    let profiles = [
      "web-only": "lockdown: web-only\nrank: 1\napplies_to: [web, old]\ndefaults: {input: drop}\n",
      "isolate": try L.example("isolate"),
      "nobody": "lockdown: nobody\nrank: 1\napplies_to: nobody\ndefaults: {input: drop}\n",
    ]
    let fleet = try inventory(languageInventory)
    let compiler = try LockdownCompiler(L.folder(profiles).load(), inventory: fleet)
    func names(_ host: String) throws -> [String] {
      try compiler.compile(for: fleet.host(named: host)!, controllers: ["203.0.113.1"]).map(\.name.description)
    }
    #expect(try names("h") == ["isolate"])
    #expect(try names("w1") == ["isolate", "web-only"])
    #expect(try names("o1") == ["isolate", "web-only"])
  }

  @Test("Each line of the rules knows the place it comes from")
  func places() throws {
    let rest = "defaults: {input: drop}\nkeep:\n  input:\n    - {tcp: 3260}\ninput:\n  - accept: {udp: 53}"
    let profile = try L.compiled(["p": L.profile(rest)])[0]
    let lines = String(decoding: profile.rules.ipv6, as: UTF8.self).split(separator: "\n")
    func place(_ part: String) -> String? {
      lines.firstIndex { $0.contains(part) }.flatMap { profile.traces.ipv6.source(line: $0 + 1) }
        .map { "\($0.line):\($0.column)" }
    }
    #expect(place("--dport 3260") == "7:7" && place("--sport 3260") == "7:7" && place("--dport 53") == "9:5")
    #expect(place("-i lo") == "1:11" && place("COMMIT") == "1:11")
  }

  @Test("A folder without profiles, and what else lies in theirs")
  func folders() throws {
    let folder = try L.folder([:])
    #expect(try folder.load().profileNames.isEmpty)
    let fleet = try inventory(languageInventory)
    #expect(try LockdownCompiler(folder.load(), inventory: fleet).compile(for: fleet.hosts[0], controllers: []).isEmpty)
    try folder.write("lockdown/notes.txt", "x")
    try folder.write("lockdown/.hidden.yaml", "x")
    try folder.write("lockdown/old/isolate.yaml", "x")
    #expect(try folder.load().profileNames.isEmpty && folder.load().names == ["web"])
    try folder.write("lockdown/isolate.yml", "x")
    try folder.write("lockdown/policy.yaml", "policy: lockdown\n")
    #expect(
      messages { () throws(Diagnostics) in try folder.load() } == [
        "isolate.yml:1:1 a lockdown profile's file ends in .yaml",
        "policy.yaml:1:1 the folder lockdown is that of lockdown profiles, and not a policy",
      ])
  }

  @Test("A policy cannot reach into the layer's chains")
  func chains() {
    let raw = "raw:\n  ipv4: |\n    *mangle\n    :PCLLOCK-INPUT -\n    COMMIT\n  ipv6: |\n    *mangle\n    COMMIT\n"
    #expect(languageMistakes(raw).contains { $0.contains("names beginning with PCL are those of our own chains") })
    let jump = "input: [{raw: {ipv4: \"-A INPUT -j PCLLOCK-INPUT\"}}]"
    #expect(!languageMistakes(jump).isEmpty)
  }
}
