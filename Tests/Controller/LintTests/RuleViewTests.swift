import Core
import Lint
import Ruleset
import TestSupport
import Testing

@Suite("Rules taken apart") struct RuleViewTests {
  @Test(
    "Two spellings of one match have one view",
    arguments: [
      ("-A INPUT -p tcp --dport 22 -j ACCEPT", "-A INPUT -p 6 -m tcp --destination-port 22 --jump ACCEPT"),
      ("-A INPUT --source 10.0.0.0/255.0.0.0 -j DROP", "-A INPUT -s 10.1.2.3/8 -j DROP"),
      ("-A INPUT -s 192.0.2.1 -j DROP", "-A INPUT --src 192.0.2.1/32 -j DROP"),
      (
        "-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT",
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
      ),
      ("-A INPUT -p tcp --syn -j DROP", "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"),
      ("-A INPUT -p icmp --icmp-type echo-request -j ACCEPT", "-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT"),
      (
        "-A INPUT -p icmpv6 --icmpv6-type packet-too-big -j ACCEPT",
        "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 2 -j ACCEPT"
      ),
      (
        "-A INPUT -p tcp -m multiport --dports 80,81,90:95 -j ACCEPT",
        "-A INPUT -p tcp -m multiport --dports 90:95,80:81 -j ACCEPT"
      ),
      ("-A INPUT -s 0.0.0.0/0 -i + -j ACCEPT", "-A INPUT -j ACCEPT -m comment --comment \"any -s text\""),
      ("-A INPUT -p sctp --dport 9 -j ACCEPT", "-A INPUT -p 132 -m sctp --dport 9 -j ACCEPT"),
      ("-A INPUT -p vrrp -j ACCEPT", "-A INPUT -p 112 -j ACCEPT"),
      (
        "-A INPUT ! -i eth0 -p udp -m udp ! --sport 53 -j DROP",
        "-A INPUT -p udp ! -i eth0 -m udp --sport 0:65535 -m multiport ! --sports 53 -j DROP"
      ),
      (
        "-A INPUT -m mark --mark 1 -m mac --mac-source 00:11:22:33:44:55 -j DROP",
        "-A INPUT -m mac --mac-source 00:11:22:33:44:55 -m mark --mark 1 -j DROP"
      ),
    ]) func spellings(a: String, b: String)
  {
    var (first, second) = (view(a), view(b))
    #expect(first.isClear && second.isClear)
    first.comment = nil
    second.comment = nil
    #expect(first == second)
  }

  @Test("The parts of a rule are found") func parts() {
    let rule = view(
      "-A FORWARD -s 10.0.0.0/8 ! -d 10.1.0.0/16 -i eth+ -o wg0 -p tcp -m tcp --sport 1024: --dport :1023 "
        + "-m conntrack ! --ctstate INVALID,NEW -m limit --limit 5/min -m comment --comment \"a \\\"b\\\"\" "
        + "-j LOG --log-prefix \"x: \" --log-level 6")
    #expect(rule.isClear && rule.chain == "FORWARD")
    #expect(rule.source == Negatable(AddressPrefix(matched: "10.0.0.0/8", .ipv4)!))
    #expect(rule.destination == Negatable(AddressPrefix(matched: "10.1.0.0/16", .ipv4)!, isNegated: true))
    #expect(rule.input == Negatable(InterfacePattern("eth+")) && rule.output == Negatable(InterfacePattern("wg0")))
    #expect(rule.transport == Negatable(.tcp))
    #expect(rule.sourcePorts == PortSet([1024...65535]) && rule.destinationPorts == PortSet([0...1023]))
    #expect(rule.states == [.established, .related, .untracked])
    #expect(rule.opaque == [OpaqueMatch(module: "limit", words: ["--limit", "5/min"])] && rule.isRationed)
    #expect(rule.comment == "a \"b\"")
    #expect(rule.target == .jump("LOG"))
    #expect(rule.targetOptions == ["--log-prefix", "x: ", "--log-level", "6"])
    #expect(view("-A INPUT -g web").target == .goTo("web") && view("-A INPUT").target == .none)
  }

