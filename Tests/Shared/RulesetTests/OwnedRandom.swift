import Core
import Ruleset
import TestSupport

/// Random rules of other people, and random policies, for both families alike.
struct OwnedRandom {
  var random: Random
  let family: Family

  /// Later ones are called by earlier ones only, as the kernel wants it.
  private static let foreignChains = ["mine", "DOCKER-USER", "blocklist", "f2b-sshd"]
  private static let policyChains = [
    "CONTAINERS", "web", "a-very-long-name-of-a-chain1", "a-very-long-name-of-a-chain2",
  ]

  private mutating func address() -> String {
    family == .ipv4 ? "192.0.2.\(1 + random.below(3))/32" : "2001:db8::\(1 + random.below(3))/128"
  }

  private mutating func match() -> String {
    switch random.below(8) {
    case 0, 1: "-s \(address()) "
    case 2: "-i lo "
    case 3: "-p tcp -m tcp --dport \(random.pick(["22", "80"])) "
    case 4: "-p udp -m udp --dport 53 "
    case 5: "-m conntrack --ctstate RELATED,ESTABLISHED "
    case 6: "-m comment --comment \"\(random.pick(["it's -j PCL-INPUT", "a \\\"b\\\" \\\\ -A x", "plain ;"]))\" "
    default: ""
    }
  }

  private mutating func rules(_ chains: [String], _ builtIn: [String], table: String, _ limit: Int) -> [String] {
    var rules: [String] = []
    for chain in builtIn + chains {
      let callable = chains.firstIndex(of: chain).map { Array(chains[($0 + 1)...]) } ?? chains
      for _ in 0..<random.below(limit) {
        var targets = ["-j ACCEPT", "-j RETURN", "", "-j MARK --set-xmark 0x1/0xffffffff"]
        if table != "mangle" { targets[3] = "-j ACCEPT" }
        if table != "nat" { targets += ["-j DROP", "-j DROP"] }
        if table == "filter" { targets += ["-j LOG", "-j REJECT"] }
        for chain in callable { targets += ["-j \(chain)", random.pick(["-j", "-g"]) + " \(chain)"] }
        // Input interfaces do not go with chains of packets on their way out.
        var match = match()
        while match.contains("-i lo"), chain != "INPUT" { match = self.match() }
        let words = "-A \(chain) \(match)\(random.pick(targets))"
        rules.append(words.hasSuffix(" ") ? String(words.dropLast()) : words)
      }
    }
    return rules
  }

  private mutating func tables(_ chains: [String], _ limit: Int) -> String {
    var text = ""
    for table in ["filter"] + ["mangle", "nat", "raw"].filter({ _ in random.below(2) == 0 }) {
      let builtIn = BuiltInChains.chains(of: table) ?? []
      let some = chains.filter { _ in random.below(3) > 0 }
      text += "*\(table)\n"
      for chain in builtIn {
        text += ":\(chain) \(table == "filter" || table == "raw" ? random.pick(["ACCEPT", "DROP"]) : "ACCEPT") [0:0]\n"
      }
      for chain in some { text += ":\(chain) - [0:0]\n" }
      for rule in rules(some, builtIn, table: table, limit) { text += rule + "\n" }
      text += "COMMIT\n"
    }
    return text
  }

  mutating func foreign() -> [UInt8] {
    // As Docker leaves its chain: one that held nothing but our hook would be taken for one that we made.
    let tables = tables(Self.foreignChains, 6).replacing("COMMIT\n", with: "COMMIT\n#").split(separator: "#")
    return tables.flatMap { table in
      let isThere = table.contains(":DOCKER-USER ")
      let closed = table.replacing("COMMIT\n", with: (isThere ? "-A DOCKER-USER -j RETURN\n" : "") + "COMMIT\n")
      return Array(closed.utf8)
    }
  }

  mutating func wanted() throws -> OwnedRules {
    OwnedRules(try policy(tables(Self.policyChains, 5), family), forwardsForeign: random.below(3) == 0)
  }
}
