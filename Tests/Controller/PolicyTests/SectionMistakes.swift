extension LanguageMistakeTests {
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

  /// Items of nat.
  static let translations: [(String, [String])] = [
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
    (
      "nat: [{forward-port: {tcp: 8000-8010, to: \"10.0.0.1:8000-8010\"}}]",
      [
        "1:43 \"10.0.0.1:8000-8010\" has several ports, of which the first alone would be used | leave the port out to keep it, or write one item for each port"
      ]
    ),
    (
      "nat: [{balance: {tcp: 80, to: [10.0.0.1, \"[2001:db8::5]:80-81\"]}}]",
      [
        "1:42 \"[2001:db8::5]:80-81\" has several ports, of which the first alone would be used | leave the port out to keep it, or write one item for each port"
      ]
    ),
    (
      "nat: [{forward-port: {tcp: 80, to: \"127.0.0.1:8080\"}}]",
      ["1:36 127.0.0.1 is the host itself to each host | `redirect` sends to a port of this host"]
    ),
    (
      "nat: [{snat: {to: 224.0.0.1}}]", ["1:19 224.0.0.1 is not the address of one host | name the address of one host"]
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
    ("nat: [{snat: {out: eth0, to: \"192.0.2.1:1024\"}}]", ["1:30 snat keeps the ports | name the address alone"]),
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
  ]
}
