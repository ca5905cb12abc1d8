internal import Apply
internal import Core
internal import Wire

/// Restore and save of one family in whatever network namespace the caller is in.
struct FirewallCalls {
  let runner: ProgramRunner
  var environment = ProgramRequest.plainEnvironment

  /// For a save, in milliseconds. 50,000 rules take 3.5 s.
  static let saveLimit = 10_000

  func restore(
    _ text: RestoreText, by programs: FamilyPrograms, within limit: Duration = .seconds(30)
  ) throws(FirewallProblem) {
    let request = ProgramRequest(
      programs.restore, programs.restoreArguments + (text.keepsOthers ? ["--noflush"] : []), environment: environment,
      input: text.bytes, outputLimit: 1 << 20, milliseconds: Int(limit / .milliseconds(1)))
    do throws(FirewallProblem) {
      _ = try run(request, programs.family)
    } catch {
      throw Self.withWriter(error, programs.version.backend)
    }
  }

  /// A program that could not get its turn is told of with whoever has it.
  private static func withWriter(_ problem: FirewallProblem, _ backend: Backend) -> FirewallProblem {
    // The legacy programs give up by themselves when another one holds their lock.
    let waited = problem.kind == .refused && backend == .legacy && problem.words.contains("xtables lock")
    guard problem.kind == .timedOut || waited else { return problem }
    var problem = problem
    problem.kind = .timedOut
    if let writer = Writers.name(on: backend) { problem.words += "; \(writer) keeps changing the rules" }
    return problem
  }

  func save(by programs: FamilyPrograms, table: String? = nil) throws(FirewallProblem) -> [UInt8] {
    let request = ProgramRequest(
      programs.save, table.map { ["-t", $0] } ?? [], environment: environment, milliseconds: Self.saveLimit)
    return try run(request, programs.family)
  }

  func run(_ request: ProgramRequest, _ family: Family?) throws(FirewallProblem) -> [UInt8] {
    let name = String(request.path.split(separator: "/").last ?? "")
    let result: ProgramResult
    do throws(SystemCallError) {
      result = try runner.run(request)
    } catch {
      throw FirewallProblem(.unavailable, program: name, family: family, words: error.description)
    }
    let words = Self.words(result.errors)
    switch result.end {
    case .exited(0): return result.output
    case .exited(let status):
      throw FirewallProblem(
        .refused, program: name, family: family, line: Self.line(in: result.errors),
        words: words.isEmpty ? "it failed with status \(status)" : words)
    case .signalled(let signal):
      throw FirewallProblem(.unavailable, program: name, family: family, words: "signal \(signal) ended it")
    case .timedOut:
      throw FirewallProblem(
        .timedOut, program: name, family: family,
        words: "it did not end within \(Self.shown(request.milliseconds)) and was killed")
    case .flooded:
      throw FirewallProblem(
        .flooded, program: name, family: family, words: "it printed more than \(request.outputLimit) bytes")
    }
  }

  private static func shown(_ milliseconds: Int) -> String {
    milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
  }

  /// Its first few lines in one, without the advice to read its help.
  static func words(_ errors: [UInt8]) -> String {
    let lines = errors.split(separator: UInt8(ascii: "\n"))
      .filter { !$0.starts(with: "Try `".utf8) && $0.contains { $0 != UInt8(ascii: " ") } }
    return lines.prefix(4).map { SafeText.escape($0.prefix(256)) }.joined(separator: " ")
  }

  /// "Error occurred at line: 5", "line 4: RULE_APPEND failed", "iptables-restore: line 6 failed".
  static func line(in errors: [UInt8]) -> Int? {
    let word = Array("line".utf8)
    var position = errors.startIndex
    while let found = errors[position...].firstRange(of: word) {
      var rest = errors[found.upperBound...]
      if rest.first == UInt8(ascii: ":") { rest = rest.dropFirst() }
      if rest.first == UInt8(ascii: " ") {
        let digits = rest.dropFirst().prefix { $0 >= 0x30 && $0 <= 0x39 }
        if !digits.isEmpty { return Int(String(decoding: digits, as: UTF8.self)) }
      }
      position = found.upperBound
    }
    return nil
  }
}
