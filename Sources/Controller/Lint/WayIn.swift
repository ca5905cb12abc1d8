internal import Core
internal import Ruleset

/// How one controller gets in by SSH, at the port of sshd that is open widest.
private struct WayIn {
  enum Width: Comparable {
    case none, perhaps, open
  }

  let controller: String
  let family: Family
  let width: Width
  /// What stands in its way.
  let place: SourceLocation
  /// What stands in its way is a translation.
  let isDiverted: Bool

  /// A port that is translated to another one of sshd's is judged by that one.
  static func isWorse(_ a: WayIn, _ b: WayIn) -> Bool {
    (a.width, a.isDiverted ? 0 : 1) < (b.width, b.isDiverted ? 0 : 1)
  }
}

extension ReachLints {
  func ssh() -> [LintFinding] {
    let found = subject.controllers.compactMap { wayIn(from: $0) }
    guard let best = found.map(\.width).max() else { return [] }
    let ports = "SSH (port \(PortSet(subject.sshPorts.map { $0...$0 }).words))"
    // One way in is enough to mend the rest.
    guard best < .open else {
      return found.filter { way in
        way.width < .open && (way.width == .none || way.isDiverted)
          && !(way.family == .ipv6 && subject.facts.closesIPv6)
      }.map { way in
        way.width == .perhaps
          ? finding("this may send \(ports) from \(way.controller) elsewhere", way, "some \(way.controller)", .warning)
          : finding(
            "\(ports) from \(way.controller) cannot get in, although it can from another controller", way,
            "some \(way.controller)", .warning)
      }
    }
    guard let first = found.first(where: { $0.width == best }) else { return [] }
    return switch (best, first.isDiverted) {
    case (.perhaps, true):
      [finding("this may send \(ports) from the controllers elsewhere", first, "perhaps diverted", .warning)]
    case (.perhaps, false):
      [
        finding(
          "whether \(ports) from the controllers gets in cannot be told from these rules", first, "perhaps", .warning)
      ]
    case (_, true): [finding("this sends \(ports) from the controllers elsewhere", first, "diverted", .error)]
    case (_, false): [finding("\(ports) from the controllers cannot get in", first, "none", .error)]
    }
  }

  private func finding(
    _ message: String, _ way: WayIn, _ subject: String, _ severity: LintSeverity
  ) -> LintFinding {
    LintFinding(
      .noSSHFromControllers, severity: severity, at: way.place, message,
      hint: way.isDiverted
        ? "translate another port, or only what others send (`from`) or ask of other addresses (`to`)"
        : "accept the service ssh from controllers",
      subject: subject)
  }

  /// Nil for what is no address, and where sshd has no port.
  private func wayIn(from controller: String) -> WayIn? {
    let family: Family = controller.utf8.contains(UInt8(ascii: ":")) ? .ipv6 : .ipv4
    guard let prefix = AddressPrefix(matched: controller, family) else { return nil }
    let ways = subject.sshPorts.map { port in
      var probe = PacketProbe(family, .input, .tcp, state: .new, from: .address(prefix), to: .own)
      probe.sourcePort = Self.clientPort
      probe.destinationPort = port
      return way(of: walk(probe), controller, family)
    }
    return ways.max(by: WayIn.isWorse)
  }

  private func way(of passage: Passage, _ controller: String, _ family: Family) -> WayIn {
    let width: WayIn.Width =
      passage.fates.contains(.accepted) ? .open : passage.fates.contains(.perhapsAccepted) ? .perhaps : .none
    if let diversion = passage.diversion, diversion.isCertain || width > .none,
      let place = subject.place(family, diversion.rule)
    {
      return WayIn(
        controller: controller, family: family, width: diversion.isCertain ? .none : .perhaps, place: place,
        isDiverted: true)
    }
    return WayIn(
      controller: controller, family: family, width: width, place: place(of: passage, family, chain: "INPUT"),
      isDiverted: false)
  }
}
