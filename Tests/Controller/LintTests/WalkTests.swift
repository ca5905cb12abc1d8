import Core
import Lint
import Ruleset
import Testing

@Suite("A packet led through the rules") struct WalkTests {
  private func passage(
    _ text: String, _ way: PacketProbe.Way = .input, port: UInt16 = 22, state: ConnectionStates = .new,
    from source: PacketProbe.Peer = .address(AddressPrefix(matched: "192.0.2.1", .ipv4)!)
  ) throws -> Passage {
    var probe = PacketProbe(.ipv4, way, .tcp, state: state, from: source, to: .own)
    probe.sourcePort = 50000
    probe.destinationPort = port
    return Walk(try rulesetView(text)).run(probe)
  }

  @Test("Nothing that filters accepts") func empty() throws {
    #expect(try passage("").verdict == .accepted)
    #expect(try passage("*nat\n:PREROUTING ACCEPT\nCOMMIT\n").verdict == .accepted)
    #expect(try passage(filter("", input: "ACCEPT")).verdict == .accepted)
    #expect(try passage(filter("")).verdict == .dropped)
  }

  @Test(
    "The first rule that surely matches decides",
    arguments: [
      ("-A INPUT -p tcp --dport 22 -j ACCEPT", Passage.Verdict.accepted),
      ("-A INPUT -s 192.0.2.0/24 -j REJECT\n-A INPUT -p tcp --dport 22 -j ACCEPT", .dropped),
      ("-A INPUT -s 198.51.100.0/24 -j DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT", .accepted),
      ("-A INPUT -j LOG\n-A INPUT -p tcp --dport 22 -j ACCEPT", .accepted),
      ("-A INPUT -i lo -j ACCEPT", .dropped),
      ("-A INPUT ! -i lo -j ACCEPT", .accepted),
      ("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", .dropped),
      ("-A INPUT -d 224.0.0.0/4 -j ACCEPT", .dropped),
      ("-A INPUT -j in\n-A in -j ssh\n-A ssh -p tcp --dport 22 -j ACCEPT", .accepted),
      ("-A INPUT -j in\n-A INPUT -j ACCEPT\n-A in -s 192.0.2.1 -j RETURN\n-A in -j DROP", .accepted),
      ("-A INPUT -g in\n-A INPUT -j ACCEPT\n-A in -s 192.0.2.9 -j ACCEPT", .dropped),
      ("-A INPUT -j in\n-A INPUT -j ACCEPT\n-A in -g deep\n-A in -j DROP\n-A deep -j LOG", .accepted),
      ("-A INPUT -j RETURN\n-A INPUT -j ACCEPT", .dropped),
      // The first of its sender, within every rate.
      ("-A INPUT -m limit --limit 1/sec -j ACCEPT", .accepted),
      ("-A INPUT -m hashlimit --hashlimit-above 6/min -j DROP\n-A INPUT -j ACCEPT", .accepted),
      ("-A INPUT -m recent --update --seconds 60 --hitcount 4 -j DROP\n-A INPUT -m recent --set -j ACCEPT", .accepted),
      ("-A INPUT -m recent --rcheck --name knock -j ACCEPT", .dropped),
      ("-A INPUT -m connlimit --connlimit-above 20 -j REJECT\n-A INPUT -j ACCEPT", .accepted),
    ]) func decided(rules: String, verdict: Passage.Verdict) throws
  {
    #expect(try passage(filter(rules)).verdict == verdict)
  }

