import Core
import Foundation
import Glibc
import Testing

@testable import Inventory
@testable import Policy

@Suite(
  "Rules for containers, with real connections", .enabled(if: geteuid() == 0, "needs root, for network namespaces"))
struct ContainerTrafficTests {
  private func policy(_ items: String) throws -> CompiledPolicy {
    let folder = try PolicyFolder()
    try folder.add("p", to: "all")
    try folder.write(
      "p/policy.yaml",
      "policy: p\napplies_to: all\nrules: {ipv4: rules.v4, ipv6: rules.v6}\ncontainers:\n\(items)\n")
    return try folder.compiled(controllers: ["10.1.0.1", "fd01::1"])
  }

  @Test(
    "A port published as 8080 and served at 80 is judged by 8080; containers still reach the outside",
    arguments: ["nft", "legacy"], Family.allCases)
  func published(backend: String, family: Family) throws {
    let scene = try DockerScene()
    let here = DockerScene.hostAddress[family]
    let container = DockerScene.containerAddress[family]
    let outside = DockerScene.clientAddress[family]

    try scene.load(policy("- accept: {tcp: 8080}\n- drop: {}"), family, backend: backend)
    #expect(try scene.connect(from: .client, to: here, 8080) == "served")
    #expect(try scene.connect(from: .client, to: here, 9090) == "silence")
    #expect(try scene.connect(from: .client, to: container, 80) == "silence")
    #expect(try scene.connect(from: .container, to: outside, 80) == "served")

    // By the port that the container serves: the published one is not meant, the direct one is.
    try scene.load(policy("- accept: {tcp: 80}\n- reject: {}"), family, backend: backend)
    #expect(try scene.connect(from: .client, to: here, 8080) != "served")
    #expect(try scene.connect(from: .client, to: container, 80) == "served")
    #expect(try scene.connect(from: .container, to: outside, 80) == "served")

    // A port closed to the outside stays open to containers as clients of others.
    try scene.load(policy("- drop: {tcp: 80}\n- reject: {tcp: \"9000:9100\"}"), family, backend: backend)
    #expect(try scene.connect(from: .client, to: container, 80) == "silence")
    #expect(try scene.connect(from: .client, to: here, 8080) == "served")
    #expect(try scene.connect(from: .client, to: here, 9090) == "refused")
    #expect(try scene.connect(from: .container, to: outside, 80) == "served")
  }

  @Test("Sources and interfaces are told apart", arguments: ["nft", "legacy"], Family.allCases)
  func sources(backend: String, family: Family) throws {
    let scene = try DockerScene()
    let here = DockerScene.hostAddress[family]
    let others = "[192.0.2.0/24, \"2001:db8::/32\"]"
    try scene.load(
      policy("- accept: {tcp: 8080, from: controllers}\n- accept: {tcp: 9090, from: \(others)}\n- drop: {}"), family,
      backend: backend)
    #expect(try scene.connect(from: .client, to: here, 8080) == "served")
    #expect(try scene.connect(from: .client, to: here, 9090) == "silence")
    try scene.load(
      policy("- accept: {tcp: 8080, in: eth1}\n- accept: {tcp: 9090, in: eth+}\n- drop: {in: eth0}"), family,
      backend: backend)
    #expect(try scene.connect(from: .client, to: here, 8080) == "silence")
    #expect(try scene.connect(from: .client, to: here, 9090) == "served")
  }
}
