import Core
import Import
import Ruleset
import TestSupport
import Testing

@Suite("Rules that the language can say") struct TypedRuleTests {
  private func read(_ rule: String, table: String = "filter", _ family: Family = .ipv4) -> TypedRule? {
    let chain = String(rule.split(separator: " ")[1])
    return TypedRule(Rule(text: Array(rule.utf8)), table: table, chain: chain, family)
  }

  @Test(
    "What it can say is typed",
    arguments: [
      "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
      "-A INPUT -m conntrack --ctstate INVALID -j DROP",
      "-A INPUT -i lo -j ACCEPT", "-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 9100 -j ACCEPT",
      "-A INPUT -p tcp -m multiport --dports 80,443,8000:8010 -j ACCEPT",
      "-A INPUT -p udp -m udp --dport 60000:61000 -j DROP",
      "-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m comment --comment \"public site\" -j ACCEPT",
      "-A INPUT -p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset",
      "-A INPUT -j REJECT --reject-with icmp-port-unreachable",
      "-A INPUT -m limit --limit 5/min -j LOG --log-prefix \"x: \" --log-level 6", "-A INPUT -p 112 -j ACCEPT",
      "-A FORWARD -s 10.8.0.0/24 -d 192.0.2.1/32 -i eth1 -o wg+ -j ACCEPT", "-A OUTPUT -o eth0 -j ACCEPT",
      "-A INPUT -j DROP",
      "-A INPUT -p icmp -j ACCEPT", "-A INPUT -p 47 -j ACCEPT", "-A INPUT -j LOG --log-level 3",
      "-A INPUT -m limit --limit 5/min --limit-burst 9 -j LOG",
      "-A INPUT -j REJECT --reject-with icmp-admin-prohibited",
      "-A INPUT -i lo -m conntrack --ctstate INVALID -j DROP", "-A INPUT -m conntrack --ctstate INVALID -j ACCEPT",
      "-A INPUT -m conntrack --ctstate INVALID,NEW,UNTRACKED -j DROP",
      "-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT", "-A INPUT -p icmp -m icmp --icmp-type 3/4 -j ACCEPT",
    ]) func typed(rule: String) throws
  {
    let typed = try #require(read(rule))
    #expect(String(decoding: typed.text(chain: String(rule.split(separator: " ")[1]), .ipv4), as: UTF8.self) == rule)
  }

  @Test(
    "Spelling does not matter",
    arguments: [
      (
        "-A INPUT -m state --state NEW -p tcp --dport 22 -j ACCEPT",
        "-p tcp -m tcp --dport 22 -m conntrack --ctstate NEW"
      ),
      (
        "-A INPUT -p tcp -m conntrack --ctstate NEW -m tcp --dport 22 -j ACCEPT",
        "-p tcp -m tcp --dport 22 -m conntrack --ctstate NEW"
      ),
      ("-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT", "-m conntrack --ctstate RELATED,ESTABLISHED"),
      (
        "-A INPUT --source 192.0.2.1 --protocol udp --destination-port 53 --jump ACCEPT",
        "-s 192.0.2.1/32 -p udp -m udp --dport 53"
      ),
      ("-A INPUT -s 10.0.0.1/255.0.0.0 -j ACCEPT", "-s 10.0.0.0/8"),
      ("-A INPUT -p tcp -m multiport --dports 80 -j ACCEPT", "-p tcp -m tcp --dport 80"),
      ("-A INPUT -m comment --comment \"plain\" -i lo -j ACCEPT", "-i lo -m comment --comment plain"),
      ("-A INPUT -p icmp --icmp-type echo-request -j ACCEPT", "-p icmp -m icmp --icmp-type 8"),
    ]) func spelling(rule: String, matches: String) throws
  {
    let typed = try #require(read(rule))
    #expect(String(decoding: typed.text(chain: "INPUT", .ipv4), as: UTF8.self) == "-A INPUT \(matches) -j ACCEPT")
  }

