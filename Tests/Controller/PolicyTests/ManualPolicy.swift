/// A policy that uses every construct of the language, as the manual shows it.
let manualPolicy = #"""
  policy: web
  applies_to: web
  order: 50
  sets:
    admins: [192.0.2.0/24, "2001:db8:1::/64"]
  services:
    app: [tcp/8080, tcp/8443]
  defaults: { input: drop, forward: drop, output: accept }
  input:
    - accept: established
    - accept: { in: lo }
    - drop: invalid
    - accept: icmp-essential
    - accept: dhcp-client
    - limit: { service: ssh, rate: 6/minute, burst: 6, by: source, over: drop }
    - accept: { service: ssh, from: [admins, controllers] }
    - accept: { service: [http, https], comment: "public site", owner: web-team }
    - accept: { tcp: "9100", from: group:monitoring }
    - accept: { service: app, from: 198.51.100.7, until: 2027-01-31 }
    - accept: { proto: vrrp, from: host:lb2 }
    - accept: { service: postgres, from: group:web, when: office }
    - reject: { tcp: "25", with: tcp-reset }
  input_last:
    - log: { prefix: "in-drop: ", limit: 5/minute, level: info }
  forward:
    - accept: { in: eth1, out: eth0, from: 10.8.0.0/24 }
  output: []
  nat:
    - masquerade: { from: 10.8.0.0/24, out: eth0 }
    - forward-port: { in: eth0, tcp: "8080", to: "10.8.0.5:80" }
    - balance: { in: eth0, tcp: "80", to: ["10.8.0.5", "10.8.0.6"], mode: round-robin }
    - snat: { from: 10.9.0.0/24, out: eth0, to: 192.0.2.80 }
  containers:
    - accept: { tcp: "8080", from: 10.0.0.0/8 }
    - drop: {}
  schedule:
    office: { days: mon-fri, from: "08:00", to: "18:00", zone: UTC }
  raw:
    ipv4: |
      *filter
      -A INPUT -m recent --name knock --rcheck --seconds 30 -p tcp --dport 2222 -j ACCEPT
      COMMIT
  sysctl: { net.ipv4.ip_forward: 1 }

  """#

let manualInventory = """
  all:
    children:
      web: {hosts: {w1: {ansible_host: 198.51.100.10, portcullis_addresses: ["2001:db8:20::10"]}, w2: {ansible_host: 198.51.100.11}}}
      monitoring: {hosts: {m1: {ansible_host: 192.0.2.90, portcullis_addresses: ["2001:db8:9::90"]}}}
      lb: {hosts: {lb2: {ansible_host: 198.51.100.2}}}

  """

/// What it becomes on w1.
let manualRules = (
  ipv4: """
  *nat
  :PREROUTING ACCEPT [0:0]
  :INPUT ACCEPT [0:0]
  :OUTPUT ACCEPT [0:0]
  :POSTROUTING ACCEPT [0:0]
  -A PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.8.0.5:80
  -A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.8.0.5
  -A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.8.0.6
  -A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE
  -A POSTROUTING -s 10.9.0.0/24 -o eth0 -j SNAT --to-source 192.0.2.80
  COMMIT
  *filter
  :INPUT DROP [0:0]
  :FORWARD DROP [0:0]
  :OUTPUT ACCEPT [0:0]
  :CONTAINERS - [0:0]
  -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  -A INPUT -i lo -j ACCEPT
  -A INPUT -m conntrack --ctstate INVALID -j DROP
  -A INPUT -p icmp -m icmp --icmp-type 3 -j ACCEPT
  -A INPUT -p icmp -m icmp --icmp-type 11 -j ACCEPT
  -A INPUT -p icmp -m icmp --icmp-type 12 -j ACCEPT
  -A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT
  -A INPUT -p udp -m udp --sport 67 --dport 68 -j ACCEPT
  -A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m hashlimit --hashlimit-above 6/min --hashlimit-burst 6 --hashlimit-mode srcip --hashlimit-name pcl70b2d00912 -j DROP
  -A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -j ACCEPT
  -A INPUT -s 203.0.113.1/32 -p tcp -m tcp --dport 22 -j ACCEPT
  -A INPUT -p tcp -m multiport --dports 80,443 -m comment --comment "public site" -j ACCEPT
  -A INPUT -s 192.0.2.90/32 -p tcp -m tcp --dport 9100 -j ACCEPT
  -A INPUT -s 198.51.100.7/32 -p tcp -m multiport --dports 8080,8443 -m time --datestop 2027-01-31T23:59:59 -j ACCEPT
  -A INPUT -s 198.51.100.2/32 -p 112 -j ACCEPT
  -A INPUT -s 198.51.100.10/32 -p tcp -m tcp --dport 5432 -m time --timestart 08:00:00 --timestop 18:00:00 --weekdays Mon,Tue,Wed,Thu,Fri --datestop 2038-01-19T03:14:07 -j ACCEPT
  -A INPUT -s 198.51.100.11/32 -p tcp -m tcp --dport 5432 -m time --timestart 08:00:00 --timestop 18:00:00 --weekdays Mon,Tue,Wed,Thu,Fri --datestop 2038-01-19T03:14:07 -j ACCEPT
  -A INPUT -p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset
  -A INPUT -m recent --name knock --rcheck --seconds 30 -p tcp --dport 2222 -j ACCEPT
  -A INPUT -m limit --limit 5/min -j LOG --log-prefix "in-drop: " --log-level 6
  -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  -A FORWARD -d 10.8.0.5/32 -i eth0 -p tcp -m tcp --dport 80 -m conntrack --ctstate DNAT -j ACCEPT
  -A FORWARD -d 10.8.0.6/32 -i eth0 -p tcp -m tcp --dport 80 -m conntrack --ctstate DNAT -j ACCEPT
  -A FORWARD -s 10.8.0.0/24 -i eth1 -o eth0 -j ACCEPT
  -A CONTAINERS -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
  -A CONTAINERS -s 10.0.0.0/8 -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j RETURN
  -A CONTAINERS ! -i docker0 -m conntrack --ctstate DNAT -j DROP
  -A CONTAINERS ! -i docker0 -o docker0 -j DROP
  COMMIT

  """,
  ipv6: """
  *filter
  :INPUT DROP [0:0]
  :FORWARD DROP [0:0]
  :OUTPUT ACCEPT [0:0]
  :CONTAINERS - [0:0]
  -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  -A INPUT -i lo -j ACCEPT
  -A INPUT -m conntrack --ctstate INVALID -j DROP
  -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 133 -m hl --hl-eq 255 -j ACCEPT
  -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 134 -m hl --hl-eq 255 -j ACCEPT
  -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT
  -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -m hl --hl-eq 255 -j ACCEPT
  -A INPUT -s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type 130 -j ACCEPT
  -A INPUT -s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type 131 -j ACCEPT
  -A INPUT -s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type 132 -j ACCEPT
  -A INPUT -s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type 143 -j ACCEPT
  -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 1 -j ACCEPT
  -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 2 -j ACCEPT
  -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 3 -j ACCEPT
  -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 4 -j ACCEPT
  -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT
  -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 129 -j ACCEPT
  -A INPUT -s fe80::/10 -d fe80::/10 -p udp -m udp --sport 547 --dport 546 -j ACCEPT
  -A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m hashlimit --hashlimit-above 6/min --hashlimit-burst 6 --hashlimit-mode srcip --hashlimit-name pcl70b2d00912 --hashlimit-srcmask 64 -j DROP
  -A INPUT -s 2001:db8:1::/64 -p tcp -m tcp --dport 22 -j ACCEPT
  -A INPUT -s 2001:db8:ff::1/128 -p tcp -m tcp --dport 22 -j ACCEPT
  -A INPUT -p tcp -m multiport --dports 80,443 -m comment --comment "public site" -j ACCEPT
  -A INPUT -s 2001:db8:9::90/128 -p tcp -m tcp --dport 9100 -j ACCEPT
  -A INPUT -s 2001:db8:20::10/128 -p tcp -m tcp --dport 5432 -m time --timestart 08:00:00 --timestop 18:00:00 --weekdays Mon,Tue,Wed,Thu,Fri --datestop 2038-01-19T03:14:07 -j ACCEPT
  -A INPUT -p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset
  -A INPUT -m limit --limit 5/min -j LOG --log-prefix "in-drop: " --log-level 6
  -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  -A CONTAINERS -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
  -A CONTAINERS ! -i docker0 -m conntrack --ctstate DNAT -j DROP
  -A CONTAINERS ! -i docker0 -o docker0 -j DROP
  COMMIT

  """
)
