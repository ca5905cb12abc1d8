import Core
import Lint
import Ruleset
import Testing

@Suite("Whether SSH gets in through sets and translations") struct WayInTests {
  /// Translations begin at line 4, and INPUT is declared at line 4 behind the last of them.
  private func found(
    _ rules: String, nat: String? = nil, sets: [AddressSet] = [], controllers: [String] = ["192.0.2.1"],
    ports: [UInt16] = [22]
  ) throws -> [String] {
    let translations = nat.map { "*nat\n:PREROUTING ACCEPT\n:public -\n\($0)\nCOMMIT\n" } ?? ""
    var subject = try subject(translations + filter(base4 + rules), filter(base6))
    subject.controllers = controllers
    subject.sshPorts = ports
    subject.sets = KnownSets(sets)
    return Linter.run(subject).filter { $0.rule == .noSSHFromControllers }.map {
      "\($0.severity.rawValue) \($0.diagnostic.location.line)"
    }
  }

  // MARK: Translations

  private static let open = "-A INPUT -p tcp --dport 22 -j ACCEPT"

  @Test(
    "A translation that takes SSH elsewhere is named: an error when it surely does, else a warning",
    arguments: [
      ("-A PREROUTING -p tcp --dport 22 -j DNAT --to-destination 10.8.0.5:22", "error 4"),
      ("-A PREROUTING -p tcp --dport 20:30 -j DNAT --to-destination :2222", "error 4"),
      (
        "-A PREROUTING -p tcp -m tcp --dport 22 -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.8.0.5:22",
        "error 4"
      ),
      ("-A PREROUTING -p tcp --dport 22 -j REDIRECT --to-ports 2222", "error 4"),
      ("-A PREROUTING -p tcp --dport 22 -j REDIRECT --to-ports 2222-2229", "error 4"),
      ("-A PREROUTING -j NETMAP --to 10.8.0.0/24", "error 4"),
      ("-A PREROUTING -p tcp -j public\n-A public -p tcp --dport 22 -j REDIRECT --to-ports 2222", "error 5"),
      (
        "-A PREROUTING -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.8.0.5\n"
          + "-A PREROUTING -j DNAT --to-destination 10.8.0.6", "error 5"
      ),
      ("-A PREROUTING -i eth0 -p tcp --dport 22 -j REDIRECT --to-ports 2222", "warning 4"),
      ("-A PREROUTING -d 198.51.100.9 -p tcp --dport 22 -j DNAT --to-destination 10.8.0.5", "warning 4"),
      ("-A PREROUTING -m mark --mark 1 -j DNAT --to-destination 10.8.0.5", "warning 4"),
    ]) func diverted(nat: String, expected: String) throws
  {
    #expect(try found(Self.open, nat: nat) == [expected])
  }

  @Test(
    "A translation of other packets, or to the same port of the host, is let be",
    arguments: [
      "-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.8.0.5:22",
      "-A PREROUTING -s 203.0.113.0/24 -p tcp --dport 22 -j DNAT --to-destination 10.8.0.5:22",
      "-A PREROUTING -p tcp --dport 22 -m addrtype ! --dst-type LOCAL -j DNAT --to-destination 10.8.0.5:22",
      "-A PREROUTING -i lo -p tcp --dport 22 -j DNAT --to-destination 10.8.0.5:22",
      "-A PREROUTING -s 192.0.2.1 -j ACCEPT\n-A PREROUTING -p tcp --dport 22 -j DNAT --to-destination 10.8.0.5:22",
      "-A PREROUTING -p tcp --dport 22 -j REDIRECT --to-ports 22", "-A PREROUTING -p tcp --dport 22 -j REDIRECT",
      "-A PREROUTING -p tcp --dport 22 -j DNAT --to-destination :22",
    ]) func elsewhere(nat: String) throws
  {
    #expect(try found(Self.open, nat: nat) == [])
  }

  @Test("What comes to another port of sshd is judged by that one") func otherPort() throws {
    let nat = "-A PREROUTING -p tcp --dport 22 -j REDIRECT --to-ports 2222"
    #expect(try found("-A INPUT -p tcp --dport 2222 -j ACCEPT", nat: nat, ports: [22, 2222]) == [])
    #expect(try found("", nat: nat, ports: [22, 2222]) == ["error 7"])
  }

  @Test("A translation for one of several controllers is a warning") func oneOfTwo() throws {
    let two = ["192.0.2.1", "192.0.2.2"]
    for interface in ["", "-i eth0 "] {
      let nat = "-A PREROUTING -s 192.0.2.1 \(interface)-p tcp --dport 22 -j DNAT --to-destination 10.8.0.5"
      #expect(try found(Self.open, nat: nat, controllers: two) == ["warning 4"])
    }
  }

  // MARK: Times

  private static let office = "-m time --timestart 08:00:00 --timestop 18:00:00 --datestop 2038-01-19T03:14:07"

  @Test(
    "A way in that rules with a time may close, now or some day, is not sure, and they are named",
    arguments: [
      ("-A INPUT -s 192.0.2.0/24 \(office) -j DROP\n\(open)", "warning 7 when"),
      ("-A INPUT -m time --datestop 2037-01-01T00:00:00 -j DROP\n\(open)", "warning 7 until"),
      ("-A INPUT -p tcp --dport 22 \(office) -j ACCEPT", "warning 7 when"),
      ("-A INPUT -p tcp -j in\n-A in \(office) -j DROP\n\(open)", "warning 9 when"),
      ("-A INPUT -p udp \(office) -j DROP\n\(open)", nil), ("\(open)\n-A INPUT \(office) -j DROP", nil),
      ("-A INPUT \(office) -j ACCEPT\n\(open)", nil),
    ] as [(String, String?)])
  func times(rules: String, expected: String?) throws {
    var subject = try subject(filter(base4 + rules), filter(base6))
    subject.controllers = ["192.0.2.1"]
    subject.now = UTCTime("2027-02-01T12:00:00Z")
    let found = Linter.run(subject).filter { $0.rule == .noSSHFromControllers }.map { finding in
      let message = finding.diagnostic.message
      let key = ["when", "until"].first { message.hasSuffix("hangs on the time: this rule has `\($0)`") } ?? message
      return "\(finding.severity.rawValue) \(finding.diagnostic.location.line) \(key)"
    }
    #expect(found == [expected].compactMap(\.self))
  }

