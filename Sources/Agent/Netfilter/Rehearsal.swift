package import Apply
internal import Core
internal import Wire

/// What a rehearsal child is told on its standard input.
package struct RehearsalRequest: Sendable {
  var programs: PerFamily<FamilyPrograms>
  /// The host's rules in canonical form, loaded first; nil to start empty.
  var live: PerFamily<[UInt8]>?
  var texts: PerFamily<RestoreText>
  /// Its own, or the legacy programs would wait for the host's.
  var lockFile: String
  /// What makes the ipsets again that the rules name.
  var sets: [UInt8] = []
  /// What makes those of the bundle that is rehearsed; that it fails is the bundle's fault.
  var ownSets: [UInt8] = []
  /// Where ipset is, or empty.
  var setProgram = ""
  /// Nil for no knock.
  var knock: KnockPlan?
  /// Lockdowns, for a kernel that holds none.
  var layers: [PerFamily<[UInt8]>] = []

  private static let maximumPath = 4096
  /// Both families' rules, with all their tables declared.
  private static let maximumInput = 16 << 20
  private static let maximumLive = 64 << 20
  private static let maximumSets = 64 << 20
  static let maximumLayers = 8
  private static let maximumLayer = 1 << 20

  init(
    programs: PerFamily<FamilyPrograms>, live: PerFamily<[UInt8]>? = nil, texts: PerFamily<RestoreText>,
    lockFile: String
  ) {
    self.programs = programs
    self.live = live
    self.texts = texts
    self.lockFile = lockFile
  }

  func encode() -> [UInt8] {
    var out = ByteWriter()
    out.text(lockFile)
    for family in Family.allCases {
      let programs = programs[family]
      out.text(programs.restore)
      out.text(programs.save)
      out.text("x v\(programs.version.number) (\(programs.version.backend == .nft ? "nf_tables" : "legacy"))")
      out.string(texts[family].bytes)
      out.bool(texts[family].keepsOthers)
    }
    out.optional(live) { out, live in
      out.string(live.ipv4)
      out.string(live.ipv6)
    }
    out.text(setProgram)
    out.string(sets)
    out.string(ownSets)
    out.optional(knock) { $1.write(to: &$0) }
    out.uint32(UInt32(layers.count))
    for layer in layers { for family in Family.allCases { out.string(layer[family]) } }
    return out.bytes
  }

  init(decoding bytes: [UInt8]) throws(ByteReader.Problem) {
    var reader = ByteReader(bytes)
    lockFile = try reader.text("lock file", atMost: Self.maximumPath)
    func half(_ family: Family) throws(ByteReader.Problem) -> (FamilyPrograms, RestoreText) {
      let restore = try reader.text("restore", atMost: Self.maximumPath)
      let save = try reader.text("save", atMost: Self.maximumPath)
      guard let version = ProgramVersion(printed: Array(try reader.string("version", atMost: 128))) else {
        throw .malformed(field: "version")
      }
      let input = Array(try reader.string("input", atMost: Self.maximumInput))
      let text = RestoreText(input, keepsOthers: try reader.bool("keeps others"))
      return (FamilyPrograms(family: family, restore: restore, save: save, version: version), text)
    }
    let (programs4, text4) = try half(.ipv4)
    let (programs6, text6) = try half(.ipv6)
    live = try reader.optional("live") { (reader) throws(ByteReader.Problem) in
      let ipv4 = Array(try reader.string("live ipv4", atMost: Self.maximumLive))
      return PerFamily(ipv4: ipv4, ipv6: Array(try reader.string("live ipv6", atMost: Self.maximumLive)))
    }
    setProgram = try reader.text("ipset", atMost: Self.maximumPath)
    sets = Array(try reader.string("sets", atMost: Self.maximumSets))
    ownSets = Array(try reader.string("own sets", atMost: Self.maximumSets))
    knock = try reader.optional("knock") { (reader) throws(ByteReader.Problem) in try KnockPlan(from: &reader) }
    layers = try reader.list("layers", atMost: Self.maximumLayers) { (reader) throws(ByteReader.Problem) in
      let ipv4 = Array(try reader.string("layer ipv4", atMost: Self.maximumLayer))
      return PerFamily(ipv4: ipv4, ipv6: Array(try reader.string("layer ipv6", atMost: Self.maximumLayer)))
    }
    try reader.end()
    programs = PerFamily(ipv4: programs4, ipv6: programs6)
    texts = PerFamily(ipv4: text4, ipv6: text6)
  }
}

/// What a rehearsal child answers on its standard output.
package enum RehearsalAnswer: Hashable, Sendable {
  case rehearsed(Rehearsed)
  case failed(FirewallProblem)

  static let maximumText = 64 << 20
  /// Two such texts, and what is said of each layer.
  static let maximumBytes = 2 * maximumText + RehearsalRequest.maximumLayers * 3 * LayerRehearsed.maximumPrinted

  func encode() -> [UInt8] {
    var out = ByteWriter()
    switch self {
    case .rehearsed(let rehearsed):
      out.uint8(0)
      out.string(rehearsed.saved.ipv4)
      out.string(rehearsed.saved.ipv6)
      out.optional(rehearsed.withoutLive) { $0.text($1) }
      out.optional(rehearsed.knock) { $1.write(to: &$0) }
      out.uint32(UInt32(rehearsed.layers.count))
      for layer in rehearsed.layers { layer.write(to: &out) }
    case .failed(let problem):
      out.uint8(1)
      let kind: UInt8 =
        switch problem.kind {
        case .unavailable: 0
        case .timedOut: 1
        case .refused: 2
        case .flooded: 3
        case .noNamespace: 4
        }
      out.uint8(kind)
      out.text(problem.program)
      out.optional(problem.family) { $0.uint8($1.code) }
      out.uint32(UInt32(clamping: problem.line ?? 0))
      out.text(problem.words)
    }
    return out.bytes
  }

  init(decoding bytes: [UInt8]) throws(ByteReader.Problem) {
    var reader = ByteReader(bytes)
    switch try reader.uint8("kind of answer") {
    case 0:
      let ipv4 = Array(try reader.string("ipv4", atMost: Self.maximumText))
      let saved = PerFamily(ipv4: ipv4, ipv6: Array(try reader.string("ipv6", atMost: Self.maximumText)))
      let withoutLive = try reader.optional("without live") { (reader) throws(ByteReader.Problem) in
        try reader.text("without live", atMost: 64 << 10)
      }
      let knock = try reader.optional("knock") { (reader) throws(ByteReader.Problem) in
        try KnockResult(from: &reader)
      }
      let layers = try reader.list("layers", atMost: RehearsalRequest.maximumLayers) {
        (reader) throws(ByteReader.Problem) in try LayerRehearsed(from: &reader)
      }
      self = .rehearsed(Rehearsed(saved: saved, withoutLive: withoutLive, knock: knock, layers: layers))
    case 1:
      let kinds: [FirewallProblem.Kind] = [.unavailable, .timedOut, .refused, .flooded, .noNamespace]
      let kind = Int(try reader.uint8("kind"))
      guard kinds.indices.contains(kind) else { throw .malformed(field: "kind") }
      let program = try reader.text("program", atMost: 4096)
      let family = try reader.optional("family") { (reader) throws(ByteReader.Problem) in try reader.family("family") }
      let line = Int(try reader.uint32("line"))
      let words = try reader.text("words", atMost: 64 << 10)
      self = .failed(
        FirewallProblem(
          kinds[kind], program: program, family: family, line: line == 0 ? nil : line, words: words))
    default: throw .malformed(field: "kind of answer")
    }
    try reader.end()
  }
}
