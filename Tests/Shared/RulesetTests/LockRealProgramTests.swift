import Core
import Ruleset
import TestSupport
import Testing

/// What the host's own programs make of a lockdown's layer among other people's rules.
@Suite(.enabled(if: Programs.areUsable, "needs root, unshare, and the iptables programs of both backends"))
struct LockRealProgramTests {
  /// All forms that compiled profiles have.
  private static func whole(_ family: Family) -> String {
    let peer = family == .ipv4 ? "10.4.0.0/24" : "2001:db8:4::/64"
    let answers = "! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN"
    return profile(
      input: [
        "-i lo -j RETURN", "-s \(peer) -p tcp -m tcp --dport 3260 -j RETURN",
        "-s \(peer) -p tcp -m tcp --sport 2049 \(answers)",
        "-s \(peer) -p udp -m udp --sport 53 -m conntrack --ctdir REPLY -j RETURN",
        "-p tcp -m multiport --dports 22,2222 -j RETURN", "-m limit --limit 5/min -j LOG --log-prefix \"locked \"",
      ],
      output: ["-o lo -j RETURN", "-d \(peer) -p tcp -m tcp --sport 3260 \(answers)", "-j NFLOG --nflog-group 3"],
      forward: ["-s \(peer) -d \(peer) -p tcp -m tcp --dport 80 -j RETURN"],
      last: "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN")
  }