  @Test(
    "What depends on what nobody knows is left open",
    arguments: [
      ("-A INPUT -i eth0 -j ACCEPT", Passage.Fates([.accepted, .dropped])),
      ("-A INPUT -d 198.51.100.1 -j ACCEPT", Passage.Fates([.accepted, .dropped])),
      ("-A INPUT -s controllers -j ACCEPT", Passage.Fates([.perhapsAccepted, .dropped])),
      ("-A INPUT -m set --match-set bad src -j DROP\n-A INPUT -j ACCEPT", Passage.Fates([.perhapsDropped, .accepted])),
      ("-A INPUT -m mark --mark 1 -j in\n-A in -j ACCEPT", Passage.Fates([.perhapsAccepted, .dropped])),
      ("-A INPUT -j NFQUEUE --queue-num 1", Passage.Fates([.perhapsAccepted, .perhapsDropped])),
      (
        "-A INPUT -j in\n-A INPUT -j ACCEPT\n-A in -m mark --mark 1 -j RETURN\n-A in -j DROP",
        Passage.Fates([.perhapsAccepted, .dropped])
      ),
    ]) func open(rules: String, fates: Passage.Fates) throws
  {
    let passage = try passage(filter(rules))
    #expect(passage.fates.isSuperset(of: fates) && passage.verdict == .undecided)
    #expect(passage.fates.contains(.accepted) == fates.contains(.accepted))
    #expect(passage.fates.contains(.dropped) == fates.contains(.dropped))
    #expect(passage.decidingRule == nil)
  }

  @Test("Chains that call each other end") func cycles() throws {
    #expect(try passage(filter("-A INPUT -j a\n-A a -j b\n-A b -j a")).verdict == .undecided)
    let deep = (0..<500).map { "-A c\($0) -j c\($0 + 1)" }.joined(separator: "\n") + "\n-A c500 -j ACCEPT"
    #expect(try passage(filter("-A INPUT -j c0\n" + deep)).verdict == .undecided)
    let wide = (0..<60).map { "-A c\($0) -j c\($0 + 1)\n-A c\($0) -j c\($0 + 1)" }.joined(separator: "\n")
    #expect(try passage(filter("-A INPUT -j c0\n" + wide + "\n-A c60 -j LOG\n-A INPUT -j ACCEPT")).verdict == .accepted)
  }

  @Test("Other tables are on the way") func tables() throws {
    let open = filter("-A INPUT -p tcp --dport 22 -j ACCEPT")
    #expect(try passage("*raw\n:PREROUTING ACCEPT\n-A PREROUTING -p tcp -j DROP\nCOMMIT\n" + open).verdict == .dropped)
    #expect(try passage("*mangle\n:INPUT DROP\nCOMMIT\n" + open).verdict == .dropped)
    let translated = "*nat\n:PREROUTING ACCEPT\n-A PREROUTING -p tcp --dport 22 -j REDIRECT --to-ports 2222\nCOMMIT\n"
    #expect(try passage(translated + open).fates == [.perhapsAccepted])
    #expect(try passage(translated + open, state: .established).fates == [.accepted])
    let untracked = "*raw\n:PREROUTING ACCEPT\n-A PREROUTING -p tcp -j CT --notrack\nCOMMIT\n"
    #expect(try passage(untracked + open).fates == [.perhapsAccepted])
  }

  @Test("The rules on the way are told, and the one that decides") func steps() throws {
    let passage = try passage(
      filter(
        "-A INPUT -i lo -j ACCEPT\n-A INPUT -m mark --mark 2 -j LOG\n-A INPUT -p tcp -j in\n-A in -p tcp --dport 22 -j ACCEPT"
      ))
    #expect(passage.steps.map(\.rule.line) == [7, 8, 9])
    #expect(passage.steps.map(\.answer) == [.doubtful, .yes, .yes])
    #expect(passage.decidingRule?.line == 9)
    #expect(try self.passage(filter("-A INPUT -j LOG")).decidingRule == nil)
  }

  @Test("A stranger is in no prefix but the widest") func stranger() throws {
    #expect(try passage(filter("-A INPUT -s 10.0.0.0/8 -j ACCEPT"), from: .stranger).verdict == .dropped)
    #expect(try passage(filter("-A INPUT ! -s 10.0.0.0/8 -j ACCEPT"), from: .stranger).verdict == .accepted)
    #expect(try passage(filter("-A INPUT -s 128.0.0.0/1 -j ACCEPT"), from: .stranger).verdict == .undecided)
  }
}