  @Test(
    "What is not understood stays opaque",
    arguments: [
      ("-A INPUT -s controllers -j ACCEPT", "-", ["-s", "controllers"]),
      ("-A INPUT -s 10.0.0.0/255.0.255.0 -j ACCEPT", "-", ["-s", "10.0.0.0/255.0.255.0"]),
      ("-A INPUT -p nosuch -j ACCEPT", "-", ["-p", "nosuch"]),
      ("-A INPUT -p tcp -m tcp --dport ssh -j ACCEPT", "tcp", ["--dport", "ssh"]),
      ("-A INPUT -m set --match-set bad src -j DROP", "set", ["--match-set", "bad", "src"]),
      ("-A INPUT -m conntrack ! --ctstate DNAT -j DROP", "conntrack", ["!", "--ctstate", "DNAT"]),
      ("-A INPUT -m rpfilter --invert -j DROP", "rpfilter", ["--invert"]),
      ("-A INPUT -m socket -j ACCEPT", "socket", []),
      ("-A INPUT --wonder 3 -j ACCEPT", "", ["--wonder", "3"]),
      ("-A INPUT -p icmp -m icmp --icmp-type any -j ACCEPT", "icmp", ["--icmp-type", "any"]),
    ]) func opaque(rule: String, module: String, words: [String])
  {
    #expect(view(rule).isClear)
    #expect(view(rule).opaque == [OpaqueMatch(module: module, words: words)])
    #expect(!view(rule).isUnconditional)
  }

  @Test(
    "Words that are not in order are clear to nobody",
    arguments: [
      "-A INPUT -s", "-A INPUT -j", "-A INPUT -j A -j B", "-A INPUT stray -j DROP", "-A INPUT ! -j DROP",
      "-A INPUT -s ! 10.0.0.1 -j DROP", "-A INPUT -i \"\" -j DROP", "-A INPUT -m", "-A INPUT -s 10.0.0.1 -s 10.0.0.2",
      "-A INPUT \"-s\" 10.0.0.1", "-A INPUT -m set \"-j\" DROP", "-A INPUT !", "-A", "-I INPUT -j DROP", "",
      "-A INPUT ! -p all -j DROP", "-A INPUT -x 3", "-A INPUT -m comment --comment \"open",
    ]) func unclear(rule: String)
  {
    #expect(!view(rule).isClear)
    #expect(!view(rule).isUnconditional)
  }

  @Test("Nothing but counting and comments takes every packet") func unconditional() {
    #expect(view("-A INPUT").isUnconditional)
    #expect(view("-A INPUT -m comment --comment x -j DROP").isUnconditional)
    #expect(view("-A INPUT -s 0.0.0.0/0 -p all -j DROP").isUnconditional)
    #expect(!view("-A INPUT -p tcp -m tcp -j DROP").isUnconditional)
    #expect(!view("-A INPUT ! -s 0.0.0.0/0 -j DROP").isUnconditional)
  }

  @Test("No mutation of a ruleset crashes the reader or a lint") func fuzz() throws {
    var random = Random.fresh()
    let seeds = [
      filter(
        base4 + "-A INPUT -s 10.0.0.0/8 -p tcp -m multiport --dports 22,80:90 -j web\n-A web -j LOG\n-A web -g web"),
      "*nat\n:PREROUTING ACCEPT\n:POSTROUTING ACCEPT\n-A PREROUTING -p tcp -m tcp ! --dport 80 -j DNAT --to-destination 10.0.0.1:80\n"
        + "-A POSTROUTING -j MASQUERADE\nCOMMIT\n",
    ].map { Array($0.utf8) }
    let words = [
      "-s", "-d", "!", "-p", "-j", "-m", "--dport", "--dports", "1:", ":", "65536", "::/0", "tcp", "\"", "\\", "-",
      "--",
      "-g", "INPUT", "web", "DROP", "RETURN", "--ctstate", "NEW,,", "/", "0/0", "--tcp-flags", "255", "+", "limit",
    ].map { Array($0.utf8) }
    var read = 0
    let count = 20_000
    for _ in 0..<count {
      var text = random.pick(seeds)
      for _ in 0...random.below(6) {
        let place = random.below(text.count)
        switch random.below(4) {
        case 0: text[place] = UInt8(random.below(256))
        case 1: text.insert(contentsOf: [32] + random.pick(words) + [32], at: place)
        case 2: text.removeSubrange(place..<min(text.count, place + random.below(12)))
        default:
          text.insert(contentsOf: text[place..<min(text.count, place + random.below(60))], at: random.below(text.count))
        }
        if text.isEmpty { text = [10] }
      }
      let line = text.split(separator: 10).first.map(Array.init) ?? []
      _ = RuleView(Rule(text: line)).isUnconditional
      let places = LintPlaces(whole: Core.SourceLocation(file: "x", line: 1, column: 1), line: places)
      guard var subject = try? LintSubject(PerFamily(ipv4: text, ipv6: text), places: places) else { continue }
      subject.controllers = ["192.0.2.1", "2001:db8::1", "nonsense", ""]
      subject.facts.forwards = PerFamily(ipv4: false, ipv6: true)
      subject.facts.hasLeases = PerFamily(ipv4: true, ipv6: true)
      _ = Linter.run(subject)
      read += 1
    }
    print("\(count) mutated rulesets, \(read) of them read")
    #expect(read > count / 20)
  }
}
