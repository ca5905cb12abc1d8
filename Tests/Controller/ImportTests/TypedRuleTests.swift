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
    ]) func typed(rule: String) throws
  {
    let typed = try #require(read(rule))
    #expect(String(decoding: typed.text(chain: String(rule.split(separator: " ")[1]), .ipv4), as: UTF8.self) == rule)
  }

  @Test(
    "What it cannot say exactly is not",
    arguments: [
      "-A INPUT ! -s 10.0.0.0/8 -j DROP", "-A INPUT -p tcp -m tcp --sport 53 -j ACCEPT",
      "-A INPUT -p vrrp -j ACCEPT", "-A INPUT -p 6 -j ACCEPT", "-A INPUT -p tcp -m tcp --dport 0 -j ACCEPT",
      "-A INPUT -p tcp -m multiport --dports 80,80 -j ACCEPT", "-A INPUT -s 0.0.0.0/0 -j DROP",
      "-A INPUT -m conntrack --ctstate NEW,INVALID -j DROP", "-A INPUT -o eth0 -j DROP", "-A OUTPUT -i eth0 -j DROP",
      "-A INPUT -m limit --limit 5/min --limit-burst 5 -j LOG", "-A INPUT -m comment --comment \"it\\'s\" -j DROP",
      "-A INPUT -m comment --comment \"a \\\"b\\\"\" -j DROP", "-A INPUT -m limit --limit 20000/min -j LOG",
      "-A INPUT -p tcp -m tcp -j ACCEPT",
      "-A INPUT -p tcp -m tcp ! --dport 22 -j DROP", "-A INPUT -p tcp -m multiport --dports 80 -j ACCEPT",
      "-A INPUT -m comment --comment x -p tcp -j ACCEPT",
      "-A INPUT -m conntrack --ctstate NEW -p tcp -m tcp --dport 22 -j ACCEPT",
      "-A INPUT -m limit --limit 5/min -j ACCEPT",
      "-A INPUT -s 10.0.0.1/8 -j DROP", "-A INPUT -s 10.0.0.0/255.0.255.0 -j DROP", "-A INPUT -s 192.0.2.1 -j DROP",
      "-A INPUT -s 0.0.0.0/0 -i lo -j X", "-A INPUT -j web", "-A INPUT -g web", "-A INPUT",
      "-A INPUT -p ipv6-icmp -j ACCEPT", "-A INPUT -j REJECT",
      "-A INPUT -j REJECT --reject-with icmp6-port-unreachable", "-A INPUT -j REJECT --reject-with tcp-reset",

      "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
      "-A INPUT  -i lo -j ACCEPT",
      "-A INPUT -m comment --comment \"plain\" -j DROP", "-A INPUT -m comment --comment \"-x\" -j DROP",
      "-A INPUT -i \"a b\" -j DROP",
      "-A INPUT -j LOG --log-prefix \"x\" --log-tcp-options", "-A POSTROUTING -j MASQUERADE",
      "-A INPUT -p tcp -m tcp --dport 022 -j DROP",
      "-A INPUT -p tcp -m udp --dport 22 -j DROP", "-A INPUT -i lo -i lo -j ACCEPT",
    ]) func raw(rule: String)
  {
    #expect(read(rule) == nil)
  }

  @Test("NAT has its own") func nat() {
    #expect(read("-A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE", table: "nat")?.verdict == .masquerade)
    #expect(read("-A POSTROUTING -s 10.9.0.0/24 -o eth0 -j SNAT --to-source 192.0.2.80", table: "nat") != nil)
    #expect(read("-A POSTROUTING -s fd00::/64 -j SNAT --to-source 2001:db8::1", table: "nat", .ipv6)?.family == .ipv6)
    for rule in [
      "-A POSTROUTING -d 10.0.0.1/32 -j MASQUERADE", "-A POSTROUTING -o eth0 -j MASQUERADE --random",
      "-A POSTROUTING -j ACCEPT",
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
    default: break
    }
    if random.below(4) == 0 {
      words += [
        "-m", "conntrack", "--ctstate", random.pick(["NEW", "NEW", "INVALID", "RELATED,ESTABLISHED", "NEW,UNTRACKED"]),
      ]
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

  @Test("What is typed is written again byte for byte", arguments: Family.allCases) func roundTrip(family: Family) {
    var random = Random.fresh()
    let count = 50_000
    var typed = 0
    for _ in 0..<count {
      let rule = Self.rule(&random, family)
      guard let read = self.read(rule, family) else { continue }
      typed += 1
      let chain = String(rule.split(separator: " ")[1])
      #expect(String(decoding: read.text(chain: chain, family), as: UTF8.self) == rule)
    }
    print("\(count) rules, \(typed) typed")
    #expect(typed > count / 8 && typed < count)
  }
}
