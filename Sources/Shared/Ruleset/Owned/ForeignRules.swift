package import Core

extension Ruleset {
  /// Whose chains these are, told by their names; ours do not count. Sorted.
  package var owners: [ForeignOwner] { [] }

  /// The chains of one owner, by table.
  package func chains(of owner: ForeignOwner) -> [(table: String, chain: String)] { [] }
}
