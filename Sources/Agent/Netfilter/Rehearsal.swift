package import Apply
package import Core
internal import Wire

/// What a rehearsal child is told on its standard input.
package struct RehearsalRequest: Sendable {
  var programs: PerFamily<FamilyPrograms>
  var inputs: PerFamily<[UInt8]>
  /// Its own, or the legacy programs would wait for the host's.
  var lockFile: String

  private static let maximumPath = 4096
  /// Both families' rules, with all their tables declared.
  private static let maximumInput = 16 << 20

  func encode() -> [UInt8] {
    var out = ByteWriter()
    out.text(lockFile)
    for family in Family.allCases {
      let programs = programs[family]
      out.text(programs.restore)
      out.text(programs.save)
      out.text("x v\(programs.version.number) (\(programs.version.backend == .nft ? "nf_tables" : "legacy"))")
      out.string(inputs[family])
    }
    return out.bytes
  }

  init(programs: PerFamily<FamilyPrograms>, inputs: PerFamily<[UInt8]>, lockFile: String) {
    self.programs = programs
    self.inputs = inputs
    self.lockFile = lockFile
  }

  init(decoding bytes: [UInt8]) throws(ByteReader.Problem) {
    var reader = ByteReader(bytes)
    lockFile = try reader.text("lock file", atMost: Self.maximumPath)
    func half(_ family: Family) throws(ByteReader.Problem) -> (FamilyPrograms, [UInt8]) {
      let restore = try reader.text("restore", atMost: Self.maximumPath)
      let save = try reader.text("save", atMost: Self.maximumPath)
      guard let version = ProgramVersion(printed: Array(try reader.string("version", atMost: 128))) else {
        throw .malformed(field: "version")
      }
      let input = Array(try reader.string("input", atMost: Self.maximumInput))
      return (FamilyPrograms(family: family, restore: restore, save: save, version: version), input)
    }
    let (programs4, input4) = try half(.ipv4)
    let (programs6, input6) = try half(.ipv6)
    try reader.end()
    programs = PerFamily(ipv4: programs4, ipv6: programs6)
    inputs = PerFamily(ipv4: input4, ipv6: input6)
  }

  /// Loads and saves both families where the caller stands: the caller must be in a network namespace of its own.
  func perform(runner: ProgramRunner = ProgramRunner()) -> RehearsalAnswer {
    let calls = FirewallCalls(
      runner: runner, environment: ProgramRequest.plainEnvironment + ["XTABLES_LOCKFILE=\(lockFile)"])
    do throws(FirewallProblem) {
      return .saved(
        try inputs.map { (family, input) throws(FirewallProblem) in
          if !input.isEmpty { try calls.restore(RestoreText(input), by: programs[family]) }
          return try calls.save(by: programs[family])
        })
    } catch {
      return .failed(error)
    }
  }
}

/// What a rehearsal child answers on its standard output.
package enum RehearsalAnswer: Hashable, Sendable {
  /// What the save programs printed.
  case saved(PerFamily<[UInt8]>)
  case failed(FirewallProblem)

  static let maximumText = 64 << 20

  func encode() -> [UInt8] {
    var out = ByteWriter()
    switch self {
    case .saved(let texts):
      out.uint8(0)
      out.string(texts.ipv4)
      out.string(texts.ipv6)
    case .failed(let problem):
      out.uint8(1)
      let kind: UInt8 =
        switch problem.kind {
        case .unavailable: 0
        case .timedOut: 1
        case .refused: 2
        case .flooded: 3
        }
      out.uint8(kind)
      out.text(problem.program)
      out.uint8(problem.family.map { $0 == .ipv4 ? 4 : 6 } ?? 0)
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
      self = .saved(PerFamily(ipv4: ipv4, ipv6: Array(try reader.string("ipv6", atMost: Self.maximumText))))
    case 1:
      let kinds: [FirewallProblem.Kind] = [.unavailable, .timedOut, .refused, .flooded]
      let kind = Int(try reader.uint8("kind"))
      guard kinds.indices.contains(kind) else { throw .malformed(field: "kind") }
      let program = try reader.text("program", atMost: 4096)
      let family: Family? =
        switch try reader.uint8("family") {
        case 0: nil
        case 4: .ipv4
        case 6: .ipv6
        default: throw .malformed(field: "family")
        }
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
