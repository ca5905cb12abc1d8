internal import Core

/// What matters of a rule for where the packets go that it matches.
struct RuleShape {
  enum Target: Hashable {
    /// It only counts.
    case none
    case jump(String)
    case goTo(String)
    /// Its words are not in order, or name two targets: nobody can tell.
    case unclear
  }

  private(set) var target = Target.none
  /// It matches only packets of certain senders.
  private(set) var restrictsSource = false
  /// It matches every packet.
  private(set) var isUnconditional = true

  init(_ rule: Rule) {
    guard let words = try? rule.words(), words.count > 1 else {
      target = .unclear
      isUnconditional = false
      return
    }
    var index = 2
    while index < words.count {
      let word = words[index]
      let value = index + 1 < words.count ? words[index + 1] : nil
      if Self.isJump(word) {
        let isGoto = word.says("-g") || word.says("--goto")
        target = target == .none ? value.map { isGoto ? .goTo($0.text) : .jump($0.text) } ?? .unclear : .unclear
        index += 2
        continue
      }
      if !word.isQuoted, target == .none {
        switch word.text {
        case "-m" where value?.says("comment") == true, "--comment": index += 1
        case "--match-set":
          isUnconditional = false
          // `--match-set NAME src,dst`: which of the packet's sides the set's parts are compared with.
          let sides = index + 2 < words.count ? words[index + 2].text.split(separator: ",") : []
          if sides.contains("src") { restrictsSource = true }
        case let option:
          isUnconditional = false
          if Self.sourceOptions.contains(option) { restrictsSource = true }
        }
      }
      index += 1
    }
  }

  private static let sourceOptions: Set<String> = [
    "-s", "--source", "--src", "--src-range", "--mac-source", "--rcheck", "--update", "--src-cc", "--source-country",
  ]

  /// The chain, or the target, that it hands packets to.
  var called: String? {
    switch target {
    case .jump(let name), .goTo(let name): name
    case .none, .unclear: nil
    }
  }

  static func isJump(_ word: RuleWord) -> Bool {
    !word.isQuoted && (word.says("-j") || word.says("-g") || word.says("--jump") || word.says("--goto"))
  }
}

extension Rule {
  /// What stands after `-A CHAIN`, with its space. Rules as printed have one space there.
  var afterChain: ArraySlice<UInt8> {
    let name = bytes.dropFirst(3)
    return name[(name.firstIndex(of: space) ?? name.endIndex)...]
  }

  /// Whether a rule that a save program printed may be given to a restore program. Line breaks and quotes could make
  /// other rules of it, and a line of more than 10,239 bytes is read as two.
  var canBeFedBack: Bool {
    guard bytes.count <= 10_000, bytes.allSatisfy({ $0 >= space && $0 != 0x7f }), bytes.starts(with: "-A ".utf8) else {
      return false
    }
    return RuleShape(self).target != .unclear
  }

  /// Whether it calls a chain of ours.
  var callsOurs: Bool {
    // Most rules are told by this alone, and there may be a hundred thousand.
    guard bytes.contains(UInt8(ascii: "P")), bytes.withUnsafeBufferPointer({ $0.holds("PCL") }) else { return false }
    return RuleShape(self).called.map(OwnedNames.isOurs) ?? false
  }
}
