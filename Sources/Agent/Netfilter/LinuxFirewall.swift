package import Apply
package import Core
internal import Glibc
package import Ruleset
internal import Wire

/// The packet filter of the network namespace that this process is in.
package final class LinuxFirewall: HostFirewall {
  /// Loads and saves a request's rules in an empty network stack.
  package typealias Rehearse = (RehearsalRequest) throws(FirewallProblem) -> Rehearsed

  private var finder: ProgramFinder
  /// Programs that change the host inherit the agent's lock; the others must not keep a successor waiting.
  private let changing: FirewallCalls
  private let reading: FirewallCalls
  private let rehearsalLockFile: String
  private let rehearse: Rehearse

  init(
    directories: [String] = ProgramFinder.standardDirectories, lock: AgentLock?, rehearsalLockFile: String,
    rehearse: @escaping Rehearse
  ) {
    finder = ProgramFinder(in: directories, runner: ProgramRunner())
    changing = FirewallCalls(runner: ProgramRunner(lock: lock))
    reading = FirewallCalls(runner: ProgramRunner())
    self.rehearsalLockFile = rehearsalLockFile
    self.rehearse = rehearse
  }

  package func programs() throws(FirewallProblem) -> FirewallPrograms {
    let version = try finder.programs().ipv4.version
    return FirewallPrograms(backend: version.backend, version: version.number)
  }

  package func rehearse(_ rehearsal: Rehearsal) throws(FirewallProblem) -> Rehearsed {
    var request = RehearsalRequest(
      programs: try finder.programs(), live: rehearsal.live, texts: rehearsal.texts, lockFile: rehearsalLockFile)
    let sets = HostSets(calls: reading, program: finder.path(of: "ipset"))
    let texts = rehearsal.texts.map { _, text in text.bytes }
    let named = [texts.ipv4, texts.ipv6] + (rehearsal.live.map { [$0.ipv4, $0.ipv6] } ?? [])
    // Whatever the host holds under the name of one that the bundle brings: what is rehearsed is what was signed.
    let own = HostSets.created(by: rehearsal.sets)
    let others: Set<String> = named.reduce(into: []) { $0.formUnion(SetName.named(in: $1).subtracting(own)) }
    request.sets = sets.copy(others, besides: own)
    request.ownSets = rehearsal.sets
    request.setProgram = sets.program ?? ""
    if !rehearsal.knock.isEmpty {
      request.knock = KnockPlan(rehearsal.knock, outsiders: rehearsal.layers.map(\.outsiders))
    }
    request.layers = rehearsal.layers.map(\.texts)
    return try rehearse(request)
  }

  package func load(_ text: RestoreText, into family: Family, within limit: Duration) throws(FirewallProblem) {
    try changing.restore(text, by: finder.programs()[family], within: limit)
  }

  package func save(_ family: Family, table: String?) throws(FirewallProblem) -> [UInt8] {
    try reading.save(by: finder.programs()[family], table: table)
  }

  package func setNames(within limit: Duration) throws(FirewallProblem) -> [String] {
    let listed = try reading.run(setRequest(["list", "-name"], within: limit), nil)
    return listed.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
  }

  package func saveSet(_ name: String, within limit: Duration) throws(FirewallProblem) -> [UInt8] {
    try reading.run(setRequest(["save", name], within: limit), nil)
  }

  package func setLists(within limit: Duration) throws(FirewallProblem) -> [String: [String]] {
    let end = monotonicMilliseconds() + Int(limit / .milliseconds(1))
    let headers = try reading.run(setRequest(["list", "-terse"], within: limit), nil)
    var lists: [String: [String]] = [:]
    for name in HostSets.lists(in: headers).prefix(HostSets.maximumSets) {
      let left = Duration.milliseconds(max(1, end - monotonicMilliseconds()))
      lists[name] = HostSets.members(of: try saveSet(name, within: left))
    }
    return lists
  }

  package func changeSets(_ text: [UInt8], within limit: Duration) throws(FirewallProblem) {
    _ = try changing.run(setRequest(["restore"], input: text, within: limit), nil)
  }

  package func cutFlows(sparing patterns: [FlowPattern], within limit: Duration) throws(FirewallProblem) -> Int {
    try FlowCutter.cut(sparing: patterns, within: limit)
  }

  package func listFlows(within limit: Duration) throws(FirewallProblem) { try FlowCutter.list(within: limit) }

  private func setRequest(
    _ arguments: [String], input: [UInt8] = [], within limit: Duration
  ) throws(FirewallProblem) -> ProgramRequest {
    ProgramRequest(
      try setProgram(), arguments, input: input, outputLimit: HostSets.maximumBytes,
      milliseconds: Int(limit / .milliseconds(1)))
  }

  private func setProgram() throws(FirewallProblem) -> String {
    let name = FirewallProblem.setProgram
    guard let path = finder.path(of: name) else {
      throw FirewallProblem(
        .unavailable, program: name, family: nil, words: "the host has no such program; install the package ipset")
    }
    return path
  }

  package func saveOtherBackend(_ family: Family) throws(FirewallProblem) -> [UInt8]? {
    let programs = try finder.programs()[family]
    guard let save = programs.otherSave else { return nil }
    return Self.otherBackendHolds(programs) ? try reading.run(ProgramRequest(save, []), family) : []
  }

  package func loadOtherBackend(
    _ text: RestoreText, into family: Family, within limit: Duration
  ) throws(FirewallProblem) {
    var programs = try finder.programs()[family]
    programs.version.backend = programs.version.backend.other
    guard let restore = programs.otherRestore else {
      let name = "\(FamilyPrograms.prefix(family))-\(programs.version.backend.name)-restore"
      throw FirewallProblem(.unavailable, program: name, family: family, words: "the host has no such program")
    }
    programs.restore = restore
    try changing.restore(text, by: programs, within: limit)
  }

  package func unprintedTables(_ family: Family) throws(FirewallProblem) -> [String] {
    let programs = try finder.programs()[family]
    guard programs.version.backend == .nft, programs.otherSave == nil else { return [] }
    return Self.legacyTables(family)
  }

  package func nftables(sets scope: SetScope) throws(FirewallProblem) -> NftablesState? {
    do { return try NftablesReader(scope).read() } catch {
      throw FirewallProblem(
        .unavailable, program: "nf_tables", family: nil, words: SafeText.escape(ErrorChain(error).message))
    }
  }

  /// When there are none, asking the program would only load its modules, or fail.
  private static func otherBackendHolds(_ programs: FamilyPrograms) -> Bool {
    switch programs.version.backend {
    case .legacy: do { return try NftablesReader().generation() != nil } catch { return true }
    case .nft: return !legacyTables(programs.family).isEmpty
    }
  }

  /// As the kernel lists them. The thread's own namespace is the one that its programs will be in.
  private static func legacyTables(_ family: Family) -> [String] {
    let names = SmallFile.read("/proc/thread-self/net/\(family == .ipv4 ? "ip" : "ip6")_tables_names") ?? []
    return names.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }.sorted()
  }
}
