import Core
import Ruleset
import Testing

@Suite("Docker's chain, made before Docker starts")
struct OwnedPreparedTests {
  private let text =
    "*filter\n:FORWARD ACCEPT\n:CONTAINERS -\n-A CONTAINERS -s 192.0.2.9/32 -j RETURN\n-A CONTAINERS -j DROP\nCOMMIT\n"
  private let ours = ["PCL-CONTAINERS -s 192.0.2.9/32 -j RETURN", "PCL-CONTAINERS -j DROP"]
  private let hook = "DOCKER-USER -j PCL-CONTAINERS"
  private let chains = ["DOCKER-USER", "PCL-CONTAINERS"]

  private func wanted() throws -> OwnedRules { OwnedRules(try policy(text), forwardsForeign: true) }

  private func change(_ saved: Ruleset, prepares: Bool, wanted: OwnedRules? = nil) throws -> OwnedChange {
    OwnedChange(.init(wanted: try wanted ?? self.wanted(), saved: saved, preparesForeignChains: prepares))
  }

  @Test("It is made with our hook in it, by a command that cannot empty somebody else's, and only when asked for")
  func made() throws {
    let lines = try change(Ruleset(), prepares: true).lines
    #expect(lines.contains("-N DOCKER-USER") && lines.contains("-I DOCKER-USER 1 -j PCL-CONTAINERS"))
    #expect(try !change(Ruleset(), prepares: false).lines.contains { $0.contains("DOCKER-USER") })
    let there = try saved(["FORWARD -j DOCKER-USER", "DOCKER-USER -j RETURN"], chains: ["DOCKER-USER"])
    #expect(try !change(there, prepares: true).lines.contains { $0.contains("-N") })
    #expect(try change(there, prepares: true).foreignLines == ["-I DOCKER-USER 1 -j PCL-CONTAINERS"])
  }

  @Test("It changes no digest, and names nobody as an owner until Docker uses it")
  func unseen() throws {
    let view = OwnedView(try wanted(), allowed: [])
    let without = try saved(ours, chains: ["PCL-CONTAINERS"])
    let prepared = try saved(ours + [hook], chains: chains)
    let used = try saved(ours + [hook, "DOCKER-USER -j RETURN", "FORWARD -j DOCKER-USER"], chains: chains)
    for ruleset in [prepared, used] {
      #expect(view.observed(ruleset).digest == view.observed(without).digest)
      #expect(try change(ruleset, prepares: true).text.isEmpty)
    }
    #expect(prepared.owners == [] && used.owners == [.docker])
    // Called although it has no RETURN, and not called although somebody else keeps a rule in it.
    #expect(try saved(ours + [hook, "FORWARD -j DOCKER-USER"], chains: chains).owners == [.docker])
    #expect(try saved(ours + [hook, "DOCKER-USER -j RETURN"], chains: chains).owners == [.docker])
    #expect(try saved([], chains: ["DOCKER-USER"]).owners == [.docker])
  }

  @Test("It goes with our hook, unless anybody else has to do with it")
  func removed() throws {
    func goes(_ rules: [String], _ chains: [String]) throws -> Bool {
      let lines = try change(saved(rules, chains: chains), prepares: false, wanted: OwnedRules.none).lines
      if rules.contains(hook) { #expect(lines.contains("-D \(hook)")) }
      return lines.contains("-X DOCKER-USER")
    }
    #expect(try goes(ours + [hook], chains))
    #expect(try !goes(ours + [hook, "DOCKER-USER -j RETURN"], chains))
    #expect(try !goes(ours + [hook, "FORWARD -j DOCKER-USER"], chains))
    #expect(try !goes(ours + [hook, "FORWARD -g DOCKER-USER"], chains))
    #expect(try !goes(ours, chains))
  }
}
