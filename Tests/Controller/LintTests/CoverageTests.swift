import Core
import Lint
import Ruleset
import TestSupport
import Testing

@Suite("One rule covers another") struct CoverageTests {
  @Test(
    "It does when its packets are all of the other's",
    arguments: [
      ("", "-s 10.0.0.1 -p tcp --dport 22"), ("-s 10.0.0.0/8", "-s 10.1.0.0/16"),
      ("-p tcp", "-p tcp -m tcp --dport 22"),
      ("-p tcp --dport 20:30", "-p tcp -m multiport --dports 22,25"), ("! -s 10.0.0.0/8", "-s 192.0.2.1"),
      ("! -s 10.1.0.0/16", "! -s 10.0.0.0/8"), ("-i eth+", "-i eth0"), ("! -i lo", "-i eth0"), ("-i eth+", "-i eth0+"),
      ("-m conntrack --ctstate NEW,ESTABLISHED", "-m conntrack --ctstate NEW"), ("! -p udp", "-p tcp"),
      ("-p icmp --icmp-type 3", "-p icmp --icmp-type 3/4"), ("-p tcp ! --dport 22", "-p tcp --dport 23"),
      ("-p tcp --tcp-flags SYN,RST SYN", "-p tcp --syn"), ("-m mark --mark 1", "-m mark --mark 1 -p tcp"),
      ("-p tcp", "-p tcp -m limit --limit 1/sec"), ("-m set --match-set a src", "-m set --match-set a src -s 10.0.0.1"),
    ]) func covers(a: String, b: String)
  {
    #expect(view("-A INPUT \(a) -j DROP").covers(view("-A INPUT \(b) -j ACCEPT")))
    // Never both ways: each of these is wider.
    #expect(!view("-A INPUT \(b) -j DROP").covers(view("-A INPUT \(a) -j ACCEPT")))
  }

  @Test(
    "It does not when that is not certain",
    arguments: [
      ("-p tcp --dport 22", "-p tcp"), ("-s 10.0.0.0/8", "! -s 10.0.0.0/8"), ("! -s 10.0.0.0/8", "-s 10.0.0.0/7"),
      ("-i eth0", "! -i eth1"), ("-m limit --limit 1/sec", "-m limit --limit 1/sec"),
      ("-m statistic --mode random --probability 0.5", "-m statistic --mode random --probability 0.5"),
      ("-m recent --rcheck --name a", "-m recent --rcheck --name a"), ("-m unheard --of", "-m unheard --of"),
      ("-m time --timestart 08:00", "-m time --timestart 08:00"), ("-p tcp --sport 22", "-p tcp --dport 22"),
      ("-p tcp -m tcp", "-p tcp"), ("-m mark --mark 1", "-m mark --mark 2"), ("-s ::/0 -s ::/0", "-s ::1"),
      ("-p udp --dport 53", "-p tcp --dport 53"), ("-m hashlimit --hashlimit-upto 1/sec", "-p tcp"),
      ("-m conntrack --ctexpire 1:9", "-m conntrack --ctexpire 1:9"), ("-s 10.0.0.0/8", "-s fe80::/10"),
    ]) func doesNot(a: String, b: String)
  {
    #expect(!view("-A INPUT \(a) -j DROP").covers(view("-A INPUT \(b) -j ACCEPT")))
  }

  /// A packet of a small universe.
  private struct Packet {
    var source: UInt8
    var destination: UInt8
    var input: String
    var output: String
    var transport: UInt8
    var sourcePort: UInt16
    var destinationPort: UInt16
    var state: String
    var wasTranslated: Bool
    var type: UInt8
    var code: UInt8
    var flags: UInt8
    var isFragment: Bool
    var mark: Int
  }

  /// One condition: its words, and what it means, written down apart from the code under test.
  private typealias Condition = (words: String, matches: @Sendable (Packet) -> Bool)

