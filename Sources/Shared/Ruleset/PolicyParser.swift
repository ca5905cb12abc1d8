package import Core

extension Ruleset {
  /// Reads a rules file that a person wrote, or one from a bundle: only what loads in the same way on every backend and
  /// every version, so that one line is one rule and nothing is looked up, cut off or skipped in silence.
  ///
  /// Line by line: `*table`, `:CHAIN POLICY [packets:bytes]` (counters may be left out), `-A CHAIN …`, `COMMIT`,
  /// comments from the first column, empty lines. Printable ASCII; at most 8 MiB, 1,024 bytes a line. Up to 100 mistakes
  /// are reported, in reading order.
  ///
  /// Built-in chains that a table leaves out are no mistake here: see `declaringAllBuiltInChains()`.
  ///
  /// - Parameters:
  ///   - addressWords: words that may stand for an address after `-s` and `-d` (`controllers`). They stay in the rules as
  ///     written; whoever allows them replaces them.
  ///   - declaringBuiltInChains: rules may name built-in chains that the table does not declare. Those have no policy
  ///     here, so whoever allows it must give them one.
  package static func parse(
    policy bytes: [UInt8], file: String, family: Family, allowing addressWords: Set<String> = [],
    declaringBuiltInChains: Bool = false
  ) throws(Diagnostics) -> Ruleset {
    var parser = PolicyParser(bytes: bytes, file: file, family: family, addressWords: addressWords)
    parser.declaresBuiltInChains = declaringBuiltInChains
    parser.run()
    if let problems = Diagnostics(parser.mistakes.sorted()) { throw problems }
    return Ruleset(tables: parser.tables)
  }
}

struct PolicyParser {
  static let maximumSize = 8 << 20
  static let maximumLine = 1024

  private let bytes: [UInt8]
  private let family: Family
  private let addressWords: Set<String>
  var declaresBuiltInChains = false
  private(set) var mistakes: Mistakes
  private(set) var tables: [RuleTable] = []
  private var linesOfTables: [String: Int] = [:]
  private var open: TableBuilder?
  private var chains = DeclaredChains(table: "")
  /// Of the open table, from its first rule on.
  private var check: RuleCheck?
  private var hasRules = false
  private var hasTable = false
  private var number = 0

  init(bytes: [UInt8], file: String, family: Family, addressWords: Set<String>) {
    self.bytes = bytes
    self.family = family
    self.addressWords = addressWords
    mistakes = Mistakes(file: file)
  }

  mutating func run() {
    guard bytes.count <= Self.maximumSize else {
      return mistakes.add(1, 1, "the file has \(bytes.count) bytes, more than the \(Self.maximumSize) allowed")
    }
    let text = bytes
    text.withUnsafeBufferPointer { buffer in
      for range in Lines(buffer) {
        number += 1
        guard !mistakes.isFull else { return }
        line(text[range])
      }
    }
    if let open {
      mistakes.add(open.line, 1, "table \(open.name) has no COMMIT", hint: "end every table with a line COMMIT")
    }
    if !hasTable, mistakes.all.isEmpty {
      mistakes.add(1, 1, "the file has no table", hint: "rules stand between `*filter` and `COMMIT`")
    }
  }

  private mutating func add(_ column: Int, _ message: String, hint: String? = nil) {
    mistakes.add(number, column, message, hint: hint)
  }

  private mutating func line(_ line: ArraySlice<UInt8>) {
    guard line.count <= Self.maximumLine else {
      return add(
        Self.maximumLine + 1, "the line has \(line.count) bytes, more than the \(Self.maximumLine) allowed",
        hint: "split the rule, or use an ipset")
    }
    if let at = line.firstIndex(where: { $0 < space || $0 > 0x7e }) {
      return forbiddenByte(line[at], column: at - line.startIndex + 1)
    }
    guard let first = line.first else { return }
    if first == space {
      return add(1, "spaces at the beginning of a line", hint: "begin every line in the first column")
    }
    if first != UInt8(ascii: "#"), line.last == space, let end = line.lastIndex(where: { $0 != space }) {
      return add(end - line.startIndex + 2, "spaces at the end of a line", hint: "delete them")
    }
    switch first {
    case UInt8(ascii: "#"): return
    case UInt8(ascii: "*"): table(line)
    case UInt8(ascii: ":"): chain(line)
    case UInt8(ascii: "-") where line.starts(with: "-A ".utf8): rule(line)
    default:
      guard line.elementsEqual("COMMIT".utf8) else {
        return add(1, "`\(Self.firstWord(line))` cannot begin a line here", hint: Self.hint(forLine: line))
      }
      commit()
    }
  }

