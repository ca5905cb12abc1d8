import Core

/// Rules for every match and target that iptables 1.8 ships, as people write them: what the programs make of them is
/// seen in `ExtensionTests`.
enum ExtensionRules {
  struct Case: Sendable {
    /// Of the file `lib…so`.
    let library: String
    let families: [Family]
    let table: String
    /// Behind `-A`.
    let rule: String

    init(_ library: String, _ families: [Family], _ table: String, _ rule: String) {
      self.library = library
      self.families = families
      self.table = table
      self.rule = rule
    }
  }

  private static let both = Family.allCases

  static let all = [
    Case(
      "ip6t_DNPT", [.ipv6], "mangle",
      "PREROUTING -d 2001:db8:1::/64 -j DNPT --src-pfx 2001:db8:1::/64 --dst-pfx fd00:1::/64"),
    Case(
      "ip6t_SNPT", [.ipv6], "mangle",
      "POSTROUTING -s fd00:1::/64 -j SNPT --src-pfx fd00:1::/64 --dst-pfx 2001:db8:1::/64"),
    Case("ip6t_HL", [.ipv6], "mangle", "PREROUTING -j HL --hl-set 64"),
    Case("ip6t_HL", [.ipv6], "mangle", "PREROUTING -j HL --hl-dec 1"),
    Case("ip6t_HL", [.ipv6], "mangle", "PREROUTING -j HL --hl-inc 3"),
    Case("ip6t_NETMAP", [.ipv6], "nat", "PREROUTING -d 2001:db8:1::/64 -j NETMAP --to fd00:1::/64"),
    Case("ip6t_REJECT", [.ipv6], "filter", "INPUT -j REJECT"),
    Case("ip6t_REJECT", [.ipv6], "filter", "INPUT -p tcp -j REJECT --reject-with tcp-reset"),
    Case("ip6t_REJECT", [.ipv6], "filter", "INPUT -j REJECT --reject-with icmp6-policy-fail"),
    Case("ip6t_ah", [.ipv6], "filter", "INPUT -p ah -m ah --ahspi 500:600 --ahlen 120 --ahres -j ACCEPT"),
    Case("ip6t_ah", [.ipv6], "filter", "INPUT -m ah ! --ahspi 500 -j ACCEPT"),
    Case("ip6t_dst", [.ipv6], "filter", "INPUT -m dst --dst-len 8 --dst-opts 1:2,5 -j ACCEPT"),
    Case("ip6t_eui64", [.ipv6], "filter", "INPUT -m eui64 -j ACCEPT"),
    Case(
      "ip6t_frag", [.ipv6], "filter",
      "INPUT -m frag --fragid 1:42 --fraglen 42 --fragres --fragfirst --fragmore -j ACCEPT"),
    Case("ip6t_frag", [.ipv6], "filter", "INPUT -m frag ! --fragid 7 --fraglast -j ACCEPT"),
    Case("ip6t_hbh", [.ipv6], "filter", "INPUT -m hbh ! --hbh-len 8 --hbh-opts 1:2,5 -j ACCEPT"),
    Case("ip6t_hl", [.ipv6], "filter", "INPUT -m hl --hl-eq 255 -j ACCEPT"),
    Case("ip6t_hl", [.ipv6], "filter", "INPUT -m hl ! --hl-eq 255 -j ACCEPT"),
    Case("ip6t_hl", [.ipv6], "filter", "INPUT -m hl --hl-gt 64 -j ACCEPT"),
    Case("ip6t_icmp6", [.ipv6], "filter", "INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 1/4 -j ACCEPT"),
    Case("ip6t_icmp6", [.ipv6], "filter", "INPUT -p ipv6-icmp -m icmp6 ! --icmpv6-type echo-request -j ACCEPT"),
    Case(
      "ip6t_ipv6header", [.ipv6], "filter",
      "INPUT -m ipv6header --header hop-by-hop,ipv6-route,ipv6-frag --soft -j ACCEPT"),
    Case("ip6t_ipv6header", [.ipv6], "filter", "INPUT -m ipv6header ! --header ipv6-nonxt -j ACCEPT"),
    Case(
      "ip6t_mh", [.ipv6], "filter",
      "INPUT -p mobility-header -m mh --mh-type binding-refresh-request:careof-test -j ACCEPT"),
    Case("ip6t_mh", [.ipv6], "filter", "INPUT -p 135 -m mh ! --mh-type 3 -j ACCEPT"),
    Case("ip6t_rt", [.ipv6], "filter", "INPUT -m rt --rt-type 0 --rt-segsleft 1:23 --rt-len 42 -j DROP"),
    Case("ip6t_rt", [.ipv6], "filter", "INPUT -m rt --rt-type 0 --rt-0-addrs ::1,::2 --rt-0-not-strict -j DROP"),
    Case("ip6t_srh", [.ipv6], "filter", "INPUT -m srh --srh-next-hdr 17 --srh-segs-left-eq 1 --srh-tag 3 -j ACCEPT"),
    Case(
      "ipt_CLUSTERIP", [.ipv4], "filter",
      "INPUT -d 10.31.3.236/32 -i lo -j CLUSTERIP --new --hashmode sourceip --clustermac 01:aa:7b:47:f7:d7 --total-nodes 2 --local-node 1 --hash-init 1"
    ),
    Case("ipt_ECN", [.ipv4], "mangle", "PREROUTING -p tcp -j ECN --ecn-tcp-remove"),
    Case("ipt_NETMAP", [.ipv4], "nat", "PREROUTING -d 192.0.2.0/24 -j NETMAP --to 10.0.0.0/24"),
    Case("ipt_REJECT", [.ipv4], "filter", "INPUT -j REJECT --reject-with icmp-host-prohibited"),
    Case("ipt_REJECT", [.ipv4], "filter", "INPUT -p tcp -j REJECT --reject-with tcp-reset"),
    Case("ipt_TTL", [.ipv4], "mangle", "PREROUTING -j TTL --ttl-set 42"),
    Case("ipt_TTL", [.ipv4], "mangle", "PREROUTING -j TTL --ttl-inc 1"),
    Case("ipt_ULOG", [.ipv4], "filter", "INPUT -j ULOG --ulog-nlgroup 1"),
    Case("ipt_ah", [.ipv4], "filter", "INPUT -p ah -m ah --ahspi 1:42 -j ACCEPT"),
    Case("ipt_icmp", [.ipv4], "filter", "INPUT -p icmp -m icmp --icmp-type 3/1 -j ACCEPT"),
    Case("ipt_icmp", [.ipv4], "filter", "INPUT -p icmp -m icmp ! --icmp-type echo-request -j ACCEPT"),
    Case("ipt_icmp", [.ipv4], "filter", "INPUT -p icmp -m icmp --icmp-type any -j ACCEPT"),
    Case("ipt_realm", [.ipv4], "filter", "INPUT -m realm --realm 0x1/0x2a -j ACCEPT"),
    Case("ipt_realm", [.ipv4], "filter", "INPUT -m realm ! --realm 8 -j ACCEPT"),
    Case("ipt_ttl", [.ipv4], "filter", "INPUT -m ttl --ttl-eq 0 -j ACCEPT"),
    Case("ipt_ttl", [.ipv4], "filter", "INPUT -m ttl ! --ttl-eq 255 -j ACCEPT"),
    Case("ipt_ttl", [.ipv4], "filter", "INPUT -m ttl --ttl-lt 5 -j ACCEPT"),
    Case("xt_AUDIT", both, "filter", "INPUT -j AUDIT --type accept"),
    Case("xt_CHECKSUM", both, "mangle", "OUTPUT -j CHECKSUM --checksum-fill"),
    Case("xt_CLASSIFY", both, "mangle", "POSTROUTING -j CLASSIFY --set-class 0001:ffff"),
    Case("xt_CONNMARK", both, "mangle", "PREROUTING -j CONNMARK --set-xmark 0x1/0xff"),
    Case("xt_CONNMARK", both, "mangle", "PREROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff"),
    Case("xt_CONNMARK", both, "mangle", "PREROUTING -j CONNMARK --restore-mark"),
    Case("xt_CONNMARK", both, "mangle", "PREROUTING -j CONNMARK --set-xmark 0x1/0xff --left-shift-mark 3"),
    Case("xt_CONNSECMARK", both, "mangle", "PREROUTING -j CONNSECMARK --restore"),
    Case("xt_CT", both, "raw", "PREROUTING -j CT --notrack"),
    Case("xt_CT", both, "raw", "PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp"),
    Case("xt_CT", both, "raw", "PREROUTING -j CT --ctevents new,destroy --expevents new"),
    Case("xt_CT", both, "raw", "PREROUTING -j CT --zone 5"),
    Case("xt_CT", both, "raw", "PREROUTING -j CT --zone-orig mark"),
    Case("xt_CT", both, "raw", "PREROUTING -j CT --zone-reply 7"),
    Case("xt_DNAT", [.ipv4], "nat", "PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.3:80-90/80"),
    Case("xt_DNAT", [.ipv4], "nat", "PREROUTING -j DNAT --to-destination 10.0.0.1 --random --persistent"),
    Case("xt_DNAT", [.ipv4], "nat", "PREROUTING -p udp -j DNAT --to-destination :53"),
    Case("xt_DNAT", [.ipv6], "nat", "PREROUTING -p tcp -j DNAT --to-destination [2001:db8::1-2001:db8::3]:80-90"),
    Case("xt_DNAT", [.ipv6], "nat", "PREROUTING -j DNAT --to-destination 2001:db8::1"),
    Case("xt_DSCP", both, "mangle", "PREROUTING -j DSCP --set-dscp 0x2a"),
    Case("xt_DSCP", both, "mangle", "PREROUTING -j DSCP --set-dscp-class AF11"),
    Case(
      "xt_HMARK", both, "mangle",
      "PREROUTING -j HMARK --hmark-tuple src,sport --hmark-mod 42 --hmark-offset 1 --hmark-rnd 7"),
    Case("xt_IDLETIMER", both, "filter", "INPUT -j IDLETIMER --timeout 42 --label foo"),
    Case("xt_LED", both, "filter", "INPUT -j LED --led-trigger-id foo --led-delay 42 --led-always-blink"),
    Case(
      "xt_LOG", both, "filter",
      "INPUT -j LOG --log-prefix \"a \\\"b\\\" c'd\" --log-level 7 --log-tcp-sequence --log-tcp-options --log-ip-options --log-uid"
    ),
    Case("xt_LOG", both, "filter", "INPUT -j LOG --log-level debug --log-macdecode"),
    Case("xt_MARK", both, "mangle", "PREROUTING -j MARK --set-xmark 0xfeedcafe/0xfeedcafe"),
    Case("xt_MARK", both, "mangle", "PREROUTING -j MARK --set-mark 0x1"),
    Case("xt_MARK", both, "mangle", "PREROUTING -j MARK --and-mark 0x7"),
    Case("xt_MASQUERADE", both, "nat", "POSTROUTING -j MASQUERADE --random-fully"),
    Case("xt_MASQUERADE", both, "nat", "POSTROUTING -p udp -j MASQUERADE --to-ports 1024-65535 --random"),
    Case("xt_NAT", both, "nat", "PREROUTING -p tcp -j REDIRECT --to-ports 42-1234 --random"),
    Case(
      "xt_NFLOG", both, "filter",
      "INPUT -j NFLOG --nflog-prefix \"a b\" --nflog-group 1 --nflog-size 64 --nflog-threshold 5"),
    Case("xt_NFQUEUE", both, "filter", "INPUT -j NFQUEUE --queue-balance 0:6 --queue-bypass --queue-cpu-fanout"),
    Case("xt_NFQUEUE", both, "filter", "INPUT -j NFQUEUE --queue-num 6"),
    Case("xt_NOTRACK", both, "raw", "PREROUTING -j NOTRACK"),
    Case(
      "xt_RATEEST", both, "filter",
      "INPUT -j RATEEST --rateest-name RE1 --rateest-interval 250ms --rateest-ewmalog 500ms"),
    Case("xt_REDIRECT", both, "nat", "PREROUTING -p tcp -j REDIRECT --to-ports 42"),
    Case("xt_REDIRECT", both, "nat", "PREROUTING -j REDIRECT"),
    Case("xt_SECMARK", both, "mangle", "PREROUTING -j SECMARK --selctx system_u:object_r:httpd_packet_t:s0"),
    Case("xt_SET", both, "filter", "INPUT -j SET --add-set SETS src --exist --timeout 60"),
    Case("xt_SET", both, "filter", "INPUT -j SET --del-set SETS src"),
    Case("xt_SET", both, "mangle", "INPUT -j SET --map-set SETS src --map-mark"),
    Case(
      "xt_SNAT", [.ipv4], "nat", "POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1-10.0.0.3:1000-2000 --random-fully"),
    Case("xt_SNAT", [.ipv6], "nat", "POSTROUTING -j SNAT --to-source 2001:db8::1-2001:db8::9 --persistent"),
    Case(
      "xt_SYNPROXY", both, "filter",
      "INPUT -p tcp -m conntrack --ctstate INVALID -j SYNPROXY --sack-perm --timestamp --mss 1460 --wscale 9"),
    Case("xt_TCPMSS", both, "mangle", "FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"),
    Case("xt_TCPMSS", both, "mangle", "FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j TCPMSS --set-mss 42"),
    Case("xt_TCPOPTSTRIP", both, "mangle", "FORWARD -p tcp -j TCPOPTSTRIP --strip-options 2,3,8"),
    Case("xt_TEE", [.ipv4], "mangle", "PREROUTING -j TEE --gateway 10.0.0.1 --oif lo"),
    Case("xt_TEE", [.ipv6], "mangle", "PREROUTING -j TEE --gateway 2001:db8::1"),
    Case("xt_TOS", both, "mangle", "PREROUTING -j TOS --set-tos 0x10/0x3f"),
    Case("xt_TOS", both, "mangle", "PREROUTING -j TOS --set-tos Minimize-Delay"),
    Case(
      "xt_TPROXY", [.ipv4], "mangle",
      "PREROUTING -p tcp -j TPROXY --on-port 12345 --on-ip 10.0.0.1 --tproxy-mark 0x23/0xff"),
    Case(
      "xt_TPROXY", [.ipv6], "mangle",
      "PREROUTING -p udp -j TPROXY --on-port 12345 --on-ip 2001:db8::1 --tproxy-mark 0x23/0xff"),
    Case("xt_TRACE", both, "raw", "PREROUTING -j TRACE"),
    Case("xt_addrtype", both, "filter", "INPUT -m addrtype --src-type UNICAST ! --dst-type LOCAL -j ACCEPT"),
    Case("xt_addrtype", both, "filter", "INPUT -m addrtype --dst-type LOCAL,MULTICAST --limit-iface-in -j ACCEPT"),
    Case("xt_bpf", both, "filter", "INPUT -m bpf --bytecode \"4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0\" -j ACCEPT"),
    Case("xt_cgroup", both, "filter", "OUTPUT -m cgroup --cgroup 1 -j ACCEPT"),
    Case("xt_cgroup", both, "filter", "OUTPUT -m cgroup ! --cgroup 7 -j ACCEPT"),
    Case(
      "xt_cluster", both, "mangle",
      "PREROUTING -m cluster --cluster-total-nodes 2 --cluster-local-node 1 --cluster-hash-seed 0xfeedcafe -j ACCEPT"),
    Case(
      "xt_comment", both, "filter", "INPUT -m comment --comment \"it's a \\\"test\\\" \\\\ with -j DROP\" -j ACCEPT"),
    Case("xt_comment", both, "filter", "INPUT -m comment --comment plain -j ACCEPT"),
    Case(
      "xt_connbytes", both, "filter",
      "INPUT -m connbytes --connbytes 10:1000 --connbytes-mode packets --connbytes-dir both -j ACCEPT"),
    Case(
      "xt_connbytes", both, "filter",
      "INPUT -m connbytes ! --connbytes 5 --connbytes-mode bytes --connbytes-dir reply -j ACCEPT"),
    Case("xt_connlabel", both, "filter", "INPUT -m connlabel --label 40 --set -j ACCEPT"),
    Case(
      "xt_connlimit", both, "filter",
      "INPUT -p tcp -m tcp --dport 80 -m connlimit --connlimit-above 20 --connlimit-mask 24 --connlimit-saddr -j REJECT"
    ),
    Case(
      "xt_connlimit", both, "filter",
      "INPUT -m connlimit --connlimit-upto 5 --connlimit-mask 32 --connlimit-daddr -j ACCEPT"),
    Case("xt_connmark", both, "filter", "INPUT -m connmark --mark 0x1/0xff -j ACCEPT"),
    Case("xt_connmark", both, "filter", "INPUT -m connmark ! --mark 7 -j ACCEPT"),
    Case(
      "xt_conntrack", both, "filter",
      "INPUT -m conntrack ! --ctstate NEW,RELATED --ctproto 6 --ctorigsrcport 1:65 --ctrepldstport 80 --ctexpire 5:9 --ctstatus ASSURED,CONFIRMED --ctdir ORIGINAL -j ACCEPT"
    ),
    Case(
      "xt_conntrack", [.ipv4], "filter",
      "INPUT -m conntrack --ctorigsrc 10.0.0.0/8 ! --ctorigdst 192.0.2.1 --ctreplsrc 10.0.0.1 --ctrepldst 10.0.0.2 -j ACCEPT"
    ),
    Case(
      "xt_conntrack", [.ipv6], "filter",
      "INPUT -m conntrack --ctorigsrc 2001:db8::/32 ! --ctorigdst 2001:db8::1 -j ACCEPT"),
    Case("xt_conntrack", both, "filter", "INPUT -m conntrack --ctstate UNTRACKED,SNAT,DNAT -j ACCEPT"),
    Case("xt_cpu", both, "filter", "INPUT -m cpu ! --cpu 0 -j ACCEPT"),
    Case(
      "xt_dccp", both, "filter",
      "INPUT -p dccp -m dccp --sport 1:9 ! --dport 80 --dccp-types REQUEST,RESPONSE -j ACCEPT"),
    Case("xt_dccp", both, "filter", "INPUT -p 33 -m dccp --dccp-option 7 -j ACCEPT"),
    Case("xt_devgroup", both, "filter", "INPUT -m devgroup --src-group 0x1/0x7 -j ACCEPT"),
    Case("xt_devgroup", both, "filter", "INPUT -m devgroup ! --src-group 0x42 -j ACCEPT"),
    Case("xt_dscp", both, "filter", "INPUT -m dscp --dscp 0x08 -j ACCEPT"),
    Case("xt_dscp", both, "filter", "INPUT -m dscp ! --dscp-class EF -j ACCEPT"),
    Case("xt_ecn", both, "filter", "INPUT -p tcp -m ecn --ecn-tcp-cwr ! --ecn-tcp-ece -j ACCEPT"),
    Case("xt_ecn", both, "filter", "INPUT -m ecn --ecn-ip-ect 3 -j ACCEPT"),
    Case("xt_esp", both, "filter", "INPUT -p esp -m esp --espspi 0:32 -j ACCEPT"),
    Case("xt_esp", both, "filter", "INPUT -p esp -m esp ! --espspi 5 -j ACCEPT"),
    Case(
      "xt_hashlimit", both, "filter",
      "INPUT -m hashlimit --hashlimit-above 1/sec --hashlimit-burst 5 --hashlimit-mode srcip,dstip,srcport,dstport --hashlimit-name m1 -j ACCEPT"
    ),
    Case(
      "xt_hashlimit", both, "filter",
      "INPUT -m hashlimit --hashlimit-upto 5/min --hashlimit-mode srcip --hashlimit-srcmask 24 --hashlimit-dstmask 16 --hashlimit-htable-size 2000 --hashlimit-htable-max 999 --hashlimit-htable-gcinterval 60000 --hashlimit-htable-expire 2000 --hashlimit-name m2 -j ACCEPT"
    ),
    Case(
      "xt_hashlimit", both, "filter",
      "INPUT -m hashlimit --hashlimit-upto 1mb/s --hashlimit-burst 2mb --hashlimit-name m3 -j ACCEPT"),
    Case(
      "xt_hashlimit", both, "filter",
      "INPUT -m hashlimit --hashlimit-above 1000000/sec --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name m4 --hashlimit-rate-match --hashlimit-rate-interval 5 -j ACCEPT"
    ),
    Case("xt_helper", both, "filter", "INPUT -m helper --helper ftp-2121 -j ACCEPT"),
    Case("xt_helper", both, "filter", "INPUT -m helper ! --helper \"a b\" -j ACCEPT"),
    Case("xt_ipcomp", both, "filter", "INPUT -p 108 -m ipcomp --ipcompspi 18:42 --compres -j ACCEPT"),
    Case(
      "xt_iprange", [.ipv4], "filter",
      "INPUT -m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.1.0.1-10.1.0.9 -j ACCEPT"),
    Case("xt_iprange", [.ipv6], "filter", "INPUT -m iprange ! --src-range 2001:db8::1-2001:db8::9 -j ACCEPT"),
    Case(
      "xt_ipvs", both, "filter", "INPUT -m ipvs --ipvs --vproto tcp --vport 80 --vdir ORIGINAL --vmethod NAT -j ACCEPT"),
    Case("xt_ipvs", both, "filter", "INPUT -m ipvs ! --ipvs -j ACCEPT"),
    Case("xt_length", both, "filter", "INPUT -m length --length 0:100 -j ACCEPT"),
    Case("xt_length", both, "filter", "INPUT -m length ! --length 1400 -j ACCEPT"),
    Case("xt_limit", both, "filter", "INPUT -m limit --limit 5/min --limit-burst 10 -j ACCEPT"),
    Case("xt_limit", both, "filter", "INPUT -m limit --limit 1000/sec -j ACCEPT"),
    Case("xt_limit", both, "filter", "INPUT -m limit -j ACCEPT"),
    Case("xt_mac", both, "filter", "INPUT -m mac --mac-source 42:01:02:03:04:05 -j ACCEPT"),
    Case("xt_mac", both, "filter", "INPUT -m mac ! --mac-source 42:01:02:03:04:05 -j ACCEPT"),
    Case("xt_mark", both, "filter", "INPUT -m mark --mark 0xfeedcafe/0xfeedcafe -j ACCEPT"),
    Case("xt_mark", both, "filter", "INPUT -m mark ! --mark 7 -j ACCEPT"),
    Case("xt_multiport", both, "filter", "INPUT -p tcp -m multiport --dports 22,80:90,443 -j ACCEPT"),
    Case("xt_multiport", both, "filter", "INPUT -p udp -m multiport ! --sports 53,1024:65535 -j ACCEPT"),
    Case("xt_multiport", both, "filter", "INPUT -p sctp -m multiport --ports 7,9 -j ACCEPT"),
    Case("xt_nfacct", both, "filter", "INPUT -m nfacct --nfacct-name acct -j ACCEPT"),
    Case("xt_osf", [.ipv4], "filter", "INPUT -p tcp -m osf --genre linux --ttl 0 --log 1 -j ACCEPT"),
    Case("xt_owner", both, "filter", "OUTPUT -m owner --uid-owner 1000-1009 --gid-owner 0 --suppl-groups -j ACCEPT"),
    Case("xt_owner", both, "filter", "OUTPUT -m owner ! --socket-exists -j ACCEPT"),
    Case("xt_physdev", both, "filter", "FORWARD -m physdev --physdev-in lo --physdev-is-in -j ACCEPT"),
    Case("xt_physdev", both, "filter", "FORWARD -m physdev ! --physdev-out eth+ --physdev-is-bridged -j ACCEPT"),
    Case("xt_pkttype", both, "filter", "INPUT -m pkttype --pkt-type unicast -j ACCEPT"),
    Case("xt_pkttype", both, "filter", "INPUT -m pkttype ! --pkt-type broadcast -j ACCEPT"),
    Case(
      "xt_policy", both, "filter",
      "INPUT -m policy --dir in --pol ipsec --strict --reqid 1 --spi 0x1 --proto ipcomp --next --mode transport --proto esp -j ACCEPT"
    ),
    Case(
      "xt_policy", [.ipv4], "filter",
      "INPUT -m policy --dir in --pol ipsec --strict --mode tunnel --tunnel-src 10.0.0.0/8 --tunnel-dst 10.0.0.1 -j ACCEPT"
    ),
    Case("xt_policy", both, "filter", "INPUT -m policy --dir in --pol none -j ACCEPT"),
    Case("xt_quota", both, "filter", "INPUT -m quota --quota 18446744073709551615 -j ACCEPT"),
    Case("xt_rateest", both, "filter", "INPUT -m rateest --rateest RE1 --rateest-lt --rateest-bps 8bit -j ACCEPT"),
    Case("xt_recent", both, "filter", "INPUT -m recent --set --name ssh --rsource"),
    Case(
      "xt_recent", both, "filter",
      "INPUT -m recent --update --seconds 60 --hitcount 4 --rttl --name ssh --rdest -j DROP"),
    Case("xt_recent", both, "filter", "INPUT -m recent ! --rcheck --reap --seconds 5 -j DROP"),
    Case("xt_rpfilter", both, "mangle", "PREROUTING -m rpfilter --loose --validmark --accept-local --invert -j DROP"),
    Case("xt_rpfilter", both, "raw", "PREROUTING -m rpfilter -j ACCEPT"),
    Case(
      "xt_sctp", both, "filter", "INPUT -p sctp -m sctp --sport 1:9 ! --dport 80 --chunk-types any DATA,INIT -j ACCEPT"),
    Case("xt_sctp", both, "filter", "INPUT -p sctp -m sctp ! --chunk-types only SACK -j ACCEPT"),
    Case("xt_set", both, "filter", "INPUT -m set --match-set SETS src -j ACCEPT"),
    Case(
      "xt_set", both, "filter",
      "INPUT -m set ! --match-set SETS dst --return-nomatch ! --update-counters --packets-gt 5 -j ACCEPT"),
    Case("xt_socket", both, "mangle", "PREROUTING -m socket --nowildcard --restore-skmark --transparent -j ACCEPT"),
    Case("xt_standard", both, "filter", "INPUT -s 0.0.0.0/0 -i eth+ -j ACCEPT"),
    Case("xt_standard", both, "filter", "INPUT -j RETURN"),
    Case("xt_standard", both, "filter", "INPUT -g MINE"),
    Case("xt_standard", [.ipv4], "filter", "INPUT ! -s 10.0.0.0/8 -f -j MINE"),
    Case("xt_state", both, "filter", "INPUT -m state --state INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED -j ACCEPT"),
    Case("xt_state", both, "filter", "INPUT -m state ! --state NEW -j ACCEPT"),
    Case("xt_statistic", both, "filter", "INPUT -m statistic --mode random ! --probability 0.42 -j ACCEPT"),
    Case("xt_statistic", both, "filter", "INPUT -m statistic --mode nth --every 42 --packet 7 -j ACCEPT"),
    Case("xt_string", both, "filter", "INPUT -m string --algo bm --string \"a b\\\"c'd\" --from 1 --to 65 -j DROP"),
    Case("xt_string", both, "filter", "INPUT -m string --algo kmp --hex-string \"|de ad be ef|\" --icase -j DROP"),
    Case("xt_string", both, "filter", "INPUT -m string ! --string \"-j\" --algo kmp -j DROP"),
    Case(
      "xt_tcp", both, "filter",
      "INPUT -p tcp -m tcp --sport 1024:65535 ! --dport 80 --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE --tcp-option 7 -j DROP"
    ),
    Case("xt_tcp", both, "filter", "INPUT -p tcp -m tcp --syn -j DROP"),
    Case(
      "xt_tcpmss", both, "filter", "INPUT -p tcp -m tcp --tcp-flags SYN,RST SYN -m tcpmss ! --mss 536:65535 -j DROP"),
    Case(
      "xt_time", both, "filter",
      "INPUT -m time --timestart 22:00:00 --timestop 06:00:00 --monthdays 1,2,30 --weekdays Mon,Fri --datestart 2027-01-01T00:00:00 --datestop 2027-12-31T23:59:59 --contiguous -j ACCEPT"
    ),
    Case("xt_time", both, "filter", "INPUT -m time --kerneltz --timestart 08:00 ! --weekdays Sat -j ACCEPT"),
    Case("xt_tos", both, "filter", "INPUT -m tos ! --tos 0x10/0x3f -j ACCEPT"),
    Case("xt_tos", both, "filter", "INPUT -m tos --tos Minimize-Cost -j ACCEPT"),
    Case("xt_u32", both, "filter", "INPUT -m u32 --u32 \"0x0=0x0&&0x0=0x1:0xffff\" -j ACCEPT"),
    Case("xt_u32", both, "filter", "INPUT -m u32 ! --u32 \"0x6&0xff=0x11\" -j ACCEPT"),
    Case("xt_udp", both, "filter", "INPUT -p udp -m udp ! --sport 1:9 --dport 53 -j ACCEPT"),
  ]
}
