import Core
import Import
import Ruleset
import Testing

/// What an administrator wrote by hand years ago, and iptables-persistent saved since.
@Suite("A server's own rules") struct RealisticTests {
  private static let rules = PerFamily(
    ipv4: """
      *nat
      :PREROUTING ACCEPT [120:7200]
      :INPUT ACCEPT [0:0]
      :OUTPUT ACCEPT [33:2100]
      :POSTROUTING ACCEPT [33:2100]
      -A PREROUTING -i eth0 -p tcp -m tcp --dport 2222 -j DNAT --to-destination 10.8.0.5:22
      -A PREROUTING -i eth0 -p tcp -m multiport --dports 25,587 -j DNAT --to-destination 10.8.0.6
      -A PREROUTING -i eth0 -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 80
      -A POSTROUTING -s 10.8.0.0/24 -d 10.0.0.0/8 -j ACCEPT
      -A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE
      COMMIT
      *filter
      :INPUT DROP [91:6000]
      :FORWARD DROP [0:0]
      :OUTPUT ACCEPT [12345:678901]
      -A INPUT -i lo -j ACCEPT
      -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
      -A INPUT -m conntrack --ctstate INVALID -j DROP
      -A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m state --state NEW -j DROP
      -A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT
      -A INPUT -p icmp -m icmp --icmp-type 3 -j ACCEPT
      -A INPUT -p icmp -m icmp --icmp-type 11 -j ACCEPT
      -A INPUT -s 192.0.2.0/24 -p tcp -m state --state NEW -m tcp --dport 22 -m comment --comment "office ssh" -j ACCEPT
      -A INPUT -s 198.51.100.17/32 -p tcp -m tcp --dport 22 -j ACCEPT
      -A INPUT -p tcp -m tcp --dport 22 -m recent --update --seconds 60 --hitcount 4 --name SSH --mask 255.255.255.255 --rsource -j DROP
      -A INPUT -p tcp -m state --state NEW -m tcp --dport 80 -j ACCEPT
      -A INPUT -p tcp -m state --state NEW -m tcp --dport 443 -j ACCEPT
      -A INPUT -p tcp -m multiport --dports 25,465,587,993 -m comment --comment mail -j ACCEPT
      -A INPUT -p udp -m udp --dport 53 -j ACCEPT
      -A INPUT -p tcp -m tcp --dport 53 -j ACCEPT
      -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 3306 -j ACCEPT
      -A INPUT -s 10.0.0.0/8 -p udp -m udp --dport 161 -j ACCEPT
      -A INPUT -s 10.1.2.3/32 -p tcp -m tcp --dport 9100 -j ACCEPT
      -A INPUT -i eth1 -p tcp -m tcp --dport 2049 -j ACCEPT
      -A INPUT -p udp -m udp --dport 60000:61000 -j ACCEPT
      -A INPUT -p udp -m udp --dport 1194 -j ACCEPT
      -A INPUT -i tun0 -j ACCEPT
      -A INPUT -p tcp -m tcp --dport 113 -j REJECT --reject-with tcp-reset
      -A INPUT -s 203.0.113.0/24 -j DROP
      -A INPUT -m limit --limit 5/min -j LOG --log-prefix "iptables denied: " --log-level 7
      -A INPUT -j REJECT --reject-with icmp-port-unreachable
      -A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT
      -A FORWARD -i tun0 -o eth1 -j ACCEPT
      -A FORWARD -d 10.8.0.5/32 -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT
      -A FORWARD -d 10.8.0.6/32 -i eth0 -p tcp -m multiport --dports 25,587 -j ACCEPT
      -A FORWARD -s 10.8.0.0/24 -o eth0 -j ACCEPT
      -A FORWARD -j LOG --log-prefix "forward denied: "
      -A OUTPUT -o eth0 -p tcp -m tcp --dport 25 -m owner ! --uid-owner 101 -j REJECT --reject-with icmp-port-unreachable
      COMMIT

      """,
    ipv6: """
      *filter
      :INPUT DROP [3:240]
      :FORWARD DROP [0:0]
      :OUTPUT ACCEPT [9:700]
      -A INPUT -i lo -j ACCEPT
      -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
      -A INPUT -m conntrack --ctstate INVALID -j DROP
      -A INPUT -p ipv6-icmp -j ACCEPT
      -A INPUT -d fe80::/64 -p udp -m udp --dport 546 -m state --state NEW -j ACCEPT
      -A INPUT -s 2001:db8:1::/48 -p tcp -m state --state NEW -m tcp --dport 22 -m comment --comment "office ssh" -j ACCEPT
      -A INPUT -p tcp -m state --state NEW -m tcp --dport 80 -j ACCEPT
      -A INPUT -p tcp -m state --state NEW -m tcp --dport 443 -j ACCEPT
      -A INPUT -p tcp -m multiport --dports 25,465,587,993 -m comment --comment mail -j ACCEPT
      -A INPUT -m limit --limit 5/min -j LOG --log-prefix "iptables denied: " --log-level 7
      -A INPUT -j REJECT --reject-with icmp6-port-unreachable
      COMMIT

      """)

  @Test("At least nine of ten of its rules are typed") func share() throws {
    let policy = try imported(Self.rules.ipv4, Self.rules.ipv6)
    let all = policy.typedRules + policy.rawRules
    print("\(all) rules, \(policy.typedRules) typed")
    #expect(all == 49 && policy.typedRules * 10 >= all * 9, "\(policy.yaml)")
    #expect(policy.yaml.contains("  - accept: { service: http, state: new }\n"))
    #expect(policy.yaml.contains("  - accept: { service: [smtp, smtps, submission, imaps], comment: \"mail\" }\n"))
    #expect(policy.yaml.contains("  - raw: { ipv4: \"-A INPUT -p tcp -m tcp --dport 22 -m recent"))
    try expectSame(policy)
  }

  @Test("What was read keeps its order, rule by rule") func order() throws {
    let policy = try imported(Self.rules.ipv4, Self.rules.ipv6)
    for family in Family.allCases {
      let read = try Ruleset.parse(save: Array(Self.rules[family].utf8), file: "save")
      let ports = { (rules: [Rule]?) in
        (rules ?? []).map { String(decoding: $0.bytes, as: UTF8.self).split(separator: " ").last }
      }
      #expect(
        ports(policy.rulesets[family][table: "filter"]?[chain: "INPUT"]?.rules)
          == ports(read[table: "filter"]?[chain: "INPUT"]?.rules))
    }
  }
}
