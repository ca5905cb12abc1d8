import Core
import Testing

@testable import Inventory
@testable import Policy

@Suite("Items of input, forward and output")
struct LanguageFilterTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let item: String
    let ipv4: [String]
    let ipv6: [String]
    var testDescription: String { item }

    init(_ item: String, _ ipv4: [String], _ ipv6: [String]) {
      self.item = item
      self.ipv4 = ipv4
      self.ipv6 = ipv6
    }

    /// The same rules in both families.
    init(_ item: String, _ both: String...) { self.init(item, both, both) }
  }

  private static let office = "--timestart 08:00:00 --timestop 18:00:00 --weekdays Mon,Tue,Wed,Thu,Fri"
  private static let end = "--datestop 2038-01-19T03:14:07"

  static let input = [
    // Verbs and words.
    Case("accept: {}", "-j ACCEPT"), Case("drop: {}", "-j DROP"),
    Case(
      "reject: {}", ["-j REJECT --reject-with icmp-port-unreachable"],
      ["-j REJECT --reject-with icmp6-port-unreachable"]),
    Case("accept: established", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Case("drop: invalid", "-m conntrack --ctstate INVALID -j DROP"),
    Case("drop: multicast", "-m pkttype --pkt-type multicast -j DROP"),
    Case("drop: broadcast", ["-m pkttype --pkt-type broadcast -j DROP"], []),
    Case(
      "accept: dhcp-client", ["-p udp -m udp --sport 67 --dport 68 -j ACCEPT"],
      ["-s fe80::/10 -d fe80::/10 -p udp -m udp --sport 547 --dport 546 -j ACCEPT"]),
    Case("log: invalid", "-m conntrack --ctstate INVALID -j LOG"),
    // Ports and protocols.
    Case("accept: {tcp: 80}", "-p tcp -m tcp --dport 80 -j ACCEPT"),
    Case("accept: {udp: 8000-8010}", "-p udp -m udp --dport 8000:8010 -j ACCEPT"),
    Case("accept: {udp: \"8000:8010\"}", "-p udp -m udp --dport 8000:8010 -j ACCEPT"),
    Case("accept: {tcp: 22:30}", "-p tcp -m tcp --dport 22:30 -j ACCEPT"),
    Case("accept: {sctp: 38412}", "-p sctp -m sctp --dport 38412 -j ACCEPT"),
    Case("accept: {dccp: 5001}", "-p 33 -m dccp --dport 5001 -j ACCEPT"),
    Case("accept: {tcp: [80, 443]}", "-p tcp -m multiport --dports 80,443 -j ACCEPT"),
    Case("accept: {tcp: [80, 80]}", "-p tcp -m tcp --dport 80 -j ACCEPT"),
    Case(
      "accept: {tcp: 1, udp: 2}", "-p tcp -m tcp --dport 1 -j ACCEPT", "-p udp -m udp --dport 2 -j ACCEPT"),
    Case(
      "accept: {tcp: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}",
      "-p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 -j ACCEPT", "-p tcp -m tcp --dport 16 -j ACCEPT"
    ),
    Case(
      "accept: {tcp: [1-2,3-4,5-6,7-8,9-10,11-12,13-14,15-16,17]}",
      "-p tcp -m multiport --dports 1:2,3:4,5:6,7:8,9:10,11:12,13:14 -j ACCEPT",
      "-p tcp -m multiport --dports 15:16,17 -j ACCEPT"),
    Case("accept: {proto: vrrp}", "-p 112 -j ACCEPT"), Case("accept: {proto: GRE}", "-p 47 -j ACCEPT"),
    Case("accept: {proto: 4}", "-p 4 -j ACCEPT"), Case("accept: {proto: esp}", "-p esp -j ACCEPT"),
    Case("accept: {proto: [tcp, udp]}", "-p tcp -j ACCEPT", "-p udp -j ACCEPT"),
    Case("accept: {proto: icmp}", ["-p icmp -j ACCEPT"], ["-p ipv6-icmp -j ACCEPT"]),
    Case("drop: {proto: ah}", ["-p ah -j DROP"], ["-m ah -j DROP"]),
    Case(
      "drop: {proto: [43, 44, 60]}", ["-p 43 -j DROP", "-p 44 -j DROP", "-p 60 -j DROP"],
      ["-m rt -j DROP", "-m frag -j DROP", "-m dst -j DROP"]),
    Case("accept: {proto: icmpv6}", [], ["-p ipv6-icmp -j ACCEPT"]),
    Case(
      "accept: {proto: [icmp, icmpv6]}", ["-p icmp -j ACCEPT"], ["-p ipv6-icmp -j ACCEPT", "-p ipv6-icmp -j ACCEPT"]),
    // Services.
    Case("accept: {service: ssh}", "-p tcp -m tcp --dport 2222 -j ACCEPT"),
    Case("accept: {service: https}", "-p tcp -m tcp --dport 443 -j ACCEPT"),
    Case("accept: {service: http3}", "-p udp -m udp --dport 443 -j ACCEPT"),
    Case("accept: {service: [http, https]}", "-p tcp -m multiport --dports 80,443 -j ACCEPT"),
    Case("accept: {service: app}", "-p tcp -m multiport --dports 8080,8443 -j ACCEPT"),
    Case(
      "accept: {service: both}", "-p tcp -m tcp --dport 53 -j ACCEPT", "-p udp -m udp --dport 53 -j ACCEPT",
      "-p esp -j ACCEPT"),
    Case("accept: {service: admin-panel}", "-p tcp -m tcp --dport 9443 -j ACCEPT"),
    Case("accept: {service: http, tcp: 8080}", "-p tcp -m multiport --dports 8080,80 -j ACCEPT"),
    // Addresses, split by family.
    Case("accept: {from: 192.0.2.1}", ["-s 192.0.2.1/32 -j ACCEPT"], []),
    Case("accept: {from: \"2001:DB8:0::/32\"}", [], ["-s 2001:db8::/32 -j ACCEPT"]),
    Case("accept: {from: \"::ffff:192.0.2.1\"}", ["-s 192.0.2.1/32 -j ACCEPT"], []),
    Case("accept: {from: 0.0.0.0/0}", ["-j ACCEPT"], []), Case("accept: {from: \"::/0\"}", [], ["-j ACCEPT"]),
    Case("accept: {from: mixed}", ["-s 192.0.2.0/24 -j ACCEPT"], ["-s 2001:db8:1::/64 -j ACCEPT"]),
    Case("accept: {from: four}", ["-s 198.51.100.0/24 -j ACCEPT"], []),
    Case("accept: {to: six}", [], ["-d 2001:db8:6::/64 -j ACCEPT"]),
    Case(
      "accept: {from: outer}", ["-s 192.0.2.0/24 -j ACCEPT", "-s 198.51.100.0/24 -j ACCEPT"],
      ["-s 2001:db8:1::/64 -j ACCEPT"]),
    Case("accept: {from: shared}", ["-s 203.0.113.0/24 -j ACCEPT"], []),
    Case(
      "accept: {from: controllers}", ["-s 203.0.113.1/32 -j ACCEPT"], ["-s 2001:db8:ff::1/128 -j ACCEPT"]),
    Case(
      "accept: {from: group:web}", ["-s 198.51.100.10/32 -j ACCEPT", "-s 198.51.100.11/32 -j ACCEPT"],
      ["-s 2001:db8:20::10/128 -j ACCEPT"]),
    Case("accept: {from: group:old}", ["-s 198.51.100.20/32 -j ACCEPT"], []),
    Case("accept: {from: group:new}", [], ["-s 2001:db8:30::1/128 -j ACCEPT"]),
    Case("accept: {from: host:w2}", ["-s 198.51.100.11/32 -j ACCEPT"], []),
    Case("accept: {from: db.example.net}", ["-s 203.0.113.50/32 -j ACCEPT"], ["-s 2001:db8:50::1/128 -j ACCEPT"]),
    Case("accept: {from: dns:DB.example.net}", ["-s 203.0.113.50/32 -j ACCEPT"], ["-s 2001:db8:50::1/128 -j ACCEPT"]),
    Case(
      "accept: {from: [192.0.2.1, 192.0.2.0/25], to: 10.0.0.1}", ["-s 192.0.2.0/25 -d 10.0.0.1/32 -j ACCEPT"], []),
    // The other family has addresses on one side only, and so no rule, never one without addresses.
    Case("drop: {from: mixed, to: four}", ["-s 192.0.2.0/24 -d 198.51.100.0/24 -j DROP"], []),
    Case("drop: {from: mixed, family: ipv6}", [], ["-s 2001:db8:1::/64 -j DROP"]),
    Case("accept: {tcp: 80, family: ipv4}", ["-p tcp -m tcp --dport 80 -j ACCEPT"], []),
    // Variables.
    Case("accept: {from: \"${one}\"}", ["-s 10.5.0.0/16 -j ACCEPT"], []),
    Case("accept: {from: [\"${one}\", \"${six}\"]}", ["-s 10.5.0.0/16 -j ACCEPT"], ["-s 2001:db8:5::1/128 -j ACCEPT"]),
    Case("accept: {tcp: \"${port}\"}", "-p tcp -m tcp --dport 8080 -j ACCEPT"),
    Case("accept: {tcp: [\"${port}\", 80]}", "-p tcp -m multiport --dports 8080,80 -j ACCEPT"),
    Case("accept: {tcp: \"${range}\"}", "-p tcp -m tcp --dport 1:65535 -j ACCEPT"),
    Case("accept: {in: \"${device}\"}", "-i eth7 -j ACCEPT"),
    // Interfaces, states.
    Case("accept: {in: lo}", "-i lo -j ACCEPT"), Case("accept: {in: cali+}", "-i cali+ -j ACCEPT"),
    Case("accept: {in: [eth0, wg0]}", "-i eth0 -j ACCEPT", "-i wg0 -j ACCEPT"),
    Case("accept: {state: [new, established]}", "-m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT"),
    Case(
      "drop: {state: [untracked, new, invalid, related]}",
      "-m conntrack --ctstate INVALID,NEW,RELATED,UNTRACKED -j DROP"),
    // Time.
    Case(
      "accept: {tcp: 80, until: 2027-01-31}",
      "-p tcp -m tcp --dport 80 -m time --datestop 2027-01-31T23:59:59 -j ACCEPT"),
    Case(
      "accept: {tcp: 80, until: 2038-01-18}",
      "-p tcp -m tcp --dport 80 -m time --datestop 2038-01-18T23:59:59 -j ACCEPT"),
    Case("accept: {when: office}", "-m time \(office) \(end) -j ACCEPT"),
    Case("accept: {when: office, until: 2030-06-01}", "-m time \(office) --datestop 2030-06-01T23:59:59 -j ACCEPT"),
    Case("accept: {when: night}", "-m time --timestart 22:00:00 --timestop 06:00:00 \(end) --contiguous -j ACCEPT"),
    Case("accept: {when: weekend}", "-m time --weekdays Sat,Sun \(end) -j ACCEPT"),
    Case("accept: {when: morning}", "-m time --timestart 00:00:00 --timestop 12:00:00 \(end) -j ACCEPT"),
    // Comments.
    Case("accept: {comment: \"public site\", owner: web-team}", "-m comment --comment \"public site\" -j ACCEPT"),
    Case("accept: {comment: plain_word-1}", "-m comment --comment plain_word-1 -j ACCEPT"),
    Case("accept: {comment: \"it's -j DROP\"}", "-m comment --comment \"it\\'s -j DROP\" -j ACCEPT"),
    // Rejections.
    Case("reject: {tcp: 25, with: tcp-reset}", "-p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset"),
    Case(
      "reject: {service: [smtp, http], with: tcp-reset}",
      "-p tcp -m multiport --dports 25,80 -j REJECT --reject-with tcp-reset"),
    Case(
      "reject: {with: admin-prohibited}", ["-j REJECT --reject-with icmp-admin-prohibited"],
      ["-j REJECT --reject-with icmp6-adm-prohibited"]),
    Case(
      "reject: {with: host-unreachable}", ["-j REJECT --reject-with icmp-host-unreachable"],
      ["-j REJECT --reject-with icmp6-addr-unreachable"]),
    Case(
      "reject: {with: net-unreachable}", ["-j REJECT --reject-with icmp-net-unreachable"],
      ["-j REJECT --reject-with icmp6-no-route"]),
    // Logs.
    Case("log: {}", "-j LOG"), Case("log: {level: warning}", "-j LOG"),
    Case("log: {level: debug}", "-j LOG --log-level 7"),
    Case(
      "log: {prefix: \"in-drop: \", limit: 5/minute, level: info}",
      "-m limit --limit 5/min -j LOG --log-prefix \"in-drop: \" --log-level 6"),
    Case("log: {limit: 60/minute, burst: 5}", "-m limit --limit 1/sec -j LOG"),
    Case("log: {limit: 10/s, burst: 20}", "-m limit --limit 10/sec --limit-burst 20 -j LOG"),
    Case("log: {limit: 1/day}", "-m limit --limit 1/day --limit-burst 1 -j LOG"),
    Case(
      "log: {tcp: 22, from: four, when: weekend, limit: 3/h, comment: c}",
      [
        "-s 198.51.100.0/24 -p tcp -m tcp --dport 22 -m time --weekdays Sat,Sun \(end) -m limit --limit 3/hour -m comment --comment c -j LOG"
      ], []),
  ]

  @Test("Each becomes these rules of INPUT", arguments: input)
  func inInput(test: Case) throws {
    let policy = try language("input:\n  - \(test.item)")
    #expect(policy.lines(.ipv4, "INPUT") == test.ipv4)
    #expect(policy.lines(.ipv6, "INPUT") == test.ipv6)
    #expect(policy.lines(.ipv4, "FORWARD").isEmpty && policy.lines(.ipv4, "OUTPUT").isEmpty)
  }

  @Test("Words that differ by direction", arguments: ["forward", "output"])
  func directions(section: String) throws {
    let chain = section.uppercased()
    let icmp = try language("\(section):\n  - accept: icmp-essential").lines(.ipv6, chain)
    // What neighbours say to each other is never forwarded.
    #expect(icmp.contains { $0.contains("--icmpv6-type 135") } == (section == "output"))
    #expect(icmp.contains("-p ipv6-icmp -m icmp6 --icmpv6-type 2 -j ACCEPT"))
    #expect(icmp.contains("-p ipv6-icmp -m icmp6 --icmpv6-type 143 -j ACCEPT") == (section == "output"))
    if section == "output" {
      let dhcp = try language("output:\n  - accept: dhcp-client")
      #expect(dhcp.lines(.ipv4, chain) == ["-p udp -m udp --sport 68 --dport 67 -j ACCEPT"])
      #expect(dhcp.lines(.ipv6, chain) == ["-s fe80::/10 -p udp -m udp --sport 546 --dport 547 -j ACCEPT"])
    }
    let last = try language("\(section)_last:\n  - log: {out: eth0}\n\(section):\n  - accept: {out: eth1}")
    #expect(last.lines(.ipv4, chain) == ["-o eth1 -j ACCEPT", "-o eth0 -j LOG"])
  }

  @Test("A limit drops new connections above its rate, and remembers for as long as a burst takes")
  func limits() throws {
    func text(_ item: String, _ family: Family = .ipv4) throws -> String {
      let line = try #require(language("input:\n  - limit: {\(item)}").lines(family, "INPUT").first)
      return line.replacing(#/--hashlimit-name pcl[0-9a-f]{10}/#, with: "NAME")
    }
    let new = "-m conntrack --ctstate NEW -m hashlimit --hashlimit-above"
    #expect(
      try text("service: ssh, rate: 6/minute")
        == "-p tcp -m tcp --dport 2222 \(new) 6/min --hashlimit-burst 6 --hashlimit-mode srcip NAME -j DROP")
    #expect(
      try text("rate: 6/minute, burst: 60, by: destination, over: reject")
        == "\(new) 6/min --hashlimit-burst 60 --hashlimit-mode dstip NAME --hashlimit-htable-expire 600000 -j REJECT --reject-with icmp-port-unreachable"
    )
    #expect(try text("rate: 100/s, by: all") == "\(new) 100/sec --hashlimit-burst 100 NAME -j DROP")
    #expect(
      try text("rate: 60/minute", .ipv6)
        == "\(new) 1/sec --hashlimit-burst 60 --hashlimit-mode srcip NAME --hashlimit-htable-expire 60000 --hashlimit-srcmask 64 -j DROP"
    )
  }

  @Test("The kernel's table of a limit is another one when its rate is, and the same wherever the item stands")
  func limitNames() throws {
    func names(_ items: String...) throws -> [Substring] {
      try language("input:\n" + items.map { "  - \($0)\n" }.joined()).lines(.ipv4, "INPUT").compactMap {
        $0.firstMatch(of: #/--hashlimit-name (\S+)/#)?.1
      }
    }
    let first = try names("limit: {tcp: 22, rate: 6/minute}")
    #expect(try names("accept: {in: lo}", "limit: {tcp: 22, rate: 6/minute}") == first)
    #expect(try names("limit: {tcp: 22, rate: 7/minute}") != first)
    #expect(try names("limit: {tcp: 22, rate: 6/minute, burst: 7}") != first)
    #expect(try names("limit: {tcp: 23, rate: 6/minute}") != first)
  }

  @Test("A helper is attached before tracking, to what has ports, and in the families that have it")
  func helpers() throws {
    let ftp = try language("input:\n  - accept: {tcp: 21, from: mixed, helper: ftp}")
    #expect(
      ftp.lines(.ipv4, "PREROUTING", table: "raw") == ["-s 192.0.2.0/24 -p tcp -m tcp --dport 21 -j CT --helper ftp"])
    #expect(
      ftp.lines(.ipv6, "PREROUTING", table: "raw") == ["-s 2001:db8:1::/64 -p tcp -m tcp --dport 21 -j CT --helper ftp"]
    )
    #expect(ftp.lines(.ipv4, "INPUT") == ["-s 192.0.2.0/24 -p tcp -m tcp --dport 21 -j ACCEPT"])
    let out = try language("output:\n  - accept: {tcp: 6667, out: eth0, helper: irc}")
    #expect(out.lines(.ipv4, "OUTPUT", table: "raw") == ["-o eth0 -p tcp -m tcp --dport 6667 -j CT --helper irc"])
    #expect(out.lines(.ipv6, "OUTPUT", table: "raw").isEmpty && out.lines(.ipv6, "OUTPUT").count == 1)
    let service = try language("input:\n  - accept: {service: both, helper: tftp}")
    let datagrams = ["-p udp -m udp --dport 53 -j CT --helper tftp"]
    for family in Family.allCases { #expect(service.lines(family, "PREROUTING", table: "raw") == datagrams) }
    // One that is not Linux's own may be for anything.
    let other = try language("input:\n  - accept: {tcp: 9, udp: 9, helper: mine}")
    for family in Family.allCases { #expect(other.lines(family, "PREROUTING", table: "raw").count == 2) }
    let call = try language("input:\n  - accept: {tcp: 1720, udp: 1719, helper: Q.931}")
    #expect(
      call.lines(.ipv6, "PREROUTING", table: "raw") == ["-p tcp -m tcp --dport 1720 -j CT --helper Q.931"])
  }

  @Test("A helper that does not fit the item's transports is attached to nothing, which is an error")
  func wrongHelpers() {
    for (item, hint) in [
      ("service: tftp, helper: ftp", "ftp is for TCP"), ("tcp: 161, helper: snmp", "snmp is for UDP over IPv4"),
      ("tcp: 194, family: ipv6, helper: irc", "irc is for TCP over IPv4"),
      ("sctp: 5060, helper: sip", "sip is for TCP and UDP"),
    ] {
      let found = languageMistakes("input:\n  - accept: {\(item)}")
      #expect(found.count == 1 && found[0].hasSuffix("would be attached to nothing | \(hint)"), "\(item): \(found)")
    }
  }

  @Test("strict ends what was opened in the window, and neither what other items allow nor items above it")
  func strict() throws {
    let policy = try language(
      """
      input:
        - drop: {from: four}
        - accept: {service: ssh, from: controllers}
        - accept: {udp: 53}
        - accept: {service: ssh, when: weekend, strict: true}
      """)
    let window = "-m time --weekdays Sat,Sun \(Self.end)"
    let answers = "-m conntrack --ctstate RELATED,ESTABLISHED"
    #expect(
      policy.lines(.ipv4, "INPUT") == [
        "-s 198.51.100.0/24 -j DROP", "-s 203.0.113.1/32 -p tcp -m tcp --dport 2222 -j ACCEPT",
        "-p udp -m udp --dport 53 -j ACCEPT", "-p tcp -m tcp --dport 2222 \(answers) \(window) -j ACCEPT",
        "-s 203.0.113.1/32 -p tcp -m tcp --dport 2222 \(answers) -j ACCEPT",
        "-p tcp -m tcp --dport 2222 \(answers) --ctdir ORIGINAL -j DROP",
        "-p tcp -m tcp --dport 2222 \(window) -j ACCEPT",
      ])
  }

  @Test(
    "What YAML 1.1 takes for dates, numbers and truth values is what is written, in quotes and without",
    arguments: [
      ("input: [{accept: {until: ?}}]", "2027-01-31"), ("input:\n  - accept:\n      until: ?", "2027-01-31"),
      ("schedule: {s: {from: ?, to: 18:00}}\ninput: [{accept: {when: s}}]", "08:00"),
      ("schedule:\n  s:\n    from: 06:30:15\n    to: ?\ninput: [{accept: {when: s}}]", "22:30"),
      ("input: [{accept: {tcp: ?}}]", "22:30"), ("input: [{accept: {udp: [9, ?]}}]", "1:59"),
      ("input: [{accept: {in: ?}}]", "no"), ("input: [{accept: {in: ?}}]", "0644"),
      ("sets: {?: 10.0.0.1}\ninput: [{accept: {from: no}}]", "no"),
      ("input: [{accept: {comment: ?}}]", "0644"), ("input: [{accept: {comment: ?}}]", "1_000"),
      ("input: [{accept: {comment: ?}}]", "yes"), ("input: [{accept: {comment: ?}}]", "2027-01-31 10:00:00"),
      ("input: [{accept: {comment: ?}}]", "0x1f"), ("nat: [{redirect: {tcp: 190:200, to: ?}}]", "1080"),
      ("nat: [{forward-port: {tcp: 80, to: ?}}]", "10.8.0.5:80"),
    ])
  func plainWords(text: String, word: String) throws {
    func rules(_ word: String) throws -> [String] {
      let folder = try PolicyFolder()
      try folder.write("p.yaml", "policy: p\napplies_to: all\n\(text.replacing("?", with: word))\n")
      let compiled = try folder.compiled()
      return Family.allCases.map { String(decoding: compiled.rules[$0], as: UTF8.self) }
    }
    let plain = try rules(word)
    #expect(try plain == rules("\"\(word)\"") && plain == rules("'\(word)'"))
    let times = ["08:00": "--timestart 08:00:00", "22:30": "22:30", "2027-01-31": "31"]
    #expect(plain[0].contains(times[word] ?? (text.contains("sets") ? "10.0.0.1/32" : word)))
  }

  @Test("An item for answers alone opens nothing, and is no reason to let those of a closed window live on")
  func strictBesideAnswers() throws {
    let items =
      "input: [{accept: {state: [established, related]}}, {accept: {service: ssh, when: weekend, strict: true}}]"
    let lines = try language(items).lines(.ipv4, "INPUT")
    let cut = try #require(lines.firstIndex { $0.contains("--ctdir ORIGINAL -j DROP") })
    #expect(lines[..<cut].allSatisfy { $0.contains("-m time") })
  }

  @Test(
    "With established: explicit, what strict says of answers stands right before they are accepted, wherever that is",
    arguments: [
      ("input: [<drop>, <established>, <strict>]", ["drop", "cut", "established", "strict"]),
      ("input: [<strict>, <drop>, <established>]", ["strict", "drop", "cut", "established"]),
      ("input: [<strict>, <drop>, <states>]", ["strict", "drop", "cut", "states"]),
      ("input: [<drop>, <strict>]", ["drop", "cut", "strict"]),
      ("input: [<drop>, <strict>]\ninput_last: [<established>]", ["drop", "strict", "cut", "established"]),
      (
        "input: [<drop>, <strict>]\nraw: {ipv4: \"*filter\\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\\nCOMMIT\\n\"}",
        ["drop", "strict", "cut", "states"]
      ),
    ])
  func strictBesideExplicit(sections: String, wanted: [String]) throws {
    let items = [
      ("<drop>", "{drop: {from: four}}"), ("<established>", "{accept: established}"),
      ("<strict>", "{accept: {service: ssh, when: weekend, strict: true}}"),
      ("<states>", "{accept: {state: established}}"),
    ]
    let text = items.reduce(sections) { $0.replacing($1.0, with: $1.1) }
    let found = try language(text).lines(.ipv4, "INPUT").map { line in
      line.hasSuffix("-j DROP") && line.contains("--ctdir")
        ? "cut"
        : line.hasPrefix("-s 198.51.100.0/24")
          ? "drop"
          : line.contains("RELATED") && line.contains("-m time")
            ? "inside"
            : line.contains("RELATED") ? "established" : line.contains("ESTABLISHED") ? "states" : "strict"
    }
    #expect(found.filter { $0 != "inside" } == wanted)
  }
}