  private func load(
    _ text: [UInt8], onto state: [UInt8], keepsOthers: Bool = true, _ family: Family, _ backend: Programs.Backend
  ) throws -> Ruleset {
    let option = keepsOthers ? "--noflush" : ""
    let script = """
      sed '/^#SPLIT$/,$d' "$IN" | $P-restore && sed '0,/^#SPLIT$/d' "$IN" | $P-restore \(option) && $P-save
      """
    let output = try Programs.run(script, family, backend, input: state + Array("#SPLIT\n".utf8) + text)
    try #require(
      output.status == 0 && output.errors.isEmpty, "\(family) \(backend): \(output.errors)\n\(lines(text))")
    return try Ruleset.parse(save: output.text, file: "\(backend)")
  }

  @Test(arguments: Family.allCases) func `it is loaded, refilled, mended and taken out, the same on both backends`(
    family: Family
  ) throws {
    let layers = [
      try layer(Self.whole(family), family),
      try LockLayer(
        BuiltInIsolate.ruleset(family, sources: ["192.0.2.10", "2001:db8::10"], sshPorts: [22, 2222]), family),
    ]
    for layer in layers {
      let digests = try Programs.Backend.allCases.map { try lifetime(layer, $0) }
      #expect(digests[0] == digests[1])
    }
  }

  /// - Returns: the layer's digest, which is the same throughout.
  private func lifetime(_ layer: LockLayer, _ backend: Programs.Backend) throws -> Digest {
    func load(_ text: [UInt8], onto state: Ruleset, keepsOthers: Bool = true) throws -> Ruleset {
      try self.load(text, onto: state.canonical(), keepsOthers: keepsOthers, layer.family, backend)
    }
    let before = try self.load(Array("*filter\nCOMMIT\n".utf8), onto: Array(beneathLock.utf8), layer.family, backend)
    let locked = try load(layer.first, onto: before)
    let digest = LockLayer.split(locked).layer.digest
    #expect(layer.difference(LockLayer.split(locked).layer) == nil)
    #expect(layer.mend(locked) == nil)
    #expect(LockLayer.split(locked).beneath.digest == before.digest)

    #expect(try load(layer.refill, onto: locked).digest == locked.digest)
    // A lockdown is swapped for another one without touching the hooks.
    let other = try LockLayer(try policy(profile(), layer.family), layer.family)
    let swapped = try load(other.refill, onto: locked)
    #expect(other.difference(LockLayer.split(swapped).layer) == nil)
    #expect(try load(layer.refill, onto: swapped).digest == locked.digest)

    let meddled = try load(
      Array(
        """
        *mangle
        -I INPUT 1 -p tcp -j ACCEPT
        -A OUTPUT -j PCLLOCK-OUTPUT
        -A MINE -m comment --comment "his own \\"way\\"" -j PCLLOCK-INPUT
        -D FORWARD -j PCLLOCK-FORWARD
        -D PCLLOCK-INPUT 1
        COMMIT

        """.utf8), onto: locked)
    #expect(layer.difference(LockLayer.split(meddled).layer) != nil)
    let mended = try load(try #require(layer.mend(meddled)), onto: meddled)
    #expect(layer.difference(LockLayer.split(mended).layer) == nil)
    #expect(LockLayer.split(mended).layer.digest == digest)
    #expect(text(LockLayer.split(mended).beneath).contains("-A INPUT -p tcp -j ACCEPT\n"))

    // Somebody loads a whole filter table, as every firewall of its own does.
    let filter = Array("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n".utf8)
    let flushed = try load(filter, onto: locked, keepsOthers: false)
    #expect(LockLayer.split(flushed).layer.digest == digest)
    #expect(flushed[table: "filter"].map { $0.ruleCount } ?? 0 == 0)

    let whole = Ruleset(tables: [layer.table(in: before[table: "mangle"])])
    let replaced = try load(whole.canonical(), onto: before, keepsOthers: false)
    #expect(replaced.digest == locked.digest)

    for state in [locked, mended, meddled] {
      let open = try load(try #require(LockLayer.removal(state)), onto: state)
      #expect(open.digest == LockLayer.split(state).beneath.digest)
      #expect(!text(open).contains("PCLLOCK"))
    }
    return digest
  }

  @Test(arguments: Programs.Backend.allCases)
  func `a second load of the first text doubles the hook, which mending ends`(
    backend: Programs.Backend
  ) throws {
    let layer = try layer(Self.whole(.ipv4), .ipv4)
    let locked = try load(layer.first, onto: Array(beneathLock.utf8), .ipv4, backend)
    let doubled = try load(layer.first, onto: locked.canonical(), .ipv4, backend)
    #expect(layer.difference(LockLayer.split(doubled).layer) == "INPUT calls the lockdown more than once")
    let mended = try load(try #require(layer.mend(doubled)), onto: doubled.canonical(), .ipv4, backend)
    #expect(mended.digest == locked.digest)
  }

  @Test(arguments: Programs.Backend.allCases) func `no packet slips through while the chains are filled anew`(
    backend: Programs.Backend
  ) throws {
    // Without loopback, so that the machine itself can be the one who is shut out.
    let layer = try layer(profile(output: ["-p udp -j RETURN"]), .ipv4)
    let counters = Array(
      """
      *filter
      :INPUT ACCEPT [0:0]
      :OUTPUT ACCEPT [0:0]
      -A INPUT -p udp -m udp --dport 9
      -A OUTPUT -p udp -m udp --dport 9
      COMMIT

      """.utf8)
    let script = """
      ip link set lo up
      sed '/^#SPLIT$/,$d' "$IN" | $P-restore && sed '0,/^#SPLIT$/d' "$IN" >"$IN.refill" || exit 1
      bash -c 'while :; do echo x >/dev/udp/127.0.0.1/9; done' 2>/dev/null &
      sender=$!
      for round in $(seq 60); do $P-restore --noflush <"$IN.refill" || exit 1; done
      kill $sender
      $P-save -c -t filter
      """
    let output = try Programs.run(
      script, .ipv4, backend, input: counters + layer.first + Array("#SPLIT\n".utf8) + layer.refill)
    #expect(output.status == 0, "\(output.errors)")
    func counted(_ chain: String) throws -> Int {
      let line = try #require(lines(output.text).first { $0.hasSuffix("-A \(chain) -p udp -m udp --dport 9") })
      return try #require(Int(line.dropFirst().prefix { $0 != ":" }))
    }
    #expect(try counted("INPUT") == 0)
    #expect(try counted("OUTPUT") > 50)
  }
}
