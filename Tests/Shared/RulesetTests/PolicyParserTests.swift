import Core
import Ruleset
import TestSupport
import Testing

@Suite("Rules files")
struct PolicyParserTests {
  @Test func `A good file is read as it stands`() throws {
    let ruleset = try policy(
      """
      # Base rules.
      *filter
      :INPUT DROP
      :FORWARD DROP [0:0]
      :OUTPUT ACCEPT [12:34]
      :LOG-AND-DROP -

      -A INPUT -i lo -j ACCEPT
      # SSH
      -A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -m comment --comment "ssh, \\"mgmt\\"" -j ACCEPT
      -A INPUT -j LOG-AND-DROP
      -A LOG-AND-DROP -j DROP
      COMMIT
      # The end.
      """)
    #expect(ruleset.ruleCount == 4)
    #expect(ruleset.tables[0].chains.map(\.name) == ["INPUT", "FORWARD", "OUTPUT", "LOG-AND-DROP"])
    #expect(ruleset.tables[0].chains[0].rules.map(\.line) == [8, 10, 11])
  }

  @Test(
    "Every mistake of form has its place",
    arguments: [
      ("", "1:1 the file has no table"),
      ("# nothing\n\n", "1:1 the file has no table"),
      ("*filter\nCOMMIT\n*filter\nCOMMIT\n", "3:2 table filter occurs twice, first in line 1"),
      ("*filer\nCOMMIT\n", "1:2 there is no table `filer`"),
      ("*filter \nCOMMIT\n", "1:8 spaces at the end of a line"),
      ("*filter\n", "1:1 table filter has no COMMIT"),
      ("*filter\n*nat\nCOMMIT\n", "2:1 table filter (line 1) has no COMMIT before this"),
      ("*filter\nCOMMIT\nhello\n", "3:1 `hello` cannot begin a line here"),
      ("*filter\nCOMMIT\n-A INPUT -j DROP\n", "3:1 a rule outside any table"),
      ("*filter\nCOMMIT\nCOMMIT\n", "3:1 COMMIT outside any table"),
      (":INPUT DROP\n", "1:1 a chain outside any table"),
      ("*filter\r\nCOMMIT\r\n", "1:8 a carriage return"),
      ("*filter\n:INPUT\tDROP\nCOMMIT\n", "2:7 a tab"),
      ("*filter\n# über\nCOMMIT\n", "2:3 byte 0xc3 is not printable ASCII"),
      ("*filter\n :INPUT DROP\nCOMMIT\n", "2:1 spaces at the beginning of a line"),
      ("*filter\n \nCOMMIT\n", "2:1 spaces at the beginning of a line"),
      ("*filter\n:INPUT\nCOMMIT\n", "2:1 a chain is declared as `:NAME POLICY`"),
      ("*filter\n:INPUT DROP [0:0] x\nCOMMIT\n", "2:1 a chain is declared as `:NAME POLICY`"),
      ("*filter\n:INPUT DROP [0]\nCOMMIT\n", "2:13 counters are written `[packets:bytes]`"),
      ("*filter\n:INPUT REJECT\nCOMMIT\n", "2:8 policy REJECT of a built-in chain of table filter"),
      ("*filter\n:INPUT -\nCOMMIT\n", "2:8 policy - of a built-in chain of table filter"),
      ("*nat\n:OUTPUT DROP\nCOMMIT\n", "2:9 policy DROP of a built-in chain of table nat"),
      ("*filter\n:MINE DROP\nCOMMIT\n", "2:7 policy DROP of a chain that is not built in"),
      ("*filter\n:PREROUTING ACCEPT\nCOMMIT\n", "2:2 PREROUTING is not a chain of table filter"),
      ("*filter\n:A -\n:A -\nCOMMIT\n", "3:2 chain A is declared twice"),
      ("*filter\n:A -\n:A -\n-A A -j DROP\nCOMMIT\n", "3:2 chain A is declared twice"),
      ("*filter\n:DROP -\nCOMMIT\n", "2:2 a chain cannot be called DROP, which is a target"),
      ("*filter\n:a\"b -\nCOMMIT\n", "2:2 the chain's name may hold letters, digits and _-.:+@/= and not begin with -"),
      (
        "*filter\n:ABCDEFGHIJKLMNOPQRSTUVWXYZABC -\nCOMMIT\n",
        "2:2 the chain's name has 29 bytes, more than the 28 the kernel keeps"
      ),
      ("*filter\n:A -\n-A A\n:B -\nCOMMIT\n", "4:1 a chain declared after rules"),
      ("*filter\n-A INPUT -j DROP\nCOMMIT\n", "2:4 chain INPUT is not declared in table filter"),
      ("*filter\n-P INPUT DROP\nCOMMIT\n", "2:1 `-P` cannot begin a line here"),
      ("*filter\n-X\nCOMMIT\n", "2:1 `-X` cannot begin a line here"),
      ("*filter\n-I INPUT -j DROP\nCOMMIT\n", "2:1 `-I` cannot begin a line here"),
      ("*filter\n-D INPUT 1\nCOMMIT\n", "2:1 `-D` cannot begin a line here"),
      ("*filter\n-N X\nCOMMIT\n", "2:1 `-N` cannot begin a line here"),
      ("*filter\n-F\nCOMMIT\n", "2:1 `-F` cannot begin a line here"),
      ("*filter\n-t nat -A INPUT\nCOMMIT\n", "2:1 `-t` cannot begin a line here"),
      ("*filter\n[0:0] -A INPUT\nCOMMIT\n", "2:1 `[0:0]` cannot begin a line here"),
      ("iptables -P INPUT DROP\n", "1:1 `iptables` cannot begin a line here"),
      ("*filter\ncommit\nCOMMIT\n", "2:1 `commit` cannot begin a line here"),
    ])
  func form(text: String, mistake: String) {
    #expect(mistakes { () throws(Diagnostics) in try policy(text) }.first == mistake)
  }

