extension LanguageMistakeTests {
  /// Addresses and families of items below `input:`, which is line 1, and what is said of them.
  static let addresses: [(String, [String])] = [
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
  ]
}
