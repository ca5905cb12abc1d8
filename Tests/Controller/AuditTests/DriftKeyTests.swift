import Core
import Ruleset
import TestSupport
import Testing

@testable import Audit

struct DriftKeyTests {
  private func drift(
    _ name: String, from expected: String, to observed: String, other: String = "*filter\nCOMMIT\n"
  ) -> HostDrift {
    HostDrift(
      host: HostID(name)!,
      texts: PerFamily(
        ipv4: DriftTexts(expected: Array(expected.utf8), observed: Array(observed.utf8)),
        ipv6: DriftTexts(expected: Array(other.utf8), observed: Array(other.utf8))))
  }

  private func filter(_ rules: String...) -> String {
    "*filter\n:INPUT DROP [0:0]\n" + rules.map { "-A INPUT \($0)\n" }.joined() + "COMMIT\n"
  }

  @Test func `the same line in other surroundings is the same difference, and in another place not exactly the same`() {
    let one = drift("a", from: filter("-i lo -j ACCEPT"), to: filter("-i lo -j ACCEPT", "-p gre -j ACCEPT"))
    let two = drift("b", from: filter("-i eth0 -j DROP"), to: filter("-i eth0 -j DROP", "-p gre -j ACCEPT"))
    let above = drift("c", from: filter("-i eth0 -j DROP"), to: filter("-p gre -j ACCEPT", "-i eth0 -j DROP"))
    #expect(one.key == two.key && one.exact == two.exact && one.appearance != two.appearance)
    #expect(above.key == two.key && above.exact != two.exact)
    let groups = DriftGroup.fold([one, two, above])
    #expect(groups.count == 1 && !groups[0].sharesContext)
  }

  @Test func `other words, chains, tables, families and directions are other differences`() {
    let base = filter("-i lo -j ACCEPT")
    let more = filter("-i lo -j ACCEPT", "-p gre -j ACCEPT")
    let all = [
      drift("a", from: base, to: more), drift("a", from: more, to: base),
      drift("a", from: base, to: filter("-i lo -j ACCEPT", "-p esp -j ACCEPT")),
      drift("a", from: base.replacing("INPUT", with: "FORWARD"), to: more.replacing("INPUT", with: "FORWARD")),
      drift("a", from: base.replacing("filter", with: "mangle"), to: more.replacing("filter", with: "mangle")),
      drift("a", from: base, to: base.replacing("DROP [", with: "ACCEPT [")),
      HostDrift(
        host: HostID("a")!,
        texts: PerFamily(
          ipv4: DriftTexts(expected: [], observed: []),
          ipv6: DriftTexts(expected: Array(base.utf8), observed: Array(more.utf8)))),
    ]
    #expect(Set(all.map(\.key)).count == all.count)
    #expect(Set(all.map(\.exact)).count == all.count)
  }

  @Test func `what other programs print of the same rule is exactly the same difference`() {
    let base = filter("-i lo -j ACCEPT")
    func added(_ rule: String) -> HostDrift { drift("a", from: base, to: filter("-i lo -j ACCEPT", rule)) }
    #expect(added("-p vrrp -j ACCEPT").exact == added("-p 112 -j ACCEPT").exact)
    #expect(added("-p vrrp -j ACCEPT").exact != added("-p 113 -j ACCEPT").exact)
    // What is shown are the words of each.
    #expect(added("-p vrrp -j ACCEPT").key != added("-p 112 -j ACCEPT").key)
  }

  @Test func `lines beside the rules have no order`() {
    func sets(_ members: [String]) -> String {
      filter("-i lo -j ACCEPT") + "*ipset\n:PCL-1 - [0:0]\n" + members.map { "-A PCL-1 \($0)\n" }.joined() + "COMMIT\n"
    }
    let base = filter("-i lo -j ACCEPT")
    let one = drift("a", from: base, to: sets(["192.0.2.1"]))
    let two = drift("b", from: sets(["192.0.2.9"]), to: sets(["192.0.2.9", "192.0.2.1"]))
    let three = drift("c", from: sets(["192.0.2.0", "192.0.2.9"]), to: sets(["192.0.2.0", "192.0.2.9", "192.0.2.1"]))
    #expect(two.exact == three.exact && one.exact != two.exact)
    #expect(DriftGroup.fold([two])[0].sides == [.beside])
  }

