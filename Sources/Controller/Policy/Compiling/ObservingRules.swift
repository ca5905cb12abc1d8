internal import Core
internal import Ruleset

/// What `observe: true` puts in place of the final drop.
enum ObservingRules {
  /// The kernel fills it: source address, protocol and port, with packets and bytes.
  static func setName(_ family: Family) -> String { SetName.observations(family) }

  static func texts(_ chain: String, _ family: Family) -> [String] {
    let set = "--match-set \(setName(family)) src,dst"
    return [
      "-A \(chain) -m set ! \(set) -j SET --add-set \(setName(family)) src,dst",
      "-A \(chain) -m limit --limit 6/min -j LOG --log-prefix \"pcl would drop: \"",
    ]
  }
}
