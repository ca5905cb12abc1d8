import Core
import Foundation
import TestSupport
import Testing

@testable import Inventory
@testable import Policy

@Suite("Several policies of one host")
struct LanguageCompositionTests {
  private func compiled(_ policies: [String: String], common: String? = nil) throws -> CompiledPolicy {
    let folder = try PolicyFolder()
    for (name, text) in policies { try folder.write("\(name).yaml", "policy: \(name)\napplies_to: all\n\(text)\n") }
    if let common { try folder.write("common.yaml", common) }
    return try folder.compiled()
  }

  private func mistakes(_ policies: [String: String], common: String? = nil) -> [String] {
    do {
      _ = try compiled(policies, common: common)
      return []
    } catch let error as Diagnostics {
      return error.all.map {
        "\(($0.location.file as NSString).lastPathComponent):\($0.location.line):\($0.location.column) "
          + $0.message.replacing(#/ /\S+/([a-z]+\.yaml)/#) { " " + $0.1 }
      }
    } catch {
      return ["\(error)"]
    }
  }

  @Test("Rules stand by order, then by name; what is last of one comes after everything of all others")
  func order() throws {
    let policy = try compiled([
      "a": "order: 60\ndefaults: {input: drop}\ninput: [{accept: {tcp: 1}}]\ninput_last: [{log: {prefix: a}}]",
      "b": "order: 10\ninput: [{accept: {tcp: 2}}]\ninput_last: [{log: {prefix: b}}]",
      "c": "order: 10\ninput: [{accept: {tcp: 3}}]",
    ])
    #expect(policy.policies == ["b", "c", "a"])
    for family in Family.allCases {
      #expect(
        policy.lines(family, "INPUT") == [
          "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-p tcp -m tcp --dport 2 -j ACCEPT",
          "-p tcp -m tcp --dport 3 -j ACCEPT", "-p tcp -m tcp --dport 1 -j ACCEPT", "-j LOG --log-prefix b",
          "-j LOG --log-prefix a",
        ])
    }
  }

  @Test(
    "Policies that contradict each other are an error naming both places",
    arguments: [
      (
        ["a": "defaults: {input: drop}", "b": "defaults: {input: accept}"],
        ["b.yaml:3:19 default accept of input contradicts drop at a.yaml:3:19"]
      ),
      (
        [
          "a": "defaults: {input: drop}",
          "b":
            "raw:\n  ipv4: |\n    *filter\n    :INPUT ACCEPT\n    COMMIT\n  ipv6: |\n    *filter\n    :INPUT DROP\n    COMMIT",
        ], ["b.yaml:6:5 default accept of input contradicts drop at a.yaml:3:19"]
      ),
      (
        ["a": "mode: owned\ndefaults: {input: drop}", "b": "mode: exclusive\ndefaults: {input: drop}"],
        ["b.yaml:3:7 mode exclusive contradicts mode owned at a.yaml:3:7"]
      ),
      (
        ["a": "on_drift: repair", "b": "on_drift: report"],
        ["b.yaml:3:11 on_drift: report contradicts on_drift: repair at a.yaml:3:11"]
      ),
      (
        ["a": "mode: exclusive\ndefaults: {input: drop}", "b": "forward: foreign\ndefaults: {input: drop}"],
        ["b.yaml:3:10 forward: foreign and mode: exclusive exclude each other"]
      ),
      (
        ["a": "containers: [{drop: {}}]", "b": "containers: [{accept: {tcp: 80}}, {reject: {}}]"],
        ["b.yaml:3:35 containers: reject of the rest contradicts drop at a.yaml:3:14"]
      ),
      (
        [
          "a": "containers: [{drop: {family: ipv4}}]",
          "b": "containers: [{accept: {tcp: 80}}, {drop: {from: 0.0.0.0/0}}]", "d": "containers: [{reject: {}}]",
        ], ["d.yaml:3:14 containers: reject of the rest contradicts drop at a.yaml:3:14"]
      ),
      (
        [
          "a": "containers: [{drop: {family: ipv6}}]",
          "b": "sets: {world: [10.0.0.0/8, \"::/0\"]}\ncontainers: [{accept: {from: world}}]",
        ], ["b.yaml:4:14 containers: accept of the rest contradicts drop at a.yaml:3:14"]
      ),
      (
        ["a": "containers: [{drop: {family: ipv6}}, {accept: {tcp: 80}}]"],
        [
          "a.yaml:3:38 containers: this item is never reached in IPv6: the one at a.yaml:3:14 takes everything of it"
        ]
      ),
      (
        [
          "a": "raw: &x\n", "b": "defaults: {input: drop}",
        ], ["a.yaml:3:6 anchors and aliases (&name, *name) are not accepted"]
      ),
      (
        [
          "a": "raw:\n  ipv4: |\n    *filter\n    :MINE -\n    COMMIT\ndefaults: {input: drop}",
          "b": "raw:\n  ipv4: |\n    *filter\n    :MINE -\n    COMMIT\ndefaults: {input: drop}",
        ], ["b.yaml:6:5 chain MINE of table filter is declared at a.yaml:6:5 too"]
      ),
    ])
  func contradictions(policies: [String: String], wanted: [String]) { #expect(mistakes(policies) == wanted) }

  @Test("What the policies say of containers' rest stands once, behind the items of all of them")
  func containers() throws {
    let policy = try compiled([
      "a": "order: 10\ncontainers: [{accept: {from: 10.0.0.0/8}}, {drop: {}}]",
      "b": "containers: [{accept: {from: 192.0.2.0/24}}, {drop: {}}]", "c": "containers: [{reject: {in: eth9}}]",
    ])
    #expect(
      policy.lines(.ipv4, "CONTAINERS").dropFirst().map { $0.prefix(20) } == [
        "-s 10.0.0.0/8 -j RET", "-s 192.0.2.0/24 -j R", "-i eth9 -m conntrack", "-i eth9 -o docker0 -",
        "! -i docker0 -m conn", "! -i docker0 -o dock",
      ])
  }

