import Foundation
import Testing

/// What people are told of mistakes in their files, and of rules that do not load, before anything is sent. No lab is
/// needed: nobody is enrolled.
@Suite(.enabled(if: Machine.obstacle == nil, "the executables, root and iptables are needed"))
struct MistakesTests {
  /// A fleet in a folder of its own, of one policy for all unless told otherwise.
  final class Fleet {
    let folder: String

    init(_ items: String = "", hosts: String = "web1: {}", files: [String: String] = [:]) throws {
      folder = "\(try Machine.scratch())/mistakes-\(UInt64.random(in: .min ... .max))"
      try write("fleet: lab\ninventory: hosts.yaml\n", to: "\(folder)/portcullis.yaml")
      try write("all: {hosts: {\(hosts)}}\n", to: "\(folder)/hosts.yaml")
      try write(Self.policy(items), to: "\(folder)/policies/web.yaml")
      for (name, text) in files { try write(text, to: "\(folder)/\(name)") }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    static func policy(_ more: String = "", name: String = "web", to: String = "all") -> String {
      """
      policy: \(name)
      applies_to: \(to)
      defaults: {input: drop, forward: drop, output: accept}
      input:
        - accept: established
        - accept: {in: lo}
        - accept: icmp-essential
        - accept: {service: ssh, from: controllers}
      \(more)

      """
    }

    static func raw(_ rule: String) -> String { "raw:\n  ipv4: |\n    *filter\n    -A INPUT \(rule)\n    COMMIT" }

    func portcullis(_ arguments: String...) async throws -> Finished {
      try await Command.run(Machine.portcullis, arguments, in: folder)
    }

    /// Below programs that take something away first: `script` ends by running "$@".
    func portcullis(after script: String, in namespaces: [String], _ arguments: String...) async throws -> Finished {
      try await Command.run(
        "/usr/bin/unshare", namespaces + ["/bin/sh", "-c", script, "sh", Machine.portcullis] + arguments, in: folder)
    }

    /// Rule and place of every finding.
    func findings(_ finished: Finished) throws -> [String] {
      try JSON(finished)["findings"].list.map { finding in
        let lint = finding["lint"]
        return "\(lint["rule"].text ?? "") \(lint["file"].text ?? ""):\(lint["line"].number ?? 0)"
      }
    }
  }

  // MARK: - The scratch load

  private static let refused = "-j REJECT --reject-with tcp-reset"

  @Test func whatNoKernelTakesIsAnErrorOfItsLine() async throws {
    let fleet = try Fleet(Fleet.raw(Self.refused))
    let text = try await fleet.portcullis("validate")
    #expect(text.status == 1, "\(text)")
    #expect(text.out.contains("error: policies/web.yaml:12:"), "\(text)")
    #expect(text.out.contains("[does-not-load]") && text.out.contains("Invalid argument"), "\(text)")
    #expect(text.out.contains("hosts: web1"), "\(text)")
    let json = try await fleet.portcullis("validate", "-o", "json")
    #expect(json.status == 1)
    #expect(try fleet.findings(json) == ["does-not-load policies/web.yaml:12"])
  }

  @Test func planTellsItAndApplyStopsBeforeItSends() async throws {
    let fleet = try Fleet(Fleet.raw(Self.refused))
    let plan = try await fleet.portcullis("plan")
    #expect(plan.status == 2 && plan.err.contains("policies/web.yaml:12:"), "\(plan)")
    #expect(plan.err.contains("apply will refuse this: 1 error"), "\(plan)")
    let apply = try await fleet.portcullis("apply", "--yes")
    #expect(apply.status == 5 && apply.err.contains("policies/web.yaml:12:"), "\(apply)")
    #expect(apply.err.contains("nothing was sent"), "\(apply)")
    // Only then it comes as far as to see that nobody is enrolled.
    let despite = try await fleet.portcullis("apply", "--yes", "--despite-errors", "--reason", "drill")
    #expect(despite.status == 1 && despite.err.contains("enrolled"), "\(despite)")
    #expect(try await fleet.portcullis("apply", "--yes", "--despite-errors").status == 64)
  }

