import Core
import Foundation
import Glibc
import Ruleset
import Testing

@testable import Inventory
@testable import Policy

@Suite("The policy of the manual")
struct ManualPolicyTests {
  private func compiled() throws -> CompiledPolicy {
    let folder = try PolicyFolder()
    try folder.write("web.yaml", manualPolicy)
    return try folder.compiled(for: manualInventory, controllers: ["203.0.113.1", "2001:db8:ff::1"])
  }

  @Test("It is accepted as it stands, and every construct becomes rules of both families where it can")
  func text() throws {
    let policy = try compiled()
    #expect(String(decoding: policy.rules.ipv4, as: UTF8.self) == manualRules.ipv4)
    #expect(String(decoding: policy.rules.ipv6, as: UTF8.self) == manualRules.ipv6)
    #expect(String(decoding: policy.sysctl ?? [], as: UTF8.self) == "net.ipv4.ip_forward = 1\n")
    let lines = String(decoding: policy.rules.ipv4, as: UTF8.self).split(separator: "\n")
    func place(_ text: String) throws -> String {
      let line = try #require(lines.firstIndex { $0.contains(text) })
      return String(policy.source(of: .ipv4, line: line + 1)!.description.split(separator: "/").last!)
    }
    #expect(try place("--hashlimit-above") == "web.yaml:15:5")
    #expect(try place("--name knock") == "web.yaml:41:5")
    #expect(try place("--to-destination 10.8.0.5:80") == "web.yaml:30:5")
  }

  @Test(
    "What it becomes is what the kernel holds afterwards, word for word, on both backends",
    .enabled(if: geteuid() == 0, "needs root, for network namespaces"), arguments: ["nft", "legacy"])
  func kernel(backend: String) throws { try expectSameInKernel(compiled(), backend) }
}

/// Loads both families and compares what is printed then.
func expectSameInKernel(_ policy: CompiledPolicy, _ backend: String, _ what: String = "") throws {
  for family in Family.allCases {
    let namespace = try ScratchNamespace()
    if let sets = policy.sets {
      let made = try namespace.run(inside: "/usr/sbin/ipset", ["restore"], input: sets)
      #expect(made.status == 0, "\(made.errors)")
    }
    let program = "/usr/sbin/\(family == .ipv4 ? "iptables" : "ip6tables")-\(backend)"
    let restore = try namespace.run(inside: program + "-restore", input: policy.rules[family])
    #expect(restore.status == 0, "\(what) \(policy.policies) \(family) \(backend): \(restore.errors)")
    let save = try namespace.run(inside: program + "-save")
    // Rules carry numbers, because a host may have no /etc/protocols; this one has.
    let printed = save.output.replacingOccurrences(of: "-p vrrp ", with: "-p 112 ")
    let loaded = try Ruleset.parse(save: Array(printed.utf8), file: "save")
    // Raw text is as it was written, which is not always as it is printed.
    let written = String(decoding: policy.rules[family], as: UTF8.self).replacingOccurrences(
      of: "-m recent --name knock --rcheck --seconds 30 -p tcp --dport 2222 ",
      with: "-p tcp -m recent --rcheck --seconds 30 --name knock --mask 255.255.255.255 --rsource -m tcp --dport 2222 ")
    let wanted = try Ruleset.parse(policy: Array(written.utf8), file: "bundle", family: family)
    let difference = RulesetDiff.unified(from: wanted, to: loaded, context: 0)
    #expect(loaded.digest == wanted.digest, "\(what) \(policy.policies) \(family) \(backend): \(difference.lines)")
  }
}
