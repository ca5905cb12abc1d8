import Core
import Testing

@testable import Inventory
@testable import Policy

@Suite("Mistakes in policies")
struct LanguageMistakeTests {
  @Test("What is wrong with an item of input is named at its place, with what to do", arguments: items)
  func item(item: String, wanted: [String]) {
    #expect(languageMistakes("input:\n  - \(item)") == wanted)
    #expect(!wanted.isEmpty)
  }

  @Test("What is wrong elsewhere in a policy is named at its place, with what to do", arguments: sections)
  func section(text: String, wanted: [String]) {
    #expect(languageMistakes(text) == wanted)
    #expect(!wanted.isEmpty)
  }

  /// Below `input:`, which is line 1, and what is said of it.
  static let items: [(String, [String])] = [
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
    ("allow: {tcp: 22}", ["2:5 unknown key \"allow\" | known here: accept, drop, reject, log, limit"]),
    ("accept: {port: 22}", ["2:14 unknown key \"port\" | did you mean \"out\"?"]),
    ("accept: {tpc: 22}", ["2:14 unknown key \"tpc\" | did you mean \"tcp\"?"]),
    (
      "{accept: {tcp: 22}, drop: {}}",
      ["2:5 an item is one of accept, drop, reject, log, limit | write each as an item of its own"]
    ),
    ("accept", ["2:5 expected a mapping, found the text \"accept\""]),
    ("{}", ["2:5 an item is one of accept, drop, reject, log, limit | such as - accept: {tcp: 443}"]),
    ("accept: {out: eth0}", ["2:14 input knows no interface of out | use in, or move the item to forward or output"]),
    (
      "drop: {helper: ftp, tcp: 21}",
      [
        "2:12 unknown key \"helper\" | known here: service, tcp, udp, sctp, dccp, proto, from, to, in, out, state, family, until, when, comment, owner"
      ]
    ),
    ("accept: {tcp: 22, tcp: 23}", ["2:14 the key \"tcp\" is given twice in this mapping"]),
    (
      "accept: {sport: 53}",
      [
        "2:14 unknown key \"sport\" | known here: service, tcp, udp, sctp, dccp, proto, from, to, in, out, state, family, until, when, strict, comment, owner, helper"
      ]
    ),
    (
      "log: {strict: true}",
      [
        "2:11 unknown key \"strict\" | known here: prefix, limit, burst, level, service, tcp, udp, sctp, dccp, proto, from, to, in, out, state, family, until, when, comment, owner"
      ]
    ),
    ("limit: {tcp: 22}", ["2:12 the key \"rate\" is missing"]),
    ("limit: ssh", ["2:12 \"ssh\" is a service | write it as - limit: {service: ssh}"]),
    ("limit: established", ["2:12 a limit needs its rate | such as - limit: {service: ssh, rate: 6/minute}"]),
    ("limit: {state: new, rate: 1/s}", ["2:13 unknown key \"state\" | did you mean \"rate\"?"]),
    (
      "accept: {from: 192.0.2.256}",
      [
        "2:20 \"192.0.2.256\" is neither an address nor a name of one | write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
      ]
    ),
    (
      "accept: {from: 192.0.2.1/33}",
      [
        "2:20 \"192.0.2.1/33\" has a prefix length outside 0 to 32 | write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
      ]
    ),
    (
      "accept: {from: 192.0.2.1/24}",
      [
        "2:20 \"192.0.2.1/24\" has bits set behind its prefix; write 192.0.2.0/24 | write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
      ]
    ),
    (
      "accept: {from: 10.0.0.1-10.0.0.9}",
      ["2:20 \"10.0.0.1-10.0.0.9\" is neither an address nor a name of one | write a range of addresses as prefixes"]
    ),
    (
      "accept: {from: 10.0.0.0/255.0.0.0}",
      [
        "2:20 \"10.0.0.0/255.0.0.0\" has a prefix length outside 0 to 32 | write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
      ]
    ),
    (
      "accept: {from: \"!10.0.0.1\"}",
      [
        "2:20 \"!10.0.0.1\" is neither an address nor a name of one | there is no negation: drop these first, and accept the rest after"
      ]
    ),
    ("accept: {from: any}", ["2:20 there is no set \"any\" | leave the key out to mean everybody"]),
    ("accept: {from: web}", ["2:20 there is no set \"web\" | a group of the inventory is written group:web"]),
    ("accept: {from: w1}", ["2:20 there is no set \"w1\" | a host of the inventory is written host:w1"]),
    ("accept: {from: mixde}", ["2:20 there is no set \"mixde\" | did you mean \"mixed\"?"]),
    ("accept: {from: group:wbe}", ["2:20 group \"wbe\" is not in the inventory | did you mean \"web\"?"]),
    (
      "accept: {from: group:nobody}",
      ["2:20 group \"nobody\" has no host, so nothing would ever match | add hosts to it, or remove it here"]
    ),
    (
      "accept: {from: group:lost}",
      [
        "2:20 group \"lost\": no numeric address is known of l1 | give ansible_host or portcullis_addresses in the inventory, or pin their names: portcullis resolve"
      ]
    ),
    ("accept: {from: host:nobody}", ["2:20 host \"nobody\" is not in the inventory"]),
    (
      "accept: {from: \"group:\"}",
      [
        "2:20 \"group:\" names no group | write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
      ]
    ),
    (
      "accept: {from: other.example.net}",
      [
        "2:20 the addresses of \"other.example.net\" are not pinned | 'portcullis resolve' looks names up and writes their addresses to dns.lock"
      ]
    ),
    (
      "accept: {from: \"fe80::1%eth0\"}",
      [
        "2:20 \"fe80::1%eth0\" is neither an address nor a name of one | write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
      ]
    ),
    (
      "accept: {from: \"[2001:db8::1]\"}",
      ["2:20 \"[2001:db8::1]\" is neither an address nor a name of one | write an IPv6 address without brackets"]
    ),
    ("accept: {from: first}", ["-8:11 set \"first\" contains itself | through first, second, third"]),
    (
      "accept: {from: four, family: ipv6}",
      [
        "2:5 the item would become no rule: nothing of it is of the family it is for | from, to, proto and family leave nothing that could match"
      ]
    ),
    (
      "accept: {from: four, to: six}",
      [
        "2:5 the item would become no rule: nothing of it is of the family it is for | from, to, proto and family leave nothing that could match"
      ]
    ),
    (
      "accept: {proto: icmpv6, family: ipv4}",
      [
        "2:5 the item would become no rule: nothing of it is of the family it is for | from, to, proto and family leave nothing that could match"
      ]
    ),
    (
      "accept: {from: \"${shell}\"}",
      ["2:20 variable \"shell\" of host \"h\" is \"eth0 -j ACCEPT\", which is not an address"]
    ),
    (
      "accept: {in: \"${shell}\"}",
      ["2:18 variable \"shell\" of host \"h\" is \"eth0 -j ACCEPT\", which is not an interface"]
    ),
    (
      "accept: {in: \"${quote}\"}",
      ["2:18 variable \"quote\" of host \"h\" is \"x\" -j ACCEPT -m comment --comment \"y\", which is not an interface"]
    ),
    (
      "accept: {in: \"${lines}\"}",
      ["2:18 variable \"lines\" of host \"h\" is \"10.0.0.1\\u{a}-A INPUT -j ACCEPT\", which is not an interface"]
    ),
    (
      "accept: {in: \"${option}\"}",
      ["2:18 variable \"option\" of host \"h\" is \"--dport\", which is not an interface"]
    ),
    ("accept: {tcp: \"${option}\"}", ["2:19 variable \"option\" of host \"h\" is \"--dport\", which is not a port"]),
    (
      "accept: {tcp: \"${shell}\"}",
      ["2:19 variable \"shell\" of host \"h\" is \"eth0 -j ACCEPT\", which is not a port"]
    ),
    (
      "accept: {from: \"${lines}\"}",
      ["2:20 variable \"lines\" of host \"h\" is \"10.0.0.1\\u{a}-A INPUT -j ACCEPT\", which is not an address"]
    ),
    (
      "accept: {from: \"${word}\"}",
      ["2:20 variable \"word\" of host \"h\" is \"controllers\", which is not an address"]
    ),
    ("accept: {from: \"${empty}\"}", ["2:20 variable \"empty\" of host \"h\" is \"\", which is not an address"]),
    (
      "accept: {from: \"${nothing}\"}",
      [
        "2:20 host \"h\" has no variable \"nothing\" that is a text or a list of texts | give it in the inventory, for the host or one of its groups"
      ]
    ),
    ("accept: {from: \"${port}\"}", ["2:20 variable \"port\" of host \"h\" is \"8080\", which is not an address"]),
    ("accept: {tcp: \"${one}\"}", ["2:19 variable \"one\" of host \"h\" is \"10.5.0.0/16\", which is not a port"]),
    (
      "accept: {from: \"10.0.0.${port}\"}",
      [
        "2:20 \"10.0.0.${port}\": a variable stands alone, as ${name} | write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
      ]
    ),
    (
      "accept: {from: \"${a b}\"}",
      [
        "2:20 \"${a b}\": a variable stands alone, as ${name} | write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
      ]
    ),
    ("accept: {in: \"eth${port}\"}", ["2:18 \"eth${port}\": a variable stands alone, as ${name}"]),
    (
      "accept: {in: \"eth0 -j ACCEPT\"}",
      ["2:18 \"eth0 -j ACCEPT\" is no interface | 1 to 15 characters, such as eth0; a + at the end stands for any rest"]
    ),
    (
      "accept: {in: -j}",
      ["2:18 \"-j\" is no interface | 1 to 15 characters, such as eth0; a + at the end stands for any rest"]
    ),
    (
      "accept: {in: \"!eth0\"}",
      ["2:18 \"!eth0\" is no interface | 1 to 15 characters, such as eth0; a + at the end stands for any rest"]
    ),
    (
      "accept: {in: +}",
      ["2:18 \"+\" is no interface | 1 to 15 characters, such as eth0; a + at the end stands for any rest"]
    ),
    (
      "accept: {in: \"eth0:1\"}",
      [
        "2:18 \"eth0:1\" is no interface | packets know the interface, not its alias: name it without :, and the alias by its address"
      ]
    ),
    (
      "accept: {in: averylongnameofanif}",
      [
        "2:18 \"averylongnameofanif\" is no interface | 1 to 15 characters, such as eth0; a + at the end stands for any rest"
      ]
    ),
    (
      "accept: {comment: \"x\\\" -j ACCEPT\"}",
      [
        "2:23 the text holds more than printable ASCII, a quotation mark or backslash, or begins with - | the iptables programs of different versions write those differently"
      ]
    ),
    (
      "accept: {comment: \"a\\nb\"}",
      [
        "2:23 the text holds more than printable ASCII, a quotation mark or backslash, or begins with - | the iptables programs of different versions write those differently"
      ]
    ),
    (
      "accept: {comment: \"-j ACCEPT\"}",
      [
        "2:23 the text holds more than printable ASCII, a quotation mark or backslash, or begins with - | the iptables programs of different versions write those differently"
      ]
    ),
    ("accept: {comment: \"\"}", ["2:23 the text has 0 bytes; 1 to 255 are kept"]),
    (
      "accept: {owner: \"a\\\\\"}",
      [
        "2:21 the text holds more than printable ASCII, a quotation mark or backslash, or begins with - | the iptables programs of different versions write those differently"
      ]
    ),
    (
      "accept: {comment: é}",
      [
        "2:23 the text holds more than printable ASCII, a quotation mark or backslash, or begins with - | the iptables programs of different versions write those differently"
      ]
    ),
    (
      "log: {prefix: \"a\\\"\"}",
      [
        "2:19 \"a\"\" is no log prefix | 1 to 29 printable ASCII characters, without quotation marks and backslashes, not beginning with -"
      ]
    ),
    (
      "log: {prefix: \"012345678901234567890123456789\"}",
      [
        "2:19 \"012345678901234567890123456789\" is no log prefix | 1 to 29 printable ASCII characters, without quotation marks and backslashes, not beginning with -"
      ]
    ),
    (
      "log: {prefix: \"-j\"}",
      [
        "2:19 \"-j\" is no log prefix | 1 to 29 printable ASCII characters, without quotation marks and backslashes, not beginning with -"
      ]
    ),
    (
      "accept: {service: \"http -j DROP\"}",
      ["2:23 \"http -j DROP\" is no name | letters, digits, '_' and '-', beginning with a letter"]
    ),
    (
      "accept: {when: \"office -j DROP\"}",
      ["2:20 \"office -j DROP\" is no name | letters, digits, '_' and '-', beginning with a letter"]
    ),
    (
      "accept: {tcp: 21, helper: \"ftp -j ACCEPT\"}",
      ["2:31 \"ftp -j ACCEPT\" is no name | letters, digits, '_' and '-', beginning with a letter"]
    ),
    ("accept: {service: htps}", ["2:23 there is no service \"htps\" | did you mean \"https\"?"]),
    (
      "accept: {service: nonsense}",
      ["2:23 there is no service \"nonsense\" | define it below services, here or in common.yaml"]
    ),
    ("accept: {proto: vrp}", ["2:21 \"vrp\" is no protocol | did you mean \"vrrp\"?"]),
    ("accept: {proto: 256}", ["2:21 \"256\" is no protocol | a name such as vrrp or gre, or its number"]),
    ("accept: {proto: 0}", ["2:21 \"0\" is no protocol | a name such as vrrp or gre, or its number"]),
    (
      "accept: {proto: tcp, tcp: 22}",
      [
        "2:21 proto: tcp is every port of it, which the ports of this item are part of | leave proto out: ports and services name their transport"
      ]
    ),
    (
      "accept: {proto: udp, service: ssh}",
      [
        "2:21 proto: udp is every port of it, which the ports of this item are part of | leave proto out: ports and services name their transport"
      ]
    ),
    ("accept: {until: 2027-02-30}", ["2:21 \"2027-02-30\" is no day | write it as 2027-01-31; it still counts itself"]),
    ("accept: {until: 2027-1-1}", ["2:21 \"2027-1-1\" is no day | write it as 2027-01-31; it still counts itself"]),
    ("accept: {until: tomorrow}", ["2:21 \"tomorrow\" is no day | write it as 2027-01-31; it still counts itself"]),
    (
      "accept: {until: 2038-01-19}",
      [
        "2:21 until: 2038-01-19 is after 2038-01-18, where the kernel's time match ends | name an earlier day, or leave until out"
      ]
    ),
    ("accept: {when: offfice}", ["2:20 there is no schedule \"offfice\" | did you mean \"office\"?"]),
    (
      "accept: {strict: true}",
      ["2:22 strict has a meaning only beside when | it ends connections when the schedule's window closes"]
    ),
    (
      "accept: {state: newish}",
      ["2:21 unknown state \"newish\" | one of new, established, related, invalid, untracked"]
    ),
    ("accept: {family: ipv5}", ["2:22 unknown family \"ipv5\" | did you mean \"ipv4\"?"]),
    ("accept: {helper: ftp}", ["2:22 a helper is attached to connections of a port | name it: {tcp: 21, helper: ftp}"]),
    (
      "accept: {tcp: 21, helper: averyveryverylongone}",
      ["2:31 the helper's name has more than the 15 bytes the kernel keeps"]
    ),
    (
      "reject: {with: tcp-reset}",
      ["2:20 only TCP is reset | name TCP ports: {tcp: 25, with: tcp-reset}, or proto: tcp"]
    ),
    (
      "reject: {udp: 53, with: tcp-reset}",
      ["2:29 only TCP is reset | name TCP ports: {tcp: 25, with: tcp-reset}, or proto: tcp"]
    ),
    (
      "reject: {service: both, with: tcp-reset}",
      ["2:5 only TCP is reset, and this item is about more | name TCP ports or services: {tcp: 25, with: tcp-reset}"]
    ),
    (
      "reject: {with: silence}",
      [
        "2:20 unknown rejection \"silence\" | one of port-unreachable, host-unreachable, net-unreachable, admin-prohibited, tcp-reset"
      ]
    ),
    ("log: {burst: 5}", ["2:11 burst has a meaning only beside limit | such as limit: 5/minute, burst: 10"]),
    (
      "log: {level: loud}",
      ["2:18 unknown level \"loud\" | one of emergency, alert, critical, error, warning, notice, info, debug"]
    ),
    (
      "log: {limit: fast}",
      [
        "2:18 \"fast\" is no rate | a number from 1 to 10000 and a unit, such as 6/minute; units are second, minute, hour, day"
      ]
    ),
    (
      "log: {limit: 5/week}",
      [
        "2:18 \"5/week\" is no rate | a number from 1 to 10000 and a unit, such as 6/minute; units are second, minute, hour, day"
      ]
    ),
    (
      "log: {limit: 10001/s}",
      [
        "2:18 \"10001/s\" is no rate | a number from 1 to 10000 and a unit, such as 6/minute; units are second, minute, hour, day"
      ]
    ),
    (
      "log: {limit: 0/s}",
      [
        "2:18 \"0/s\" is no rate | a number from 1 to 10000 and a unit, such as 6/minute; units are second, minute, hour, day"
      ]
    ),
    (
      "log: {limit: 1/day, burst: 5}",
      ["2:32 a burst of 5 is more than a day of 1/day | the kernel saves up no more than a day: 1 at most"]
    ),
    (
      "limit: {rate: 6}",
      [
        "2:19 \"6\" is no rate | a number from 1 to 10000 and a unit, such as 6/minute; units are second, minute, hour, day"
      ]
    ),
    (
      "limit: {rate: 1/day, burst: 2}",
      ["2:33 a burst of 2 is more than a day of 1/day | the kernel saves up no more than a day: 1 at most"]
    ),
    ("limit: {rate: 1/s, by: port}", ["2:28 unknown unit of counting \"port\" | one of source, destination, all"]),
    ("limit: {rate: 1/s, over: accept}", ["2:30 unknown verdict \"accept\" | one of drop, reject"]),
    ("limit: {rate: 1/s, burst: 0}", ["2:31 expected a number from 1 to 10000, found the text \"0\""]),
  ]