  @Test(arguments: [
    ("-m nosuchmatch --nosuch 1 -j ACCEPT", "nosuchmatch"), ("-j NOSUCHTARGET", "NOSUCHTARGET"),
    ("-p tcp -j NOSUCHTARGET --nosuch 1", "NOSUCHTARGET"),
  ])
  func anExtensionThatThisMachineLacksIsAWarningAlsoWhenStrict(rule: String, name: String) async throws {
    let fleet = try Fleet(Fleet.raw(rule))
    for flags in [[], ["--strict"]] {
      let found = try await Command.run(Machine.portcullis, ["validate"] + flags, in: fleet.folder)
      #expect(found.status == 0, "\(found)")
      #expect(found.out.contains("warning: policies/web.yaml:12:"), "\(found)")
      #expect(found.out.contains("[not-tried-here]") && found.out.contains(name), "\(found)")
      // What is printed for whoever typed the program's name.
      #expect(!found.said.contains("--help") && !found.said.contains("Try `"), "\(found)")
    }
  }

  @Test func whatIsLackingDoesNotHideWhatIsWrong() async throws {
    let fleet = try Fleet(Fleet.raw("-m nosuchmatch --nosuch 1 -j ACCEPT\n    -A INPUT \(Self.refused)"))
    let found = try await fleet.portcullis("validate", "-o", "json")
    #expect(found.status == 1)
    #expect(
      try fleet.findings(found) == ["not-tried-here policies/web.yaml:12", "does-not-load policies/web.yaml:13"])
  }

  @Test func usersThatOnlyHostsHaveAreNoMistake() async throws {
    let fleet = try Fleet("raw:\n  ipv4: |\n    *filter\n    -A OUTPUT -m owner --uid-owner 4711 -j ACCEPT\n    COMMIT")
    let found = try await fleet.portcullis("validate", "-o", "json")
    #expect(try found.status == 0 && fleet.findings(found).isEmpty, "\(found)")
    // Nobody but root may make other namespaces: one in which there is but one user.
    let user = try await fleet.portcullis(
      after: "exec setpriv --reuid 65534 --clear-groups \"$@\"", in: ["--mount"], "validate", "-o", "json")
    #expect(user.status == 0, "\(user)")
  }

  @Test(arguments: [
    ("-m set --match-set blocklist src -j DROP", "Set blocklist doesn't exist"),
    ("-m owner --uid-owner nosuchuser -j ACCEPT", "nosuchuser"),
    ("-m owner --gid-owner nosuchgroup -j ACCEPT", "nosuchgroup"),
  ])
  func setsAndUsersThatOnlyHostsHaveAreAWarning(rule: String, name: String) async throws {
    let wrong = "-A OUTPUT -p tcp -j DROP --nosuch 1"
    for (more, status, count) in [("", Int32(0), 1), ("\n    \(wrong)", 1, 2)] {
      let fleet = try Fleet("raw:\n  ipv4: |\n    *filter\n    -A OUTPUT \(rule)\(more)\n    COMMIT")
      let found = try await fleet.portcullis("validate")
      #expect(found.status == status && found.out.contains("[not-tried-here]") && found.out.contains(name), "\(found)")
      let json = try await fleet.portcullis("validate", "-o", "json")
      let ofTrial = try fleet.findings(json).filter { $0.hasPrefix("not-tried-here") || $0.hasPrefix("does-not-load") }
      #expect(ofTrial.count == count, "\(json)")
    }
  }

  @Test func setsAreThereWhenTheRulesThatNameThemAreLoaded() async throws {
    let members = (0..<70).map { "10.\($0).0.1" }.joined(separator: ", ")
    let fleet = try Fleet("  - accept: {tcp: \"80\", from: many}\nsets:\n  many: [\(members)]")
    let rendered = try await fleet.portcullis("render", "web1")
    #expect(rendered.out.contains("--match-set"), "\(rendered)")
    let found = try await fleet.portcullis("validate", "-o", "json")
    #expect(found.status == 0 && found.err.isEmpty, "\(found)")
    #expect(try JSON(found)["not_loaded"].text == nil, "\(found)")
    // Without the program that makes them.
    let without = try await fleet.portcullis(
      after: "mount --bind /dev/null /usr/sbin/ipset && exec \"$@\"", in: ["--mount"], "validate")
    #expect(without.status == 0, "\(without)")
    #expect(without.err.components(separatedBy: "not loaded for trial").count == 2, "\(without)")
  }

