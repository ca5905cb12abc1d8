extension LanguageMistakeTests {
  /// Names, days, verdicts and rates of items below `input:`, which is line 1, and what is said of them.
  static let words: [(String, [String])] = [
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
}
