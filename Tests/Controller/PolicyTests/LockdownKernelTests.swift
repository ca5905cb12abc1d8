import Core
import Glibc
import Ruleset
import Testing

@testable import Policy

@Suite("Lockdown profiles in the kernel", .enabled(if: geteuid() == 0, "needs root, for network namespaces"))
struct LockdownKernelTests {
  @Test("The examples load on both backends, and are printed as they were meant", arguments: ["nft", "legacy"])
  func loads(backend: String) throws {
    let namespace = try ScratchNamespace()
    for name in Lockdown.examples {
      let profile = try Lockdown.compiled([name: Lockdown.example(name)])[0]
      for family in Family.allCases {
        let layer = profile.layers[family]
        let program = "/usr/sbin/\(family == .ipv4 ? "iptables" : "ip6tables")-\(backend)"
        let loaded = try namespace.run(inside: "\(program)-restore", ["--noflush", "-w"], input: layer.first)
        #expect(loaded.status == 0, "\(name) \(family): \(loaded.errors)")
        let saved = try Ruleset.parse(
          save: Array(try namespace.run(inside: "\(program)-save", ["-t", "mangle"]).output.utf8), file: "save")
        #expect(layer.difference(LockLayer.split(saved).layer) == nil)
        // To the letter, so that nobody has to guess what a program made of it.
        let printed = try LockLayer.hooked.map { chain in
          try #require(saved[table: "mangle"]?[chain: "PCLLOCK-\(chain)"]).rules.map {
            String(String(decoding: $0.text, as: UTF8.self).dropFirst("-A PCLLOCK-\(chain) ".utf8.count))
              // As this machine's /etc/protocols has it; a host may have none.
              .replacing("-p igmp", with: "-p 2")
          }
        }
        #expect(printed == LockLayer.hooked.map { profile.lines(family, $0) }, "\(name) \(family)")
        let removal = try #require(LockLayer.removal(saved))
        #expect(try namespace.run(inside: "\(program)-restore", ["--noflush", "-w"], input: removal).status == 0)
      }
    }
  }
}