  @Test("What the language would say otherwise, or refuses, stays as it is") func others() throws {
    for number in ["43", "44", "51", "60", "ah"] {
      #expect(read("-A INPUT -p \(number) -j DROP", .ipv6) == nil)
      #expect((read("-A INPUT -p \(number) -j DROP") == nil) == (number == "51"))
    }
    let ports = "-i eth0 -p tcp -m tcp --dport 80"
    for (target, isTyped) in [
      ("10.8.0.5:80", true), ("127.0.0.1:80", false), ("10.8.0.5:80-90", false), ("224.0.0.1", false),
    ] {
      let rule = read("-A PREROUTING \(ports) -j DNAT --to-destination \(target)", table: "nat")
      #expect((rule != nil) == isTyped, "\(target)")
    }
    #expect(read("-A POSTROUTING -o eth0 -j SNAT --to-source 127.0.0.1", table: "nat") == nil)
  }

  @Test("Targets are spelled in one way") func targets() throws {
    for (written, printed) in [
      ("REJECT", "REJECT --reject-with icmp-port-unreachable"), ("LOG --log-level 4", nil),
      ("LOG --log-level info", "LOG --log-level 6"),
      ("LOG --log-level 6 --log-prefix x", "LOG --log-prefix x --log-level 6"),
    ] {
      let typed = read("-A INPUT -m limit --limit 5/minute --limit-burst 5 -j \(written)")
      #expect((typed == nil) == (printed == nil || !written.hasPrefix("LOG")), "\(written)")
      guard let printed else { continue }
      let text = try #require(read("-A INPUT -p tcp -j \(written)")).text(chain: "INPUT", .ipv4)
      #expect(String(decoding: text, as: UTF8.self) == "-A INPUT -p tcp -j \(printed)")
    }
  }

  @Test(
    "What it cannot say is not typed",
    arguments: [
      "-A INPUT ! -s 10.0.0.0/8 -j DROP", "-A INPUT -p tcp -m tcp --sport 53 -j ACCEPT",
      "-A INPUT -p vrrp -j ACCEPT", "-A INPUT -p 6 -j ACCEPT", "-A INPUT -p tcp -m tcp --dport 0 -j ACCEPT",
      "-A INPUT -p tcp -m multiport --dports 80,80 -j ACCEPT", "-A INPUT -s 0.0.0.0/0 -j DROP",
      "-A INPUT -m conntrack --ctstate NEW,SNAT -j DROP", "-A INPUT -o eth0 -j DROP", "-A OUTPUT -i eth0 -j DROP",
      "-A INPUT -m comment --comment \"it\\'s\" -j DROP",
      "-A INPUT -m comment --comment \"a \\\"b\\\"\" -j DROP", "-A INPUT -m limit --limit 20000/min -j LOG",
      "-A INPUT -p tcp -m tcp -j ACCEPT", "-A INPUT -p tcp -m tcp ! --dport 22 -j DROP",
      "-A INPUT -m limit --limit 5/min -j ACCEPT", "-A INPUT -s 10.0.0.0/255.0.255.0 -j DROP",
      "-A INPUT -s 0.0.0.0/0 -i lo -j X", "-A INPUT -j web", "-A INPUT -g web", "-A INPUT",
      "-A INPUT -p ipv6-icmp -j ACCEPT", "-A INPUT -p tcp --icmp-type 8 -j ACCEPT",
      "-A INPUT -p icmp -m icmp --icmp-type any -j ACCEPT", "-A INPUT -p icmp -m icmp --icmp-type 255 -j ACCEPT",
      "-A INPUT -p icmp -m icmp --icmp-type 08 -j ACCEPT", "-A INPUT -p icmp -m icmp ! --icmp-type 8 -j ACCEPT",
      "-A INPUT -j REJECT --reject-with icmp6-port-unreachable", "-A INPUT -j REJECT --reject-with tcp-reset",
      "-A INPUT -m comment --comment \"-x\" -j DROP", "-A INPUT -i \"a b\" -j DROP",
      "-A INPUT -j LOG --log-prefix \"x\" --log-tcp-options", "-A POSTROUTING -j MASQUERADE",
      "-A INPUT -p tcp -m tcp --dport 022 -j DROP", "-A INPUT -p tcp -m udp --dport 22 -j DROP",
      "-A INPUT -i lo -i lo -j ACCEPT", "-A INPUT -m state --state NEW -m conntrack --ctstate NEW -j ACCEPT",
      "-A INPUT -p tcp -m tcp --dport 22 -m tcp --dport 23 -j ACCEPT", "-A INPUT -s 192.0.2.1,192.0.2.2 -j ACCEPT",
      "-A INPUT -s example.net -j ACCEPT", "-A INPUT -p tcp -m tcp --dport 22 -m multiport --dports 23,24 -j ACCEPT",
      // What a limit counts depends on what was matched before it.
      "-A INPUT -m limit --limit 5/min -p tcp --dport 22 -j LOG",
      "-A INPUT -m limit --limit 5/min -m state --state NEW -j LOG",
      "-A INPUT -m addrtype --dst-type LOCAL -j ACCEPT", "-A INPUT -j ACCEPT -i lo",
      "-A INPUT -m statistic --mode nth --every 2 --packet 0 -j DROP",
    ]) func raw(rule: String)
  {
    #expect(read(rule) == nil)
  }

