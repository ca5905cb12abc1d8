internal import Core
internal import FoundationEssentials
internal import Glibc

// The two ends of the pipe between `validate` and `load-scratch`.

extension ScratchLoad {
  static func encode(_ jobs: [Job]) throws -> [UInt8] { Array(try JSONEncoder().encode(jobs)) }
  static func decode(_ bytes: [UInt8]) throws -> [Refusal] {
    try JSONDecoder().decode([Refusal].self, from: Data(bytes))
  }

  /// Inside the namespace: loads every job and answers with what was refused.
  package static func load(_ input: [UInt8]) async throws -> [UInt8] {
    try requireScratch()
    let jobs = try JSONDecoder().decode([Job].self, from: Data(input))
    var refusals: [Refusal] = []
    for (index, job) in jobs.enumerated() {
      if !job.sets.isEmpty {
        let made = try await Program("/usr/sbin/ipset").run(["restore", "-exist"], input: Array(job.sets.utf8))
        guard made.succeeded else {
          refusals.append(Refusal(job: index, line: 0, words: words(made.standardError)))
          continue
        }
      }
      let program = Program(job.isIPv6 ? "/usr/sbin/ip6tables-nft-restore" : "/usr/sbin/iptables-nft-restore")
      let loaded = try await program.run([], input: Array(job.rules.utf8))
      if !loaded.succeeded {
        refusals.append(Refusal(job: index, line: line(loaded.standardError), words: words(loaded.standardError)))
      }
    }
    return Array(try JSONEncoder().encode(refusals))
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

  /// `iptables-nft-restore: line 12 failed`, `Error occurred at line: 12`
  private static func line(_ errors: String) -> Int {
    for words in errors.split(separator: "\n").map({ $0.split(separator: " ") }) {
      for (word, next) in zip(words, words.dropFirst()) where word == "line" || word == "line:" {
        if let number = Int(next.filter { $0 != ":" && $0 != "." }) { return number }
      }
    }
    return 0
  }

  private static func words(_ errors: String) -> String {
    let lines = errors.split(separator: "\n").filter { !$0.hasPrefix("Try ") }
    return SafeText.escape(lines.prefix(2).joined(separator: "; "))
  }
}
