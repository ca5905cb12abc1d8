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
    #expect(try self.parts("*filter\n:INPUT DROP [0:0]\nCOMMIT\n") == [])
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