  @Test("What takes all of one family is that family's rest, and an item as any other in the other one")
  func containersOfOneFamily() throws {
    let policy = try compiled([
      "a": "order: 10\ncontainers: [{drop: {family: ipv4}}]",
      "b": "containers: [{accept: {tcp: 80}}, {drop: {from: [0.0.0.0/0, \"2001:db8::/32\"]}}]",
      "c": "containers: [{accept: {tcp: 443}}, {reject: {family: ipv6}}]",
    ])
    func beginnings(_ family: Family) -> [String] {
      policy.lines(family, "CONTAINERS").dropFirst().map { $0.replacing(#/ (-m|--reject).*/#, with: "") }
    }
    #expect(beginnings(.ipv4) == ["-p tcp", "-p tcp", "! -i docker0", "! -i docker0 -o docker0 -j DROP"])
    #expect(
      beginnings(.ipv6) == [
        "-p tcp", "-s 2001:db8::/32 ! -i docker0", "-s 2001:db8::/32 ! -i docker0 -o docker0 -j DROP", "-p tcp",
        "! -i docker0", "! -i docker0 -o docker0 -j REJECT",
      ])
  }

  @Test("Rules that stand alone have nobody beside them: what is about others is refused")
  func standalone() throws {
    for (text, place) in [
      ("containers: [{drop: {}}]", "4:1 containers"), ("forward: foreign", "4:10 forward: foreign"),
      ("foreign: allow", "4:1 foreign"),
    ] {
      let folder = try PolicyFolder()
      try folder.write("p.yaml", "policy: p\napplies_to: all\ninput: [{accept: {tcp: 80}}]\n\(text)\n")
      let set = try folder.load()
      #expect(
        messages { () throws(Diagnostics) in try PolicyCompiler.standalone(set, named: [], controllers: []) } == [
          "p.yaml:\(place) has no meaning in rules that stand alone: nobody else's are beside them"
        ])
    }
  }

