internal import Core
internal import Ruleset

/// What `iptables-nft-restore` said of one line that it did not load.
struct RestoreComplaint: Hashable, Codable, Sendable {
  enum Verdict: String, Codable, Sendable {
    /// It is wrong on every machine.
    case refused
    /// This machine lacks something that a host may have.
    case missingHere
  }

  var verdict: Verdict
  /// Counted from 1; nil where none was named.
  let line: Int?
  var words: String

  /// More than anybody reads.
  private static let limit = 50

  /// Never empty: a program that fails without a word is a complaint too.
  ///
  /// - Parameter rules: the lines it was given.
  static func read(_ errors: String, of rules: [String]) -> [RestoreComplaint] {
    var found: [RestoreComplaint] = []
    var said = ""
    for line in errors.split(separator: "\n").map(withoutProgram) where !isBanner(line) {
      if let complaint = ofKernel(line, rules, lacksModule: errors.contains("missing kernel module")) {
        found.append(complaint)
      } else if let number = number(in: line, after: "Error occurred at line: ") {
        found.append(ofProgram(said, number, rules))
        said = ""
      } else if let number = number(in: line, after: "line "), line.contains(" failed") {
        let why = line.split(separator: ":", maxSplits: 1).dropFirst().first.map { $0.drop { $0 == " " } } ?? ""
        found.append(RestoreComplaint(verdict: .refused, line: number, words: why.isEmpty ? "it is no rule" : "\(why)"))
      } else {
        said += (said.isEmpty ? "" : " ") + line
      }
      if found.count == limit { return found }
    }
    guard found.isEmpty else { return found }
    return [RestoreComplaint(verdict: .missingHere, line: nil, words: said.isEmpty ? "it failed without a word" : said)]
  }

  /// The word behind `-j` or `-g`.
  static func target(of rule: String) -> Substring? {
    let words = rule.split(separator: " ")
    return words.firstIndex { $0 == "-j" || $0 == "-g" }.flatMap {
      words.indices.contains($0 + 1) ? words[$0 + 1] : nil
    }
  }

  // MARK: -

  /// `iptables-nft-restore v1.8.9 (nf_tables): `, `iptables-nft-restore: `
  private static func withoutProgram(_ line: Substring) -> String {
    var rest = line[...]
    for end in [" (nf_tables):", "-restore:"] {
      if rest.hasPrefix("ip"), let range = rest.firstRange(of: end) { rest = rest[range.upperBound...] }
      rest = rest.drop { $0 == " " }
    }
    return String(rest)
  }

  private static func isBanner(_ line: String) -> Bool {
    line.isEmpty || line.hasPrefix("Try `") || line.hasPrefix("Warning: ") || line.hasPrefix("# Warning: ")
  }

  /// `line 5: RULE_APPEND failed (Invalid argument): rule in chain INPUT`
  private static func ofKernel(_ line: String, _ rules: [String], lacksModule: Bool) -> RestoreComplaint? {
    guard line.hasPrefix("line "), let number = number(in: line, after: "line "),
      let start = line.firstRange(of: " failed ("), let end = line[start.upperBound...].firstIndex(of: ")")
    else { return nil }
    let reason = String(line[start.upperBound..<end])
    let rule = rules.indices.contains(number - 1) ? rules[number - 1] : ""
    let isCertain = wrongEverywhere.contains(reason) && !lacksModule && !asksTheMachine(rule)
    return RestoreComplaint(
      verdict: isCertain ? .refused : .missingHere, line: number, words: "the kernel says: \(reason)")
  }

  /// What else the kernel answers is for want of a module, of memory or of a right.
  private static let wrongEverywhere: Set<String> = [
    "Invalid argument", "Too many links", "Too many levels of symbolic links", "Numerical result out of range",
  ]

  /// Users, control groups and pinned programs are other ones on the hosts.
  private static func asksTheMachine(_ rule: String) -> Bool {
    ["-m owner ", "-m cgroup ", "-m bpf "].contains { rule.contains($0) }
  }

  private static func ofProgram(_ said: String, _ number: Int, _ rules: [String]) -> RestoreComplaint {
    if said.hasPrefix("Couldn't load ") || said.contains("failed to get bpf object") {
      let words = said.split(separator: ":").first.map(String.init) ?? said
      return RestoreComplaint(verdict: .missingHere, line: number, words: words)
    }
    // It is noticed at the end of the table only. Chains that a policy names are declared, so this is an extension.
    if said.hasPrefix("Chain '"), said.hasSuffix("' does not exist") {
      let name = said.dropFirst("Chain '".count).dropLast("' does not exist".count)
      let place = rules.prefix(number).lastIndex { target(of: $0) == name }
      return RestoreComplaint(
        verdict: .missingHere, line: place.map { $0 + 1 } ?? number, words: "Couldn't load target `\(name)'")
    }
    return RestoreComplaint(verdict: isOfHosts(said) ? .missingHere : .refused, line: number, words: said)
  }

  /// Sets and users that only the hosts have. Sets of ours are made before they are named.
  private static func isOfHosts(_ said: String) -> Bool {
    if said.hasPrefix("Set "), let end = said.firstRange(of: " doesn't exist") {
      return !SetName.isOurs(String(said[..<end.lowerBound].dropFirst("Set ".count)))
    }
    return ["uid", "gid"].contains { kind in
      let start = "owner: Bad value for \"--\(kind)-owner\" option: \""
      return said.hasPrefix(start) && isName(said.dropFirst(start.count).prefix { $0 != "\"" })
    }
  }

  /// Unlike a number that is none.
  private static func isName(_ value: Substring) -> Bool {
    value.first.map { $0 == "_" || ($0.isASCII && $0.isLetter) } ?? false
  }

  private static func number(in line: String, after words: String) -> Int? {
    line.firstRange(of: words).flatMap { Int(line[$0.upperBound...].prefix { $0.isASCII && $0.isNumber }) }
  }
}