  private mutating func forbiddenByte(_ byte: UInt8, column: Int) {
    switch byte {
    case UInt8(ascii: "\r"):
      add(column, "a carriage return", hint: "save the file with Unix line endings: iptables-restore refuses others")
    case UInt8(ascii: "\t"): add(column, "a tab", hint: "use a space")
    default:
      let shown = "0x" + Hex.encode(CollectionOfOne(byte))
      add(column, "byte \(shown) is not printable ASCII", hint: "rules, comments and names are ASCII only")
    }
  }

  // MARK: Tables and chains

  private mutating func table(_ line: ArraySlice<UInt8>) {
    hasTable = true
    if let open {
      add(1, "table \(open.name) (line \(open.line)) has no COMMIT before this", hint: "end every table with COMMIT")
      close()
    }
    let name = String(decoding: line.dropFirst(), as: UTF8.self)
    open = TableBuilder(name: name, line: number)
    chains = DeclaredChains(table: name)
    check = nil
    hasRules = false
    guard BuiltInChains.chains(of: name) != nil else {
      let nearest = NearestName.to(name, among: BuiltInChains.tableNames).map { "did you mean `\($0)`?" }
      let all = BuiltInChains.tableNames.joined(separator: ", ")
      return add(2, "there is no table `\(SafeText.escape(name))`", hint: nearest ?? "tables are \(all)")
    }
    if let before = linesOfTables.updateValue(number, forKey: name) {
      add(2, "table \(name) occurs twice, first in line \(before)", hint: "join the two: the second would win")
    }
  }

  private mutating func chain(_ line: ArraySlice<UInt8>) {
    guard open != nil else {
      return add(1, "a chain outside any table", hint: "begin a table before it, such as `*filter`")
    }
    guard !hasRules else {
      return add(1, "a chain declared after rules", hint: "declare a table's chains before its rules")
    }
    let words = line.dropFirst().split(separator: space, maxSplits: 3, omittingEmptySubsequences: false)
    guard words.count == 2 || words.count == 3, !words[0].isEmpty, !words[1].isEmpty else {
      return add(1, "a chain is declared as `:NAME POLICY`", hint: "write `:INPUT DROP` or `:MYCHAIN -`")
    }
    let policy = String(decoding: words[1], as: UTF8.self)
    let builtIn = BuiltInChains.chains(of: chains.table)
    let isBuiltIn = builtIn?.contains { words[0].elementsEqual($0.utf8) } ?? (policy != "-")
    if !isBuiltIn, let problem = nameProblem(words[0], builtIn: builtIn ?? []) {
      add(2, problem.message, hint: problem.hint)
    }
    let policyColumn = words[1].startIndex - line.startIndex + 1
    if isBuiltIn, !BuiltInChains.policies(of: chains.table).contains(policy) {
      let hint =
        chains.table == "nat"
        ? "filter in the filter table: nat only sees a flow's first packet"
        : "a built-in chain has policy ACCEPT or DROP; end it with a rule `-j REJECT` to reject"
      add(policyColumn, "policy \(policy) of a built-in chain of table \(chains.table)", hint: hint)
    } else if !isBuiltIn, policy != "-" {
      add(
        policyColumn, "policy \(policy) of a chain that is not built in",
        hint: "only built-in chains have one: write `-`")
    }
    if words.count == 3, !isCounters(words[2]) {
      add(words[2].startIndex - line.startIndex + 1, "counters are written `[packets:bytes]`", hint: "leave them out")
    }
    chains.add(words[0], isBuiltIn: isBuiltIn)
    if open?.declare(words[0], policy: isBuiltIn ? policy : nil) == false {
      add(2, "chain \(SafeText.escape(words[0])) is declared twice")
    }
  }

