internal import Core

/// What `observe: true` puts in place of the final drop.
enum ObservingRules {
  /// The kernel fills it: source address, protocol and port, with packets and bytes.
  static func setName(_ family: Family) -> String { "PCL-OBSERVE-\(family == .ipv4 ? 4 : 6)" }

  static func texts(_ chain: String, _ family: Family) -> [String] {
    let set = "--match-set \(setName(family)) src,dst"
    return [
      "-A \(chain) -m set ! \(set) -j SET --add-set \(setName(family)) src,dst",
      "-A \(chain) -m limit --limit 6/min -j LOG --log-prefix \"pcl would drop: \"",
    ]
  }
}
