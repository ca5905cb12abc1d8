package import Core
package import Policy

/// Compiled rules loaded into the kernel of this machine, in a network namespace of their own that nobody else sees: what
/// the programs of a usual Linux would refuse is told before anything is sent. Every host rehearses again with its own.
///
/// An unprivileged user namespace is enough for the nft programs.
package struct ScratchLoad: Sendable {
  /// One ruleset of one family, for `load-scratch`, which runs inside the namespace.
  package struct Job: Codable, Sendable {
    package let isIPv6: Bool
    /// Printable ASCII.
    package let rules: String
    package let sets: String

    package init(_ family: Family, rules: [UInt8], sets: String) {
      isIPv6 = family == .ipv6
      self.rules = String(decoding: rules, as: UTF8.self)
      self.sets = sets
    }
  }

  package enum Outcome: Sendable {
    /// By the place in the policies that a refused line comes from.
    case loaded(problems: [Diagnostic])
    /// This machine has no such namespaces or programs; why, in words.
    case unavailable(String)
  }

  /// What a refused job is answered with.
  package struct Refusal: Codable, Sendable {
    package let job: Int
    /// Counted from 1; 0 where the program named none.
    package let line: Int
    package let words: String

    package init(job: Int, line: Int, words: String) {
      self.job = job
      self.line = line
      self.words = words
    }
  }

  /// - Parameter program: this executable, which runs itself inside the namespace.
  package static func run(_ policies: [CompiledPolicy], program: String) async -> Outcome {
    var jobs: [Job] = []
    var origins: [(policy: CompiledPolicy, family: Family)] = []
    var seen: Set<Digest> = []
    for policy in policies {
      for family in Family.allCases
      where seen.insert(Digest(of: policy.rules[family] + [family == .ipv4 ? 4 : 6])).inserted {
        jobs.append(Job(family, rules: policy.rules[family], sets: policy.ipsetText(family)))
        origins.append((policy, family))
      }
    }
    do {
      let answer = try await Program("/usr/bin/unshare").run(
        ["--user", "--map-root-user", "--net", "--", program, "load-scratch"], input: try encode(jobs),
        outputLimit: 8 << 20)
      guard answer.succeeded else {
        return .unavailable(
          answer.standardError.split(separator: "\n").first.map { SafeText.escape($0) } ?? "unshare failed")
      }
      let refusals = try decode(answer.standardOutput)
      return .loaded(
        problems: refusals.compactMap { refusal in
          guard origins.indices.contains(refusal.job) else { return nil }
          let (policy, family) = origins[refusal.job]
          let place =
            policy.source(of: family, line: refusal.line)
            ?? SourceLocation(file: policy.policies.joined(separator: "+"), line: 1, column: 1)
          return Diagnostic(
            place, "the \(family) rules made of this do not load here: \(refusal.words)",
            hint: "the kernel or the iptables programs of this machine refuse it; hosts with the same will too")
        })
    } catch {
      return .unavailable(ErrorChain(error).message)
    }
  }
}
