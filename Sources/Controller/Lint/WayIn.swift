internal import Core
internal import Ruleset

/// How one controller gets in by SSH, at the port of sshd that is open widest.
private struct WayIn {
  enum Width: Comparable {
    case none, perhaps, open
  }

  /// What stands in its way.
  enum Obstacle: Equatable {
    /// Rules that let nothing of it in, or nobody knows.
    case rules
    /// A translation.
    case diversion
    /// A rule that has `when` or `until`.
    case time(String)
    /// The first packet gets in, and what follows it does not.
    case cut
  }

  let controller: String
  let family: Family
  let width: Width
  let place: SourceLocation
  let obstacle: Obstacle

  var isDiverted: Bool { obstacle == .diversion }

  /// A port that is translated to another one of sshd's is judged by that one.
  static func isWorse(_ a: WayIn, _ b: WayIn) -> Bool {
    (a.width, a.isDiverted ? 0 : 1) < (b.width, b.isDiverted ? 0 : 1)
  }
}

extension ReachLints {
  func ssh() -> [LintFinding] {
    let found = subject.controllers.compactMap { wayIn(from: $0) }
    guard let best = found.map(\.width).max() else { return [] }
    // One way in is enough to mend the rest.
    guard best < .open else {
      return found.filter { way in
        way.width < .open && (way.width == .none || way.isDiverted)
          && !(way.family == .ipv6 && subject.facts.closesIPv6)
      }.map { finding($0, from: $0.controller, isOneOfSeveral: true) }
    }
    return found.first { $0.width == best }.map { [finding($0, from: "the controllers", isOneOfSeveral: false)] } ?? []
  }

  private func finding(_ way: WayIn, from whom: String, isOneOfSeveral: Bool) -> LintFinding {
    let ssh = "SSH (port \(PortSet(subject.sshPorts.map { $0...$0 }).words)) from \(whom)"
    let others = isOneOfSeveral ? ", although it can from another controller" : ""
    let message =
      switch (way.width, way.obstacle) {
      case (.perhaps, .diversion): "this may send \(ssh) elsewhere"
      case (_, .diversion) where !isOneOfSeveral: "this sends \(ssh) elsewhere"
      case (_, .time(let key)): "whether \(ssh) gets in hangs on the time: this rule has `\(key)`"
      case (_, .cut): "\(ssh) gets in, and this drops what follows the first packet\(others)"
      case (.perhaps, _): "whether \(ssh) gets in cannot be told from these rules"
      default: "\(ssh) cannot get in\(others)"
      }
    let hint =
      switch way.obstacle {
      case .diversion: "translate another port, or only what others send (`from`) or ask of other addresses (`to`)"
      case .time: "accept the service ssh from controllers at any time, above it"
      case .cut: "accept what is established from the controllers above it"
      case .rules: "accept the service ssh from controllers"
      }
    let kind =
      way.width == .perhaps
      ? way.isDiverted ? "perhaps diverted" : "perhaps" : way.isDiverted ? "diverted" : "none"
    return LintFinding(
      .noSSHFromControllers, severity: isOneOfSeveral || way.width == .perhaps ? .warning : .error, at: way.place,
      message, hint: hint, subject: isOneOfSeveral ? "some \(way.controller)" : kind)
  }

  /// Nil for what is no address, and where sshd has no port.
  private func wayIn(from controller: String) -> WayIn? {
    let family: Family = controller.utf8.contains(UInt8(ascii: ":")) ? .ipv6 : .ipv4
    guard let prefix = AddressPrefix(matched: controller, family) else { return nil }
    let ways = subject.sshPorts.map { port in
      var probe = PacketProbe(family, .input, .tcp, state: .new, from: .address(prefix), to: .own)
      probe.sourcePort = Self.clientPort
      probe.destinationPort = port
      return way(of: probe, controller)
    }
    return ways.max(by: WayIn.isWorse)
  }

  /// At any time: rules that have one are asked inside all their windows, and outside of all.
  private func way(of probe: PacketProbe, _ controller: String) -> WayIn {
    let passage = walk(probe)
    let way = way(of: passage, controller, probe.family)
    guard way.width > .none, !way.isDiverted else { return way }
    let widths = PacketProbe.Moment.allCases.map { moment in
      var probe = probe
      probe.moment = moment
      return self.way(of: walk(probe), controller, probe.family).width
    }
    if way.width == .open, widths.allSatisfy({ $0 == .open }) { return cut(of: probe, controller) ?? way }
    let timed = passage.steps.lazy.compactMap { step in
      Self.time(of: step.rule).map { (step.rule, $0) }
    }.first
    guard widths[0] != widths[1], let (rule, key) = timed, let place = subject.place(probe.family, rule) else {
      return way
    }
    return WayIn(
      controller: controller, family: probe.family, width: .perhaps, place: place, obstacle: .time(key))
  }

  /// What follows the first packet, while windows are open or closed.
  private func cut(of first: PacketProbe, _ controller: String) -> WayIn? {
    for moment in PacketProbe.Moment.allCases {
      var probe = PacketProbe(first.family, .input, .tcp, state: .established, from: first.source, to: .own)
      probe.sourcePort = first.sourcePort
      probe.destinationPort = first.destinationPort
      probe.isReply = false
      probe.moment = moment
      let passage = walk(probe)
      guard passage.verdict == .dropped else { continue }
      return WayIn(
        controller: controller, family: first.family, width: .none,
        place: place(of: passage, first.family, chain: "INPUT"), obstacle: .cut)
    }
    return nil
  }

  /// The key that gave a rule its time.
  private static func time(of rule: RuleView) -> String? {
    guard let match = rule.opaque.first(where: { $0.module == "time" }) else { return nil }
    let windows = ["--timestart", "--timestop", "--weekdays", "--monthdays"]
    return match.words.contains(where: windows.contains) ? "when" : "until"
  }

  private func way(of passage: Passage, _ controller: String, _ family: Family) -> WayIn {
    let width: WayIn.Width =
      passage.fates.contains(.accepted) ? .open : passage.fates.contains(.perhapsAccepted) ? .perhaps : .none
    if let diversion = passage.diversion, diversion.isCertain || width > .none,
      let place = subject.place(family, diversion.rule)
    {
      return WayIn(
        controller: controller, family: family, width: diversion.isCertain ? .none : .perhaps, place: place,
        obstacle: .diversion)
    }
    return WayIn(
      controller: controller, family: family, width: width, place: place(of: passage, family, chain: "INPUT"),
      obstacle: .rules)
  }
}
