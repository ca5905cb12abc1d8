internal import Audit
internal import Core
internal import Inventory
internal import Operations

/// Hosts that differ after a repair on the same sides, and what to do about it.
package struct StillDrifted: Encodable, Sendable {
  let hosts: [String]
  /// "running rules", "on disk", "beside the rules"; none where nobody could tell.
  let sides: [String]
  let hints: [String]

  static func fold(_ differing: [DriftRepair.Outcome.Host]) -> [StillDrifted] {
    Dictionary(grouping: differing, by: \.sides).map { sides, members in
      let hosts = members.map(\.host).sorted().map(\.description)
      return StillDrifted(
        hosts: hosts, sides: sides.map(\.rawValue),
        hints: sides.isEmpty
          ? ["portcullis drift -l '\(Folding.fold(hosts))' shows what"] : sides.map { hint($0, Folding.fold(hosts)) })
    }.sorted { $0.hosts[0] < $1.hosts[0] }
  }

  private static func hint(_ side: DriftSide, _ hosts: String) -> String {
    switch side {
    case .running:
      "somebody changes the running rules back: portcullis drift --watch -l '\(hosts)' tells who"
    case .disk:
      "a repair writes our rules only: portcullis enroll '\(hosts)' puts back what an enrolment wrote; what else differs on "
        + "disk is removed on the host, or waived"
    case .beside:
      "settings and sets that are other again were set back by somebody on the host; a repair takes nothing away from "
        + "others: remove it there, accept it (drift repair --accept-others), or waive it (drift waive)"
    }
  }

  func text(_ style: TextStyle) -> String {
    let place = sides.isEmpty ? "" : " (\(sides.joined(separator: ", ")))"
    return Paint.bad.on("still drifted\(place): \(Folding.fold(hosts))", style) + "\n"
      + hints.map { "  hint: \($0)\n" }.joined()
  }
}
