import Core
import Ruleset
import Testing
import Wire

@testable import Audit

struct ActTests {
  private func status(_ report: Report, age: Int64 = 0) -> HostStatus {
    StatusJudge(now: start + age).judge(
      web1, desired: desired(), observation: HostObservation(lastReport: ReceivedReport(report, receivedAt: start)))
  }

  private func pending(_ milliseconds: UInt32, manual: Bool = false) -> PendingChange {
    PendingChange(
      transaction: TransactionID(bytes: [UInt8](repeating: 2, count: 16))!, manifest: wanted, serial: Serial(9),
      millisecondsLeft: milliseconds, isManual: manual)
  }

  @Test func `a change that waits is counted down by our own clock, and is over when its time is`() {
    let fresh = status(makeReport(pending: pending(60_000)), age: 17)
    #expect(fresh.pending?.secondsLeft == 43)
    #expect(fresh.reasons == ["release 9 is applied and waits to be confirmed, until 2026-11-21T00:01:00Z"])
    #expect(!fresh.isGood && fresh.concern == .pending)
    #expect(status(makeReport(pending: pending(60_000, manual: true))).reasons[0].contains("by hand, until 2026-"))
    let over = status(makeReport(pending: pending(60_000)), age: 61)
    #expect(over.pending?.secondsLeft == 0)
    #expect(over.reasons[0].hasSuffix("it has gone back by now"))
  }