  /// What is wrong with the name of a chain that is not built in.
  private func nameProblem(_ name: ArraySlice<UInt8>, builtIn: [String]) -> (message: String, hint: String?)? {
    let text = String(decoding: name, as: UTF8.self)
    if BuiltInChains.allNames.contains(text) {
      let all = builtIn.joined(separator: ", ")
      return ("\(text) is not a chain of table \(chains.table)", "its built-in chains are \(all)")
    }
    if name.count > 28 { return ("the chain's name has \(name.count) bytes, more than the 28 the kernel keeps", nil) }
    if KnownTargets.verdicts.contains(text) || KnownTargets.extensions.contains(text) {
      return ("a chain cannot be called \(text), which is a target", "choose another name")
    }
    let isFine =
      name.first != UInt8(ascii: "-")
      && name.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"):
          true
        default: "_-.:+@/=".utf8.contains(byte)
        }
      }
    return isFine ? nil : ("the chain's name may hold letters, digits and _-.:+@/= and not begin with -", nil)
  }

  private mutating func commit() {
    guard open != nil else { return add(1, "COMMIT outside any table") }
    close()
  }

  private mutating func close() {
    if let table = open?.finish() { tables.append(table) }
    open = nil
  }

  // MARK: Rules

  private mutating func rule(_ line: ArraySlice<UInt8>) {
    guard open != nil else {
      return add(1, "a rule outside any table", hint: "begin a table before it, such as `*filter`")
    }
    hasRules = true
    let rule = Rule(bytes: line, line: number)
    let words: [RuleWord]
    do throws(RuleWordProblem) {
      words = try rule.words()
    } catch {
      return add(error.offset + 1, error.message, hint: error.hint)
    }
    guard words.count > 1, !words[1].isQuoted else {
      return add(1, "a rule needs its chain", hint: "write `-A INPUT …`")
    }
    let start = line.startIndex + words[1].range.lowerBound
    let chain = bytes[start..<line.startIndex + words[1].range.upperBound]
    // Kept as iptables-save prints it: with one space there, so that the canonical form is a save too.
    let kept = start == line.startIndex + 3 ? rule : Rule(text: Array("-A ".utf8) + line[start...], line: number)
    if open?.append(kept, to: chain) == false, !declareBuiltIn(chain, for: kept) {
      let known = chains.suggestable + (BuiltInChains.chains(of: chains.table) ?? [])
      let nearest = NearestName.to(words[1].text, among: known)
      add(
        words[1].range.lowerBound + 1, "chain \(words[1].text) is not declared in table \(chains.table)",
        hint: nearest.map { known.contains(words[1].text) ? "declare it: `:\($0) ACCEPT`" : "did you mean `\($0)`?" }
          ?? "declare it before the rules: `:\(words[1].text) -`")
    }
    if check == nil { check = RuleCheck(chains: chains, family: family, addressWords: addressWords) }
    check?.run(words)
    for problem in check?.problems ?? [] { add(problem.offset + 1, problem.message, hint: problem.hint) }
  }

  private mutating func declareBuiltIn(_ chain: ArraySlice<UInt8>, for rule: Rule) -> Bool {
    let builtIn = BuiltInChains.chains(of: chains.table) ?? []
    guard declaresBuiltInChains, builtIn.contains(where: { chain.elementsEqual($0.utf8) }),
      open?.declare(chain, policy: nil) == true
    else { return false }
    return open?.append(rule, to: chain) == true
  }

  // MARK: Lines of no known form

  private static func firstWord(_ line: ArraySlice<UInt8>) -> String {
    SafeText.escape(line.prefix { $0 != space }.prefix(40))
  }

  private static func hint(forLine line: ArraySlice<UInt8>) -> String {
    let word = String(decoding: line.prefix { $0 != space }, as: UTF8.self)
    return switch word {
    case "-P", "--policy": "write the policy into the chain's line: `:INPUT DROP`"
    case "-N", "--new-chain", "--new": "declare the chain before the rules: `:NAME -`"
    case "-I", "--insert": "rules are loaded in the order of the file: write `-A` where the rule belongs"
    case "-A", "--append": "a rule begins `-A CHAIN `"
    case "-t", "--table": "a table begins with `*NAME` and ends with `COMMIT`"
    case "-D", "-F", "-X", "-Z", "-R", "-E", "-L", "-S", "-C":
      "the file says what shall be, not how to get there: only `-A` begins a rule"
    case "iptables", "ip6tables", "sudo", "iptables-restore", "ip6tables-restore":
      "this is not a script: leave out the program, and put rules between `*filter` and `COMMIT`"
    case _ where word.utf8.first == UInt8(ascii: "["): "leave the counters of rules out: save without -c"
    case _ where word.lowercased() == "commit": "write COMMIT and nothing else on the line"
    default: "lines begin with `*table`, `:CHAIN`, `-A CHAIN`, `COMMIT` or `#`"
    }
  }
}
