import Audit
import Console
import Core
import Foundation
import Rollout
import Testing
import Wire

@testable import Operations

struct BesideDocumentTests {
  private static let now = UTCTime("2026-11-21T00:00:00Z")!

  private func object(_ document: some Document) throws -> [String: Any] {
    let json = try DocumentPrinter.render(document, as: .json, colour: false)
    return try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
  }

  static func report() -> Report {
    Report(
      nonce: .random(), host: HostID("h1")!, fleet: FleetID("lab")!, time: now, bootID: "boot", agentVersion: "0.1.0",
      architecture: "x86_64", kernel: "6.1", backend: .nft, iptablesVersion: "1.8.9", committed: nil, lastFailure: nil,
      pending: PendingChange(
        transaction: .random(), manifest: Digest(of: []), serial: Serial(9), millisecondsLeft: 43_000, isManual: false),
      localAct: LocalAct(deed: .safe, at: now, reason: "drill"),
      families: PerFamily { _ in
        FamilyReport(expected: nil, observed: Digest(of: [2]), save: Digest(of: [3]), chains: [])
      }, owners: [.docker, .fail2ban], otherBackendRules: 0, conflicts: [], degraded: nil,
      managementSource: "192.0.2.1")
  }

  private func status(_ report: Report?) -> HostStatus {
    StatusJudge(now: Self.now).judge(
      HostID("h1")!, desired: nil,
      observation: HostObservation(lastReport: report.map { ReceivedReport($0, receivedAt: Self.now) }))
  }

  @Test func `status says who else is there, what waits and what was done at the console; the keys are always there`()
    throws
  {
    let full = try #require((object(StatusDocument([status(Self.report())]))["hosts"] as? [[String: Any]])?.first)
    #expect(full["owners"] as? [String] == ["docker", "fail2ban"])
    #expect((full["pending"] as? [String: Any])?["seconds_left"] as? Int == 43)
    #expect((full["local_act"] as? [String: Any])?["deed"] as? String == "safe")
    let text = StatusDocument([status(Self.report())]).text(TextStyle())
    #expect(text.contains("release 9 is applied and waits to be confirmed, until 2026-11-21T00:00:43Z"))
    #expect(text.contains("safe policy loaded at the console by root at 2026-11-21T00:00:00Z: drill"))
    let bare = try #require((object(StatusDocument([status(nil)]))["hosts"] as? [[String: Any]])?.first)
    #expect(bare["pending"] is NSNull && bare["local_act"] is NSNull && (bare["owners"] as? [String])?.isEmpty == true)
    #expect(Set(bare.keys) == Set(full.keys))
  }

  @Test func `status names the tables of others, the unknown ones as they are called`() throws {
    var told = Self.report()
    told.others = OthersReport(
      tables: [
        OthersReport.Table(
          family: "inet", name: "netavark", owner: .podman, isHooked: true, drops: false, digest: Digest(of: [1])),
        OthersReport.Table(
          family: "ip", name: "guard", owner: nil, isHooked: true, drops: true, digest: Digest(of: [2])),
      ],
      chains: [
        OthersReport.Chains(family: .ipv4, owner: .docker, rules: 7, digest: Digest(of: [3])),
        OthersReport.Chains(family: .ipv6, owner: nil, rules: 1, digest: Digest(of: [4])),
      ], otherBackend: PerFamily(ipv4: Digest(of: [5]), ipv6: nil), sets: ["blocklist"])
    let document = StatusDocument([status(told)])
    let host = try #require((object(document)["hosts"] as? [[String: Any]])?.first)
    let tables = try #require(host["foreign_tables"] as? [[String: Any]])
    #expect(tables.map { $0["name"] as? String } == ["netavark", "guard"])
    #expect(tables[0]["owner"] as? String == "podman" && tables[1]["owner"] is NSNull)
    #expect(host["foreign_sets"] as? [String] == ["blocklist"])
    let chains = try #require(host["foreign_chains"] as? [[String: Any]])
    #expect(chains[0]["owner"] as? String == "docker" && chains[0]["rules"] as? Int == 7)
    #expect(chains[1]["owner"] is NSNull && chains[1]["digest"] as? String == Digest(of: [4]).description)
    let other = try #require(host["other_backend"] as? [String: Any])
    #expect(other["ipv4"] as? String == Digest(of: [5]).description && other["ipv6"] is NSNull)
    #expect(host["iptables_version"] as? String == "1.8.9")
    var style = TextStyle()
    style.wide = true
    #expect(document.text(style).contains("docker,fail2ban,podman,ip/guard"))
  }