  @Test(arguments: [
    // No programs.
    ("mount -t tmpfs none /usr/sbin && exec \"$@\"", ["--mount"], "there is no /usr/sbin/iptables-nft-restore"),
    // No namespaces.
    (
      "echo 0 > /proc/sys/user/max_net_namespaces && echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"",
      ["--user", "--map-root-user"], "unshare"
    ),
  ])
  func whereNothingCanBeTriedItIsSaidOnce(script: String, namespaces: [String], why: String) async throws {
    let fleet = try Fleet(Fleet.raw(Self.refused), hosts: "web1: {}, web2: {portcullis_controllers: [192.0.2.9]}")
    for verb in ["validate", "plan"] {
      let found = try await fleet.portcullis(after: script, in: namespaces, verb)
      #expect(found.status == 0, "\(found)")
      let notes = found.err.split(separator: "\n").filter { $0.hasPrefix("note: ") }
      #expect(notes.count == 1 && notes[0].contains("not loaded for trial") && notes[0].contains(why), "\(found)")
    }
  }

  // MARK: - Outputs

  private static let broken = [
    "policies/b.yaml": "policy: b\naplies_to: all\n", "policies/c.yaml": "policy: c\ninput: 5\n",
  ]

  @Test func filesThatCannotBeCompiledAreResultsToo() async throws {
    let fleet = try Fleet(files: Self.broken)
    let json = try await fleet.portcullis("validate", "-o", "json")
    #expect(json.status == 1, "\(json)")
    let findings = try fleet.findings(json)
    #expect(findings.contains("invalid-file policies/b.yaml:2"), "\(json)")
    #expect(findings.contains("invalid-file policies/c.yaml:2"), "\(json)")
    let first = try #require(try JSON(json)["findings"].list.map { $0["lint"] }.first { $0["line"].number == 2 })
    #expect(first["column"].number == 1 && first["severity"].text == "error")
    #expect(first["message"].text?.contains("aplies_to") == true && first["hint"].text?.contains("applies_to") == true)
    let lines = try await fleet.portcullis("validate", "-o", "ndjson")
    #expect(lines.status == 1 && lines.out.contains("invalid-file") && lines.out.contains("\"summary\""), "\(lines)")
    // A mistake before any policy is read.
    try write("fleet: lab\ninventry: hosts.yaml\n", to: "\(fleet.folder)/portcullis.yaml")
    let configuration = try await fleet.portcullis("validate", "-o", "json")
    #expect(try configuration.status == 1 && fleet.findings(configuration) == ["invalid-file portcullis.yaml:2"])
    let none = try await fleet.portcullis("validate", "-o", "json", "--config", "none.yaml")
    #expect(try none.status == 1 && fleet.findings(none) == ["invalid-file none.yaml:1"], "\(none)")
  }

  /// https://docs.oasis-open.org/sarif/sarif/v2.1.0/: what a log, a run, a result and a location must have.
  @Test(arguments: [(["policies/b.yaml": "policy: b\naplies_to: all\n"], "invalid-file"), ([:], "does-not-load")])
  func sarifHasWhatItsStandardRequires(files: [String: String], id: String) async throws {
    let fleet = try Fleet(Fleet.raw(Self.refused), files: files)
    let finished = try await fleet.portcullis("validate", "-o", "sarif")
    #expect(finished.status == 1, "\(finished)")
    let log = try JSON(finished)
    #expect(log["version"].text == "2.1.0" && log["runs"].list.count == 1)
    let run = try #require(log["runs"].list.first)
    let driver = run["tool"]["driver"]
    #expect(driver["name"].text == "portcullis")
    let rules = driver["rules"].list.compactMap { $0["id"].text }
    #expect(Set(rules).count == rules.count && !rules.isEmpty)
    let results = run["results"].list
    #expect(results.contains { $0["ruleId"].text == id }, "\(finished)")
    for result in results {
      #expect(rules.contains(result["ruleId"].text ?? ""))
      #expect(["none", "note", "warning", "error"].contains(result["level"].text ?? ""))
      #expect(result["message"]["text"].text?.isEmpty == false)
      let place = try #require(result["locations"].list.first)["physicalLocation"]
      #expect(place["artifactLocation"]["uri"].text?.hasPrefix("policies/") == true)
      #expect((place["region"]["startLine"].number ?? 0) >= 1 && (place["region"]["startColumn"].number ?? 0) >= 1)
    }
  }

