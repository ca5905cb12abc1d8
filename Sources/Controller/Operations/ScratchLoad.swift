internal import Core
internal import Glibc
internal import Lint
package import Policy
internal import Ruleset

/// Compiled rules loaded into the kernel of this machine, in network namespaces of their own that nobody else sees: what
/// no Linux takes is told before anything is sent. Every host rehearses again with its own programs.
///
/// Whoever is not root needs an unprivileged user namespace, which is enough for the nft programs.
package struct ScratchLoad: Sendable {
  /// What the hosts of one text run.
  package struct Subject: Sendable {
    package let policy: CompiledPolicy
    package var hosts: [String]
  }

  package struct Outcome: Sendable {
    package var findings: [Validation.Finding] = []
    /// What was not loaded, and why; each once.
    package var notes: [String] = []
  }

  static let restorePrograms = PerFamily(
    ipv4: "/usr/sbin/iptables-nft-restore", ipv6: "/usr/sbin/ip6tables-nft-restore")
  static let ipset = "/usr/sbin/ipset"
  private static let unshare = "/usr/bin/unshare"

  /// This executable, which runs itself inside the namespaces.
  let program: String
  /// For all of it. The kernel takes some 20 ms for a ruleset, most of them waiting.
  let seconds: Int
  let maximumTexts: Int
  private static let maximumBytes = 64 << 20
  private static let namespaces = 8

  package init(program: String, seconds: Int = 10, maximumTexts: Int = 1000) {
    self.program = program
    self.seconds = seconds
    self.maximumTexts = maximumTexts
  }

  private struct Origin: Sendable {
    let subject: Int
    let family: Family
  }

  /// Throws only when it is cancelled.
  package func run(_ subjects: [Subject]) async throws -> Outcome {
    for tool in [Self.restorePrograms.ipv4, Self.restorePrograms.ipv6, Self.unshare] where !Files.exists(tool) {
      return Outcome(notes: ["the rules were not loaded for trial on this machine: there is no \(tool)"])
    }
    let (origins, total) = distinct(subjects)
    let count = min(Self.namespaces, origins.count)
    let slices = (0..<count).map { first in
      stride(from: first, to: origins.count, by: count).map { origins[$0] }
    }
    var outcome = Outcome()
    var reasons: [String] = []
    var tried = 0
    await withTaskGroup(of: (Int, Result<Answer, Reason>).self) { group in
      for (index, slice) in slices.enumerated() {
        group.addTask { (index, await load(slice, subjects)) }
      }
      for await (index, result) in group {
        switch result {
        case .failure(let reason): reasons.append(reason.description)
        case .success(let answer):
          for (origin, complaints) in zip(slices[index], answer.complaints) {
            let whole = complaints.filter { $0.line == nil }.map { SafeText.escape($0.words) }
            if whole.isEmpty { tried += 1 }
            reasons += whole
            outcome.findings += complaints.compactMap { Self.finding($0, origin.family, subjects[origin.subject]) }
          }
        }
      }
    }
    // What a cancelled one could not load is nobody's mistake, and no lack of this machine.
    try Task.checkCancellation()
    if tried < total {
      let why =
        reasons.isEmpty
        ? "no more than \(maximumTexts) are, for \(seconds) seconds" : Set(reasons).sorted().joined(separator: "; ")
      let what = tried == 0 ? "the rules were" : "\(total - tried) of \(total) rulesets were"
      outcome.notes.append("\(what) not loaded for trial on this machine: \(why)")
    }
    return outcome
  }

  /// Each text once, however many hosts run it, as far as they are loaded; and how many there are.
  private func distinct(_ subjects: [Subject]) -> (origins: [Origin], total: Int) {
    struct Text: Hashable {
      let family: Family
      let digest: Digest
    }
    var seen: Set<Text> = []
    var origins: [Origin] = []
    var bytes = 0
    for (index, subject) in subjects.enumerated() {
      for family in Family.allCases
      where seen.insert(Text(family: family, digest: subject.policy.digests[family])).inserted {
        bytes += subject.policy.rules[family].count
        if origins.count < maximumTexts, bytes <= Self.maximumBytes {
          origins.append(Origin(subject: index, family: family))
        }
      }
    }
    return (origins, seen.count)
  }

  private func load(_ slice: [Origin], _ subjects: [Subject]) async -> Result<Answer, Reason> {
    let jobs = slice.map { origin in
      let policy = subjects[origin.subject].policy
      return Job(
        isIPv6: origin.family == .ipv6, rules: String(decoding: policy.rules[origin.family], as: UTF8.self),
        sets: policy.sets.map { String(decoding: $0, as: UTF8.self) } ?? "")
    }
    // Root's own namespaces know all users, whom rules may name; a user's know one.
    let namespaces = geteuid() == 0 ? [["--net"], Self.userNamespace] : [Self.userNamespace]
    var reason = Reason("unshare failed")
    do {
      let input = try Self.encode(Request(seconds: seconds, jobs: jobs))
      for namespace in namespaces {
        let answer = try await Program(Self.unshare).run(
          namespace + ["--", program, "load-scratch"], input: input, outputLimit: 8 << 20,
          within: .seconds(seconds + 5))
        guard let answer else { return .failure(Reason("it took longer than \(seconds) seconds")) }
        if answer.succeeded { return .success(try Self.decode(answer.standardOutput)) }
        reason = Reason(
          answer.standardError.split(separator: "\n").first.map { SafeText.escape($0) } ?? reason.description)
      }
      return .failure(reason)
    } catch {
      return .failure(Reason(ErrorChain(error).message))
    }
  }

  private static let userNamespace = ["--user", "--map-root-user", "--net"]

  private static let otherPlace =
    "its options may be for another table or chain, or want a protocol: MASQUERADE is for POSTROUTING of nat, "
    + "tcp-reset wants -p tcp"

  private static func finding(
    _ complaint: RestoreComplaint, _ family: Family, _ subject: Subject
  ) -> Validation.Finding? {
    guard let line = complaint.line else { return nil }
    let place = subject.policy.source(of: family, line: line) ?? subject.policy.start
    let said = SafeText.escape(complaint.words)
    let lint =
      switch complaint.verdict {
      case .refused:
        LintFinding(
          .doesNotLoad, at: place, "the \(family.words) rule made of this does not load: \(said)",
          hint: said.contains("Invalid argument") ? Self.otherPlace : nil,
          subject: "\(family) \(complaint.words)")
      case .missingHere:
        LintFinding(
          .notTriedHere, at: place, "this machine cannot load the \(family.words) rule made of this: \(said)",
          hint: "the hosts may have what it needs; each finds out for itself before it changes anything",
          subject: "\(family) \(complaint.words)")
      }
    return Validation.Finding(lint: lint, hosts: subject.hosts)
  }
}
