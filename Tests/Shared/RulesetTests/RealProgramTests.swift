import Core
import Ruleset
import TestSupport
import Testing

/// What the host's own iptables programs make of our texts. Each runs in a network namespace of its own, with its own
/// lock file, so that nothing outside sees it.
@Suite(
  "The real programs",
  .enabled(if: Programs.areUsable, "needs root, unshare, and the iptables programs of both backends"))
struct RealProgramTests {
  struct Corpus: Sendable, CustomTestStringConvertible {
    let family: Family
    let tables: [String: [String]]

    var testDescription: String { "\(family)" }

    /// The whole of it as one rules file, in the order given.
    func file(_ order: [String]) -> [UInt8] {
      var text = "# A corpus.\n"
      for table in order {
        text += "*\(table)\n"
        for chain in BuiltInChains.chains(of: table) ?? [] {
          text += ":\(chain) \(table == "filter" && chain == "INPUT" ? "DROP" : "ACCEPT") [0:0]\n"
        }
        text += ":zeta - [0:0]\n:Alpha-1 - [0:0]\n:unused - [0:0]\n"
        for rule in tables[table] ?? [] { text += "-A \(rule)\n" }
        text += "COMMIT\n"
      }
      return Array(text.utf8)
    }

    var names: [String] { tables.keys.sorted() }
  }

  static let corpora = [
    Corpus(
      family: .ipv4,
      tables: [
        "filter": common + [
          "INPUT -s 10.0.0.0/8 -d 192.0.2.1/32 -j DROP", "INPUT ! -s 10.0.0.0/255.0.255.0 -j DROP",
          "INPUT -p icmp -m icmp --icmp-type 8 -m limit --limit 5/sec -j ACCEPT",
          "INPUT -f -j DROP", "INPUT -j REJECT --reject-with icmp-admin-prohibited", "INPUT -j REJECT",
          "INPUT -m iprange --src-range 10.0.0.1-10.0.0.9 -j DROP",
          "INPUT -m addrtype --dst-type BROADCAST -j DROP", "INPUT -p icmp -j ACCEPT",
          "INPUT -m conntrack --ctstate DNAT --ctorigdst 10.0.0.0/24 -j ACCEPT",
        ],
        "nat": nat + [
          "PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1-10.0.0.4:8080-8090",
          "POSTROUTING -s 10.0.0.0/24 -o eth0 -j SNAT --to-source 192.0.2.1",
          "POSTROUTING -s 10.0.1.0/24 -j NETMAP --to 192.0.2.0/24",
        ],
        "mangle": mangle + ["PREROUTING -j TTL --ttl-set 64"], "raw": raw, "security": [],
      ]),
    Corpus(
      family: .ipv6,
      tables: [
        "filter": common + [
          "INPUT -s 2001:db8::/32 -d 2001:db8::1/128 -j DROP", "INPUT -s fe80::/10 -p udp -m udp --dport 546 -j ACCEPT",
          "INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT",
          "INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -m limit --limit 5/sec -j ACCEPT",
          "INPUT -j REJECT --reject-with icmp6-adm-prohibited", "INPUT -j REJECT",
          "INPUT -m rt --rt-type 0 -j DROP", "INPUT -m iprange --src-range 2001:db8::1-2001:db8::9 -j DROP",
        ],
        "nat": nat + [
          "PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination [2001:db8::1]:8080",
          "POSTROUTING -s fd00::/64 -o eth0 -j SNAT --to-source 2001:db8::1-2001:db8::4",
        ],
        "mangle": mangle + ["PREROUTING -j HL --hl-set 64"], "raw": raw, "security": [],
      ]),
  ]

