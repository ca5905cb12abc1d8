import Core
import Foundation
import Glibc
import Testing

@testable import Inventory
@testable import Policy

@Suite("What policies do to packets", .enabled(if: geteuid() == 0, "needs root, for network namespaces"))
struct LanguageTrafficTests {
  private static let drops = "defaults: {input: drop, forward: drop}"

  private func policy(_ text: String) throws -> CompiledPolicy {
    let folder = try PolicyFolder()
    try folder.write("p.yaml", "policy: p\napplies_to: all\n\(text)\n")
    return try folder.compiled()
  }

  @Test(
    "forward-port lets in what it translated, and who sends to the inner address directly stays out",
    arguments: ["nft", "legacy"])
  func forwardPort(backend: String) throws {
    let scene = try DockerScene()
    for isBound in [true, false] {
      let place = isBound ? "in: eth0, " : ""
      try scene.load(
        whole: policy(
          """
          \(Self.drops)
          input: [{accept: icmp-essential}]
          nat:
            - forward-port: {\(place)tcp: 9090, to: "172.17.0.2:80"}
            - forward-port: {\(place)tcp: 9090, to: "[fd17::2]:80"}
          """), backend: backend)
      for family in Family.allCases {
        #expect(try scene.connect(from: .client, to: DockerScene.hostAddress[family], 9090) == "served")
        #expect(try scene.connect(from: .client, to: DockerScene.containerAddress[family], 80) == "silence")
      }
    }
    // What others ask of others on the same port is not taken by one that names no interface.
    try scene.load(
      whole: policy(
        """
        forward: [{accept: {}}]
        input: [{accept: {}}]
        nat: [{forward-port: {tcp: 80, to: "172.17.0.2:8080"}}]
        """), backend: backend)
    #expect(try scene.connect(from: .container, to: "10.1.0.1", 80) == "served")
  }

  @Test("balance gives each target its share", arguments: ["nft", "legacy"])
  func balance(backend: String) throws {
    let scene = try DockerScene()
    try scene.load(
      whole: policy(
        """
        \(Self.drops)
        input: [{accept: icmp-essential}]
        nat: [{balance: {in: eth0, tcp: 9090, to: ["172.17.0.2:80", "172.17.0.2:8080"]}}]
        """), backend: backend)
    for _ in 0..<4 { #expect(try scene.connect(from: .client, to: "10.1.0.2", 9090) == "served") }
    let save = try scene.host.run(inside: "/usr/sbin/iptables-\(backend)-save", ["-c", "-t", "nat"]).output
    let counts = save.split(separator: "\n").filter { $0.contains("DNAT") }.map { $0.prefix { $0 != ":" } }
    #expect(counts == ["[2", "[2"])
  }

  @Test("Under a default of drop, icmp-essential is what IPv6 cannot live without")
  func neighbours() throws {
    for (item, answer) in [("{accept: icmp-essential}", "refused"), ("{drop: invalid}", "silence")] {
      let scene = try DockerScene()
      try scene.load(
        whole: policy(
          "defaults: {input: drop, output: drop}\ninput: [\(item), {reject: {tcp: 9, with: tcp-reset}}]\noutput: [\(item), {accept: {proto: tcp}}]"
        ),
        backend: "nft")
      let heard = try scene.connect(from: .client, to: "fd01::2", 9)
      // Without neighbours, the client's own kernel gives up.
      #expect(heard == answer || (answer == "silence" && heard.hasPrefix("failed")), "\(heard)")
    }
  }

  @Test(
    "Answers come back by themselves, unless the policy places them",
    arguments: [("", "served"), ("established: explicit", "silence")])
  func established(words: String, answer: String) throws {
    let scene = try DockerScene()
    try scene.load(
      whole: policy(
        "\(words)\ndefaults: {forward: drop, input: accept}\nforward: [{accept: {in: docker0, out: eth0, tcp: 80}}]"),
      backend: "nft")
    for family in Family.allCases {
      var heard = try scene.connect(from: .container, to: DockerScene.clientAddress[family], 80)
      // A busy machine may take longer than a client waits.
      for _ in 0..<3 where heard != answer {
        heard = try scene.connect(from: .container, to: DockerScene.clientAddress[family], 80)
      }
      #expect(heard == answer, "\(family)")
    }
  }

  @Test("A limit drops above its rate only, and a changed one is not still the old one", arguments: ["nft", "legacy"])
  func limit(backend: String) throws {
    let scene = try DockerScene()
    func load(_ rate: String) throws {
      try scene.load(
        whole: policy("input: [{limit: {tcp: 9, rate: \(rate)}}, {reject: {tcp: 9, with: tcp-reset}}]"),
        backend: backend)
    }
    func answers(_ count: Int) throws -> [String] {
      try (0..<count).map { _ in try scene.connect(from: .client, to: "10.1.0.2", 9) }
    }
    try load("2/hour")
    #expect(try answers(3) == ["refused", "refused", "silence"])
    // The same rules again forget nothing.
    try load("2/hour")
    #expect(try answers(1) == ["silence"])
    try load("3/hour")
    #expect(try answers(1) == ["refused"])
  }
}
