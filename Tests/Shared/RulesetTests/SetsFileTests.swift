import Core
import Ruleset
import TestSupport
import Testing

@Suite struct SetsFileTests {
  private static func set(_ texts: [String], _ family: Family = .ipv4) throws -> AddressSet {
    try AddressSet(family: family, prefixes: texts.compactMap { AddressPrefix($0) })
  }

  @Test func `a set is called what it holds, in one spelling`() throws {
    let set = try Self.set(["198.51.100.7/32", "192.0.2.0/24", "192.0.2.77", "198.51.100.7"])
    #expect(set.name == "PCL-508bdd9fd82e604f1a0c")
    #expect(
      String(decoding: try SetsFile([set, set], observing: [.ipv4]).encode(), as: UTF8.self) == """
        create PCL-508bdd9fd82e604f1a0c hash:net family inet hashsize 1024 maxelem 65536
        add PCL-508bdd9fd82e604f1a0c 192.0.2.0/24
        add PCL-508bdd9fd82e604f1a0c 198.51.100.7
        create PCL-OBSERVE-4 hash:ip,port family inet hashsize 1024 maxelem 65536 counters forceadd

        """)
    #expect(set.name.utf8.count + 4 <= 31)
  }

  @Test(arguments: [
    ["0.0.0.0/0"], [], ["192.0.2.1", "2001:db8::1"],
    (0...AddressSet.maximumElements).map { "10.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)" },
  ])
  func `a set that cannot be is refused`(texts: [String]) {
    #expect(throws: StrictTextProblem.self) { try Self.set(texts) }
  }

  @Test(arguments: ["192.0.2.1/24", "192.0.2.01", "10.1", "192.0.2.0/33", "192.0.2.0/", "x", "", "2001:db8::1%eth0"])
  func `what is no address or prefix is none`(text: String) { #expect(AddressPrefix(text) == nil) }

  @Test func `prefixes know what lies in them`() throws {
    let wide = try #require(AddressPrefix("2001:DB8:0::/32"))
    #expect(wide.description == "2001:db8::/32")
    #expect(try wide.contains(#require(AddressPrefix("2001:db8:ffff::1"))))
    #expect(try !wide.contains(#require(AddressPrefix("2001:db9::1"))))
    #expect(AddressPrefix("192.0.2.77")?.widened(to: 24).description == "192.0.2.0/24")
    #expect(AddressPrefix("192.0.0.0/16")?.widened(to: 24).description == "192.0.0.0/16")
  }

  private static func randomFile(_ random: inout Random) throws -> SetsFile {
    let sets = try (0..<Int.random(in: 1...4, using: &random)).map { _ in
      let isIPv4 = Bool.random(using: &random)
      let texts = (0..<Int.random(in: 1...20, using: &random)).map { _ in
        let (a, b) = (UInt8.random(in: 1...223, using: &random), UInt8.random(in: 0...255, using: &random))
        return isIPv4
          ? "\(a).\(b).0.0/\(Int.random(in: 16...32, using: &random))"
          : "2001:\(a):\(b)::/\(Int.random(in: 48...128, using: &random))"
      }
      return try set(texts, isIPv4 ? .ipv4 : .ipv6)
    }
    return try SetsFile(sets, observing: Bool.random(using: &random) ? [.ipv4, .ipv6] : [])
  }

  @Test func `what is written is read back, and nothing that differs from it in a byte or a line`() throws {
    var random = Random.fresh()
    for _ in 0..<50 {
      let file = try Self.randomFile(&random)
      let bytes = file.encode()
      #expect(try SetsFile.parse(bytes) == file)
      for _ in 0..<40 {
        var mutant = bytes
        let at = Int.random(in: 0..<mutant.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: mutant[at] = UInt8.random(in: 0...255, using: &random)
        case 1: mutant.remove(at: at)
        case 2: mutant.insert(UInt8.random(in: 9...126, using: &random), at: at)
        default:
          let lines = bytes.split(separator: 10).shuffled(using: &random).dropLast(
            Int.random(in: 0...1, using: &random))
          mutant = lines.flatMap { Array($0) + [10] }
        }
        guard mutant != bytes, let other = try? SetsFile.parse(mutant) else { continue }
        // Whole sets less make another good file.
        #expect(other.encode() == mutant && other != file)
      }
    }
  }

  @Test(arguments: [
    "", "create PCL-508bdd9fd82e604f1a0c hash:net family inet hashsize 1024 maxelem 65536",
    "create PCL-508bdd9fd82e604f1a0c hash:net family inet hashsize 1024 maxelem 65536\n",
    "destroy everything\n",
    "create blocklist hash:net family inet hashsize 1024 maxelem 65536\nadd blocklist 192.0.2.1\n",
    "create PCL-OBSERVE-4 hash:ip,port family inet6 hashsize 1024 maxelem 65536 counters forceadd\n",
  ])
  func `other texts are refused`(text: String) {
    #expect(throws: StrictTextProblem.self) { try SetsFile.parse(Array(text.utf8)) }
  }

  @Test func `rules tell which of our sets they name`() throws {
    let rules = """
      *filter
      :INPUT DROP [0:0]
      -A INPUT -m set --match-set PCL-508bdd9fd82e604f1a0c src -j ACCEPT
      -A INPUT -m set --match-set blocklist src -j DROP
      -A INPUT -m set ! --match-set PCL-OBSERVE-4 src,dst -j SET --add-set PCL-OBSERVE-4 src,dst
      -A INPUT -m comment --comment "PCL-0123456789abcdef0123" -j ACCEPT
      -A INPUT -m comment --comment "was --match-set PCL-00000000000000000001 src" -j ACCEPT
      -A INPUT -m comment --comment "--match-set" -m comment --comment PCL-00000000000000000002 -j ACCEPT
      -A INPUT -m set --match-set "PCL-00000000000000000003" src -j ACCEPT
      COMMIT

      """
    // The strict grammar of a bundle takes them too.
    let ruleset = try Ruleset.parse(policy: Array(rules.utf8), file: "rules", family: .ipv4)
    #expect(SetName.named(in: ruleset) == ["PCL-508bdd9fd82e604f1a0c", "PCL-OBSERVE-4", "PCL-00000000000000000003"])
    #expect(!SetName.isOurs("PCL-INPUT") && !SetName.isOurs("PCL-0123456789ABCDEF0123") && !SetName.isOurs("PCL-new"))
    #expect(SetName.isOurs("PCL-508bdd9fd82e604f1a0c-new"))
  }
}