  @Test func `what root did at the console is said with its reason, safe to print`() {
    let safe = status(
      makeReport(degraded: "broken", localAct: LocalAct(deed: .safe, at: start, reason: "lost\u{1b}[2J")))
    #expect(safe.reasons.count == 1)
    #expect(safe.reasons[0].hasPrefix("safe policy loaded at the console by root at 2026-11-21T00:00:00Z: lost"))
    #expect(!safe.reasons[0].unicodeScalars.contains("\u{1b}"))
    let back = status(makeReport(localAct: LocalAct(deed: .rollback, at: start, reason: "")))
    #expect(back.reasons == ["rolled back at the console by root at 2026-11-21T00:00:00Z"])
    #expect(!back.isGood && back.concern == .pending)
    // Without root's hand, a degraded host says why it is, safe to print.
    #expect(
      status(makeReport(degraded: "no such match\u{1b}")).reasons == [
        "the safe policy is loaded, because the committed rules could not be: no such match\\u{1b}"
      ])
  }

  @Test func `owners are passed on`() {
    #expect(status(makeReport(owners: [.docker, .fail2ban])).owners == [.docker, .fail2ban])
    #expect(status(makeReport()).isGood)
  }

  @Test func `every worry of a host is a finding with a hint, and a good host has none`() {
    #expect(Finding.of(status(makeReport()), otherBackendRules: 0).isEmpty)
    var report = makeReport(
      degraded: "broken", conflicts: ["ufw"], pending: pending(9000),
      localAct: LocalAct(deed: .safe, at: start, reason: "x"))
    report.agentVersion = "0.0.9"
    let findings = Finding.of(status(report, age: 4000), otherBackendRules: 3)
    #expect(
      findings.map(\.check) == [
        "stale", "degraded", "conflict", "other-backend", "agent-version", "local", "pending",
      ])
    #expect(findings.allSatisfy { !$0.hint.isEmpty && !$0.problem.isEmpty })
    let silent = StatusJudge(now: start).judge(web1, desired: nil, observation: HostObservation())
    #expect(Finding.of(silent, otherBackendRules: 0).map(\.check) == ["stale"])
  }

  @Test func `only a hooked table of nobody known that may drop is a worry, and its name cannot harm`() {
    var report = makeReport()
    func table(_ name: String, _ owner: TableOwner? = nil, isHooked: Bool = true, drops: Bool = true)
      -> OthersReport.Table
    {
      OthersReport.Table(family: "inet", name: name, owner: owner, isHooked: isHooked, drops: drops, digest: wanted)
    }
    report.others = OthersReport(
      tables: [
        table("gu\u{1b}ard"), table("netavark", .podman), table("a", isHooked: false), table("b", drops: false),
      ], problem: "bu\u{7}sy")
    let findings = Finding.of(status(report), otherBackendRules: 0)
    #expect(findings.map(\.check) == ["foreign-table", "foreign-unknown"])
    #expect(findings[0].problem == "the nft table inet gu\\u{1b}ard may drop packets that our rules accept")
    #expect(findings[1].problem == "what else filters packets is not known: bu\\u{7}sy")
  }

  @Test func `what is not known of others has a hint for each way to mend it`() {
    var report = makeReport()
    report.others = OthersReport(
      problem:
        "nf_tables: busy; others-found was not written until 2026-11-22T08:00:00Z: nobody can tell what came before; "
        + "kernel-rules was not written until 2026-11-22T08:00:00Z: nobody can tell what came before")
    let findings = Finding.of(status(report), otherBackendRules: 0)
    #expect(findings.map(\.check) == ["foreign-unknown", "foreign-late"])
    #expect(findings[0].problem == "what else filters packets is not known: nf_tables: busy")
    #expect(
      findings[1].problem.hasPrefix("others-found was not") && findings[1].problem.contains("; kernel-rules was not"))
    #expect(findings[1].hint.contains("--accept-others") && !findings[0].hint.contains("--accept-others"))
    for (words, check) in [
      ("no program on this host prints the other backend's tables: ipv4 filter", "foreign-unprinted"),
      (
        "too many sets without names, and maps of verdicts, to compare what is in them: inet a has 2000",
        "foreign-crowded"
      ),
    ] {
      report.others?.problem = words
      let told = Finding.of(status(report), otherBackendRules: 0)
      #expect(told.map(\.check) == [check] && told[0].problem == words)
    }
  }

  @Test func `software that only a newer agent knows is no worry, and is named`() {
    var report = makeReport()
    report.ownerWords = ["docker", "newer"]
    var table = OthersReport.Table(
      family: "inet", name: "t", owner: nil, isHooked: true, drops: true, digest: wanted)
    table.ownerWord = "newer"
    report.others = OthersReport(tables: [table])
    #expect(Finding.of(status(report), otherBackendRules: 0).isEmpty)
    #expect(status(report).ownerWords == ["docker", "newer"] && status(report).owners == [.docker])
  }

  @Test func `a host whose programs changed says so, and is no worse for it`() {
    var report = makeReport()
    report.renewal = Renewal(from: "1.8.7 nft", to: "1.8.9 nft", at: start)
    let status = status(report)
    #expect(status.isGood)
    #expect(
      status.reasons == [
        "its iptables changed from 1.8.7 nft to 1.8.9 nft: the committed rules were rehearsed again on \(start)"
      ])
  }

  @Test func `chains of ours are shown under their own names and hooks are labelled`() throws {
    let text = """
      *filter
      :INPUT DROP [0:0]
      :PCL-INPUT - [0:0]
      :PCL:more - [0:0]
      :PCL:web - [0:0]
      :PCLOSE - [0:0]
      -A INPUT -j PCL-INPUT
      -A INPUT -j PCLOSE
      -A PCL:web -j PCL:more
      COMMIT

      """
    let before = try Ruleset.parse(save: Array("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n".utf8), file: "before")
    let after = try Ruleset.parse(save: Array(text.utf8), file: "after")
    let lines = RulesetDiff.unified(from: before, to: after).lines.map(\.shown)
    for line in [
      "+:INPUT DROP", "+-A INPUT -j PCL-INPUT   (our hook in INPUT)", "+-A INPUT -j PCLOSE",
      "+:INPUT -   (our chain PCL-INPUT)", "+:web -   (our chain PCL:web)", "+-A web -j more", "+:PCLOSE -",
    ] {
      #expect(lines.contains(line), "\(lines)")
    }
  }

  @Test func `a set or a setting that differs is called no chain`() throws {
    let text = """
      *ipset
      :PCL-508bdd9fd82e604f1a0c - [0:0]
      -A PCL-508bdd9fd82e604f1a0c 192.0.2.7
      COMMIT
      *sysctl
      :net.ipv4.ip_forward - [0:0]
      -A net.ipv4.ip_forward 1
      COMMIT

      """
    let after = try Ruleset.parse(save: Array(text.utf8), file: "after")
    let lines = RulesetDiff.unified(from: Ruleset(), to: after).lines.map(\.shown)
    #expect(lines.contains("+:PCL-508bdd9fd82e604f1a0c -") && lines.contains("+:net.ipv4.ip_forward -"), "\(lines)")
    #expect(lines.contains("+-A PCL-508bdd9fd82e604f1a0c 192.0.2.7"), "\(lines)")
  }

  @Test func `hosts that were not compared for the same reason are one group`() {
    let drifts = ["a", "b"].map { HostDrift(host: HostID($0)!, notCompared: "too long") }
    let groups = DriftGroup.fold(drifts)
    #expect(groups.map(\.hosts.count) == [2])
    guard case .unreadable("too long") = groups[0].finding else { return #expect(Bool(false)) }
  }
}
