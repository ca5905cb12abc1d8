/// Something done to a good delivery, and how it must be refused.
struct Attack<Scene, Kind: Sendable>: Sendable, CustomStringConvertible {
  let description: String
  let kind: Kind
  /// What the sentence for the operator must say.
  let says: String
  let attack: @Sendable (inout Scene) throws -> Void

  init(
    _ description: String, _ kind: Kind, _ says: String, _ attack: @escaping @Sendable (inout Scene) throws -> Void
  ) {
    self.description = description
    self.kind = kind
    self.says = says
    self.attack = attack
  }
}
