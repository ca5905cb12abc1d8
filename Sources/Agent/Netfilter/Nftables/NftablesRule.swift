internal import Core

/// One rule: what it does, without what it counted.
struct NftablesRule {
  /// Equal for rules that do the same in the same words.
  private(set) var content: [UInt8]
  /// It can end in a drop or a rejection.
  private(set) var drops = false

  init(expressions: ArraySlice<UInt8>, compatibility: ArraySlice<UInt8>, remarks: ArraySlice<UInt8>) {
    var content = ByteWriter()
    for expression in NetlinkReply.list(expressions) {
      // NFTA_EXPR_NAME 1, NFTA_EXPR_DATA 2.
      let parts = Dictionary(NetlinkReply.list(expression.content).map { ($0.type, $0.content) }) { first, _ in first }
      let name = parts[1].map(NftablesMessages.text) ?? ""
      let data = parts[2] ?? []
      content.text(name)
      content.string(Self.lasting(data, of: name))
      if Self.drops(name, data) { drops = true }
    }
    content.string(compatibility)
    content.string(remarks)
    self.content = content.bytes
  }

  private static func lasting(_ data: ArraySlice<UInt8>, of name: String) -> ArraySlice<UInt8> {
    switch name {
    case "counter", "last": return []
    case "quota":
      // NFTA_QUOTA_BYTES 1, NFTA_QUOTA_FLAGS 2; 4 is how much was used.
      var kept = ByteWriter()
      for part in NetlinkReply.list(data) where part.type <= 2 { kept.string(part.content) }
      return kept.bytes[...]
    default: return data
    }
  }

  private static func drops(_ name: String, _ data: ArraySlice<UInt8>) -> Bool {
    let parts = Dictionary(NetlinkReply.list(data).map { ($0.type, $0.content) }) { first, _ in first }
    switch name {
    case "reject": return true
    // NFTA_TARGET_NAME 1: iptables' extensions.
    case "target": return parts[1].map(NftablesMessages.text) == "REJECT"
    // NFTA_IMMEDIATE_DATA 2, NFTA_DATA_VERDICT 2, NFTA_VERDICT_CODE 1; NF_DROP is 0.
    case "immediate":
      guard let verdict = parts[2].flatMap({ NetlinkReply.list($0).first }), verdict.type == 2 else { return false }
      return NetlinkReply.list(verdict.content).first { $0.type == 1 }
        .flatMap { NftablesMessages.bigEndian($0.content) } == 0
    // NFTA_LOOKUP_DREG 3: a map to verdicts has its result in register 0, and may hold a drop.
    case "lookup": return parts[3].flatMap(NftablesMessages.bigEndian) == 0
    default: return false
    }
  }
}
