import Core
import Testing

@testable import Inventory
@testable import Policy

@Suite("Mistakes in policies")
struct LanguageMistakeTests {
  @Test(
    "What is wrong with an item of input is named at its place, with what to do",
    arguments: forms + addresses + texts + words)
  func item(item: String, wanted: [String]) {
    #expect(languageMistakes("input:\n  - \(item)") == wanted)
    #expect(!wanted.isEmpty)
  }

  @Test(
    "What is wrong elsewhere in a policy is named at its place, with what to do", arguments: sections + translations)
  func section(text: String, wanted: [String]) {
    #expect(languageMistakes(text) == wanted)
    #expect(!wanted.isEmpty)
  }

  /// Keys, values and ports of items below `input:`, which is line 1, and what is said of them.
  static let forms: [(String, [String])] = [
    ("accept: {tcp: 0644}", ["2:19 \"0644\" is no port | a number from 1 to 65535, or a range such as 8000-8010"]),
    ("accept: {tcp: 08}", ["2:19 \"08\" is no port | a number from 1 to 65535, or a range such as 8000-8010"]),
    ("accept: {tcp: 1e3}", ["2:19 \"1e3\" is no port | a number from 1 to 65535, or a range such as 8000-8010"]),
    ("accept: {tcp: ~}", ["2:19 expected a text, found nothing"]),
    ("accept: {tcp: }", ["2:19 expected a text, found nothing"]),
    ("accept: {tcp: \"\"}", ["2:19 \"\" is no port | a number from 1 to 65535, or a range such as 8000-8010"]),
    ("accept: {tcp: 0}", ["2:19 \"0\" is no port | a number from 1 to 65535, or a range such as 8000-8010"]),
    ("accept: {tcp: 65536}", ["2:19 \"65536\" is no port | a number from 1 to 65535, or a range such as 8000-8010"]),
    ("accept: {tcp: 90-80}", ["2:19 \"90-80\" is no port | a number from 1 to 65535, or a range such as 8000-8010"]),
    ("accept: {tcp: \"80,443\"}", ["2:19 \"80,443\" is no port | write several as a list: [80, 443]"]),
    ("accept: {tcp: []}", ["2:19 the list names no port | leave the key out to mean every port"]),
    ("accept: {tcp: {a: b}}", ["2:19 expected a text, found a mapping"]),
    ("accept: {tcp: ssh}", ["2:19 \"ssh\" is no port | write service: ssh"]),
    ("accept: {tcp: -1}", ["2:19 \"-1\" is no port | a number from 1 to 65535, or a range such as 8000-8010"]),
    ("accept: {tcp: 0x50}", ["2:19 \"0x50\" is no port | a number from 1 to 65535, or a range such as 8000-8010"]),
    ("accept: {tcp: no}", ["2:19 \"no\" is no port | a number from 1 to 65535, or a range such as 8000-8010"]),
    ("accept: {tcp: !!int 80}", ["2:19 expected a text, found a value tagged \"tag:yaml.org,2002:int\""]),
    ("accept: {when: office, strict: no}", ["2:36 expected true or false, found the text \"no\""]),
    ("accept: {when: office, strict: yes}", ["2:36 expected true or false, found the text \"yes\""]),
    (
      "accept: {from: 22:30}",
      [
        "2:20 \"22:30\" is neither an address nor a name of one | write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
      ]
    ),
    ("accept: {from: ~}", ["2:20 expected a text, found nothing"]),
    ("accept: {from: []}", ["2:20 the list names no address | leave the key out to mean every address"]),
    ("accept: {from: [[192.0.2.1]]}", ["2:21 expected a text, found a list"]),
    (
      "accept: {from: 0644}",
      [
        "2:20 \"0644\" is neither an address nor a name of one | write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
      ]
    ),
    ("accept: ~", ["2:13 expected a mapping, found nothing | {} is everything"]),
    ("accept:", ["2:12 expected a mapping, found nothing | {} is everything"]),
    ("accept: []", ["2:13 expected a mapping, found a list"]),
    ("accept: ssh", ["2:13 \"ssh\" is a service | write it as - accept: {service: ssh}"]),
    (
      "accept: everything",
      [
        "2:13 unknown kind of traffic \"everything\" | one of established, invalid, icmp-essential, dhcp-client, broadcast, multicast"
      ]
    ),
    ("allow: {tcp: 22}", ["2:5 unknown key \"allow\" | known here: accept, drop, reject, log, limit, raw"]),
    ("accept: {port: 22}", ["2:14 unknown key \"port\" | did you mean \"out\"?"]),
    ("accept: {tpc: 22}", ["2:14 unknown key \"tpc\" | did you mean \"tcp\"?"]),
    (
      "{accept: {tcp: 22}, drop: {}}",
      ["2:5 an item is one of accept, drop, reject, log, limit, raw | write each as an item of its own"]
    ),
    ("accept", ["2:5 expected a mapping, found the text \"accept\""]),
    ("{}", ["2:5 an item is one of accept, drop, reject, log, limit, raw | such as - accept: {tcp: 443}"]),
    ("accept: {out: eth0}", ["2:14 input knows no interface of out | use in, or move the item to forward or output"]),
    (
      "drop: {helper: ftp, tcp: 21}",
      [
        "2:12 unknown key \"helper\" | known here: service, tcp, udp, sctp, dccp, proto, icmp, icmpv6, from, to, in, out, state, family, until, when, comment, owner"
      ]
    ),
    ("accept: {tcp: 22, tcp: 23}", ["2:14 the key \"tcp\" is given twice in this mapping"]),
    (
      "accept: {sport: 53}",
      [
        "2:14 unknown key \"sport\" | known here: service, tcp, udp, sctp, dccp, proto, icmp, icmpv6, from, to, in, out, state, family, until, when, strict, comment, owner, helper"
      ]
    ),
    (
      "log: {strict: true}",
      [
        "2:11 unknown key \"strict\" | known here: prefix, limit, burst, level, service, tcp, udp, sctp, dccp, proto, icmp, icmpv6, from, to, in, out, state, family, until, when, comment, owner"
      ]
    ),
    ("limit: {tcp: 22}", ["2:12 the key \"rate\" is missing"]),
    ("limit: ssh", ["2:12 \"ssh\" is a service | write it as - limit: {service: ssh}"]),
    ("limit: established", ["2:12 a limit needs its rate | such as - limit: {service: ssh, rate: 6/minute}"]),
    ("limit: {state: new, rate: 1/s}", ["2:13 unknown key \"state\" | did you mean \"rate\"?"]),
  ]
}