  /// Whole keys of a policy.
  static let sections: [(String, [String])] = [
    (
      "input_last: [{accept: {when: office, strict: true}}]", ["1:38 strict stands only in input | move the item there"]
    ),
    ("output: [{accept: {in: eth0}}]", ["1:20 output knows no interface of in | use out, or move the item to input"]),
    ("forward: [{accept: dhcp-client}]", ["1:20 a DHCP client's traffic is never forwarded | move it to input"]),
    (
      "forward: allow",
      [
        "1:10 expected foreign or a list of items, found \"allow\" | forward: foreign leaves packets that the FORWARD rules do not decide to Docker's or Kubernetes' own"
      ]
    ),
    (
      "forward: ~",
      ["-18:1 the policies of host \"h\" say nothing of ipv4 | such as defaults: {input: drop}, or items below input"]
    ),
    ("input: {accept: {}}", ["1:8 expected a list, found a mapping"]),
    ("input: accept", ["1:8 expected a list, found the text \"accept\""]),
    ("inputs: []", ["1:1 unknown key \"inputs\" | did you mean \"input\"?"]),
    (
      "defaults: {input: reject}",
      ["1:19 a default is accept or drop | drop, and reject what is left: input_last: [{reject: {}}]"]
    ),
    ("defaults: {input: deny}", ["1:19 unknown default \"deny\" | one of accept, drop"]),
    ("defaults: {inptu: drop}", ["1:12 unknown key \"inptu\" | did you mean \"input\"?"]),
    ("defaults: drop", ["1:11 expected a mapping, found the text \"drop\""]),
    ("observe: yes", ["1:10 expected true or false, found the text \"yes\""]),
    ("observe: 1", ["1:10 expected true or false, found the text \"1\""]),
    ("order: 010", ["1:8 expected a number from 0 to 10000, found the text \"010\""]),
    ("order: -1", ["1:8 expected a number from 0 to 10000, found the text \"-1\""]),
    ("order: 1e3", ["1:8 expected a number from 0 to 10000, found the text \"1e3\""]),
    ("ipv6: drop", ["1:7 expected drop-all, found \"drop\" | a rules file for IPv6 is named as ipv6 below rules"]),
    (
      "mode: exclusive\nforward: foreign",
      [
        "2:10 forward: foreign and mode: exclusive exclude each other | in exclusive mode there are no rules but the policy's; remove mode: exclusive, or forward: foreign"
      ]
    ),
    (
      "mode: exclusive\ncontainers: [{drop: {}}]",
      [
        "2:1 containers and mode: exclusive exclude each other | in exclusive mode there are no rules but the policy's; remove mode: exclusive, or containers"
      ]
    ),
    ("containers: []", ["1:13 the list is empty | to keep everybody from containers: - drop: {}"]),
    (
      "containers: [{drop: {}}, {accept: {tcp: 80}}]",
      [
        "1:26 this item is never reached: the one before it takes everything | what names neither port, source nor interface stands last"
      ]
    ),
    ("containers: [{log: {}}]", ["1:15 unknown key \"log\" | known here: accept, drop, reject"]),
    ("containers: [{accept: {sctp: 1}}]", ["1:24 unknown key \"sctp\" | did you mean \"tcp\"?"]),
    (
      "nat: [{forward-port: {in: eth0, to: 10.0.0.1}}]",
      ["1:7 forward-port needs the ports of one transport | such as tcp: \"8080\""]
    ),
    (
      "nat: [{forward-port: {tcp: 80, udp: 80, to: 10.0.0.1}}]",
      ["1:7 forward-port needs the ports of one transport | such as tcp: \"8080\""]
    ),
    ("nat: [{forward-port: {tcp: 80}}]", ["1:22 the key \"to\" is missing"]),
    (
      "nat: [{forward-port: {tcp: 80, to: app.example}}]",
      ["1:36 \"app.example\" is no address to translate to | such as 10.8.0.5, 10.8.0.5:80 or [2001:db8::5]:80"]
    ),
    (
      "nat: [{forward-port: {tcp: 80, to: \"10.0.0.1:0\"}}]",
      ["1:36 \"10.0.0.1:0\" is no address to translate to | such as 10.8.0.5, 10.8.0.5:80 or [2001:db8::5]:80"]
    ),
    ("nat: [{forward-port: {sctp: 80, to: 10.0.0.1}}]", ["1:7 forward-port translates tcp and udp | name their ports"]),
    (
      "nat: [{forward-port: {tcp: 80, from: six, to: 10.0.0.1}}]",
      [
        "1:7 the item would become no rule: what it translates is of the other family than its target | from and to must have addresses of one family"
      ]
    ),
    (
      "nat: [{forward-port: {tcp: 80, family: ipv6, to: 10.0.0.1}}]",
      [
        "1:7 the item would become no rule: what it translates is of the other family than its target | from and to must have addresses of one family"
      ]
    ),
    (
      "nat: [{forward-port: {tcp: 80, to: \"[10.0.0.1]:80\"}}]",
      ["1:36 \"[10.0.0.1]:80\" is no address to translate to | such as 10.8.0.5, 10.8.0.5:80 or [2001:db8::5]:80"]
    ),
    ("nat: [{forward-port: {tcp: 80, to: \"${one}\"}}]", ["1:36 variable one must be one address to translate to"]),
    (
      "nat: [{forward-port: {tcp: 80, to: \"${shell}\"}}]",
      ["1:36 variable \"shell\" of host \"h\" is \"eth0 -j ACCEPT\", which is not an address"]
    ),
    (
      "nat: [{forward-port: {tcp: 80, to: \"10.0.0.1:80 -j ACCEPT\"}}]",
      [
        "1:36 \"10.0.0.1:80 -j ACCEPT\" is no address to translate to | such as 10.8.0.5, 10.8.0.5:80 or [2001:db8::5]:80"
      ]
    ),
    (
      "nat: [{balance: {tcp: 80, to: [10.0.0.1]}}]",
      ["1:31 balance needs 2 to 64 addresses | forward-port sends to one"]
    ),
    (
      "nat: [{balance: {tcp: 80, to: []}}]",
      [
        "1:31 balance needs 2 to 64 addresses | forward-port sends to one",
        "1:31 the list names no address | name at least one",
      ]
    ),
    (
      "nat: [{balance: {tcp: 80, to: [10.0.0.1, 10.0.0.2], mode: best}}]",
      ["1:59 unknown mode \"best\" | one of round-robin, random"]
    ),
    (
      "nat: [{balance: {tcp: 80, from: four, to: [\"2001:db8::1\", \"2001:db8::2\"]}}]",
      [
        "1:7 the item would become no rule: what it translates is of the other family than its target | from and to must have addresses of one family"
      ]
    ),
    (
      "nat: [{snat: {from: six, to: 192.0.2.1}}]",
      [
        "1:7 the item would become no rule: what it translates is of the other family than its target | from and to must have addresses of one family"
      ]
    ),
    ("nat: [{snat: {out: eth0, to: \"192.0.2.1:1024-2048\"}}]", ["1:30 snat keeps the ports | name the address alone"]),
    ("nat: [{snat: {out: eth0}}]", ["1:14 the key \"to\" is missing"]),
    ("nat: [{masquerade: ~}]", ["1:20 expected a mapping, found nothing | {} is everything"]),
    ("nat: [{masquerade: {in: eth0}}]", ["1:21 unknown key \"in\" | known here: from, out, family, comment, owner"]),
    (
      "nat: [{redirect: {tcp: 80, to: 8080-8090}}]",
      ["1:32 \"8080-8090\" is no port | redirect sends to a port of the host itself"]
    ),
    (
      "nat: [{redirect: {tcp: 80, to: \"10.0.0.1:80\"}}]",
      ["1:32 \"10.0.0.1:80\" is no port | redirect sends to a port of the host itself"]
    ),
    ("nat: [{nat: {}}]", ["1:8 unknown key \"nat\" | did you mean \"snat\"?"]),
    (
      "raw: {ipv4: \"*filter\\n-A INPUT -j ACCEPT\"}",
      ["1:13 the text does not end in a line end | write it as a block: ipv4: |"]
    ),
    (
      "raw: {ipv4: 5}",
      ["1:13 `5` cannot begin a line here | lines begin with `*table`, `:CHAIN`, `-A CHAIN`, `COMMIT` or `#`"]
    ),
    (
      "raw:\n  ipv4: |\n    *filter\n    -A INPUT -s db.example -j ACCEPT\n    COMMIT",
      [
        "4:17 `db.example` is not a numeric IPv4 address | write the address, or controllers: a host name would be looked up whenever the rules are loaded"
      ]
    ),
    (
      "raw:\n  ipv4: |\n    *filter\n    :PCL-X -\n    COMMIT",
      [
        "4:5 chain \"PCL-X\": names beginning with PCL are those of our own chains on a host | give it another name; the agent makes one of its own of it"
      ]
    ),
    (
      "raw:\n  ipv4: |\n    *filter\n    -A INPUT -p tcp --dport 22 -j ACCEPT\n    COMMIT",
      [
        "1:1 the ipv6 half is missing: a policy of raw text alone says nothing of that family | write both, close IPv6 with ipv6: drop-all, or say what shall be: defaults: {input: drop}"
      ]
    ),
    ("raw:\n  ipv5: |\n    *filter\n    COMMIT", ["2:3 unknown key \"ipv5\" | did you mean \"ipv4\"?"]),
    (
      "raw: {ipv4: \"\"}\nrules: {ipv4: a}",
      [
        "1:1 raw and rules exclude each other | keep the restore text in one place",
        "1:13 the file has no table | rules stand between `*filter` and `COMMIT`",
      ]
    ),
    (
      "rules: {ipv4: a, ipv6: b}",
      [
        "1:15 a policy that is one file has no rules files beside it | move it to p/policy.yaml, or write the text below raw",
        "1:24 a policy that is one file has no rules files beside it | move it to p/policy.yaml, or write the text below raw",
      ]
    ),
    (
      "raw:\n  ipv4: |2\n\n      *filter\n      -P INPUT DROP\n      COMMIT",
      [
        "4:5 spaces at the beginning of a line | begin every line in the first column",
        "5:5 spaces at the beginning of a line | begin every line in the first column",
        "6:5 spaces at the beginning of a line | begin every line in the first column",
      ]
    ),
    (
      "raw: {ipv4: \"*filter\\n-P INPUT DROP\\nCOMMIT\\n\"}",
      [
        "1:13 `-P` cannot begin a line here | write the policy into the chain's line: `:INPUT DROP`"
      ]
    ),
    (
      "ipv6: drop-all\ninput: [{accept: {tcp: 80, family: ipv6}}]",
      ["2:9 an item for IPv6 alone and ipv6: drop-all exclude each other | remove one of them"]
    ),
    (
      "ipv6: drop-all\nraw: {ipv6: \"*filter\\n-A INPUT -j ACCEPT\\nCOMMIT\\n\"}",
      ["1:7 ipv6: drop-all and raw rules for IPv6 exclude each other | remove one of them"]
    ),
    ("sysctl: {net.ipv4.ip_forward: }", ["1:31 expected a number, found nothing"]),
  ]
}