  @Test func everyErrorHasItsHintRightBelowIt() async throws {
    let fleet = try Fleet(files: [
      "policies/b.yaml": "policy: b\naplies_to: all\n", "policies/c.yaml": "policy: c\napplies_to: al\ninpt: []\n",
    ])
    for verb in ["validate", "plan", "apply"] {
      let refused = try await fleet.portcullis(verb)
      #expect(refused.status == 1, "\(refused)")
      let lines = refused.err.split(separator: "\n").map(String.init)
      let slips = lines.indices.filter { lines[$0].hasPrefix("error: ") && lines[$0].contains("unknown key") }
      #expect(slips.count == 2, "\(refused)")
      for (slip, name) in zip(slips, ["applies_to", "input"]) {
        #expect(lines.indices.contains(slip + 1) && lines[slip + 1] == "hint: did you mean \"\(name)\"?", "\(refused)")
      }
    }
  }

  // MARK: - What plan and apply tell

  @Test func mistakesConcerningAHostThatIsNotEnrolledAreToldByPlanAndStopApply() async throws {
    let fleet = try Fleet(
      hosts: "web1: {portcullis_controllers: [192.0.2.9]}",
      files: [
        "policies/web.yaml":
          "policy: web\napplies_to: all\ndefaults: {input: drop}\ninput:\n  - accept: {service: ssh, from: controllers}\n"
      ])
    let plan = try await fleet.portcullis("plan")
    #expect(plan.status == 2 && plan.err.contains("[no-loopback]") && plan.err.contains("hosts: web1"), "\(plan)")
    let apply = try await fleet.portcullis("apply", "--yes")
    #expect(apply.status == 5 && apply.err.contains("[no-loopback]"), "\(apply)")
    #expect(apply.err.contains("or say --despite-errors with a --reason"), "\(apply)")
  }

  @Test func whereOnlyTheWayInIsMissingTheFlagThatSufficesIsNamed() async throws {
    let fleet = try Fleet(
      hosts: "web1: {portcullis_controllers: [192.0.2.9]}",
      files: [
        "policies/web.yaml": Fleet.policy().replacingOccurrences(
          of: "  - accept: {service: ssh, from: controllers}\n", with: "")
      ])
    let apply = try await fleet.portcullis("apply", "--yes")
    #expect(apply.status == 5 && apply.err.contains("1 error above"), "\(apply)")
    #expect(apply.err.contains("or say --override-lockout with a --reason"), "\(apply)")
    // It is: the next thing that is wrong is that nobody is enrolled.
    let forced = try await fleet.portcullis("apply", "--yes", "--override-lockout", "--reason", "drill")
    #expect(forced.status == 1 && forced.err.contains("enrolled"), "\(forced)")
  }

  @Test func warningsOfTheInventoryAreFindingsLikeOthers() async throws {
    let fleet = try Fleet(files: ["group_vars/all.yaml": "$ANSIBLE_VAULT;1.1;AES256\n6162\n"])
    let plain = try await fleet.portcullis("validate")
    #expect(plain.status == 0 && plain.out.contains("[inventory-warning]"), "\(plain)")
    #expect(plain.out.contains("1 warning"), "\(plain)")
    #expect(try await fleet.portcullis("validate", "--strict").status == 2)
    #expect(try await fleet.portcullis("plan", "--strict").status == 2)
    let sarif = try JSON(try await fleet.portcullis("validate", "-o", "sarif"))
    #expect(sarif["runs"].list.first?["results"].list.map { $0["ruleId"].text } == ["inventory-warning"])
    let lines = try await fleet.portcullis("validate", "-o", "ndjson")
    #expect(lines.out.contains("\"rule\":\"inventory-warning\"") && lines.out.contains("\"warnings\":1"), "\(lines)")
  }

  @Test func warningsOfApplyAreALineAndStopItOnlyWhenStrict() async throws {
    let fleet = try Fleet("  - accept: {tcp: 80}\n  - accept: {tcp: 80}\nsets: {idle: [10.0.0.0/8]}")
    let apply = try await fleet.portcullis("apply", "--yes")
    #expect(apply.status == 1 && apply.err.contains("enrolled"), "\(apply)")
    #expect(apply.err.split(separator: "\n").count { $0.contains("warnings") } == 1, "\(apply)")
    #expect(!apply.err.contains("[unused-set]"), "\(apply)")
    let strict = try await fleet.portcullis("apply", "--yes", "--strict")
    #expect(strict.status == 5 && strict.err.contains("[unused-set]"), "\(strict)")
    #expect(try await fleet.portcullis("plan").status == 0)
    #expect(try await fleet.portcullis("plan", "--strict").status == 2)
  }

