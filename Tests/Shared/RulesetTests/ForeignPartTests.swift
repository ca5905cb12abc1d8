import Core
import Ruleset
import Testing

@Suite struct ForeignPartTests {
  private func parts(_ text: String) throws -> [ForeignPart] {
    try Ruleset.parse(save: Array(text.utf8), file: "save").foreignParts()
  }

  static let mixed = """
    *filter
    :INPUT ACCEPT [0:0]
    :FORWARD ACCEPT [0:0]
    :PCL-INPUT - [0:0]
    :f2b-sshd - [0:0]
    :mine - [0:0]
    -A INPUT -p tcp -j f2b-sshd
    -A INPUT -j PCL-INPUT
    -A INPUT -j mine
    -A PCL-INPUT -j DROP
    -A f2b-sshd -s 192.0.2.1/32 -j DROP
    -A mine -j LOG
    COMMIT
    *nat
    :POSTROUTING ACCEPT [0:0]
    :DOCKER - [0:0]
    COMMIT

    """

  @Test func `what each owner has is counted, and ours is nobody's`() throws {
    let parts = try parts(Self.mixed)
    #expect(parts.map(\.owner) == [.docker, .fail2ban, nil])
    #expect(parts.map(\.rules) == [0, 2, 2])
    #expect(try self.parts("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n") == [])
  }

  @Test(arguments: [
    ("-A f2b-sshd -s 192.0.2.1/32 -j DROP", "-A f2b-sshd -s 192.0.2.2/32 -j DROP", ForeignOwner.fail2ban),
    ("-A INPUT -p tcp -j f2b-sshd", "-A INPUT -p udp -j f2b-sshd", .fail2ban), (":DOCKER -", ":DOCKER-USER -", .docker),
    ("-A mine -j LOG", "-A mine -j DROP", nil), ("-A INPUT -j mine\n", "", nil),
    ("-A PCL-INPUT -j DROP", "-A PCL-INPUT -j ACCEPT", .ufw),
  ]) func `a change shows with its owner and with nobody else`(old: String, new: String, owner: ForeignOwner?) throws {
    func digests(_ text: String) throws -> [ForeignOwner?: Digest] {
      Dictionary(uniqueKeysWithValues: try parts(text).map { ($0.owner, $0.digest) })
    }
    let (before, after) = try (digests(Self.mixed), digests(Self.mixed.replacing(old, with: new)))
    for other: ForeignOwner? in [.docker, .fail2ban, nil] {
      #expect((before[other] == after[other]) == (other != owner), "\(String(describing: other))")
    }
  }

  @Test(arguments: [
    ("FLANNEL-FWD", ForeignOwner.flannel), ("CILIUM_FORWARD", .cilium), ("OLD_CILIUM_FORWARD", .cilium),
    ("WEAVE", .weave), ("WEAVE-NPC-INGRESS", .weave), ("NETAVARK_FORWARD", .podman),
    ("NETAVARK-HOSTPORT-DNAT", .podman),
    ("ts-input", .tailscale), ("ts-forward", .tailscale), ("ts-postrouting", .tailscale), ("ts-mine", nil),
    ("WEAVER", nil), ("NETAVARK", nil), ("cilium", nil), ("xFLANNEL-FWD", nil),
  ]) func `chains are known by their names, and rules by the chains that they call`(chain: String, owner: ForeignOwner?)
    throws
  {
    let text =
      "*filter\n:FORWARD ACCEPT [0:0]\n:\(chain) - [0:0]\n-A FORWARD -j \(chain)\n-A \(chain) -j ACCEPT\nCOMMIT\n"
    #expect(try parts(text).map(\.owner) == [owner])
  }

