extension LanguageMistakeTests {
  /// Variables and texts, some of which would like to be rules, of items below `input:`, which is line 1, and what is said of them.
  static let texts: [(String, [String])] = [
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
  ]
}