  private static func conditions(_ random: inout Random) -> [Condition] {
    var conditions: [Condition] = []
    func negation(_ random: inout Random) -> (String, Bool) { random.below(3) == 0 ? ("! ", true) : ("", false) }
    for (option, key) in [("-s", \Packet.source), ("-d", \Packet.destination)]
      as [(String, KeyPath<Packet, UInt8> & Sendable)]
    where random.below(3) == 0 {
      let (bang, isNegated) = negation(&random)
      let length = random.below(4) + 29
      let number = UInt8(random.below(8))
      conditions.append(
        (
          "\(bang)\(option) 10.0.0.\(number)/\(length)",
          { ($0[keyPath: key] >> UInt8(32 - length) == number >> UInt8(32 - length)) != isNegated }
        ))
    }
    for (option, key) in [("-i", \Packet.input), ("-o", \Packet.output)]
      as [(String, KeyPath<Packet, String> & Sendable)]
    where random.below(4) == 0 {
      let (bang, isNegated) = negation(&random)
      let name = random.pick(["lo", "eth0", "eth1", "eth+", "e+", "+"])
      conditions.append(
        (
          "\(bang)\(option) \(name)",
          {
            (name.hasSuffix("+") ? $0[keyPath: key].hasPrefix(name.dropLast()) : $0[keyPath: key] == name) != isNegated
          }
        ))
    }
    if random.below(3) == 0 {
      let (bang, isNegated) = negation(&random)
      let states = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "DNAT"].filter { _ in random.below(3) == 0
      }
      if !states.isEmpty {
        conditions.append(
          (
            "-m conntrack \(bang)--ctstate \(states.joined(separator: ","))",
            { (states.contains($0.state) || $0.wasTranslated && states.contains("DNAT")) != isNegated }
          ))
      }
    }
    if random.below(5) == 0 {
      let mark = random.below(2)
      conditions.append(("-m mark --mark \(mark)", { $0.mark == mark }))
    }
    switch random.below(5) {
    case 0:
      let number = random.pick([UInt8(6), 17, 1])
      conditions.append(("! -p \(number)", { $0.transport != number }))
    case 1:
      conditions.append(("-p icmp", { $0.transport == 1 }))
      if random.below(2) == 0 {
        let (bang, isNegated) = negation(&random)
        let type = UInt8(random.below(2))
        let code: UInt8? = random.below(2) == 0 ? UInt8(random.below(2)) : nil
        conditions.append(
          (
            "-m icmp \(bang)--icmp-type \(type)\(code.map { "/\($0)" } ?? "")",
            { !$0.isFragment && ($0.type == type && (code == nil || $0.code == code)) != isNegated }
          ))
      }
    case 2, 3:
      let number = random.pick([UInt8(6), 17])
      let name = number == 6 ? "tcp" : "udp"
      conditions.append(("-p \(name)", { $0.transport == number }))
      for side in ["s", "d"] where random.below(2) == 0 {
        let (bang, isNegated) = negation(&random)
        let isList = random.below(2) == 0
        let ranges = (0..<(isList ? 1 + random.below(3) : 1)).map { _ in
          let low = UInt16(random.below(6))
          return low...(low + UInt16(random.below(3)))
        }
        let text = ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound):\($0.upperBound)" }
        conditions.append(
          (
            isList
              ? "-m multiport \(bang)--\(side)ports \(text.joined(separator: ","))"
              : "-m \(name) \(bang)--\(side)port \(text[0])",
            { packet in
              let port = side == "s" ? packet.sourcePort : packet.destinationPort
              return !packet.isFragment && ranges.contains { $0.contains(port) } != isNegated
            }
          ))
      }
      if number == 6, random.below(3) == 0 {
        let (bang, isNegated) = negation(&random)
        let mask = UInt8(random.below(8))
        let set = UInt8(random.below(8)) & mask
        func list(_ bits: UInt8) -> String {
          let names = [("FIN", 1), ("SYN", 2), ("RST", 4)].filter { bits & UInt8($0.1) != 0 }.map(\.0)
          return names.isEmpty ? "NONE" : names.joined(separator: ",")
        }
        conditions.append(
          (
            "-m tcp \(bang)--tcp-flags \(list(mask)) \(list(set))",
            { !$0.isFragment && ($0.flags & mask == set) != isNegated }
          ))
      }
    default: break
    }
    return conditions
  }

  @Test("If one covers the other, no packet matches the other alone") func property() {
    var random = Random.fresh()
    var covered = 0
    let count = 60_000
    for _ in 0..<count {
      let a = Self.conditions(&random)
      // Half of the pairs are related, or hardly any would be covered.
      var b = random.below(2) == 0 ? a : Self.conditions(&random)
      if random.below(2) == 0, !b.isEmpty { b.remove(at: random.below(b.count)) }
      let (left, right) = random.below(2) == 0 ? (a, b) : (b, a)
      let (first, second) = (
        view("-A X " + left.map(\.words).joined(separator: " ") + " -j DROP"),
        view("-A X " + right.map(\.words).joined(separator: " ") + " -j ACCEPT")
      )
      guard first.covers(second) else { continue }
      covered += 1
      for _ in 0..<60 {
        let packet = Self.packet(&random)
        guard right.allSatisfy({ $0.matches(packet) }) else { continue }
        #expect(
          left.allSatisfy { $0.matches(packet) }, "\(left.map(\.words)) covers \(right.map(\.words)), not \(packet)")
      }
    }
    print("\(count) pairs of rules, \(covered) covered")
    #expect(covered > count / 20)
  }

  private static func packet(_ random: inout Random) -> Packet {
    let state = random.pick(["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"])
    return Packet(
      source: UInt8(random.below(8)), destination: UInt8(random.below(8)),
      input: random.pick(["", "lo", "eth0", "eth1", "eth10", "enp3"]),
      output: random.pick(["", "lo", "eth0", "eth1", "eth10", "enp3"]), transport: random.pick([6, 17, 1, 47]),
      sourcePort: UInt16(random.below(9)), destinationPort: UInt16(random.below(9)), state: state,
      wasTranslated: !["INVALID", "UNTRACKED"].contains(state) && random.below(3) == 0, type: UInt8(random.below(3)),
      code: UInt8(random.below(3)), flags: UInt8(random.below(8)), isFragment: random.below(6) == 0,
      mark: random.below(3))
  }
}
