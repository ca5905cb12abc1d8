internal import Core
internal import Release
internal import Ruleset
internal import Wire

// Management that comes through a tunnel: the profile lets it in by its address, and ends it with the tunnel.

extension HostAgent {
  /// - Returns: warnings, where some sources would still get in.
  func requireWayIn(_ layers: LockLayers, _ entry: ProfileEntry, _ sources: [String]) throws(Refusal) -> [String] {
    let ports = facts.sshPorts
    let lost = sources.compactMap { source -> String? in
      guard let tunnel = facts.tunnel(towards: source),
        !Family.allCases.contains(where: { layers.layers[$0].mayCarry(tunnel, sshPorts: ports) })
      else { return nil }
      return "\(SafeText.escape(source)) comes through \(SafeText.escape("\(tunnel.interface) (\(tunnel.kind))"))"
    }
    guard !lost.isEmpty else { return [] }
    let words = "\(lost.joined(separator: ", ")), whose own packets profile \(entry.name) does not keep"
    guard lost.count == sources.count else { return [words] }
    throw Refusal(
      code: .cannotLock,
      detail: cut("nobody could unlock this host: \(words); name the tunnel's flow under `keep`, in and out, and apply")
    )
  }
}