  private static let common = [
    "INPUT -i lo -j ACCEPT", "INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "INPUT -m conntrack --ctstate INVALID -j DROP", "INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
    "INPUT -p tcp -m tcp ! --dport 1024:65535 -j zeta", "INPUT -p tcp -m tcp -j Alpha-1", "INPUT -p tcp",
    "INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP",
    "INPUT -p udp -m multiport --dports 53,67:68,123 -j ACCEPT", "INPUT -g zeta", "INPUT",
    "INPUT -m comment --comment \"a \\\"quoted\\\" \\\\ it's -j DROP\" -j ACCEPT",
    "INPUT -m comment --comment plain -j ACCEPT",
    "INPUT -m limit --limit 5/min --limit-burst 10 -j LOG --log-prefix \"drop: \" --log-level 4",
    "INPUT -j LOG --log-prefix \"12345678901234567890123456789\"", "INPUT -j NFLOG --nflog-prefix x --nflog-group 3",
    "INPUT -m mac --mac-source 00:11:22:33:44:55 -j ACCEPT", "INPUT -m mark --mark 0x1/0xff -j ACCEPT",
    "INPUT -p tcp -m tcp --dport 22 -m recent --set --name ssh --rsource",
    "INPUT -p tcp -m tcp --dport 22 -m recent --update --seconds 60 --hitcount 4 --name ssh --rsource -j DROP",
    "INPUT -p tcp -m hashlimit --hashlimit-upto 10/sec --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name web -j ACCEPT",
    "INPUT -p tcp -m connlimit --connlimit-above 20 -j DROP", "INPUT -m pkttype --pkt-type multicast -j ACCEPT",
    "INPUT -m statistic --mode random --probability 0.5 -j DROP", "INPUT -p 47 -j ACCEPT", "INPUT -p sctp -j DROP",
    "OUTPUT -m owner --uid-owner 1000 -j ACCEPT", "FORWARD -i eth0 -o br-+ -j ACCEPT", "FORWARD ! -i eth0 -j DROP",
    "zeta -j RETURN", "zeta -j Alpha-1", "Alpha-1 -j DROP",
    "INPUT -m string --string \"-x \" --algo bm --to 65535 -j DROP", "INPUT -m length --length 0:100 -j DROP",
    "INPUT -m dscp --dscp 0x08 -j ACCEPT", "INPUT -m time --timestart 08:00:00 --timestop 18:00:00 -j ACCEPT",
  ]
  private static let nat = [
    "POSTROUTING -o eth0 -j MASQUERADE", "POSTROUTING -p tcp -o eth1 -j MASQUERADE --to-ports 1024-65535 --random",
    "PREROUTING -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 80", "PREROUTING -j zeta", "OUTPUT -o lo -j RETURN",
  ]
  private static let mangle = [
    "FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
    "PREROUTING -j MARK --set-xmark 0x1/0xff",
    "PREROUTING -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", "OUTPUT -j DSCP --set-dscp 0x08",
    "POSTROUTING -j CLASSIFY --set-class 0001:0002",
  ]
  private static let raw = ["PREROUTING -p udp -m udp --dport 53 -j CT --notrack", "OUTPUT -j zeta", "zeta -j TRACE"]

  @Test("Both backends print one filter alike", arguments: corpora)
  func backends(corpus: Corpus) throws {
    let input = corpus.file(corpus.names)
    _ = try Ruleset.parse(policy: input, file: "corpus", family: corpus.family)
    let nft = try Programs.loaded(input, corpus.family, .nft)
    let legacy = try Programs.loaded(corpus.file(corpus.names.reversed()), corpus.family, .legacy)
    #expect(RulesetDiff.unified(from: nft, to: legacy).text == "")
    #expect(nft.digest == legacy.digest)
    #expect(nft.ruleCount > 45)
  }

  @Test(
    "The canonical form loads, and is then printed with the same digest", arguments: corpora, Programs.Backend.allCases)
  func reloads(corpus: Corpus, backend: Programs.Backend) throws {
    let first = try Programs.loaded(corpus.file(corpus.names), corpus.family, backend)
    let second = try Programs.loaded(first.canonical(), corpus.family, backend)
    #expect(second.digest == first.digest)
    #expect(try Ruleset.parse(policy: first.canonical(), file: "c", family: corpus.family).digest == first.digest)
  }

  @Test(
    "Counters and listing other tables change no digest", arguments: [Family.ipv4, .ipv6], Programs.Backend.allCases)
  func stable(family: Family, backend: Programs.Backend) throws {
    let input = Array(filter("-A INPUT -i lo -j ACCEPT").utf8)
    let plain = try Programs.loaded(input, family, backend)
    let listed = try Programs.run(
      "$P-restore <$IN && $P -t nat -L -n >/dev/null && $P -t raw -L -n >/dev/null && $P-save -c", family, backend,
      input: input)
    #expect(listed.status == 0, "\(listed.errors)")
    let second = try Ruleset.parse(save: listed.text, file: "listed")
    #expect(second.digest == plain.digest)
    #expect(!plain.canonical().isEmpty)
  }