  @Test func `the summary counts each axis on its own`() {
    let summary = StatusDocument([status(nil)]).summary
    #expect(summary["delivery_unknown"] == 0 && summary["integrity_unknown"] == 1)
    #expect(summary["unknown"] == nil && summary["hosts"] == 1)
  }

  @Test func `doctor folds hosts with the same finding, hints at what to do, and ends with 2`() throws {
    let stale = Finding(check: "stale", problem: "its last report is old", hint: "ask it")
    let keys = Finding(check: "keys", problem: "no key\u{1b}[2J", hint: "make one")
    let document = DoctorDocument(
      Doctor.Found(
        controller: [keys],
        hosts: ["h1", "h2"].map { Doctor.Host(host: HostID($0)!, findings: [stale]) }
          + [Doctor.Host(host: HostID("h3")!, findings: [])]))
    #expect(document.exitCode == 2 && document.names == ["h1", "h2"])
    let text = document.text(TextStyle())
    #expect(text.contains("h[1-2]: its last report is old\n  hint: ask it\n"))
    #expect(text.hasPrefix("controller: no key") && !text.unicodeScalars.contains("\u{1b}"))
    #expect(text.hasSuffix("2 findings; the controller and 3 enrolled hosts examined.\n"))
    let none = DoctorDocument(Doctor.Found(controller: [], hosts: []))
    #expect(none.exitCode == 0 && none.text(TextStyle()).hasPrefix("Nothing found; "))
    #expect((try object(document)["findings"] as? [[String: Any]])?.count == 2)
  }

  @Test func `plan folds hosts with the same mode and owners, those with warnings first`() throws {
    func around(_ host: String, _ mode: String, _ owners: [ForeignOwner], _ warnings: [String] = []) -> Surroundings {
      Surroundings(host: HostID(host)!, mode: mode, owners: owners, warnings: warnings)
    }
    let plan = try RolloutPlanner(fleet: FleetID("lab")!, serialBase: .none).plan([
      PlanInput(host: HostID("h1")!, desired: nil, knowledge: .notEnrolled)
    ])
    let document = PlanDocument(
      plan,
      surroundings: [
        around("h1", "owned", []), around("h2", "owned", []), around("h3", "exclusive", [.docker, .ufw], ["evict"]),
      ])
    #expect(
      document.text(TextStyle()).contains(
        "exclusive, beside docker, ufw: h3\n  warning: evict\nowned: h[1-2]\n\nPlan: nothing would change, 1 not-enrolled"
      ))
    #expect((try object(document)["beside"] as? [[String: Any]])?.count == 2)
  }

  @Test func `plan shows kernel settings in text and JSON, and counts them`() throws {
    let desired = DesiredBundle(
      content: Digest(of: []), mode: "exclusive", rules: PerFamily { _ in RulesText([]) },
      beside: BesideTexts(sets: nil, sysctl: RulesText(Array("net.ipv4.ip_forward = 1\n".utf8))))
    let plan = try RolloutPlanner(fleet: FleetID("lab")!, serialBase: .none).plan(
      ["h1", "h2"].map { PlanInput(host: HostID($0)!, desired: desired, knowledge: .silent) })
    let document = PlanDocument(plan)
    #expect(
      document.text(TextStyle()).hasPrefix(
        "install h[1-2]   2 hosts   +1 −0   has not reported yet\n  IPv4\n    *sysctl\n    +net.ipv4.ip_forward = 1\n\n"
      ))
    let group = try #require((try object(document)["groups"] as? [[String: Any]])?.first)
    #expect(group["ipv4"] as? [String] == ["*sysctl", "+net.ipv4.ip_forward = 1"] && group["added"] as? Int == 1)
  }

  @Test func `observe show says where there was more than the kernel counts`() throws {
    func document(_ full: Set<Family>) -> ObserveDocument {
      let observations = Observations(observing: [.ipv4, .ipv6], full: full, entries: [])
      return ObserveDocument(
        Observing.Observed(
          hosts: [.init(host: HostID("h1")!, observations: observations)], unreachable: [:], notEnrolled: []))
    }
    #expect(try object(document([.ipv4]))["full"] as? [String] == ["h1"])
    #expect(
      try DocumentPrinter.render(document([.ipv4]), as: .text, colour: false).contains(
        "than that was dropped on h1: it counts 65536"))
    #expect(try object(document([]))["full"] as? [String] == [])
    #expect(try !DocumentPrinter.render(document([]), as: .text, colour: false).contains("65536"))
  }
}
