internal import Core
internal import FoundationEssentials
internal import Glibc

// The two ends of the pipe to `load-scratch`, and what that does inside its namespace.

extension ScratchLoad {
  /// One ruleset of one family.
  struct Job: Codable, Sendable {
    let isIPv6: Bool
    /// Printable ASCII.
    let rules: String
    /// What it needs, for `ipset restore`.
    let sets: String
  }

  struct Request: Codable, Sendable {
    let seconds: Int
    let jobs: [Job]
  }

  struct Answer: Codable, Sendable {
    /// Of each job, as far as there was time; none for one that loads.
    var complaints: [[RestoreComplaint]] = []
  }

  static func encode(_ request: Request) throws -> [UInt8] { Array(try JSONEncoder().encode(request)) }
  static func decode(_ bytes: [UInt8]) throws -> Answer { try JSONDecoder().decode(Answer.self, from: Data(bytes)) }

  /// Inside the namespace: loads every job and answers with what was complained about.
  package static func load(_ input: [UInt8]) async throws -> [UInt8] {
    try requireScratch()
    let request = try JSONDecoder().decode(Request.self, from: Data(input))
    let end = ContinuousClock.now.advanced(by: .seconds(request.seconds))
    var answer = Answer()
    var sets = ""
    for job in request.jobs {
      if !job.sets.isEmpty, job.sets != sets {
        if let problem = await make(job.sets, until: end) {
          answer.complaints.append([RestoreComplaint(verdict: .missingHere, line: nil, words: problem)])
          continue
        }
        sets = job.sets
      }
      guard let complaints = try await complaints(of: job, until: end) else { break }
      answer.complaints.append(complaints)
    }
    return Array(try JSONEncoder().encode(answer))
  }

  /// Names of sets are made of their members, so that those of other jobs do no harm.
  private static func make(_ sets: String, until end: ContinuousClock.Instant) async -> String? {
    guard Files.exists(ipset) else { return "there is no \(ipset)" }
    do {
      let made = try await Program(ipset).run(
        ["restore", "-exist"], input: Array(sets.utf8), within: ContinuousClock.now.duration(to: end))
      guard let made else { return "ipset did not end in time" }
      return made.succeeded ? nil : made.standardError.split(separator: "\n").first.map(String.init) ?? "ipset failed"
    } catch {
      return ErrorChain(error).message
    }
  }

  /// Rounds for one ruleset that needs several things this machine lacks.
  private static let rounds = 16

  /// Nil when there was no time left. Lines that this machine lacks something for are taken out, so that they do not hide
  /// others that no machine takes.
  private static func complaints(of job: Job, until end: ContinuousClock.Instant) async throws -> [RestoreComplaint]? {
    let program = Program(restorePrograms[job.isIPv6 ? .ipv6 : .ipv4])
    var lines = job.rules.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    var all: [RestoreComplaint] = []
    for _ in 0..<rounds {
      let left = ContinuousClock.now.duration(to: end)
      guard left > .zero,
        let loaded = try await program.run(
          [], input: Array(lines.joined(separator: "\n").utf8), errorLimit: 4 << 20, within: left)
      else { return nil }
      if loaded.succeeded { return all }
      var found = RestoreComplaint.read(loaded.standardError, of: lines)
      for index in found.indices {
        if let target = try await missingTarget(of: found[index], lines, program) {
          found[index].verdict = .missingHere
          found[index].words = "Couldn't load target `\(target)'"
        }
      }
      all += found
      let lacking = found.compactMap(\.line).filter { lines.indices.contains($0 - 1) && lines[$0 - 1].hasPrefix("-A ") }
      guard !lacking.isEmpty, found.allSatisfy({ $0.verdict == .missingHere }) else { return all }
      for line in lacking { lines[line - 1] = "#" }
    }
    return all
  }

  /// Options of a target that cannot be loaded are just unknown ones to the program: it is asked for the target alone.
  private static func missingTarget(
    of complaint: RestoreComplaint, _ lines: [String], _ program: Program
  ) async throws -> Substring? {
    guard complaint.words.hasPrefix("unknown option"), let line = complaint.line, lines.indices.contains(line - 1),
      let target = RestoreComplaint.target(of: lines[line - 1]), !lines.contains(where: { $0.hasPrefix(":\(target) ") })
    else { return nil }
    let asked = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j \(target)\nCOMMIT\n"
    guard let answer = try await program.run([], input: Array(asked.utf8), within: .seconds(2)), !answer.succeeded
    else { return nil }
    let said = RestoreComplaint.read(answer.standardError, of: [])
    return said.contains { $0.words.hasPrefix("Couldn't load target") } ? target : nil
  }

  /// Whole tables are replaced here, so this must be nobody's network: there are no interfaces but the loopback, and those
  /// that the kernel makes in every namespace by itself.
  private static func requireScratch() throws {
    let own: Set<String> = [
      "lo", "sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0", "teql0",
    ]
    guard let interfaces = if_nameindex() else {
      throw Failure("load rules for trial", because: Reason("its interfaces cannot be listed"), kind: .refused)
    }
    defer { if_freenameindex(interfaces) }
    var next = interfaces
    while let name = next.pointee.if_name {
      let name = String(cString: name)
      guard own.contains(name) else {
        throw Failure(
          "load rules for trial",
          because: Reason("this network has the interface \(SafeText.escape(name)): it is in use"), kind: .refused)
      }
      next += 1
    }
  }
}