  @Test(
    "Every mistake in a rule has its place",
    arguments: [
      ("-A INPUT -s 10.0.0.1 -j ACEPT", "25 `ACEPT` is neither a chain of table filter nor a target"),
      ("-A INPUT -j logdrop", "13 `logdrop` is neither a chain of table filter nor a target"),
      ("-A INPUT -j LOGDRPO", "13 `LOGDRPO` is neither a chain of table filter nor a target"),
      ("-A INPUT -j OUTPUT", "13 rules cannot jump to the built-in chain OUTPUT"),
      ("-A INPUT -g DROP", "13 `-g DROP`: no such chain in table filter"),
      ("-A INPUT -j DROP -j ACCEPT", "18 a second target in one rule"),
      ("-A INPUT -j", "10 `-j` needs a value"),
      ("-A INPUT -j DROP now", "18 unexpected `now`"),
      ("-A INPUT accept", "10 `accept` belongs to no option"),
      ("-A INPUT -t nat -j DROP", "10 `-t` cannot stand in a rule"),
      ("-A INPUT --table nat -j DROP", "10 `--table` cannot stand in a rule"),
      ("-A INPUT --tab nat -j DROP", "10 `--tab` is an abbreviation"),
      ("-A INPUT --t nat", "10 `--t` is an abbreviation"),
      ("-A INPUT --j DROP", "10 `--j` is an abbreviation"),
      ("-A INPUT -- -j DROP", "10 there is no option `--`"),
      ("-A INPUT -m ../../tmp/evil", "13 `../../tmp/evil` is not a match"),
      ("-A INPUT -p tcp -m tcp --syn \"!\" --dport 22", "30 a quoted ! would negate what follows"),
      ("-A INPUT --jum DROP", "10 `--jum` is an abbreviation"),
      ("-A INPUT --sourc example.org", "10 `--sourc` is an abbreviation"),
      ("-A INPUT \"-t\" nat", "10 `-t` belongs to no option"),
      ("-A INPUT -p tcp -m tcp --syn \"-j\" DROP", "30 a quoted word beginning with - would be read as an option"),
      ("-A INPUT -4 -j DROP", "10 `-4` cannot stand in a rule"),
      ("-A INPUT -6 -j DROP", "10 `-6` cannot stand in a rule"),
      ("-A INPUT -A FORWARD", "10 `-A` cannot stand in a rule"),
      ("-A INPUT -c 1 2 -j DROP", "10 `-c` cannot stand in a rule"),
      ("-A INPUT -jDROP", "10 there is no option `-jDROP`"),
      ("-A INPUT --source=10.0.0.1", "10 an option and its value are two words"),
      ("-A INPUT -s", "10 `-s` needs a value"),
      ("-A INPUT ! 10.0.0.1", "10 `!` stands before an option"),
      ("-A INPUT ! -j DROP", "12 `!` cannot stand before `-j`"),
      ("-A INPUT -s www.example.org", "13 `www.example.org` is not a numeric IPv4 address"),
      ("-A INPUT -s localhost", "13 `localhost` is not a numeric IPv4 address"),
      ("-A INPUT -s controllers", "13 `controllers` is not a numeric IPv4 address"),
      ("-A INPUT -s 2001:db8::1", "13 2001:db8::1 is an IPv6 address in an IPv4 file"),
      ("-A INPUT -s 10.0.0.256", "13 `10.0.0.256` is not an IPv4 address"),
      ("-A INPUT -s 010.0.0.1", "13 `010.0.0.1` is not an IPv4 address"),
      ("-A INPUT -s 10.0/8", "13 `10.0` is not an IPv4 address"),
      ("-A INPUT -s 10.0.0.0/33", "13 `/33` is not a prefix length"),
      ("-A INPUT -d 10.0.0.0/", "13 `/` is not a prefix length"),
      ("-A INPUT -s 10.0.0.1,10.0.0.2", "13 several addresses in one rule"),
      ("-A INPUT -i abcdefghijklmnop", "13 the interface's name has 16 bytes, more than the 15 the kernel keeps"),
      ("-A INPUT -o eth0", "13 packets in INPUT have no output interface"),
      ("-A OUTPUT -i eth0", "14 packets in OUTPUT have no input interface"),
      ("-A INPUT -p tcp --dport ssh", "25 `ssh` is a service's name"),
      ("-A INPUT -p tcp --dport frobd", "25 `frobd` is not a port number"),
      ("-A INPUT -p tcp --dport 65536", "25 `65536` is not a port"),
      ("-A INPUT -p tcp --dport 80-90", "25 `80-90` is not a port"),
      ("-A INPUT -p tcp --dport 90:80", "25 the range `90:80` ends before it begins"),
      ("-A INPUT -p tcp --dport 80,443", "25 a list of ports"),
      ("-A INPUT -p tcp -m multiport --dports 80,http", "39 `http` is a service's name"),
      (
        "-A INPUT -p tcp -m multiport --dports 1:2,3:4,5:6,7:8,9:10,11:12,13:14,15:16",
        "39 16 ports, more than the 15 of one multiport match"
      ),
      ("-A INPUT --dport 22", "10 --dport needs a protocol"),
      ("-A INPUT -p ipv6-icmp", "13 `-p ipv6-icmp` matches nothing in an IPv4 file"),
      ("-A INPUT -p 256", "13 `256` is not a protocol"),
      ("-A INPUT -m comment --comment two words", "35 unexpected `words`"),
      ("-A INPUT -m comment --comment -j DROP", "21 `--comment` needs a value"),
      ("-A INPUT -m comment --comment \"open", "31 the quotes opened here do not close"),
      ("-A INPUT -m comment --comment \"open\\\"", "31 the quotes opened here do not close"),
      ("-A INPUT -m comment --comment \"a\"b", "34 after closing quotes there must be a space"),
      ("-A INPUT -m comment --comment a\"b\"", "32 quotes in the middle of a word"),
      (
        "-A INPUT -j LOG --log-prefix \"123456789012345678901234567890\"",
        "30 a log prefix of 30 bytes, more than the 29 the kernel keeps"
      ),
      ("-A INPUT -j REJECT --reject-with icmp6-port-unreachable", "34 `icmp6-port-unreachable` is for IPv6"),
      ("-A INPUT -m iprange --src-range 10.0.0.1-host", "33 `host` is not a numeric IPv4 address"),
      ("-A INPUT -m conntrack --ctorigdst 10.0.0.0/99", "35 `/99` is not a prefix length"),
      ("-A INPUT -j TEE --gateway 2001:db8::1", "27 2001:db8::1 is an IPv6 address in an IPv4 file"),
      ("-A INPUT -j DNAT --to-destination web:80", "35 `web` is not a numeric IPv4 address"),
      ("-A INPUT -j DNAT --to-destination 10.0.0.1:http", "35 `http` is a service's name"),
      ("-A INPUT -j DNAT --to-destination 10.0.0.1-10.0.0.999", "35 `10.0.0.999` is not an IPv4 address"),
      ("-A INPUT -j SNAT --to-source 2001:db8::1", "30 2001:db8::1 is an IPv6 address in an IPv4 file"),
      ("-A INPUT -p tcp -j REDIRECT --to-port 8080", "29 `--to-port` is an abbreviation"),
      ("-A INPUT -p tcp -j REDIRECT --to-ports 80:90", "40 `80:90` is not a port number"),
      ("-A", "1 `-A` cannot begin a line here"),
      ("-A  INPUT -j DROPP", "14 `DROPP` is neither a chain of table filter nor a target"),
    ])
  func rules(rule: String, mistake: String) {
    #expect(mistakes { () throws(Diagnostics) in try policy(filter(rule)) } == ["6:" + mistake])
  }

