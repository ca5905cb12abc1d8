import Core
import Testing

@testable import Inventory
@testable import Policy

@Suite("What would open or close more than was written")
struct LanguageHoleTests {
  private func folder(_ policies: [String: String], common: String? = nil) throws -> PolicyFolder {
    let folder = try PolicyFolder()
    for (name, text) in policies { try folder.write("\(name).yaml", "policy: \(name)\napplies_to: all\n\(text)\n") }
    if let common { try folder.write("common.yaml", common) }
    return folder
  }

  private func text(_ policies: [String: String], common: String? = nil) throws -> String {
    String(
      decoding: try folder(policies, common: common).compiled(controllers: ["192.0.2.1"]).rules.ipv4, as: UTF8.self)
  }

  private func problems(_ policies: [String: String]) throws -> [String] {
    do {
      _ = try folder(policies).compiled(controllers: ["192.0.2.1"])
      return []
    } catch let error as Diagnostics {
      return error.all.map(\.message)
    }
  }

  @Test("A wildcard in an interface's name stands at its end, as +", arguments: ["wan*", "*", "et?h", "e+h", "eth[0]"])
  func wildcards(name: String) throws {
    #expect(try problems(["p": "input: [drop: {in: \"\(name)\"}]"]) == ["\"\(name)\" is no interface"])
    #expect(try text(["p": "input: [drop: {in: wan+}]"]).contains("-A INPUT -i wan+ -j DROP"))
  }

  @Test("A set of common.yaml means the same in every policy, whatever sets of its own that has")
  func commonSets() throws {
    let common = "sets: {trusted: [inner, 10.9.9.9], inner: [10.1.0.0/16]}\n"
    let rules = try text(
      [
        "p":
          "sets: {inner: [172.16.0.0/12]}\ninput: [accept: {tcp: 5432, from: trusted}, accept: {tcp: 22, from: inner}]"
      ],
      common: common)
    #expect(rules.contains("-A INPUT -s 10.1.0.0/16 -p tcp -m tcp --dport 5432 -j ACCEPT"))
    #expect(rules.contains("-A INPUT -s 172.16.0.0/12 -p tcp -m tcp --dport 22 -j ACCEPT"))
    #expect(!rules.contains("-s 172.16.0.0/12 -p tcp -m tcp --dport 5432"))
  }

  @Test("Contradicting defaults of any table are an error that names both")
  func defaults() throws {
    func raw(_ policy: String) -> String {
      "defaults: {input: drop}\nraw:\n  ipv4: |\n    *mangle\n    :PREROUTING \(policy)\n    COMMIT"
    }
    let found = try problems(["a": raw("DROP"), "b": raw("ACCEPT")])
    #expect(found.count == 1 && found[0].hasPrefix("default ACCEPT of PREROUTING in table mangle contradicts DROP at "))
    #expect(try problems(["a": raw("DROP"), "b": raw("DROP")]).isEmpty)
  }

  @Test(
    "strict ends connections opened this way, never answers to the host's own")
  func strict() throws {
    let item =
      "schedule: {office: {days: mon-fri}}\ndefaults: {input: drop}\ninput: [accept: {service: ntp, when: office, strict: true}]"
    let lines = try text(["p": item]).split(separator: "\n")
    let cut = lines.filter { $0.hasSuffix("-j DROP") }
    #expect(!cut.isEmpty && cut.allSatisfy { $0.contains("--ctstate RELATED,ESTABLISHED --ctdir ORIGINAL") })
  }

  @Test("Raw text of a policy stands behind its own translations, not behind those of policies after it")
  func order() throws {
    let first =
      "order: 10\nraw:\n  ipv4: |\n    *nat\n    -A PREROUTING -s 10.0.0.0/8 -p tcp -m tcp --dport 80 -j ACCEPT\n    COMMIT\n"
    let rules = try text([
      "a": "defaults: {input: drop}\n" + first, "b": "nat: [forward-port: {in: eth0, tcp: 80, to: 10.8.0.5}]",
    ])
    let exempt = try #require(rules.firstRange(of: "-s 10.0.0.0/8 -p tcp"))
    let forward = try #require(rules.firstRange(of: "-j DNAT"))
    #expect(exempt.lowerBound < forward.lowerBound)
  }

  @Test("A header that may stand before anything in IPv6 is no content that could be accepted")
  func headers() throws {
    for number in ["43", "44", "60"] {
      let message =
        "protocol \(number) is a header that may stand before anything in IPv6: accepting it would open every port"
      #expect(try problems(["p": "input: [accept: {proto: [esp, \(number)]}]"]) == [message])
      #expect(
        try problems(["p": "services: {s: proto/\(number)}\ncontainers: [accept: {service: s}, drop: {}]"]) == [message]
      )
      #expect(try text(["p": "input: [accept: {proto: \(number), family: ipv4}]"]).contains("-p \(number) -j ACCEPT"))
      for verb in ["drop", "reject", "log"] {
        #expect(try problems(["p": "input: [\(verb): {proto: \(number)}]"]).isEmpty)
      }
    }
  }

  @Test("Nothing is sent to where nothing can be, whether it is written or a variable's")
  func translations() throws {
    for address in [
      "127.0.0.1", "127.9.9.9", "\"::1\"", "0.0.0.0", "0.1.2.3", "\"::\"", "224.0.0.1", "239.1.1.1", "\"ff02::1\"",
      "255.255.255.255",
    ] {
      for item in [
        "forward-port: {tcp: 80, to: ADDRESS}", "balance: {tcp: 80, to: [ADDRESS, 10.8.0.5]}", "snat: {to: ADDRESS}",
      ] {
        let policy = "policy: p\napplies_to: all\nnat: [\(item)]\n"
        for value in [address, "\"${target}\""] {
          let folder = try PolicyFolder()
          try folder.write("p.yaml", policy.replacing("ADDRESS", with: value))
          let found = messages { () throws(Diagnostics) in
            let fleet: HostInventory
            do { fleet = try inventory("all: {hosts: {h: {target: \(address)}}}") } catch {
              throw error as! Diagnostics
            }
            return try PolicyCompiler(folder.load(), inventory: fleet).compile(for: fleet.hosts[0], controllers: [])
          }
          #expect(found.count == 1 && found[0].contains("host"), "\(item) \(value) \(address): \(found)")
        }
      }
    }
  }

  @Test("What can come to nothing, or to more, is an error")
  func nothing() throws {
    #expect(
      try problems(["p": "input: [accept: {service: vrrp, helper: ftp}]"]) == [
        "helper ftp would be attached to nothing"
      ])
    #expect(
      try problems(["p": "observe: true\nipv6: drop-all\ndefaults: {input: drop}"]).contains {
        $0.contains("exclude each other")
      })
    #expect(try problems(["p": "schedule: {o: {to: \"00:00\"}}\ninput: [accept: {tcp: 80, when: o}]"]).count == 1)
    let containers = "defaults: {forward: drop}\ncontainers: [drop: {family: ipv4},"
    #expect(try problems(["p": "\(containers) accept: {tcp: 80, family: ipv6}, drop: {}]"]).isEmpty)
    #expect(
      try problems(["p": "\(containers) accept: {tcp: 80}, drop: {}]"]).map { $0.prefix(48) } == [
        "containers: this item is never reached in IPv4: "
      ])
  }
}
