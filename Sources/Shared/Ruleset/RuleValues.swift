internal import Core

// The values of options that have a form.

extension RuleCheck {
  mutating func value(_ form: ValueForm, _ option: RuleWord, _ values: [RuleWord]) {
    if case .any = form { return }
    guard let word = values.first else {
      return add(option, "`\(option.text)` needs a value", hint: "a value that begins with - goes in double quotes")
    }
    if values.count > 1 {
      add(values[1], "unexpected `\(values[1].shown)`", hint: "text with spaces goes in double quotes")
    }
    switch form {
    case .any: break
    case .text(let limit, let kept): text(word, limit: limit, kept: kept)
    case .ports(let separator, let isList): ports(word, separator: separator, isList: isList, option: option)
    case .address: addresses(word, in: word.value)
    case .addressAndMask: addressAndMask(word)
    case .addressRange:
      for part in word.value.split(separator: dash, maxSplits: 1, omittingEmptySubsequences: false) {
        guard addresses(word, in: part) else { return }
      }
    case .translation: translation(word)
    case .addressAndMaskOrNumber: if !word.value.allSatisfy(isDigit) { addressAndMask(word) }
    case .rejection: rejection(word)
    }
  }

  private mutating func text(_ word: RuleWord, limit: Int, kept: String) {
    guard word.value.count > limit else { return }
    add(
      word, "\(kept) of \(word.value.count) bytes, more than the \(limit) the kernel keeps",
      hint: "shorten it: iptables would cut it off in silence")
  }

  // MARK: Addresses

  mutating func addressAndMask(_ word: RuleWord) {
    let parts = word.value.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
    guard addresses(word, in: parts[0]), parts.count == 2, !AddressText.isMask(parts[1], family) else { return }
    let limit = family.addressBits
    add(
      word, "`/\(SafeText.escape(parts[1].prefix(60)))` is not a prefix length",
      hint: "it is a number from 0 to \(limit)")
  }

  /// True when `part` of the word is an address of the file's family; else says what it is.
  @discardableResult
  private mutating func addresses(_ word: RuleWord, in part: ArraySlice<UInt8>) -> Bool {
    if AddressText.isAddress(part, family) { return true }
    let shown = SafeText.escape(part.prefix(60))
    if AddressText.isAddress(part, family.other) {
      add(
        word, "\(shown) is an \(family.other.words) address in an \(family.words) file",
        hint: "rules for it go in the \(family.other.words) file")
    } else if part.contains(where: { !isDigit($0) && $0 != UInt8(ascii: ".") }), !part.contains(UInt8(ascii: ":")) {
      let words = addressWords.isEmpty ? "" : ", or \(addressWords.sorted().joined(separator: ", "))"
      add(
        word, "`\(shown)` is not a numeric \(family.words) address",
        hint: "write the address\(words): a host name would be looked up whenever the rules are loaded")
    } else {
      let example = family == .ipv4 ? "192.0.2.1" : "2001:db8::1"
      add(word, "`\(shown)` is not an \(family.words) address", hint: "it is written like \(example)")
    }
    return false
  }

  /// `A`, `A-B`, `A:PORT`, `A-B:PORT-PORT`, `:PORT`; IPv6 addresses before a port stand in brackets; DNAT's
  /// `:PORT-PORT/BASE` too.
  private mutating func translation(_ word: RuleWord) {
    var hosts = word.value
    var ports: ArraySlice<UInt8> = []
    switch family {
    case .ipv4:
      if let colon = hosts.firstIndex(of: UInt8(ascii: ":")), !AddressText.isIPv6(hosts) {
        ports = hosts[(colon + 1)...]
        hosts = hosts[..<colon]
        if ports.isEmpty { return add(word, "a port is missing after the colon") }
      }
    case .ipv6:
      if let end = hosts.lastIndex(of: UInt8(ascii: "]")) {
        let rest = hosts[(end + 1)...]
        if !rest.isEmpty {
          guard rest.first == UInt8(ascii: ":"), rest.count > 1 else {
            return add(word, "after `]` there is `:PORT` or nothing")
          }
          ports = rest.dropFirst()
        }
        hosts = hosts[...end]
      }
      // Of a range, ip6tables-save puts both ends between one pair of brackets.
      if hosts.first == UInt8(ascii: "["), hosts.lastIndex(of: UInt8(ascii: "[")) == hosts.startIndex,
        hosts.last == UInt8(ascii: "]"), hosts.contains(dash)
      {
        hosts = hosts.dropFirst().dropLast()
      }
    }
    if !hosts.isEmpty {
      for part in hosts.split(separator: dash, maxSplits: 1, omittingEmptySubsequences: false) {
        let isBracketed = family == .ipv6 && part.first == UInt8(ascii: "[") && part.last == UInt8(ascii: "]")
        guard addresses(word, in: isBracketed ? part.dropFirst().dropLast() : part) else { return }
      }
    }
    guard !ports.isEmpty else { return }
    let parts = ports.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
    if portRange(word, parts[0], separator: dash), parts.count == 2, AddressText.number(parts[1], atMost: 65535) == nil
    {
      add(word, "`\(SafeText.escape(parts[1].prefix(60)))` is not a port")
    }
  }

