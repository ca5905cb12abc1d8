import Core
import Ruleset
import Testing

@Suite struct LockTightnessTests {
  private static func closing(_ chain: String, with last: String) -> String {
    profile().replacing("-A \(chain) -j DROP", with: last)
  }

  @Test func `flows from before end where every chain drops what it does not name`() throws {
    #expect(
      try layer(profile(input: ["-i lo -j RETURN", "-s 192.0.2.7 -p tcp -m tcp --dport 22 -j RETURN"])).endsOldFlows)
    #expect(try layer(BuiltInIsolate.ruleset(.ipv4, sources: [])).endsOldFlows)
  }

  static let loose = ["INPUT", "FORWARD", "OUTPUT"].flatMap { chain in
    [
      "", "-A \(chain) -p udp -j DROP", "-A \(chain) -j DROP\n-A \(chain) -j RETURN",
      "-A \(chain) -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN\n-A \(chain) -j DROP",
      "-A \(chain) -m state --state ESTABLISHED -j RETURN\n-A \(chain) -j DROP",
    ].map { closing(chain, with: $0) }
  }

  @Test(arguments: loose) func `they do not where one goes on, or asks for their state`(text: String) throws {
    #expect(try !layer(text.replacing("\n\n", with: "\n")).endsOldFlows)
  }

  @Test(arguments: LockLayer.hooked) func `a chain that another layer opens is named`(chain: String) throws {
    let shut = try layer(profile())
    let open = try layer(Self.closing(chain, with: "-A \(chain) -p udp -j DROP"))
    #expect(shut.chainOpened(by: open) == chain)
    #expect(open.chainOpened(by: shut) == nil)
    #expect(shut.chainOpened(by: shut) == nil && open.chainOpened(by: open) == nil)
  }
}

private func layer(_ ruleset: Ruleset) throws -> LockLayer { try LockLayer(ruleset, .ipv4) }