  @Test func errorsOfHostsOutsideTheLimitAreALine() async throws {
    let fleet = try Fleet(
      files: [
        "hosts.yaml": "all: {children: {web: {hosts: {web1: {}}}, db: {hosts: {db1: {}}}}}\n",
        "policies/web.yaml": Fleet.policy(to: "web"),
        "policies/db.yaml": Fleet.policy(name: "db", to: "db").replacingOccurrences(
          of: "    - accept: {in: lo}\n", with: ""
        ).replacingOccurrences(of: "  - accept: {in: lo}\n", with: ""),
      ])
    let beyond = "2 errors concern hosts outside the limit; see 'portcullis validate'"
    let apply = try await fleet.portcullis("apply", "--yes", "-l", "web1")
    // It comes as far as to see that nobody is enrolled.
    #expect(apply.status == 1 && apply.err.contains("enrolled"), "\(apply)")
    #expect(apply.err.contains(beyond) && !apply.err.contains("[no-loopback]"), "\(apply)")
    let plan = try await fleet.portcullis("plan", "-l", "web1")
    #expect(plan.status == 0 && plan.err.contains(beyond), "\(plan)")
    #expect(!plan.err.contains("apply will refuse this"), "\(plan)")
    for limit in [["-l", "db1"], ["-l", "all"], []] {
      let stopped = try await Command.run(Machine.portcullis, ["apply", "--yes"] + limit, in: fleet.folder)
      #expect(stopped.status == 5 && stopped.err.contains("[no-loopback]"), "\(stopped)")
      #expect(!stopped.err.contains("outside the limit"), "\(stopped)")
    }
    // What is wrong whoever runs it.
    try write("sets: {idle: [10.0.0.0/8]}\n", to: "\(fleet.folder)/policies/common.yaml")
    let everywhere = try await fleet.portcullis("apply", "--yes", "--strict", "-l", "web1")
    #expect(everywhere.status == 5 && everywhere.err.contains("[unused-set]"), "\(everywhere)")
  }

  @Test func hostsWithoutAPolicyAreOneLine() async throws {
    let fleet = try Fleet(
      hosts: "web1: {}, a1: {}, a2: {}, a3: {}",
      files: [
        "hosts.yaml": "all: {children: {web: {hosts: {web1: {}}}, other: {hosts: {a1: {}, a2: {}, a3: {}}}}}\n",
        "policies/web.yaml": Fleet.policy(to: "web"),
      ])
    let found = try await fleet.portcullis("validate")
    #expect(found.out.components(separatedBy: "[host-without-policy]").count == 2, "\(found)")
    #expect(found.out.contains("hosts: a[1-3]"), "\(found)")
  }

  // MARK: - A lock that cannot be read

  @Test func aLockLeftInConflictIsWrittenAnewByResolveAndRefusedByTheOthers() async throws {
    let lock = "<<<<<<< ours\nlocalhost 192.0.2.1\n=======\nlocalhost 192.0.2.2\n>>>>>>> theirs\n"
    let fleet = try Fleet("  - accept: {tcp: 80, from: localhost.example}", files: ["policies/dns.lock": lock])
    try write("127.0.0.1 localhost\n192.0.2.77 localhost.example\n", to: "\(fleet.folder)/hosts")
    let names = "mount --bind '\(fleet.folder)/hosts' /etc/hosts && exec \"$@\""
    for verb in ["plan", "validate"] {
      let refused = try await fleet.portcullis(verb)
      #expect(refused.status == 1 && refused.err.contains("policies/dns.lock:1:1"), "\(refused)")
      #expect(refused.err.contains("portcullis resolve"), "\(refused)")
    }
    // Nobody answers: what the lock holds is not thrown away.
    let silent = try await fleet.portcullis(after: "exec \"$@\"", in: ["--net"], "resolve")
    #expect(silent.status == 1 && silent.err.contains("localhost.example"), "\(silent)")
    #expect(try text(of: "\(fleet.folder)/policies/dns.lock") == lock)
    let checked = try await fleet.portcullis(after: names, in: ["--mount"], "resolve", "--check")
    #expect(checked.status == 2, "\(checked)")
    #expect(try text(of: "\(fleet.folder)/policies/dns.lock") == lock)
    let resolved = try await fleet.portcullis(after: names, in: ["--mount"], "resolve")
    #expect(resolved.status == 0, "\(resolved)")
    #expect(resolved.err.contains("policies/dns.lock cannot be read, and is written anew"), "\(resolved)")
    #expect(try text(of: "\(fleet.folder)/policies/dns.lock").hasSuffix("\nlocalhost.example 192.0.2.77\n"))
    #expect(try await fleet.portcullis("validate").status == 0)
  }
}