  // MARK: Ports

  private mutating func ports(_ word: RuleWord, separator: UInt8, isList: Bool, option: RuleWord) {
    let parts = word.value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    guard isList || parts.count == 1 else {
      return add(word, "a list of ports", hint: "write `-m multiport \(option.text)s …`")
    }
    var count = 0
    for part in parts {
      guard portRange(word, part, separator: separator) else { return }
      count += part.contains(separator) ? 2 : 1
    }
    if isList, count > 15 {
      add(
        word, "\(count) ports, more than the 15 of one multiport match", hint: "write two rules; a range counts as two")
    }
  }

  private mutating func portRange(_ word: RuleWord, _ part: ArraySlice<UInt8>, separator: UInt8) -> Bool {
    let ends = part.split(separator: separator, maxSplits: 1, omittingEmptySubsequences: false)
    var numbers: [Int] = []
    // `:1023` and `1024:` leave one end open.
    for end in ends where !(end.isEmpty && ends.count == 2 && part.count > 1 && separator == UInt8(ascii: ":")) {
      guard let number = AddressText.number(end, atMost: 65535) else {
        notAPort(word, end, separator: separator)
        return false
      }
      numbers.append(number)
    }
    guard numbers.count < 2 || numbers[0] <= numbers[1] else {
      add(word, "the range `\(SafeText.escape(part))` ends before it begins")
      return false
    }
    return true
  }

  private mutating func notAPort(_ word: RuleWord, _ text: ArraySlice<UInt8>, separator: UInt8) {
    let shown = SafeText.escape(text.prefix(60))
    let between = String(decoding: CollectionOfOne(separator), as: UTF8.self)
    if let port = Self.services[shown.lowercased()] {
      add(word, "`\(shown)` is a service's name", hint: "write its number: \(port)")
    } else if !text.isEmpty, text.allSatisfy(isDigit) {
      add(word, "`\(shown)` is not a port", hint: "ports are 0 to 65535, without leading zeros")
    } else if text.contains(UInt8(ascii: "-")), text.allSatisfy({ isDigit($0) || $0 == dash }) {
      add(word, "`\(shown)` is not a port", hint: "a range is written `a\(between)b`")
    } else {
      add(
        word, "`\(shown)` is not a port number", hint: "write a number or a range `a\(between)b`: names differ by host")
    }
  }

  private static let services = [
    "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "dns": 53, "bootps": 67, "bootpc": 68, "tftp": 69,
    "http": 80, "www": 80, "pop3": 110, "sunrpc": 111, "ntp": 123, "imap2": 143, "imap": 143, "snmp": 161, "ldap": 389,
    "https": 443, "submissions": 465, "syslog": 514, "submission": 587, "ldaps": 636, "imaps": 993, "pop3s": 995,
    "ms-sql-s": 1433, "nfs": 2049, "mysql": 3306, "ms-wbt-server": 3389, "postgresql": 5432, "redis": 6379,
    "http-alt": 8080,
  ]

  private mutating func rejection(_ word: RuleWord) {
    let name = word.text
    if family == .ipv6, name.hasPrefix("icmp-") {
      add(word, "`\(word.shown)` is for IPv4", hint: "write icmp6-port-unreachable, or icmp6-adm-prohibited")
    } else if family == .ipv4, name.hasPrefix("icmp6-") {
      add(word, "`\(word.shown)` is for IPv6", hint: "write icmp-port-unreachable, or icmp-admin-prohibited")
    }
  }
}

let dash = UInt8(ascii: "-")