  @Test("Same defaults, modes and settings of several policies agree")
  func agreement() throws {
    let policy = try compiled([
      "a": "mode: owned\ndefaults: {input: drop}\nsysctl: {net.ipv4.ip_forward: 1}",
      "b": "mode: owned\ndefaults: {input: drop, output: accept}\nsysctl: {net.ipv4.ip_forward: 1}",
    ])
    #expect(String(decoding: policy.sysctl ?? [], as: UTF8.self) == "net.ipv4.ip_forward = 1\n")
    #expect(
      mistakes([
        "a": "defaults: {input: drop}\nsysctl: {net.ipv4.ip_forward: 1}",
        "b": "defaults: {input: drop}\nsysctl: {net.ipv4.ip_forward: 0}",
      ]) == ["b.yaml:4:10 net.ipv4.ip_forward contradicts its value at a.yaml:4:10"])
  }

  @Test("Raw text of any table stands where it says, in both modes, after the items of its policy")
  func raw() throws {
    for mode in ["owned", "exclusive"] {
      let policy = try compiled([
        "a": """
        mode: \(mode)
        input: [{accept: {tcp: 1}}]
        raw:
          ipv4: |
            *filter
            :MINE -
            -A INPUT -p tcp -m tcp --dport 9 -j MINE
            -A MINE -j DROP
            COMMIT
            *mangle
            -A PREROUTING -j MARK --set-xmark 0x1/0xff
            COMMIT
            *security
            -A INPUT -j ACCEPT
            COMMIT
          ipv6: |
            *raw
            -A PREROUTING -i lo -j CT --notrack
            COMMIT
        """, "b": "order: 60\ninput: [{accept: {tcp: 2}}]",
      ])
      #expect(policy.beside.mode.rawValue == mode)
      #expect(
        policy.lines(.ipv4, "INPUT").dropFirst() == [
          "-p tcp -m tcp --dport 1 -j ACCEPT", "-p tcp -m tcp --dport 9 -j MINE", "-p tcp -m tcp --dport 2 -j ACCEPT",
        ])
      #expect(policy.lines(.ipv4, "MINE") == ["-j DROP"])
      #expect(policy.lines(.ipv4, "PREROUTING", table: "mangle") == ["-j MARK --set-xmark 0x1/0xff"])
      #expect(policy.lines(.ipv4, "INPUT", table: "security") == ["-j ACCEPT"])
      #expect(policy.lines(.ipv6, "PREROUTING", table: "raw") == ["-i lo -j CT --notrack"])
      #expect(policy.lines(.ipv6, "INPUT").count == 3)
    }
  }

  @Test("A policy's own sets, services and schedules go before those of common.yaml")
  func common() throws {
    let common =
      "sets: {who: 10.0.0.1, inner: 10.0.0.2}\nservices: {http: tcp/81, site: tcp/82}\nschedule: {t: {days: mon}}"
    let policy = try compiled(
      ["a": "sets: {who: [10.0.0.3, inner]}\ninput: [{accept: {from: who, service: [http, site], when: t}}]"],
      common: common)
    #expect(
      policy.lines(.ipv4, "INPUT").dropFirst().map { $0.prefix(60) } == [
        "-s 10.0.0.2/32 -p tcp -m multiport --dports 81,82 -m time --",
        "-s 10.0.0.3/32 -p tcp -m multiport --dports 81,82 -m time --",
      ])
    let wrong = [
      ("sets: {a: []}", "common.yaml:1:11 the list names no address"),
      ("sets: {controllers: 10.0.0.1}", "common.yaml:1:8 \"controllers\" is no name for a set"),
      ("services: {ssh: tcp/2222}", "common.yaml:1:12 ssh is the port that a host's own sshd listens on"),
      ("services: {x: 80}", "common.yaml:1:15 \"80\" is no port of a service"),
      ("services: {x: tcp/99999}", "common.yaml:1:15 \"tcp/99999\" is no port of a service"),
      ("schedule: {x: {}}", "common.yaml:1:12 the schedule's window is always open"),
      ("schedule: {x: {days: mon-sun, from: \"00:00\"}}", "common.yaml:1:12 the schedule's window is always open"),
      (
        "schedule: {x: {from: \"08:00\", to: \"08:00\"}}",
        "common.yaml:1:31 the window begins and ends at the same second"
      ),
      ("schedule: {x: {from: 8:00}}", "common.yaml:1:22 \"8:00\" is no time of day"),
      ("schedule: {x: {days: someday}}", "common.yaml:1:22 \"someday\" names no days"),
      (
        "schedule: {x: {days: mon, zone: Europe/Berlin}}",
        "common.yaml:1:33 schedules are in UTC only, found \"Europe/Berlin\""
      ),
      ("input: []", "common.yaml:1:1 unknown key \"input\""),
    ]
    for (text, message) in wrong {
      #expect(mistakes(["a": "input: [{accept: {in: lo}}]"], common: text).first == message)
    }
  }

  @Test("Sets within sets are looked up once each: they end, however they are woven")
  func wovenSets() {
    let all = (0..<24).map { "s\($0): [s\($0 + 1), s\($0 + 1), s\($0 + 1), s\($0 + 1)]" }.joined(separator: ", ")
    let start = ProcessorTime.now
    let deep = mistakes(["a": "sets: {\(all), s24: 10.0.0.1}\ninput: [{accept: {from: s0}}]"])
    // Once for each place that leads too deep.
    #expect(deep.count == 4 && deep.allSatisfy { $0.hasSuffix("sets are nested more than 16 deep") })
    let cycle = mistakes(["a": "sets: {x: [x, x, x, x, x, x, x, x, x, x]}\ninput: [{accept: {from: x}}]"])
    #expect(cycle.count == 10 && cycle[0] == "a.yaml:3:12 set \"x\" contains itself")
    #expect(ProcessorTime.now - start < .seconds(5))
  }

  @Test("A few lines cannot become more rules than anybody can load")
  func expansion() throws {
    let set = (0..<64).map { "10.0.\($0).0/24" }.joined(separator: ", ")
    let one = mistakes(["a": "sets: {s: [\(set)]}\ninput: [{accept: {from: s, to: s, in: [a, b]}}]"])
    #expect(one == ["a.yaml:4:9 the item would become 8192 ipv4 rules, more than the 4096 allowed"])
    let fleet = try inventory("all: {hosts: {h: }}")
    var reader = PolicyFileReader(file: "p.yaml", name: "p", folder: nil)
    let text = "policy: p\napplies_to: all\ninput: [{accept: {in: [a, b, c]}}]\n"
    let read = reader.read(try StrictYAML.parse(Array(text.utf8), file: "p.yaml"))
    let policy = try #require(read)
    var compiler = MatchCompiler(
      policy, common: CommonFile(), facts: HostFacts(fleet.hosts[0], controllers: []),
      fleet: FleetAddresses(fleet, pins: NamePins()), pins: NamePins())
    compiler.rulesLeft = 8
    let match = try #require(policy.sections[.input]?.first?.match)
    #expect(compiler.texts(match, in: .input).ipv6.count == 3 && compiler.resolver.problems.isEmpty)
    #expect(compiler.texts(match, in: .input).ipv6.isEmpty && !compiler.resolver.problems.isEmpty)
    #expect(
      compiler.resolver.problems.all.allSatisfy { $0.message == "the policy would become more than 200000 rules" })
  }

  @Test("observe keeps the policy open, and counts what the default would have dropped")
  func observe() throws {
    let policy = try compiled([
      "a": "observe: true\ndefaults: {input: drop, output: accept}\ninput: [{accept: {in: lo}}]"
    ])
    #expect(policy.observes)
    for family in Family.allCases {
      let text = String(decoding: policy.rules[family], as: UTF8.self)
      #expect(text.contains(":INPUT ACCEPT ") && !text.contains("DROP"))
      #expect(policy.lines(family, "INPUT").contains { $0.contains("-j LOG") })
      #expect(policy.lines(family, "OUTPUT").isEmpty)
    }
  }

  @Test("on_drift is report unless a policy says repair, and means nothing to the rules")
  func onDrift() throws {
    let plain = try compiled(["a": "input: [{accept: {tcp: 80}}]"])
    #expect(plain.onDrift == .report)
    let repaired = try compiled(["a": "on_drift: repair\ninput: [{accept: {tcp: 80}}]", "b": "description: x"])
    #expect(repaired.onDrift == .repair && repaired.rules == plain.rules)
    #expect(try compiled(["a": "on_drift: report\ninput: [{accept: {tcp: 80}}]"]).onDrift == .report)
  }

  @Test("ipv6: drop-all leaves nothing of the items in IPv6")
  func dropAll() throws {
    let policy = try compiled(["a": "ipv6: drop-all\ninput: [{accept: {tcp: 80}}]\nnat: [{masquerade: {out: eth0}}]"])
    #expect(policy.closesIPv6)
    #expect(policy.lines(.ipv6, "INPUT") == ["-i lo -j ACCEPT"])
    #expect(policy.lines(.ipv6, "POSTROUTING", table: "nat").isEmpty)
    #expect(policy.lines(.ipv4, "INPUT").count == 2 && policy.leftOut.isEmpty)
    let two = try compiled([
      "a": "ipv6: drop-all\ninput: [{accept: {tcp: 80}}, {accept: {from: \"2001:db8::/32\"}}]",
      "b":
        "raw:\n  ipv4: |\n    *filter\n    COMMIT\n  ipv6: |\n    *filter\n    -A INPUT -p tcp -j ACCEPT\n    COMMIT\n",
    ])
    #expect(
      two.leftOut.map { "\(($0.file as NSString).lastPathComponent):\($0.line):\($0.column)" } == [
        "a.yaml:4:30", "b.yaml:9:5",
      ])
    #expect(two.closing?.line == 3)
  }
}
