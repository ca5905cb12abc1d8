import Core
import Import
import Ruleset
import Testing

@Suite("Other software's rules") struct ForeignTests {
  private let docker = """
    *nat
    :PREROUTING ACCEPT [0:0]
    :INPUT ACCEPT [0:0]
    :OUTPUT ACCEPT [0:0]
    :POSTROUTING ACCEPT [0:0]
    :DOCKER - [0:0]
    -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
    -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
    -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
    -A POSTROUTING -s 172.18.0.0/16 ! -o br-0123456789ab -j MASQUERADE
    -A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
    -A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE
    -A DOCKER -i docker0 -j RETURN
    COMMIT
    *filter
    :INPUT DROP [0:0]
    :FORWARD DROP [0:0]
    :OUTPUT ACCEPT [0:0]
    :DOCKER - [0:0]
    :DOCKER-USER - [0:0]
    :f2b-sshd - [0:0]
    -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
    -A INPUT -i lo -j ACCEPT
    -A FORWARD -j DOCKER-USER
    -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A FORWARD -o docker0 -j DOCKER
    -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
    -A DOCKER-USER -s 203.0.113.0/24 -j DROP
    -A DOCKER-USER -j RETURN
    -A f2b-sshd -s 198.51.100.9/32 -j REJECT --reject-with icmp-port-unreachable
    -A f2b-sshd -j RETURN
    COMMIT

    """