  @Test("NAT has its own") func nat() {
    #expect(read("-A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE", table: "nat")?.verdict == .masquerade)
    #expect(read("-A POSTROUTING -s 10.9.0.0/24 -o eth0 -j SNAT --to-source 192.0.2.80", table: "nat") != nil)
    #expect(read("-A POSTROUTING -s fd00::/64 -j SNAT --to-source 2001:db8::1", table: "nat", .ipv6)?.family == .ipv6)
    #expect(read("-A POSTROUTING -s 10.0.0.0/8 -d 10.1.0.0/16 -j ACCEPT", table: "nat")?.verdict == .exempt)
    #expect(read("-A PREROUTING -i eth0 -p tcp --dport 80 -j REDIRECT --to-ports 8080", table: "nat") != nil)
    let dnat = read("-A PREROUTING -i eth0 -p tcp --dport 80 -j DNAT --to-destination 10.8.0.5:8080", table: "nat")
    #expect(dnat?.verdict == .dnat(to: "10.8.0.5:8080", .ipv4))
    #expect(
      read("-A PREROUTING -i eth0 -p udp --dport 53 -j DNAT --to-destination [2001:db8::5]:53", table: "nat", .ipv6)
        != nil)
    for rule in [
      "-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.8.0.5",
      "-A PREROUTING -i eth0 -m addrtype --dst-type LOCAL -p tcp --dport 80 -j DNAT --to-destination 10.8.0.5",
      "-A PREROUTING -d 192.0.2.1/32 -i eth0 -p tcp --dport 80 -j DNAT --to-destination 10.8.0.5",
      "-A PREROUTING -i eth0 -j DNAT --to-destination 10.8.0.5",
      "-A PREROUTING -i eth0 -p tcp --dport 80 -j DNAT --to-destination 10.8.0.5-10.8.0.9",
      "-A PREROUTING -i eth0 -p tcp --dport 80 -j DNAT --to-destination 10.8.0.5:80-90",
      "-A PREROUTING -i eth0 -p tcp --dport 80 -j DNAT --to-destination 10.8.0.5 --persistent",
      "-A PREROUTING -i eth0 -p tcp --dport 80 -j DNAT --to-destination 2001:db8::5",
      "-A PREROUTING -i eth0 -p tcp --dport 80 -j REDIRECT", "-A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 81",
      "-A PREROUTING -i eth0 -p tcp --dport 80 -j REDIRECT --to-ports 80-81", "-A PREROUTING -j ACCEPT",
      "-A POSTROUTING -s 10.0.0.0/8 -p tcp -j ACCEPT",
      "-A POSTROUTING -d 10.0.0.1/32 -j MASQUERADE", "-A POSTROUTING -o eth0 -j MASQUERADE --random",
      "-A POSTROUTING -j SNAT --to-source 192.0.2.1-192.0.2.4", "-A PREROUTING -j MASQUERADE",
      "-A POSTROUTING -j SNAT --to-source 192.0.2.1:1024-65535", "-A POSTROUTING -p tcp -j MASQUERADE",
    ] {
      #expect(read(rule, table: "nat") == nil, "\(rule)")
    }
  }

  /// A rule in the shape of a save, some of it beyond the language.
  static func rule(_ random: inout Random, _ family: Family) -> String {
    var words = ["-A", random.pick(["INPUT", "INPUT", "FORWARD", "OUTPUT"])]
    let addresses =
      family == .ipv4
      ? ["10.0.0.0/8", "192.0.2.1/32", "198.51.100.0/25", "10.0.0.0/255.0.255.0"]
      : ["2001:db8::/32", "fe80::/10", "2001:db8::1/128", "::/1", "2001:db8:0:1::/64"]
    for option in ["-s", "-d"] where random.below(4) == 0 {
      words += (random.below(9) == 0 ? ["!"] : []) + [option, random.pick(addresses)]
    }
    if words[1] != "OUTPUT", random.below(4) == 0 {
      words += ["-i", random.pick(["lo", "eth0", "eth0.5", "br-+", "no", "1e3"])]
    }
    if words[1] != "INPUT", random.below(4) == 0 { words += ["-o", random.pick(["lo", "eth0", "wg+"])] }
    var transport = ""
    switch random.below(6) {
    case 0...2:
      transport = random.pick(["tcp", "udp"])
      words += ["-p", transport]
      switch random.below(4) {
      case 0, 1: words += ["-m", transport, "--dport", random.pick(["22", "80", "8000:8010", "65535", ":1023"])]
      case 2: words += ["-m", "multiport", "--dports", random.pick(["80,443", "22,8000:8010,9", "80"])]
      default: if random.below(3) == 0 { words += ["-m", transport, "--sport", "53"] }
      }
    case 3: words += ["-p", random.pick(["gre", "esp", family == .ipv4 ? "icmp" : "ipv6-icmp"])]
    case 4:
      words +=
        family == .ipv4
        ? ["-p", "icmp", "-m", "icmp", "--icmp-type", random.pick(["8", "0", "3/4", "11", "any", "254"])]
        : ["-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", random.pick(["128", "1/3", "135", "255", "143"])]
    default: break
    }
    if random.below(4) == 0 {
      let states = random.pick(["NEW", "NEW", "INVALID", "RELATED,ESTABLISHED", "NEW,UNTRACKED", "ESTABLISHED"])
      let match = random.below(3) == 0 ? ["-m", "state", "--state", states] : ["-m", "conntrack", "--ctstate", states]
      // As people write it, in front of the ports.
      if random.below(3) == 0, let place = words.firstIndex(of: "-m") {
        words.insert(contentsOf: match, at: place)
      } else {
        words += match
      }
    }
    if random.below(6) == 0 { words += ["-m", "mark", "--mark", "0x1"] }
    var verdict = random.pick(["ACCEPT", "ACCEPT", "DROP", "REJECT", "LOG", "RETURN", ""])
    if random.below(6) == 0 || verdict == "LOG" && random.below(2) == 0 {
      words += ["-m", "limit", "--limit", random.pick(["5/min", "1/sec", "3/hour", "1/day"])]
      if random.below(4) == 0 { words += ["--limit-burst", "9"] }
    }
    if random.below(4) == 0 {
      words += [
        "-m", "comment", "--comment",
        random.pick(["web", "\"public site\"", "\"a \\\"b\\\" \\\\ it\\'s: #1\"", "no", "\"0644\""]),
      ]
    }
    if verdict == "REJECT" {
      let icmp = family == .ipv4 ? "icmp-" : "icmp6-"
      verdict +=
        " --reject-with "
        + random.pick([
          icmp + "port-unreachable", icmp + "port-unreachable",
          transport == "tcp" ? "tcp-reset" : icmp + "port-unreachable",
        ])
    } else if verdict == "LOG" {
      verdict += random.pick([
        "", " --log-prefix \"in-drop: \"", " --log-prefix x --log-level 6", " --log-level 7",
        " --log-prefix y --log-level 3",
      ])
    }
    if !verdict.isEmpty { words += ["-j", verdict] }
    return words.joined(separator: " ")
  }

  /// A rule of the nat table in the shape of a save, some of it beyond the language.
  static func translation(_ random: inout Random, _ family: Family) -> [String] {
    let inner = family == .ipv4 ? ["10.8.0.5", "10.8.0.6", "10.8.0.7"] : ["2001:db8::5", "2001:db8::6", "2001:db8::7"]
    func target(_ address: String, _ port: String) -> String {
      port.isEmpty ? address : family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
    let source = family == .ipv4 ? "-s 10.9.0.0/24" : "-s 2001:db8:9::/64"
    let match = random.pick(["-i eth0", "-i eth0", source + " -i wg+", "", "! -i eth0"])
    let ports = random.pick([
      "-p tcp -m tcp --dport 80", "-p udp -m udp --dport 53", "-p tcp -m multiport --dports 80,443",
    ])
    let local = match.isEmpty && random.below(3) > 0 ? "-m addrtype --dst-type LOCAL" : ""
    let head = ["-A PREROUTING", match, ports, local].filter { !$0.isEmpty }.joined(separator: " ")
    let port = random.pick(["", "8080"])
    switch random.below(7) {
    case 0: return [head + " -j DNAT --to-destination " + target(random.pick(inner), port)]
    case 1: return [head + " -j REDIRECT --to-ports 8080"]
    case 2:
      let left = random.below(5) == 0 ? 4 : 3
      return inner.enumerated().map { place, address in
        let share = place == 2 ? "" : " -m statistic --mode nth --every \(left - place) --packet 0"
        return head + share + " -j DNAT --to-destination " + target(address, port)
      }
    case 3:
      let share = random.pick(["0.50000000000", "0.50000000000", "0.25000000000"])
      return [
        head + " -m statistic --mode random --probability \(share) -j DNAT --to-destination " + target(inner[0], port),
        head + " -j DNAT --to-destination " + target(inner[1], port),
      ]
    case 4: return ["-A POSTROUTING \(source) -j ACCEPT"]
    case 5: return ["-A POSTROUTING \(source) -o eth0 -j MASQUERADE"]
    default: return ["-A POSTROUTING -o eth0 -j MASQUERADE --random"]
    }
  }

  @Test("What is typed reads the same when it is written again", arguments: Family.allCases)
  func roundTrip(family: Family) throws {
    var random = Random.fresh()
    let count = 50_000
    var typed = 0
    for _ in 0..<count {
      let rule = Self.rule(&random, family)
      guard let read = self.read(rule, family) else { continue }
      typed += 1
      let chain = String(rule.split(separator: " ")[1])
      let written = String(decoding: read.text(chain: chain, family), as: UTF8.self)
      #expect(self.read(written, family) == read, "\(rule)")
      // Nothing of it is lost, but for what has two spellings.
      let words = { (text: String) in
        Set(
          text.replacing("-m state --state", with: "-m conntrack --ctstate").split { $0 == " " || $0 == "\"" })
      }
      #expect(words(written).isSuperset(of: words(rule).subtracting(["multiport", "--dports"])), "\(rule)")
    }
    print("\(count) rules, \(typed) typed")
    #expect(typed > count / 8 && typed < count)
  }
}
