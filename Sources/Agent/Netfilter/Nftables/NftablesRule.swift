internal import Core

/// One rule: what it does, without what it counted.
struct NftablesRule {
  /// Equal for rules that do the same in the same words.
  private(set) var content: [UInt8]
  /// It can end in a drop or a rejection.
  private(set) var drops = false
  /// It says something that iptables' programs never do, so that they leave it out, or print less than it says.
  private(set) var isNative = false
  private(set) var mayPass = false
  private(set) var looksUpVerdict = false
  /// The chain that it jumps or goes to.
  private(set) var chain: String?
  /// Nothing in it but counters and a verdict.
  private(set) var isUnconditional = true
  /// What the packet comes to was said.
  private var hasActed = false
  /// The kernel looks no further.
  private var isDecided = false
  private var holdsConstant = false

  /// - Parameter nameless: what a set without a name holds: that stands for the name that the kernel gave it.
  init(
    family: UInt8 = 2, expressions: ArraySlice<UInt8>, compatibility: ArraySlice<UInt8>, remarks: ArraySlice<UInt8>,
    nameless: (ArraySlice<UInt8>) -> Digest? = { _ in nil }
  ) {
    var content = ByteWriter(capacity: expressions.count + compatibility.count + remarks.count + 64)
    self.content = []
    for expression in NetlinkReply.list(expressions) {
      // NFTA_EXPR_NAME 1, NFTA_EXPR_DATA 2.
      let parts = NetlinkFields(expression.content)
      let name = parts[1].map(NftablesMessages.text) ?? ""
      let data = parts[2] ?? []
      content.text(name)
      content.string(Self.lasting(data, of: name, nameless))
      take(name, NetlinkFields(data), family)
    }
    content.string(compatibility)
    content.string(remarks)
    self.content = content.bytes
  }

  private mutating func take(_ name: String, _ data: NetlinkFields, _ family: UInt8) {
    // The programs write one target, at the end, and print the last; the kernel obeys the first, and looks no further.
    if hasActed || Self.isNative(name, data, family) { isNative = true }
    // Their only constant is what TRACE sets; another one may stand in for what is compared.
    if holdsConstant, name != "meta" || data[3] == nil { isNative = true }
    holdsConstant = false
    if isDecided { return }
    if name != "counter" && name != "immediate" && name != "last" { isUnconditional = false }
    switch name {
    case "reject": (drops, hasActed, isDecided) = (true, true, true)
    case "queue": (mayPass, hasActed, isDecided) = (true, true, true)
    case "log": hasActed = true
    // NFTA_META_SREG 3.
    case "meta": if data[3] != nil { hasActed = true }
    // NFTA_TARGET_NAME 1: iptables' extensions.
    case "target":
      hasActed = true
      let target = data[1].map(NftablesMessages.text)
      if target == "REJECT" { drops = true } else { mayPass = true }
    // NFTA_LOOKUP_DREG 3: a map to verdicts has its result in register 0, and may hold any.
    case "lookup":
      guard data[3].flatMap(NftablesMessages.bigEndian) == 0 else { break }
      (drops, mayPass, looksUpVerdict) = (true, true, true)
    // NFTA_IMMEDIATE_DATA 2, NFTA_DATA_VERDICT 2; NFTA_VERDICT_CODE 1, CHAIN 2.
    case "immediate":
      guard let verdict = NetlinkFields(data[2] ?? [])[2].map(NetlinkFields.init),
        let code = verdict[1].flatMap(NftablesMessages.bigEndian)
      else {
        holdsConstant = true
        break
      }
      hasActed = true
      // Only after NFT_CONTINUE, -1, the rule's next words count.
      isDecided = Int32(bitPattern: code) != -1
      chain = verdict[2].map(NftablesMessages.text)
      // NF_DROP is 0; -1 and -2, NFT_CONTINUE and NFT_BREAK, go on with the next rule.
      if code == 0 {
        drops = true
      } else if Int32(bitPattern: code) > 0 || Int32(bitPattern: code) < -2 {
        mayPass = true
      }
    default: break
    }
  }

  private static func lasting(
    _ data: ArraySlice<UInt8>, of name: String, _ nameless: (ArraySlice<UInt8>) -> Digest?
  ) -> ArraySlice<UInt8> {
    switch name {
    case "counter", "last": return []
    case "lookup", "dynset", "objref":
      // NFTA_LOOKUP_SET and NFTA_DYNSET_SET_NAME 1, NFTA_OBJREF_SET_NAME 4.
      let set: UInt16 = name == "objref" ? 4 : 1
      var kept = ByteWriter()
      for part in NetlinkReply.list(data) {
        kept.uint16(part.type)
        let held = part.type == set ? nameless(part.content) : nil
        kept.string(held.map { $0.bytes[...] } ?? part.content)
      }
      return kept.bytes[...]
    case "quota":
      // NFTA_QUOTA_BYTES 1, NFTA_QUOTA_FLAGS 2; 4 is how much was used.
      var kept = ByteWriter()
      for part in NetlinkReply.list(data) where part.type <= 2 { kept.string(part.content) }
      return kept.bytes[...]
    default: return data
    }
  }

  // MARK: - What iptables' programs write

  private static func isNative(_ name: String, _ data: NetlinkFields, _ family: UInt8) -> Bool {
    switch name {
    case "counter", "immediate", "match", "target", "limit", "bitwise", "cmp", "range", "log": return false
    // NFTA_META_KEY 2, SREG 3. Of what can be set only NFT_META_NFTRACE 12 is, by TRACE; extensions set marks.
    case "meta":
      let key = data[2].flatMap(NftablesMessages.bigEndian) ?? .max
      return data[3] == nil ? !metaKeys.contains(key) : key != 12
    // NFTA_PAYLOAD_BASE 2, OFFSET 3, LEN 4, SREG 5: so are its addresses.
    case "payload":
      guard data[5] == nil, let base = data[2].flatMap(NftablesMessages.bigEndian),
        let offset = data[3].flatMap(NftablesMessages.bigEndian),
        let length = data[4].flatMap(NftablesMessages.bigEndian)
      else { return true }
      return !isKnown(base: base, offset: offset, length: length, family)
    default: return true
    }
  }

  /// NFT_META_MARK 3, IIF 4, OIF 5, IIFNAME 6, OIFNAME 7, L4PROTO 16.
  private static let metaKeys: Set<UInt32> = [3, 4, 5, 6, 7, 16]

  /// Addresses or their first bytes, the protocol, and IPv4's fragments; ports and TCP's flags.
  private static func isKnown(base: UInt32, offset: UInt32, length: UInt32, _ family: UInt8) -> Bool {
    switch (base, family) {
    // NFT_PAYLOAD_NETWORK_HEADER 1, TRANSPORT_HEADER 2; NFPROTO_IPV4 2, NFPROTO_IPV6 10.
    case (1, 2):
      return (offset == 12 || offset == 16) && length <= 4 || offset == 9 && length == 1 || offset == 6 && length == 2
    case (1, 10): return (offset == 8 || offset == 24) && length <= 16 || offset == 6 && length == 1
    case (2, _):
      return offset == 0 && (length == 2 || length == 4) || offset == 2 && length == 2 || offset == 13 && length == 1
    default: return false
    }
  }
}