  @Test("A connection of which only the first packet gets in is none")
  func cut() throws {
    let states = "-m conntrack --ctstate RELATED,ESTABLISHED"
    func found(_ rules: String) throws -> [String] {
      var subject = try subject(filter(rules), filter(base6))
      subject.controllers = ["192.0.2.1"]
      return Linter.run(subject).filter { $0.rule == .noSSHFromControllers }.map {
        "\($0.severity.rawValue) \($0.diagnostic.location.line) \($0.diagnostic.message)"
      }
    }
    let message = "SSH (port 22) from the controllers gets in, and this drops what follows the first packet"
    let cut = "-A INPUT -s 192.0.2.0/24 \(states) --ctdir ORIGINAL -j DROP\n"
    #expect(try found(cut + base4 + Self.open) == ["error 5 \(message)"])
    let inside = "-A INPUT -s 192.0.2.0/24 \(states) \(Self.office) -j ACCEPT\n"
    #expect(try found(inside + cut + base4 + Self.open) == ["error 6 \(message)"])
    #expect(try found("-A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT\n") == ["error 2 \(message)"])
    let lasting = "-A INPUT -s 192.0.2.1 \(states) -j ACCEPT\n"
    #expect(try found(lasting + cut + base4 + Self.open) == [])
    let reply = cut.replacing("ORIGINAL", with: "REPLY")
    #expect(try found(reply + base4 + Self.open) == [])
  }

  // MARK: Sets

  private static func set(_ prefixes: [String]) throws -> AddressSet {
    try AddressSet(family: .ipv4, prefixes: prefixes.compactMap { AddressPrefix($0) })
  }

  @Test(
    "Who is in a set whose members are known is known",
    arguments: [
      ("10.1.0.0", true), ("10.1.69.255", true), ("10.1.3.0/25", true), ("10.1.70.0", false), ("10.0.255.255", false),
      ("198.51.100.1", false),
    ]) func members(controller: String, isMember: Bool) throws
  {
    let set = try Self.set((0..<70).map { "10.1.\($0).0/24" })
    func found(_ rules: String) throws -> [String] { try self.found(rules, sets: [set], controllers: [controller]) }
    #expect(
      try found("-A INPUT -p tcp -m tcp --dport 22 -m set --match-set \(set.name) src -j ACCEPT")
        == (isMember ? [] : ["error 2"]))
    for (negation, isDropped) in [("", isMember), ("! ", !isMember)] {
      let drop = "-A INPUT -m set \(negation)--match-set \(set.name) src -j DROP\n"
      #expect(try found(drop + Self.open) == (isDropped ? ["error 7"] : []))
    }
  }

  @Test("Every prefix is in a set, partly in it or outside, as its members say one by one") func prefixes() throws {
    let set = try Self.set(["10.0.0.0/30", "10.0.0.6", "10.0.0.8/29", "10.0.0.10", "10.0.0.32/27", "10.0.0.255"])
    let sets = KnownSets([set])
    for length in 22...32 {
      for last in stride(from: 0, through: 255, by: 1 << max(0, min(8, 32 - length))) {
        let prefix = try #require(AddressPrefix(matched: "10.0.0.\(last)/\(length)", .ipv4))
        let expected: PacketProbe.Answer =
          set.elements.contains { $0.contains(prefix) }
          ? .yes : set.elements.contains { prefix.contains($0) } ? .open : .no
        let from = PacketProbe(.ipv4, .input, .tcp, state: .new, from: .address(prefix), to: .own)
        #expect(from.answer(to: view("-A INPUT -m set --match-set \(set.name) src"), sets: sets) == expected)
        let to = PacketProbe(.ipv4, .output, .tcp, state: .new, from: .own, to: .address(prefix))
        #expect(to.answer(to: view("-A OUTPUT -m set --match-set \(set.name) dst"), sets: sets) == expected)
      }
    }
  }

  @Test("Strangers are in no narrow set, and the host in none of the loopback") func others() throws {
    let probe = PacketProbe(.ipv4, .input, .tcp, state: .new, from: .stranger, to: .own)
    func answer(_ members: [String], _ side: String) throws -> PacketProbe.Answer {
      let set = try Self.set(members)
      return probe.answer(to: view("-A INPUT -m set --match-set \(set.name) \(side)"), sets: KnownSets([set]))
    }
    #expect(try answer(["10.0.0.0/8", "192.0.2.1"], "src") == .no)
    #expect(try answer(["10.0.0.0/8", "128.0.0.0/1"], "src") == .open)
    #expect(try answer(["127.0.0.0/8", "224.0.0.0/4"], "dst") == .no)
    #expect(try answer(["127.0.0.0/8", "192.0.2.0/24"], "dst") == .open)
    // Of two addresses at once, and of nobody knows what.
    #expect(try answer(["10.0.0.0/8"], "src,dst") == .doubtful)
    #expect(probe.answer(to: view("-A INPUT -m set --match-set other src"), sets: .none) == .doubtful)
  }
}
