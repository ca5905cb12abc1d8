internal import Core

/// The options that iptables itself has for rules, in all their spellings.
enum CoreOption: UInt8 {
  case source, destination, input, output, protocolName, jump, match, fragment

  var short: String {
    switch self {
    case .source: "-s"
    case .destination: "-d"
    case .input: "-i"
    case .output: "-o"
    case .protocolName: "-p"
    case .jump: "-j"
    case .match: "-m"
    case .fragment: "-f"
    }
  }

  init?(_ name: String) {
    switch name {
    case "-s", "--source", "--src": self = .source
    case "-d", "--destination", "--dst": self = .destination
    case "-i", "--in-interface": self = .input
    case "-o", "--out-interface": self = .output
    case "-p", "--protocol": self = .protocolName
    case "-j", "--jump", "-g", "--goto": self = .jump
    case "-m", "--match": self = .match
    case "-f", "--fragment", "--fragments": self = .fragment
    default: return nil
    }
  }
}

/// What an option is, found once for each that occurs.
enum OptionKind {
  case core(CoreOption)
  /// It may not stand in a rule; the text says what to do instead.
  case refused(String)
  case unknown
  /// `--option=value`
  case assignment
  /// Of this one.
  case abbreviation(String)
  case value(ValueForm, needsProtocol: Bool)

  init(_ name: String) {
    if let core = CoreOption(name) {
      self = .core(core)
    } else if let hint = RefusedOption.hint(for: name) {
      self = .refused(hint)
    } else if !name.hasPrefix("--") || name == "--" {
      self = .unknown
    } else if name.utf8.contains(UInt8(ascii: "=")) {
      self = .assignment
    } else if let whole = RefusedOption.abbreviated(name) {
      self = .abbreviation(whole)
    } else {
      let form = ValueForm(option: name)
      var isPort = false
      if case .ports = form { isPort = !name.hasPrefix("--to-") && !name.hasPrefix("--ct") }
      self = .value(form, needsProtocol: isPort)
    }
  }
}

/// Options of iptables that have no place in a rules file.
enum RefusedOption {
  private static let commands: Set<String> = [
    "-A", "-C", "-D", "-E", "-F", "-I", "-L", "-N", "-P", "-R", "-S", "-X", "-Z", "--append", "--check", "--delete",
    "--delete-chain", "--flush", "--insert", "--list", "--list-rules", "--new", "--new-chain", "--policy",
    "--rename-chain", "--replace", "--zero",
  ]
  private static let others: Set<String> = [
    "-h", "-n", "-v", "-V", "-w", "-W", "-x", "--exact", "--help", "--line-numbers", "--modprobe", "--numeric",
    "--verbose", "--version", "--wait", "--wait-interval",
  ]
  private static let spelled = [
    "--append", "--check", "--delete", "--delete-chain", "--destination", "--exact", "--flush", "--goto", "--help",
    "--in-interface", "--insert", "--ipv4", "--ipv6", "--jump", "--line-numbers", "--list", "--list-rules", "--match",
    "--modprobe", "--new-chain", "--numeric", "--out-interface", "--policy", "--protocol", "--rename-chain",
    "--replace", "--set-counters", "--source", "--table", "--verbose", "--version", "--wait", "--wait-interval",
    "--zero",
  ]

  /// What to do instead, or nil when the option is none of these.
  static func hint(for name: String) -> String? {
    switch name {
    case "-t", "--table": "the table is the one the rule stands in"
    case "-4", "-6", "--ipv4", "--ipv6": "each family has its own file; the other would skip the rule in silence"
    case "-c", "--set-counters": "leave counters out"
    case _ where commands.contains(name): "a line is one rule, and begins with its only `-A`"
    case _ where others.contains(name): "leave it out"
    default: nil
    }
  }

  static func hint(forShort option: RuleWord) -> String {
    let letter = String(decoding: option.value.prefix(2), as: UTF8.self)
    guard option.value.count > 2 else {
      return "options are -s -d -i -o -p -j -g -m -f, and those of matches and targets"
    }
    return CoreOption(letter) == nil
      ? "long options begin with two dashes" : "write a space after the option: `\(letter) VALUE`"
  }

  /// The option that iptables would read this as, although it is not written out.
  static func abbreviated(_ name: String) -> String? {
    // Options of their own that happen to begin another one's name (`-m recent --set`, `-m policy --pol`,
    // `-m osf --log`).
    if ["--set", "--to", "--src", "--dst", "--pol", "--proto", "--log"].contains(name) || ValueForm.isKnown(name) {
      return nil
    }
    return spelled.first { $0.hasPrefix(name) } ?? ValueForm.known.first { $0.hasPrefix(name) }
  }
}

/// What the values of extension options must look like, where it matters.
enum ValueForm {
  case text(limit: Int, kept: String)
  /// One port, or two with this between.
  case ports(separator: UInt8, isList: Bool)
  case address
  case addressAndMask
  /// `A-B`
  case addressRange
  /// `A-B:PORT-PORT`
  case translation
  /// NETMAP's address, or the string match's offset.
  case addressAndMaskOrNumber
  case rejection
  case any

  init(option name: String) {
    switch name {
    case "--comment": self = .text(limit: 255, kept: "a comment")
    case "--log-prefix": self = .text(limit: 29, kept: "a log prefix")
    case "--nflog-prefix": self = .text(limit: 63, kept: "an nflog prefix")
    case "--dport", "--sport", "--destination-port", "--source-port", "--ctorigsrcport", "--ctorigdstport",
      "--ctreplsrcport", "--ctrepldstport":
      self = .ports(separator: UInt8(ascii: ":"), isList: false)
    case "--dports", "--sports", "--ports", "--destination-ports", "--source-ports":
      self = .ports(separator: UInt8(ascii: ":"), isList: true)
    case "--to-ports": self = .ports(separator: UInt8(ascii: "-"), isList: false)
    case "--to-source", "--to-destination": self = .translation
    case "--to": self = .addressAndMaskOrNumber
    case "--ctorigsrc", "--ctorigdst", "--ctreplsrc", "--ctrepldst", "--tunnel-src", "--tunnel-dst":
      self = .addressAndMask
    case "--src-range", "--dst-range": self = .addressRange
    case "--gateway", "--on-ip": self = .address
    case "--reject-with": self = .rejection
    default: self = .any
    }
  }

  /// The options that have a form, in order.
  static let known = [
    "--comment", "--ctorigdst", "--ctorigdstport", "--ctorigsrc", "--ctorigsrcport", "--ctrepldst", "--ctrepldstport",
    "--ctreplsrc", "--ctreplsrcport", "--destination-port", "--destination-ports", "--dport", "--dports", "--dst-range",
    "--gateway", "--log-prefix", "--nflog-prefix", "--on-ip", "--ports", "--reject-with", "--source-port",
    "--source-ports", "--sport", "--sports", "--src-range", "--to", "--to-destination", "--to-ports", "--to-source",
    "--tunnel-dst", "--tunnel-src",
  ]

  static func isKnown(_ name: String) -> Bool { known.contains(name) }

  static func takesAnyText(_ name: String) -> Bool {
    ["--comment", "--log-prefix", "--nflog-prefix", "--string", "--hex-string", "--name", "--label"].contains(name)
  }
}