@Suite struct SysctlFileTests {
  @Test(arguments: [
    ("net.ipv4.ip_forward", "net/ipv4/ip_forward", 0...1),
    ("net.ipv4.conf.eth0.100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter", 0...2),
    ("net.ipv6.conf.all.accept_ra", "net/ipv6/conf/all/accept_ra", 0...2),
    ("net.netfilter.nf_conntrack_max", "net/netfilter/nf_conntrack_max", 1024...268_435_456),
  ])
  func `keys on the list have a path and a range`(text: String, path: String, allowed: ClosedRange<Int>) throws {
    let key = try #require(SysctlKey(text))
    #expect(key.description == text && key.path == path && key.allowed == allowed)
  }

  @Test(arguments: [
    "kernel.core_pattern", "net.core.somaxconn", "net.ipv4.conf.forwarding", "net.ipv4.conf..forwarding",
    "net.ipv4.conf.a/../../b.forwarding", "net.ipv4.conf.../x.forwarding", "net.ipv4.conf....forwarding",
    "net.ipv4.conf.eth0.disable_policy", "net.ipv6.conf.all.rp_filter", "net.ipv4.conf.sixteen-bytes-xy.forwarding", "",
    "net.ipv4.conf.", "net.ipv4.conf", "net.ipv4.ip_forward ",
  ])
  func `nothing else is a key`(text: String) { #expect(SysctlKey(text) == nil) }

  @Test func `one switch has one name, and comes first with what it changes`() throws {
    let all = try #require(SysctlKey("net.ipv4.conf.all.forwarding"))
    #expect(all.description == "net.ipv4.ip_forward" && all.isForwardingSwitch)
    let companions = all.companions(interfaces: ["all", "default", "eth0"])
    #expect(
      companions.map(\.description) == [
        "net.ipv4.conf.default.forwarding", "net.ipv4.conf.eth0.forwarding", "net.ipv4.conf.all.accept_redirects",
      ])
    #expect(companions.allSatisfy { $0.isCompanion(of: all) && all < $0 })
    #expect(!(SysctlKey("net.ipv6.conf.eth0.forwarding")!.isCompanion(of: all)))
  }

  @Test func `a file has one spelling`() throws {
    let file = try SysctlFile([SysctlKey("net.ipv4.ip_forward")!: 1, SysctlKey("net.ipv4.conf.all.rp_filter")!: 2])
    let text = "net.ipv4.conf.all.rp_filter = 2\nnet.ipv4.ip_forward = 1\n"
    #expect(String(decoding: file.encode(), as: UTF8.self) == text)
    #expect(try SysctlFile.parse(Array(text.utf8)) == file)
    for wrong in [
      "", "net.ipv4.ip_forward = 2\n", "net.ipv4.ip_forward=1\n", "net.ipv4.ip_forward = 01\n",
      "net.ipv4.ip_forward = 1",
      "net.ipv4.ip_forward = +1\n", "kernel.panic = 1\n", "net.ipv4.conf.all.forwarding = 1\n",
      "net.ipv4.ip_forward = 1\nnet.ipv4.conf.all.rp_filter = 2\n",
      "net.ipv4.ip_forward = 1\nnet.ipv4.ip_forward = 1\n",
    ] { #expect(throws: StrictTextProblem.self, "\(wrong)") { try SysctlFile.parse(Array(wrong.utf8)) } }
    // What a host had may be beyond what a policy may ask for.
    #expect(try SysctlFile.parse(found: Array("net.ipv4.ip_forward = 7\n".utf8)).values.values.first == 7)
  }
}
