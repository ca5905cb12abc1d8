internal import Core

// The two ways to say through which bastions a host is reached.

extension SettingsReader {
  /// `portcullis_jump`: `bastion1`, `ops@bastion.example.net:2222`, or a list of hops, the first to connect to first.
  /// An empty list takes away what a group says.
  mutating func hops(_ value: YAMLNode, ofGroup isGroup: Bool) -> HostSettings.Hops? {
    var specs: [JumpSpec] = []
    if value.tag == nil, case .list(let nodes) = value.content {
      for node in nodes {
        guard let text = plainText(node), let spec = hop(text, at: node.location) else { continue }
        specs.append(spec)
      }
    } else {
      guard let text = plainText(value) else { return nil }
      for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        guard let spec = hop(String(part), at: value.location) else { return nil }
        specs.append(spec)
      }
    }
    return HostSettings.Hops(specs: specs, location: value.location, isStrict: true, isInherited: isGroup)
  }

  /// `-J a,b` and `-o ProxyJump=a,b`; whatever else ssh is told there is not done, and said so.
  mutating func readCommonArguments(
    _ text: String, at location: SourceLocation, ofGroup isGroup: Bool, into settings: inout HostSettings
  ) {
    var words = Self.shellWords(text)[...]
    var ignored: [String] = []
    while let word = words.popFirst() {
      var jump: String?
      if word == "-J" {
        jump = words.popFirst() ?? ""
      } else if word.hasPrefix("-J") {
        jump = String(word.dropFirst(2))
      } else if word.hasPrefix("-o") {
        let option = word == "-o" ? words.popFirst() ?? "" : String(word.dropFirst(2))
        let parts = option.split(maxSplits: 1) { $0 == "=" || $0 == " " }.map(String.init)
        if parts.count == 2, parts[0].lowercased() == "proxyjump" {
          jump = parts[1].trimmingPrefix("=").trimmingPrefix(" ").description
        } else {
          ignored.append("-o \(option)")
        }
      } else {
        ignored.append(word)
      }
      guard let jump else { continue }
      guard !jump.contains("{{") else {
        problems.add(location, "templates are not evaluated: \(quoted(jump))", hint: "write the bastion's name")
        return
      }
      guard jump.lowercased() != "none" else {
        settings.sshJump = HostSettings.Hops(specs: [], location: location, isStrict: false, isInherited: isGroup)
        continue
      }
      var specs: [JumpSpec] = []
      for part in jump.split(separator: ",", omittingEmptySubsequences: false) {
        guard let spec = hop(String(part), at: location) else { return }
        specs.append(spec)
      }
      settings.sshJump = HostSettings.Hops(specs: specs, location: location, isStrict: false, isInherited: isGroup)
    }
    if !ignored.isEmpty {
      warnings.append(
        Diagnostic(
          location,
          "of ansible_ssh_common_args only -J and -o ProxyJump= are understood; ignored: "
            + SafeText.escape(ignored.joined(separator: " "))))
    }
  }

  /// `[USER@]HOST[:PORT]`, an IPv6 address in brackets.
  private mutating func hop(_ text: String, at location: SourceLocation) -> JumpSpec? {
    var rest = text.trimmingPrefix("ssh://")[...]
    var user: String?
    if let at = rest.lastIndex(of: "@") {
      guard let name = loginName(String(rest[..<at]), at: location) else { return nil }
      user = name
      rest = rest[rest.index(after: at)...]
    }
    var host = String(rest)
    var port: UInt16?
    if rest.hasPrefix("["), let close = rest.firstIndex(of: "]") {
      host = String(rest[rest.index(after: rest.startIndex)..<close])
      let tail = rest[rest.index(after: close)...]
      if !tail.isEmpty {
        port = tail.hasPrefix(":") ? UInt16(tail.dropFirst()) : nil
        if port == nil { host = "" }
      }
    } else if rest.count(where: { $0 == ":" }) == 1, let colon = rest.firstIndex(of: ":") {
      host = String(rest[..<colon])
      port = UInt16(rest[rest.index(after: colon)...])
      if port == nil { host = "" }
    }
    let isKnownForm = NumericAddress(host) != nil || HostID(host) != nil
    guard isKnownForm, port != 0 else {
      problems.add(
        location, "\(quoted(text)) is no jump host",
        hint: "a host of the inventory, or USER@HOST:PORT with an IPv6 address in brackets")
      return nil
    }
    return JumpSpec(user: user, host: NumericAddress(host)?.description ?? host, port: port, inventoryHost: nil)
  }

  /// Words as a shell splits them: quotes and backslashes, nothing else.
  static func shellWords(_ text: String) -> [String] {
    var words: [String] = []
    var word = ""
    var isWord = false
    var quote: Character?
    var isEscaped = false
    for character in text {
      if isEscaped {
        word.append(character)
        isEscaped = false
      } else if character == "\\", quote != "'" {
        isEscaped = true
        isWord = true
      } else if let open = quote {
        if character == open { quote = nil } else { word.append(character) }
      } else if character == "\"" || character == "'" {
        quote = character
        isWord = true
      } else if character == " " || character == "\t" || character == "\n" {
        if isWord { words.append(word) }
        word = ""
        isWord = false
      } else {
        word.append(character)
        isWord = true
      }
    }
    if isWord { words.append(word) }
    return words
  }
}