  @Test("A namespace where nothing was loaded is a ruleset without tables", arguments: Programs.Backend.allCases)
  func empty(backend: Programs.Backend) throws {
    let output = try Programs.run("$P-save", .ipv4, backend, input: [])
    #expect(output.status == 0)
    #expect(try Ruleset.parse(save: output.text, file: "empty").canonical().isEmpty)
  }

  @Test("A comment with a line break is refused, not read as a rule", arguments: Programs.Backend.allCases)
  func injection(backend: Programs.Backend) throws {
    let script = """
      $P -A INPUT -m comment --comment 'x
      -A INPUT -p tcp --dport 23 -j ACCEPT
      #' -j DROP && $P-save
      """
    let output = try Programs.run(script, .ipv4, backend, input: [])
    #expect(output.status == 0, "\(output.errors)")
    #expect(throws: Diagnostics.self) { try Ruleset.parse(save: output.text, file: "save") }
  }

  @Test("Clearing leaves nothing that filters", arguments: corpora, Programs.Backend.allCases)
  func clearing(corpus: Corpus, backend: Programs.Backend) throws {
    let clear = String(decoding: Ruleset.clearing(tables: Set(corpus.names)), as: UTF8.self)
    let output = try Programs.run(
      "$P-restore <$IN && printf '%s' '\(clear)' | $P-restore && $P-save", corpus.family, backend,
      input: corpus.file(corpus.names))
    #expect(output.status == 0, "\(output.errors)")
    #expect(try Ruleset.parse(save: output.text, file: "save").canonical().isEmpty)
  }

  @Test("A rules file that leaves chains out does the same on both backends once they are declared")
  func undeclared() throws {
    let before = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    let partial = try policy("*filter\n:INPUT DROP\nCOMMIT\n").declaringAllBuiltInChains()
    let results = try Programs.Backend.allCases.map { backend in
      let output = try Programs.run(
        "printf '%s' '\(before)' | $P-restore && $P-restore <$IN && $P-save", .ipv4, backend,
        input: partial.canonical())
      return try Ruleset.parse(save: output.text, file: "save").digest
    }
    #expect(results == [partial.digest, partial.digest])
  }

  @Test("What strict parsing accepts loads", arguments: Programs.Backend.allCases)
  func accepted(backend: Programs.Backend) throws {
    var random = Random.fresh()
    for family in Family.allCases {
      // Random rules of parts that are right in themselves and in this order.
      let address =
        family == .ipv4 ? ["10.0.0.1", "10.0.0.0/8", "192.0.2.0/255.255.255.0"] : ["2001:db8::1", "fe80::/10"]
      var rules: [String] = []
      while rules.count < 300 {
        var words: [String] = []
        if random.below(2) == 0 { words += [random.pick(["", "! "]) + "-s " + random.pick(address)] }
        if random.below(3) == 0 { words += ["--destination " + random.pick(address)] }
        if random.below(3) == 0 { words += [random.pick(["-i eth0", "! -i br+", "--in-interface abcdefghijklmno"])] }
        if random.below(2) == 0 {
          words += [
            "-p " + random.pick(["tcp", "udp"]), "--dport " + random.pick(["22", "0:1023", ":9", "9:", "65535"]),
          ]
        }
        if random.below(3) == 0 {
          let length = random.below(256)
          let letters = "ab -\\\"'!:[]*#".map { $0 == "\\" || $0 == "\"" ? "\\\($0)" : "\($0)" }
          words += ["-m comment --comment \"" + (0..<length).map { _ in random.pick(letters) }.joined() + "\""]
        }
        words += random.pick([["-j ACCEPT"], ["-j LOGDROP"], ["-g LOGDROP"], ["--jump", "RETURN"], []])
        let rule = "-A INPUT " + words.joined(separator: random.pick([" ", "  "]))
        let text = filter(rule)
        if (try? policy(text, family)) != nil { rules.append(rule) }
      }
      let file = Array(filter(rules.joined(separator: "\n")).utf8)
      let output = try Programs.run("$P-restore --test <$IN", family, backend, input: file)
      #expect(output.status == 0, "\(family): \(output.errors)")
      let loaded = try Programs.loaded(file, family, backend)
      // One line is one rule.
      #expect(loaded.ruleCount == rules.count)
    }
  }
}
