import Core
import Testing

@testable import Inventory
@testable import Policy

@Suite("Mistakes in lockdown profiles")
struct LockdownMistakeTests {
  private static let shut = "defaults: {input: drop}"

  static let mistakes: [(String, [String])] = [
    (shut + "\nmode: owned", ["2:1 unknown key \"mode\" | known here: lockdown, description, rank,"]),
    (shut + "\nschedule: {}", ["2:1 unknown key \"schedule\" | known here: lockdown,"]),
    ("", ["-2:1 the key \"defaults\" is missing"]),
    ("defaults: ~", ["1:11 expected a mapping, found nothing"]),
    (
      "defaults: {input: accept}",
      [
        "1:11 a lockdown drops something by default | such as {input: drop, forward: drop}; what is not said stays accept"
      ]
    ),
    ("defaults: {input: reject}", ["1:19 unknown default \"reject\" | one of accept, drop"]),
    ("defaults: {in: drop}", ["1:12 unknown key \"in\" | known here: input, forward, output"]),
    (shut + "\nkeep: [a]", ["2:7 expected a mapping, found a list"]),
    (shut + "\nkeep: {input: {tcp: 1}}", ["2:15 expected a list, found a mapping"]),
    (shut + "\nkeep: {input: [{accept: {tcp: 1}}]}", ["2:17 unknown key \"accept\""]),
    (shut + "\nkeep: {input: [{tcp: 1, state: new}]}", ["2:25 unknown key \"state\""]),
    (shut + "\nkeep: {input: [{tcp: 1, when: x}]}", ["2:25 unknown key \"when\""]),
    (
      shut + "\nkeep: {input: [{from: 10.0.0.1}]}",
      [
        "2:16 a flow that is kept names its ports, its protocol or its ICMP types | such as {tcp: 3260, from: 10.4.0.0/24}"
      ]
    ),
    (
      shut + "\nkeep: {input: [{}]}",
      [
        "2:16 a flow that is kept names its ports, its protocol or its ICMP types | such as {tcp: 3260, from: 10.4.0.0/24}"
      ]
    ),
    (
      shut + "\nkeep: {input: [{proto: tcp, in: eth0}]}",
      ["2:16 proto: tcp would keep every TCP connection there is | name its ports, or whose they are"]
    ),
    (
      shut + "\nkeep: {input: [{tcp: 1, out: eth0}]}",
      ["2:25 input knows no interface of out | use in, or move the item to forward or output"]
    ),
    (
      shut + "\nkeep: {input: [{tcp: 1, from: nowhere}]}",
      ["2:31 there is no set \"nowhere\" | define it below sets, here or in common.yaml"]
    ),
    (
      shut + "\nkeep: {input: [{proto: ah}]}",
      [
        "2:16 this protocol is a header that may stand before anything in IPv6, and keeps no flow | keep what follows it; as IPv4's alone: family: ipv4"
      ]
    ),
    (shut + "\ninput: [{reject: {tcp: 1}}]", ["2:10 unknown key \"reject\" | known here: accept, drop, log"]),
    (shut + "\ninput: [{limit: {rate: 1/second}}]", ["2:10 unknown key \"limit\" | known here: accept, drop, log"]),
    (shut + "\ninput: [{accept: established}]", ["2:18 expected a mapping, found the text \"established\""]),
    (
      shut + "\ninput: [{accept: ~}]",
      ["2:18 expected a mapping, found nothing | {} is everything"]
    ),
    (shut + "\ninput: [{accept: {tcp: 1, state: new}}]", ["2:27 unknown key \"state\""]),
    (shut + "\ninput: [{log: {tcp: 1, burst: 3}}]", ["2:24 burst has a meaning only beside limit"]),
    (
      shut + "\noutput: [{drop: {tcp: 1, in: eth0}}]",
      ["2:26 output knows no interface of in | use out, or move the item to input"]
    ),
  ]

  @Test("Each is named at its place, with what to do", arguments: mistakes)
  func mistake(text: String, wanted: [String]) {
    let found = Lockdown.mistakes(text)
    #expect(found.count == wanted.count, "\(found)")
    for (found, wanted) in zip(found, wanted) { #expect(found.hasPrefix(wanted)) }
  }

  static let heads: [(String, String)] = [
    ("lockdown: q\nrank: 5\napplies_to: all\n", "1:11 lockdown profile \"q\" stands in the file \"p\""),
    ("rank: 5\napplies_to: all\n", "1:1 the key \"lockdown\" is missing"),
    ("lockdown: p\napplies_to: all\n", "1:1 the key \"rank\" is missing"),
    ("lockdown: p\nrank: 1001\napplies_to: all\n", "2:7 expected a number from 0 to 1000"),
    ("lockdown: p\nrank: 5\n", "1:1 the key \"applies_to\" is missing"),
    ("lockdown: p\nrank: 5\napplies_to: nosuch\n", "3:13 group \"nosuch\" is not in the inventory"),
  ]

  @Test("So is what is wrong above", arguments: heads) func head(text: String, wanted: String) {
    let found = Lockdown.mistakes(whole: text + Self.shut + "\n")
    #expect(found.count == 1 && found[0].hasPrefix(wanted), "\(found)")
  }

  @Test("A profile is called as its file, in words that an order can say")
  func names() {
    for name in ["Isolate", "-x", "a_b", String(repeating: "a", count: 33)] {
      let text = "lockdown: \"\(name)\"\nrank: 5\napplies_to: all\n\(Self.shut)\n"
      let found = Lockdown.mistakes(whole: text, file: name)
      #expect(found.count == 1 && found[0].contains("is no name of a lockdown profile"), "\(found)")
    }
  }

  @Test("More than eight for a host, or more rules than a host takes in a moment, are refused")
  func tooMuch() throws {
    let many = Dictionary(
      uniqueKeysWithValues: (1...9).map {
        ("p\($0)", "lockdown: p\($0)\nrank: 5\napplies_to: all\n\(Self.shut)\n")
      })
    #expect(
      messages { () throws(Diagnostics) in try Self.compile(many) } == [
        "p9.yaml:1:11 9 lockdown profiles apply to host \"h\", more than the 8 that a bundle has"
      ])
    let members = (0..<15).flatMap { a in (0..<256).map { "10.\(a).\($0).1" } }.joined(separator: ", ")
    let long = Lockdown.mistakes("\(Self.shut)\nkeep: {input: [{tcp: 1, from: [\(members)]}]}")
    #expect(long.count == 1 && long[0].contains("lockdown profile p would become 7"), "\(long)")
    #expect(long.allSatisfy { $0.hasSuffix("name prefixes that hold their members") })
  }

  @Test("Where nobody is known who could lift it, there is no lockdown")
  func noControllers() {
    let found = messages { () throws(Diagnostics) in
      try Self.compile(["p": Lockdown.profile(Self.shut)], controllers: [])
    }
    #expect(found.count == 1 && found[0].contains("has no management source"), "\(found)")
  }

  private static func compile(
    _ profiles: [String: String], controllers: [String] = ["203.0.113.1"]
  ) throws(Diagnostics) -> [CompiledProfile] {
    do {
      return try Lockdown.compiled(profiles, controllers: controllers)
    } catch let error as Diagnostics {
      throw error
    } catch {
      Issue.record(error)
      return []
    }
  }
}