  @Test func `a set's missing members are told by name beside the digest of what it holds`() throws {
    func sets(_ lines: [String]) -> String {
      filter("-i lo -j ACCEPT") + "*ipset\n:PCL-1 - [0:0]\n" + lines.map { "-A PCL-1 \($0)\n" }.joined() + "COMMIT\n"
    }
    func words(_ missing: [String], _ found: [String]) throws -> [String] {
      guard case .differs(let diffs) = drift("a", from: sets(missing), to: sets(found)).finding else { throw Wrong() }
      return BesideWords.of(diffs)
    }
    let held = HeldRemark.text(Digest(of: [1]))
    #expect(try words(["192.0.2.1"], [held]) == ["ipset PCL-1: 192.0.2.1 is missing"])
    #expect(
      try words(["192.0.2.1", "# and others"], [held, "192.0.2.2", "# and others"]) == [
        "ipset PCL-1: 192.0.2.1 is missing", "ipset PCL-1: 192.0.2.2 does not belong there",
      ])
    #expect(
      try words(["192.0.2.1", "# and others"], [held, "192.0.2.2"]).last(where: { $0.hasSuffix("missing") })
        == "ipset PCL-1: and others are missing")
    #expect(
      try words([], [held, "192.0.2.2", "# and others"]).last == "ipset PCL-1: and others do not belong there")
    #expect(try words([], ["# the set has other options", held]) == ["ipset PCL-1: the set has other options"])
    #expect(try words([], [held]) == ["ipset PCL-1: it holds other members"])
    let other = HeldRemark.text(Digest(of: [2]))
    #expect(
      drift("a", from: sets(["192.0.2.1"]), to: sets([held])).exact
        != drift("a", from: sets(["192.0.2.1"]), to: sets([other])).exact)
  }

  @Test func `what is encoded comes back, and what is not ours is refused without a crash`() throws {
    var random = Random.fresh()
    for _ in 0..<200 {
      func rules() -> String {
        let count = Int.random(in: 0..<6, using: &random)
        let lines = (0..<count).map { _ in
          "-A \(["INPUT", "EVIL"].randomElement(using: &random)!) -s 10.0.0.\(Int.random(in: 0..<5, using: &random))/32 -j DROP\n"
        }
        return "*filter\n:INPUT DROP [0:0]\n:EVIL - [0:0]\n" + lines.joined() + "COMMIT\n"
      }
      let made = drift("a", from: rules(), to: rules(), other: rules())
      guard let encoded = made.encoded else {
        guard case .resolvedSince = made.finding else { throw Wrong() }
        continue
      }
      let back = try HostDrift(host: made.host, encoded: encoded)
      #expect(back.exact == made.exact && back.key == made.key && back.chains == made.chains)
      #expect(back.appearance == made.appearance && back.encoded == encoded)
      var hostile = encoded
      for _ in 0..<3 {
        hostile[Int.random(in: 0..<hostile.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      _ = try? HostDrift(host: made.host, encoded: hostile)
      #expect(throws: ByteReader.Problem.self) { try HostDrift(host: made.host, encoded: Array(encoded.dropLast())) }
      #expect(throws: ByteReader.Problem.self) { try HostDrift(host: made.host, encoded: encoded + [0]) }
    }
  }

  @Test func `what differs beside the rules is told in words`() throws {
    func text(_ tables: String) -> String { filter("-i lo -j ACCEPT") + tables }
    let made = drift(
      "a",
      from: text(
        "*ipset\n:PCL-1 - [0:0]\n-A PCL-1 192.0.2.1\nCOMMIT\n*sysctl\n:net.ipv4.ip_forward - [0:0]\n"
          + "-A net.ipv4.ip_forward 1\nCOMMIT\n*disk\n:/etc/x - [0:0]\n-A /etc/x sha256:aa\nCOMMIT\n"),
      to: text(
        "*ipset\n:PCL-1 - [0:0]\n-A PCL-1 192.0.2.2\n:PCL-2 - [0:0]\n-A PCL-2 # there is no such set\nCOMMIT\n"
          + "*others\n:inet-evil - [0:0]\n-A inet-evil hooked sha256:bb\nCOMMIT\n"
          + "*sysctl\n:net.ipv4.ip_forward - [0:0]\n-A net.ipv4.ip_forward 0\nCOMMIT\n"))
    guard case .differs(let diffs) = made.finding else { throw Wrong() }
    #expect(
      Set(BesideWords.of(diffs)) == [
        "ipset PCL-1: 192.0.2.1 is missing", "ipset PCL-1: 192.0.2.2 does not belong there",
        "ipset PCL-2: there is no such set", "net.ipv4.ip_forward is 0, and should be 1",
        "on disk, /etc/x is gone; it was sha256:aa", "beside ours, inet-evil is new: hooked sha256:bb",
      ])
    #expect(DriftSide.all(diffs) == [.disk, .beside])
    #expect(drift("a", from: filter("-i lo -j ACCEPT"), to: filter()).summary == "--A INPUT -i lo -j ACCEPT")
    #expect(made.summary.hasSuffix(" and 5 more"))
  }

  struct Wrong: Error {}
}