  @Test("They are left out and named, with the rules that lead there") func leftOut() throws {
    let policy = try imported(docker, filter("-A INPUT -i lo -j ACCEPT"))
    #expect(policy.leftOut.map(\.owner) == [.docker, .fail2ban])
    #expect(policy.leftOut.map(\.chains) == [["DOCKER", "DOCKER-USER"], ["f2b-sshd"]])
    #expect(policy.leftOut.map(\.rules) == [12, 3])
    #expect(policy.notes == ["DOCKER-USER holds 1 rules over IPv4 that Docker did not write: say them in `containers`"])
    #expect(policy.yaml.contains("input:\n  - accept: { in: lo }\n"))
    #expect(policy.yaml.contains("forward: foreign\n"))
    #expect(policy.yaml.contains("nat:\n  - masquerade: { from: 10.8.0.0/24, out: eth0 }\n"))
    for word in ["DOCKER", "docker0", "br-", "172.1", "f2b"] { #expect(!policy.yaml.contains(word)) }
    try expectSame(policy)
  }

  @Test("Everything is kept where that is wanted") func exact() throws {
    var options = options
    options.keepsEverything = true
    let policy = try imported(docker, filter(""), options)
    #expect(policy.leftOut == [] && policy.notes == [] && !policy.yaml.contains("forward: foreign"))
    #expect(canonical(policy.rulesets.ipv4) == (try canonical(docker)))
    try expectSame(policy)
  }

  @Test("Rules of one's own that are forwarded beside Docker stand last") func forward() throws {
    let policy = try imported(
      docker.replacing("-A FORWARD -j DOCKER-USER\n", with: "-A FORWARD -j DOCKER-USER\n-A FORWARD -i wg0 -j ACCEPT\n"),
      "")
    #expect(policy.yaml.contains("forward: foreign\nforward_last:\n  - accept: { in: wg0, family: ipv4 }\n"))
    try expectSame(policy)
  }

  @Test("A bridge of one's own is not Docker's") func bridges() throws {
    let rules = "-A FORWARD -i br-lan ! -o br-lan -j ACCEPT\n-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n"
    #expect(try imported(filter(rules), "").rulesets.ipv4.ruleCount == 2)
    #expect(try imported(filter(rules + "-A DOCKER -j RETURN"), "").rulesets.ipv4.ruleCount == 1)
  }

  @Test("Rules that Docker would not write are kept, whatever bridge they name")
  func besideDocker() throws {
    let own = [
      "-A INPUT -i docker0 -p tcp -m tcp --dport 5432 -j ACCEPT", "-A INPUT -i docker0 -j ACCEPT",
      "-A OUTPUT -o docker0 -j DROP", "-A FORWARD -d 10.0.0.0/8 -i docker0 -j DROP", "-A FORWARD -i docker0 -j ACCEPT",
      "-A FORWARD -i br-0123456789ab -o docker0 -j ACCEPT", "-A FORWARD -i docker0 ! -o docker0 -j DROP",
      "-A FORWARD ! -i docker0 -o docker0 -j ACCEPT", "-A FORWARD -o docker0 -j ACCEPT",
      "-A FORWARD -o docker0 -m conntrack --ctstate NEW -j ACCEPT",
      "-A FORWARD -i docker0 -o docker0 -m comment --comment mine -j ACCEPT",
    ]
    let nat = [
      "-A PREROUTING -i docker0 -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353",
      "-A POSTROUTING -o docker0 -j MASQUERADE", "-A POSTROUTING -s 10.8.0.0/24 -o docker0 -j MASQUERADE",
    ]
    let text =
      "*nat\n:PREROUTING ACCEPT\n:POSTROUTING ACCEPT\n" + nat.joined(separator: "\n") + "\nCOMMIT\n"
      + filter(own.joined(separator: "\n") + "\n-A DOCKER -j RETURN")
    let policy = try imported(text, filter(""))
    #expect(policy.rulesets.ipv4.ruleCount == own.count + nat.count && policy.leftOut.map(\.rules) == [1])
    try expectSame(policy)
  }

  @Test("Rules that Docker keeps in built-in chains go with its chains") func dockersOwn() throws {
    let text =
      "*raw\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP\nCOMMIT\n"
      + "*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"
      + "-A POSTROUTING -s 172.19.0.0/16 ! -o docker0 -j SNAT --to-source 192.0.2.9\n"
      + "-A POSTROUTING -o docker_gwbridge -m addrtype --src-type LOCAL -j MASQUERADE\nCOMMIT\n"
      + filter(
        """
        -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        -A FORWARD -o docker0 -j DOCKER
        -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
        -A FORWARD -i docker0 -o docker0 -j ACCEPT
        -A FORWARD -i docker_gwbridge -o docker_gwbridge -j DROP
        -A DOCKER -j RETURN
        """)
    let policy = try imported(text, filter(""))
    #expect(policy.rulesets.ipv4.ruleCount == 0 && policy.leftOut.map(\.rules) == [10])
  }

  @Test("Calico's own rules in built-in chains go with its chains") func calico() throws {
    let rules = """
      -A INPUT -m comment --comment "cali:Cz_u1IQiXIMmKD4c" -j cali-INPUT
      -A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m comment --comment "Policy explicitly accepted packet." -m mark --mark 0x10000/0x10000 -j ACCEPT
      -A INPUT -i lo -j ACCEPT
      -A cali-INPUT -j RETURN
      """
    let policy = try imported(filter(rules), "")
    let left = try #require(policy.leftOut.first)
    #expect(left.owner == .calico && left.chains == ["cali-INPUT"] && left.rules == 3)
    #expect(policy.rulesets.ipv4.ruleCount == 1)
  }

  @Test("Whoever keeps all of the rules is named") func ufw() throws {
    let policy = try imported(
      filter("-A INPUT -j ufw-before-input\n-A ufw-before-input -i lo -j ACCEPT"), filter(""))
    #expect(policy.notes == ["ufw keeps this host's rules: turn it off when the policy takes its place"])
  }

  // MARK: Hosts that are kept already

  private let policies = [
    filter("-A INPUT -i lo -j ACCEPT\n-A INPUT -j web\n-A web -p tcp -m tcp --dport 80 -j ACCEPT"),
    filter("-A INPUT -i lo -j RETURN\n-A INPUT -p tcp -g web\n-A web -j DROP"),
    filter("-A INPUT -i lo -j ACCEPT", input: "ACCEPT", forward: "ACCEPT"),
  ]

  @Test("Our own chains get their names back") func own() throws {
    for policy in policies {
      let wanted = OwnedRules(try Ruleset.parse(save: Array(policy.utf8), file: "p"), forwardsForeign: false)
      let text = OwnedChange(OwnedChange.Request(wanted: wanted, saved: Ruleset())).text
      // The change is restore text: declarations, and rules that are appended or inserted.
      let saved = try asSaved(String(decoding: text, as: UTF8.self), policies: wanted.policies["filter"] ?? [:])
      let read = try imported(saved, "")
      #expect(canonical(read.rulesets.ipv4) == (try canonical(policy)))
      try expectSame(read)
    }
  }

  private func asSaved(_ restore: String, policies: [String: String]) throws -> String {
    var chains: [String: String] = ["INPUT": "ACCEPT", "FORWARD": "ACCEPT", "OUTPUT": "ACCEPT"]
    for (chain, policy) in policies { chains[chain] = policy }
    var rules: [String] = []
    for line in restore.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 3).map(String.init)
      if line.hasPrefix(":"), words[1] == "-" { chains[String(words[0].dropFirst())] = "-" }
      if line.hasPrefix("-A ") { rules.append(String(line)) }
      if line.hasPrefix("-I ") { rules.append("-A \(words[1]) \(words[3])") }
    }
    try #require(!rules.isEmpty)
    return "*filter\n" + chains.sorted { $0.key < $1.key }.map { ":\($0) \($1) [0:0]\n" }.joined()
      + rules.joined(separator: "\n") + "\nCOMMIT\n"
  }

  @Test("What cannot be told is refused") func lost() throws {
    let long = String(repeating: "x", count: 27)
    let wanted = OwnedRules(
      try Ruleset.parse(save: Array(filter("-A INPUT -j \(long)\n-A \(long) -j DROP").utf8), file: "p"),
      forwardsForeign: false)
    let chain = try #require(wanted.tables.first?.chains.map(\.name).first { $0.hasPrefix("PCL:") })
    for text in [
      ":\(chain) - [0:0]\n-A INPUT -j \(chain)\n",
      ":PCL-CONTAINERS - [0:0]\n:DOCKER-USER - [0:0]\n-A DOCKER-USER -j PCL-CONTAINERS\n",
      ":PCL:web - [0:0]\n:web - [0:0]\n",
    ] {
      #expect(throws: Diagnostics.self) { try imported("*filter\n:INPUT ACCEPT [0:0]\n\(text)COMMIT\n", "") }
    }
  }

  // MARK: Many hosts

  @Test("Hosts with the same rules share a policy, whatever their counters and bans are") func groups() throws {
    func rules(_ text: String) throws -> ImportedRules {
      try ImportedRules(PerFamily(ipv4: Array(text.utf8), ipv6: []), options)
    }
    let other = docker.replacing("[0:0]", with: "[7:9]").replacing(
      "-A f2b-sshd -s 198.51.100.9/32 -j REJECT --reject-with icmp-port-unreachable\n", with: "")
    let groups = ImportGroup.make([
      ("db1", try rules(filter("-A INPUT -i lo -j ACCEPT"))), ("web1", try rules(docker)), ("web2", try rules(other)),
      ("db2", try rules(filter("-A INPUT -i lo -j DROP"))),
    ])
    #expect(groups.map(\.hosts) == [["web1", "web2"], ["db1"], ["db2"]])
    var named = options
    named.name = "imported-1"
    let policy = try groups[0].policy(named)
    #expect(policy.name == "imported-1" && policy.yaml.hasPrefix("policy: imported-1\n"))
    try expectSame(policy)
  }
}
