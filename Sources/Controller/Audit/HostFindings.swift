internal import Core
internal import Wire

/// Something an operator should do, and how.
package struct Finding: Hashable, Sendable {
  /// One word for scripts: `conflict`, `stale` …
  package let check: String
  /// In words for an operator, safe to print; equal for equal cases, so that hosts fold.
  package let problem: String
  package let hint: String

  package init(check: String, problem: String, hint: String) {
    self.check = check
    self.problem = problem
    self.hint = hint
  }
}

extension Finding {
  /// Not `--now`: stopping nftables.service flushes every rule of every family, and ufw's file decides, not its unit.
  private static func hint(disabling service: String) -> String {
    let how =
      service == "ufw" ? "set ENABLED=no in /etc/ufw/ufw.conf" : "systemctl disable \(service), without --now"
    return "move what is needed into the policy, then on the host: \(how) (stopping it can flush every rule, ours too)"
  }

  /// Of what nobody known keeps: a drop there counts, whatever our rules accept.
  private static func others(_ others: OthersReport?) -> [Finding] {
    guard let others else { return [] }
    let findings = others.tables.filter { $0.ownerWord == nil && $0.isHooked && $0.drops }.map { table in
      let name = SafeText.escape("\(table.family) \(table.name)")
      return Finding(
        check: "foreign-table", problem: "the nft table \(name) may drop packets that our rules accept",
        hint: "on the host: nft list ruleset shows it; move what is needed into the policy, and remove the table")
    }
    return findings + (others.problem.map(unknown) ?? [])
  }

  /// What keeps the next order from doing what it says, or kept the last one from it.
  private static func lockdown(_ status: LockdownStatus?) -> [Finding] {
    guard let status else { return [] }
    let unstaged = status.problems.map { words in
      Finding(
        check: "unstaged", problem: words,
        hint:
          "mend that on the host, which tries again within an hour; an order for it would load the built-in profile "
          + "instead, which shuts more, if even that loads")
    }
    guard let lock = status.lock else { return unstaged }
    let hint = "portcullis status HOST -o json shows what is known; on the host: journalctl -u portcullis-agent"
    switch lock.phase {
    case .locked: return unstaged
    case .locking:
      let words = "order \(lock.epoch) is recorded there, and no lockdown is read back yet"
      return unstaged + [Finding(check: "locking", problem: words, hint: hint)]
    case .fallback:
      let words = "the built-in lockdown stands in for profile \(lock.profile), which would not load"
      return unstaged + [Finding(check: "fallback", problem: words, hint: hint)]
    }
  }

  /// One for each way to mend it.
  private static func unknown(_ problem: String) -> [Finding] {
    let parts = OthersProblem.parts(of: problem)
    return OthersProblem.allCases.compactMap { kind -> Finding? in
      guard let words = parts[kind].map({ SafeText.escape($0.joined(separator: "; ")) }) else { return nil }
      switch kind {
      case .unread:
        return Finding(
          check: "foreign-unknown", problem: "what else filters packets is not known: \(words)",
          hint: "portcullis status --refresh asks again; a program that never stops changing rules is the usual reason")
      case .unprinted:
        return Finding(
          check: "foreign-unprinted", problem: words,
          hint:
            "on the host: install the other backend's programs, or remove its tables; a reboot drops what nobody loads")
      case .crowded:
        return Finding(
          check: "foreign-crowded", problem: words,
          hint: "on the host: put the members into sets that have names, or remove what nobody needs")
      case .late:
        return Finding(
          check: "foreign-late", problem: words,
          hint: "look at what the host has beside our rules (portcullis status HOST -o json); its next release or "
            + "portcullis drift repair --accept-others says that it is as it is to be")
      }
    }
  }

  /// What a host's last report gives to worry about besides drift, which has a verb of its own.
  ///
  /// - Parameter otherBackendRules: as the host reported.
  package static func of(_ status: HostStatus, otherBackendRules: Int) -> [Finding] {
    var findings: [Finding] = []
    func add(_ check: String, _ problem: String, _ hint: String) {
      findings.append(Finding(check: check, problem: problem, hint: hint))
    }
    switch status.contact {
    case .fresh: break
    case .stale:
      add(
        "stale", status.age == nil ? "it never reported" : "its last report is old",
        "portcullis status --refresh asks it")
    case .unreachable:
      add("unreachable", "the controller could not talk to it when last asked", "portcullis status --refresh says why")
    }
    if status.modifiers.contains(.degraded) {
      add(
        "degraded", "the safe policy is loaded, which lets the managers in and nothing else",
        "portcullis status says why it was loaded; portcullis apply --refresh loads the host's own rules again")
    }
    if let ahead = status.clockAhead, abs(ahead) > StatusJudge.toldSkew {
      add(
        "host-clock", "its clock is \(ahead > 0 ? "ahead of" : "behind") this machine's",
        "set it there (timedatectl): it judges by its own clock whether a release may still be installed")
    }
    for service in status.conflicts {
      add(
        "conflict", "\(service) is enabled too, and loads rules of its own at boot",
        Self.hint(disabling: service))
    }
    if otherBackendRules > 0 {
      add(
        "other-backend", "the other iptables backend holds rules, which judge every packet too",
        "on the host: see them with iptables-legacy-save or iptables-nft-save, and move what is needed into the policy")
    }
    findings += Self.others(status.others)
    findings += Self.lockdown(status.lockdown)
    for words in status.unstaged {
      add(
        "unstaged", words,
        "portcullis apply -l HOST brings it, portcullis status --refresh asks; until then an order for it is refused")
    }
    if let version = status.agentVersion, version != ProductVersion.current {
      add(
        "agent-version", "its agent is \(version), this controller is \(ProductVersion.current)",
        "portcullis enroll HOST puts the agent of this version there")
    }
    if let act = status.localAct {
      add("local", act.words, "portcullis apply brings back what the fleet's policy wants")
    }
    if let pending = status.pending {
      add(
        "pending", "a change waits to be confirmed",
        pending.isManual
          ? "portcullis confirm or portcullis cancel" : "wait for the apply that made it, then look again")
    }
    return findings
  }
}