  @Test(arguments: [
    (
      "-p tcp -m multiport --dports 22 -m set --match-set f2b-sshd src -j REJECT --reject-with icmp-port-unreachable",
      true
    ),
    ("-m set --match-set f2b-sshd6 src -j DROP", true), ("-m set --match-set f2b-sshd src -j ACCEPT", false),
    ("-m set ! --match-set f2b-sshd src -j DROP", false), ("-m set --match-set f2b-sshd dst -j DROP", false),
    ("! -i lo -m set --match-set f2b-sshd src -j DROP", false), ("-m set --match-set f2b-sshd src -j mine", false),
    ("-m set --match-set mine src -j DROP", false), ("-m comment --comment \"--match-set f2b-x src\" -j DROP", false),
    ("-m set --match-set f2b-a src -m set --match-set b src -j DROP", false),
    ("-m set --match-set f2b-sshd src -j MARK --set-xmark 0x1/0xffffffff", false),
  ]) func `bans of fail2ban's ipsets are his, and nothing else that names such a set is`(words: String, isHis: Bool)
    throws
  {
    let text = "*filter\n:INPUT ACCEPT [0:0]\n:mine - [0:0]\n-A INPUT \(words)\nCOMMIT\n"
    #expect(try parts(text).first { $0.rules == 1 }?.owner == (isHis ? .fail2ban : nil))
    let inside = "*filter\n:mine - [0:0]\n-A mine \(words)\nCOMMIT\n"
    #expect(try parts(inside).map(\.owner) == [nil])
  }

  @Test func `a default that drops is nobody's, where it is not ours`() throws {
    let text = "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
    let drops = try parts(text)
    #expect(drops.map(\.owner) == [nil] && drops.map(\.rules) == [0])
    #expect(try parts(text.replacing("FORWARD ACCEPT", with: "FORWARD DROP")) != drops)
    let ruleset = try Ruleset.parse(save: Array(text.utf8), file: "save")
    #expect(ruleset.foreignParts(besidePolicies: ["filter": ["INPUT"]]) == [])
    #expect(ruleset.foreignParts(besidePolicies: ["filter": ["FORWARD"]]) == drops)
  }

  @Test(arguments: [
    ("-A POSTROUTING -s 172.18.0.0/16 ! -o br-1 -j MASQUERADE", "nat", ForeignOwner.docker),
    ("-A POSTROUTING -s 172.18.0.2/32 -d 172.18.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE", "nat", .docker),
    ("-A PREROUTING -d 172.18.0.2/32 ! -i mine0 -j DROP", "raw", .docker),
    ("-A FORWARD -i br-1 ! -o br-1 -j ACCEPT", "mangle", .docker),
    ("-A FORWARD -i virbr0 -o virbr0 -j ACCEPT", "mangle", nil),
    ("-A FORWARD -i br-1 -o eth0 -j ACCEPT", "mangle", nil), ("-A FORWARD -i mine1 -j ACCEPT", "mangle", nil),
    ("-A FORWARD -j DROP", "mangle", nil), ("-A INPUT -i br-1 -j ACCEPT", "mangle", nil),
    ("-A POSTROUTING -j MASQUERADE", "nat", nil), ("-A POSTROUTING -s 172.18.0.0/16 -j ACCEPT", "nat", nil),
  ]) func `what containers' software writes into built-in chains is his`(
    rule: String, table: String, owner: ForeignOwner?
  ) throws {
    let chain = rule.split(separator: " ")[1]
    let added = "*\(table)\n:\(chain) ACCEPT [0:0]\n\(rule)\nCOMMIT\n"
    let docker = """
      *filter
      :DOCKER - [0:0]
      :DOCKER-USER - [0:0]
      -A DOCKER ! -i mine0 -o mine0 -j DROP
      -A DOCKER-USER -i mine1 -j DROP
      COMMIT

      """
    let beside = try parts(docker + added)
    #expect(beside.first { $0.owner == .docker }?.rules == (owner == .docker ? 3 : 2))
    #expect(beside.contains { $0.owner == nil } == (owner == nil))
    // Without him nobody is known to write such rules.
    #expect(try parts(added).map(\.owner) == [nil])
  }

  @Test func `a built-in chain that hangs nowhere is read as it is`() throws {
    // As iptables-nft-save 1.8.9 prints it.
    let text = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:INPUT - [0:0]\n-A INPUT -j LOG\nCOMMIT\n"
    let rules = try Ruleset.parse(save: Array(text.utf8), file: "save")
    #expect(rules[table: "filter"]?[chain: "INPUT"]?.policy == nil)
    #expect(rules[table: "filter"]?[chain: "INPUT"]?.rules.count == 1)
  }

  @Test func `ipsets of others are told from ours`() throws {
    let text = """
      *filter
      :INPUT ACCEPT [0:0]
      -A INPUT -m set --match-set blocklist src -j DROP
      -A INPUT -m set --match-set PCL-0123456789abcdef0123 src -j DROP
      COMMIT

      """
    #expect(SetName.foreign(in: try Ruleset.parse(save: Array(text.utf8), file: "save")) == ["blocklist"])
  }
}
