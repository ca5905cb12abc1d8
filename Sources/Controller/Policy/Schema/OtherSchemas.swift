enum OtherSchemas {
  private typealias Shapes = SchemaShapes

  /// An Ansible inventory: groups within groups, any variables. Ours are checked by `validate`.
  static var inventory: JSONText {
    func any(of value: JSONText? = nil) -> JSONText {
      JSONText.object([("type", ["object", "null"])]).with(value.map { [("additionalProperties", $0)] } ?? [])
    }
    let group = Shapes.object([
      ("hosts", any(of: any())), ("vars", any()), ("children", any(of: Shapes.reference("group"))),
    ]).orNull
    return JSONText.object([
      ("type", "object"), ("additionalProperties", Shapes.reference("group")), ("definitions", ["group": group]),
    ]).titled("Portcullis inventory")
  }

  static var config: JSONText {
    let text = Shapes.text
    let people = Shapes.number(1, 16)
    let span = Shapes.text(matching: "^[0-9]+[smhd]$")
    return Shapes.object(
      [
        ("fleet", text), ("inventory", Shapes.oneOrMany(text)), ("policies", text), ("state", text),
        (
          "keys",
          Shapes.object([
            ("allowed_signers", text), ("signing_key", text), ("lockdown_key", text), ("unlock_key", text),
            ("thresholds", Shapes.object([("lockdown", people), ("unlock", people)])),
          ])
        ),
        ("ssh", Shapes.object([("identity", text), ("known_hosts", text), ("admin_identity", text)])),
        ("controllers", ["type": "array", "items": text]), ("release", Shapes.object([("valid_for", span)])),
        ("report", Shapes.object([("stale_after", span)])),
        (
          "retention",
          Shapes.object([("reports", span), ("events", span), ("releases", Shapes.number(2, 10_000))])
        ),
        ("agents", text), ("lab", text),
      ], required: ["fleet"]
    ).titled("Portcullis configuration")
  }
}