  @Test func `An exclamation mark after its option is shown where it belongs`() {
    let rule = filter("-A INPUT -s ! 10.0.0.1 -j DROP")
    #expect(
      mistakes { () throws(Diagnostics) in try policy(rule) } == [
        "6:10 `-s` needs a value", "6:13 `!` stands before an option",
      ])
    #expect(hints { () throws(Diagnostics) in try policy(rule) } == ["write `! -s 10.0.0.0/8`, not `-s ! 10.0.0.0/8`"])
  }

  @Test(
    "Mistakes in IPv6 rules are found too",
    arguments: [
      ("-A INPUT -s 10.0.0.0/8", "13 10.0.0.0 is an IPv4 address in an IPv6 file"),
      ("-A INPUT -s 2001:db8::/129", "13 `/129` is not a prefix length"),
      ("-A INPUT -s 2001:db8::1::2", "13 `2001:db8::1::2` is not an IPv6 address"),
      ("-A INPUT -s fe80::1%eth0", "13 `fe80::1%eth0` is not an IPv6 address"),
      ("-A INPUT -p icmp -j ACCEPT", "13 `-p icmp` matches nothing in an IPv6 file"),
      ("-A INPUT -f -j DROP", "10 `-f` is for IPv4 only"),
      ("-A INPUT -j REJECT --reject-with icmp-port-unreachable", "34 `icmp-port-unreachable` is for IPv4"),
      ("-A INPUT -j DNAT --to-destination [2001:db8::1]80", "35 after `]` there is `:PORT` or nothing"),
      ("-A INPUT -j DNAT --to-destination [10.0.0.1]:80", "35 10.0.0.1 is an IPv4 address in an IPv6 file"),
    ])
  func ipv6(rule: String, mistake: String) {
    #expect(mistakes { () throws(Diagnostics) in try policy(filter(rule), .ipv6) } == ["6:" + mistake])
  }

  @Test(
    "Common mistakes get a hint",
    arguments: [
      ("*filer\nCOMMIT\n", "did you mean `filter`?"),
      ("*filter\n-P INPUT DROP\nCOMMIT\n", "write the policy into the chain's line: `:INPUT DROP`"),
      ("*filter\n-A INPUT\nCOMMIT\n", "declare it: `:INPUT ACCEPT`"),
      ("*filter\n:INPUT ACCEPT\n-A INPTU\nCOMMIT\n", "did you mean `INPUT`?"),
      (filter("-A INPUT -j ACEPT"), "did you mean `ACCEPT`?"),
      (filter("-A INPUT -j LOGDRPO"), "did you mean `LOGDROP`?"),
      (filter("-A INPUT -j accept"), "did you mean `ACCEPT`?"),
      (filter("-A INPUT -p tcp --dport https"), "write its number: 443"),
      (filter("-A INPUT -p tcp --dport 80,443"), "write `-m multiport --dports …`"),
      (filter("-A INPUT --sourc 10.0.0.1"), "write `--source`, as iptables-save does"),
    ])
  func hint(text: String, hint: String) {
    #expect(hints { () throws(Diagnostics) in try policy(text) } == [hint])
  }

  @Test(
    "Rules as iptables-save prints them are accepted",
    arguments: [
      "-A INPUT", "-A INPUT -j LOGDROP", "-A INPUT -g LOGDROP", "-A INPUT ! -s 10.0.0.0/255.0.255.0 ! -i lo -j DROP",
      "-A INPUT -i eth+ -p tcp -m tcp --dport 0:1024 --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT",
      "-A INPUT -p tcp -m tcp ! --sport 1024: -j ACCEPT", "-A INPUT -p 47 -j ACCEPT",
      "-A INPUT -p udp -m multiport --ports 53,67:68 -j ACCEPT", "-A INPUT -p tcp -m multiport ! --dports 22 -j DROP",
      "-A INPUT -m comment --comment \"-j DROP, \\\"quoted\\\" \\\\ it\\'s\" -j ACCEPT",
      "-A INPUT -m comment --comment \"\" -j ACCEPT",
      "-A INPUT -m string --string \"-x\" --algo bm --to 65535 -j DROP",
      "-A INPUT -m recent --set --name ssh --mask 255.255.255.255 --rsource",
      "-A INPUT -m set --match-set blocked src,dst -j DROP", "-A INPUT -m set ! --match-set ok src -j DROP",
      "-A INPUT -m limit --limit 5/min --limit-burst 7 -j LOG --log-prefix \"12345678901234567890123456789\"",
      "-A INPUT -m u32 --u32 \"0x0>>0x16&0x3c@0x8>>0xf&0x1=0x1\" -j DROP",
      "-A INPUT -m policy --dir in --pol ipsec --strict --reqid 1 --proto esp --tunnel-src 10.0.0.0/8 --tunnel-dst 10.1.1.1/32",
      "-A INPUT -m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.1.0.1-10.1.0.9",
      "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED --ctorigdst 10.0.0.1/32 --ctorigdstport 80 -j ACCEPT",
      "-A INPUT -j NETMAP --to 10.0.0.0/24", "-A INPUT -j SNAT --to-source 10.0.0.1-10.0.0.9:1024-2048 --random",
      "-A INPUT -j DNAT --to-destination :8080", "-A INPUT -j DNAT --to-destination 10.0.0.1:80-90/8000",
      "-A INPUT -j MASQUERADE --to-ports 1024-65535", "-A INPUT -j SOMETHINGNEW --with-an-option 1 2 3",
      "-A INPUT -f -j DROP", "-A INPUT --src 10.0.0.1 --dst 10.0.0.2 --protocol tcp --jump ACCEPT",
      "-A INPUT -j REJECT --reject-with icmp-admin-prohibited",
    ])
  func accepts(rule: String) throws {
    #expect(mistakes { () throws(Diagnostics) in try policy(filter(rule)) } == [])
  }

  @Test func `A word may stand for addresses where it is allowed, but not negated`() throws {
    let good = filter("-A INPUT -s controllers -d controllers -p tcp -m tcp --dport 22 -j ACCEPT")
    #expect(try policy(good, allowing: ["controllers"]).ruleCount == 1)
    let negated = filter("-A INPUT ! -s controllers -j DROP")
    #expect(
      mistakes { () throws(Diagnostics) in try policy(negated, allowing: ["controllers"]) } == [
        "6:15 `! … controllers` would mean every address: it stands for several"
      ])
    let elsewhere = filter("-A INPUT -j SNAT --to-source controllers")
    #expect(!mistakes { () throws(Diagnostics) in try policy(elsewhere, allowing: ["controllers"]) }.isEmpty)
  }

  @Test func `All mistakes are reported, in reading order, up to a hundred`() {
    let some = filter("-A INPUT -s a.b -d c.d -j ACEPT\n-A INPTU -j DROP") + "*filter\n"
    #expect(
      mistakes { () throws(Diagnostics) in try policy(some) }.map { $0.prefix { $0 != " " } } == [
        "6:13", "6:20", "6:27", "7:4", "9:1", "9:2",
      ])
    let many = filter(String(repeating: "-A INPUT -s a.b\n", count: 500))
    #expect(mistakes { () throws(Diagnostics) in try policy(many) }.count == 100)
  }

  @Test func `Sizes are bounded`() {
    let longest = "-A INPUT -m comment --comment \"" + String(repeating: "x", count: 255) + "\" -j DROP"
    #expect(mistakes { () throws(Diagnostics) in try policy(filter(longest)) } == [])
    let comment = "-A INPUT -m comment --comment \"" + String(repeating: "x", count: 256) + "\""
    #expect(
      mistakes { () throws(Diagnostics) in try policy(filter(comment)) } == [
        "6:31 a comment of 256 bytes, more than the 255 the kernel keeps"
      ])
    let line = filter("-A INPUT -m x " + String(repeating: "y", count: 1011))
    #expect(
      mistakes { () throws(Diagnostics) in try policy(line) } == [
        "6:1025 the line has 1025 bytes, more than the 1024 allowed"
      ])
    let huge = [UInt8](repeating: UInt8(ascii: "#"), count: 8 << 20 + 1)
    #expect(throws: Diagnostics.self) { try Ruleset.parse(policy: huge, file: "rules", family: .ipv4) }
  }

  @Test func `Many unknown targets cost no more than a few`() throws {
    // Plausible names, of which none is known: each is compared with all chains until it is clear that they are meant.
    let chains = (0..<2000).map { ":CHAIN\($0) -\n" }.joined()
    let rules = (0..<3000).map { "-A CHAIN1 -j XYZZYPLUGH\($0)\n" }.joined()
    let started = ProcessorTime.now
    #expect(try policy("*filter\n" + chains + rules + "COMMIT\n").ruleCount == 3000)
    #expect(ProcessorTime.now - started < .seconds(60))
  }

  @Test func `Whatever strict parsing accepts, lenient parsing reads the same`() {
    var random = Random.fresh()
    let words = [
      "-A", "INPUT", "LOGDROP", "-j", "-s", "10.0.0.1", "\"a b\"", "\"", "\\", "!", "-p", "tcp", "--dport", "22", "-m",
      "comment", "--comment", "x", "[1:2]", "  ", "#",
    ]
    for _ in 0..<2000 {
      let text = filter("-A INPUT " + (0..<random.below(8)).map { _ in random.pick(words) }.joined(separator: " "))
      guard let strict = try? policy(text) else { continue }
      #expect((try? save(text)) == strict)
    }
  }

  @Test func `A rule's words can be found and replaced`() throws {
    let rule = Rule(text: Array("-A INPUT -s controllers -m comment --comment \"a \\\"b\" -j ACCEPT".utf8), line: 7)
    let words = try rule.words()
    #expect(
      words.map(\.text) == ["-A", "INPUT", "-s", "controllers", "-m", "comment", "--comment", "a \"b", "-j", "ACCEPT"])
    #expect(words.filter(\.isQuoted).map(\.text) == ["a \"b"])
    let replaced = rule.replacing(words[3].range, with: "192.0.2.1/32")
    #expect(replaced.line == 7)
    #expect(replaced.text == Array("-A INPUT -s 192.0.2.1/32 -m comment --comment \"a \\\"b\" -j ACCEPT".utf8))
  }

  @Test("Spaces before a rule's chain are one, so that the canonical form is what iptables-save prints")
  func spacesBeforeChain() throws {
    let spaced = try policy(filter("-A   INPUT -j DROP"))
    #expect(try text(spaced) == text(policy(filter("-A INPUT -j DROP"))))
    #expect(try save(text(spaced)).ruleCount == 1)
  }
}
