import Core
import Ruleset
import Testing

@Suite("Names of owned chains")
struct OwnedNamesTests {
  @Test(
    "A chain is renamed within 28 bytes, and shown under its own name unless it was cut",
    arguments: ["web", "abcdefghijklmnopqrstuvwx", "abcdefghijklmnopqrstuvwxy", "abcdefghijklmnopqrstuvwxyz01"])
  func names(chain: String) throws {
    let rules = OwnedRules(try policy("*filter\n:\(chain) -\nCOMMIT\n"), forwardsForeign: false)
    let name = try #require(rules.tables.first?.chains.first?.name)
    #expect(OwnedNames.isOurs(name))
    if chain.utf8.count <= 24 {
      #expect(name == "PCL:\(chain)")
      #expect(OwnedNames.shown(name) == chain)
    } else {
      let hash = Digest(of: chain.utf8).hex.prefix(8)
      #expect(name == "PCL:abcdefghijklmno~\(hash)")
      #expect(name.utf8.count == 28)
      #expect(OwnedNames.shown(name) == name)
    }
  }

  @Test("Long names that begin alike stay two")
  func distinct() throws {
    let text = "*filter\n:abcdefghijklmnopqrstuvwxyz1 -\n:abcdefghijklmnopqrstuvwxyz2 -\nCOMMIT\n"
    let rules = OwnedRules(try policy(text), forwardsForeign: false)
    #expect(Set(rules.tables[0].chains.map(\.name)).count == 2)
  }

  @Test(
    "Only our name space is ours",
    arguments: [
      ("PCL-INPUT", true), ("PCL:x", true), ("PCLX", false), ("PCL", false), ("INPUT", false), ("pcl-INPUT", false),
    ])
  func ours(name: String, isOurs: Bool) { #expect(OwnedNames.isOurs(name) == isOurs) }

  @Test(
    "A line is shown with the policy's names",
    arguments: [
      (":PCL-INPUT - [0:0]", ":INPUT - [0:0]"),
      (":PCL:web - [0:0]", ":web - [0:0]"),
      ("-A PCL-INPUT -p tcp -j PCL:web", "-A INPUT -p tcp -j web"),
      ("-A PCL-INPUT-RULES -g PCL:web", "-A INPUT -g web"),
      ("-A INPUT -j PCL-INPUT", "-A INPUT -j INPUT"),
      (
        "-A PCL:a -m comment --comment \"x -j PCL:b \\\" -j PCL:c\" -j PCL:d",
        "-A a -m comment --comment \"x -j PCL:b \\\" -j PCL:c\" -j d"
      ),
      ("-A PCL:a -m comment --comment PCL:b -j DROP", "-A a -m comment --comment PCL:b -j DROP"),
      ("-A f2b-sshd -s 192.0.2.1/32 -j DROP", "-A f2b-sshd -s 192.0.2.1/32 -j DROP"),
      ("", ""),
    ])
  func lines(line: String, shown: String) {
    #expect(String(decoding: OwnedNames.shown(line: Array(line.utf8)), as: UTF8.self) == shown)
  }
}

@Suite("Owners of foreign chains")
struct ForeignOwnerTests {
  @Test(
    "Software is known by its chains",
    arguments: [
      (["DOCKER", "DOCKER-USER", "DOCKER-ISOLATION-STAGE-1"], [ForeignOwner.docker]),
      (["DOCKER-FORWARD", "DOCKER-CT", "DOCKER-BRIDGE", "DOCKER-INTERNAL"], [.docker]),
      (["CNI-FORWARD"], [.cni]), (["KUBE-FIREWALL"], [.kubernetes]), (["cali-INPUT"], [.calico]),
      (["f2b-sshd"], [.fail2ban]), (["fail2ban-ssh"], [.fail2ban]), (["ufw-user-input"], [.ufw]),
      (["ufw6-user-input"], [.ufw]), (["LIBVIRT_INP"], [.libvirt]), (["INPUT_ZONES", "IN_public"], [.firewalld]),
      (["FWDI_public_allow"], [.firewalld]), (["FORWARD_IN_ZONES_SOURCE"], [.firewalld]),
      (["IN_MYCHAIN"], []), (["INPUT_LOG"], []), (["PCL:web", "blocklist"], []),
      (["f2b-sshd", "DOCKER"], [.docker, .fail2ban]),
    ])
  func owners(chains: [String], owners: [ForeignOwner]) throws {
    let ruleset = try saved([], chains: chains)
    #expect(ruleset.owners == owners)
    for owner in owners {
      #expect(!ruleset.chains(of: owner).isEmpty)
    }
    if owners.count == 1 { #expect(ruleset.chains(of: owners[0]).map(\.chain) == chains.sorted()) }
  }
}
