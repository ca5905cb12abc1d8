internal import Core

/// Reads one line of `allowed_signers`: `principal options type base64 comment`.
struct AllowedSignersLine {
  private let line: ArraySlice<UInt8>
  private let file: String
  private let number: Int
  private var position: Int

  init(_ line: ArraySlice<UInt8>, file: String, number: Int) {
    self.line = line
    self.file = file
    self.number = number
    position = line.startIndex
  }

  /// Nil for a blank or a comment line.
  mutating func parse() throws(Diagnostic) -> AllowedSigner? {
    for index in line.indices where line[index] != 0x09 && (line[index] < 0x20 || line[index] == 0x7f) {
      let shown = "0x" + Hex.encode([line[index]])
      throw problem(
        "byte \(shown) is a control character", at: index,
        hint: line[index] == 0x0d ? "the file has Windows line ends; save it with Unix ones" : nil)
    }
    skipBlanks()
    guard let first = peek, first != UInt8(ascii: "#") else { return nil }

    let start = position
    let principal = word()
    if principal.utf8.contains(UInt8(ascii: ",")) {
      throw problem(
        "'\(SafeText.escape(principal))' names several principals", at: start,
        hint: "one principal for each key: signatures are counted by principal")
    }
    if let fault = AllowedSigner.fault(inName: principal) {
      throw problem("principal '\(SafeText.escape(principal))' \(fault)", at: start)
    }
    if SSHKeyKind(rawValue: principal) != nil {
      throw problem("the line has no principal", at: start, hint: "a line is: principal namespaces=\"…\" type key")
    }
    skipBlanks()
    let options = try self.options()
    skipBlanks()

    let keyStart = position
    let type = word()
    guard !type.isEmpty else { throw problem("the key is missing", at: keyStart) }
    skipBlanks()
    let base64 = word()
    let key: SSHPublicKey
    do throws(SSHFormatProblem) {
      key = try SSHPublicKey(type: type, base64: Array(base64.utf8))
    } catch {
      throw problem(error.description, at: keyStart)
    }
    skipBlanks()
    var comment = line[position...]
    while let last = comment.last, last == 0x20 || last == 0x09 { comment = comment.dropLast() }
    do throws(FormatProblem) {
      return try AllowedSigner(
        principal: principal, namespaces: options.namespaces, validAfter: options.validAfter,
        validBefore: options.validBefore, key: key, comment: SafeText.escape(comment))
    } catch {
      throw problem(error.reason, at: start)
    }
  }

  private struct Options {
    var namespaces: [String] = []
    var validAfter: UTCTime?
    var validBefore: UTCTime?
  }

  private static let optionNames = ["namespaces", "valid-after", "valid-before"]
  private static let namespaceHint = "write namespaces=\"\(SigningNamespace.release.rawValue)\" after the principal"

  private mutating func options() throws(Diagnostic) -> Options {
    let start = position
    // A key right after the principal is OpenSSH's way to say "any purpose".
    if line[position...].starts(with: "ssh-".utf8) || line[position...].starts(with: "ecdsa-".utf8)
      || line[position...].starts(with: "sk-".utf8)
    {
      throw problem("namespaces= is missing", at: start, hint: Self.namespaceHint)
    }
    var options = Options()
    var seen = Set<String>()
    repeat {
      let nameStart = position
      let name = optionName()
      guard Self.optionNames.contains(name) else { throw unknownOption(name, at: nameStart) }
      guard seen.insert(name).inserted else { throw problem("\(name)= stands twice", at: nameStart) }
      let (value, valueStart) = try quoted(after: name)
      switch name {
      case "namespaces": options.namespaces = try namespaces(value, at: valueStart)
      case "valid-after": options.validAfter = try time(value, of: name, at: valueStart)
      default: options.validBefore = try time(value, of: name, at: valueStart)
      }
    } while takeComma()
    guard peek == 0x20 || peek == 0x09 else {
      throw problem("a space or a comma must follow the quotation mark", at: position)
    }
    guard seen.contains("namespaces") else {
      throw problem("namespaces= is missing", at: start, hint: Self.namespaceHint)
    }
    return options
  }

  private func unknownOption(_ name: String, at index: Int) -> Diagnostic {
    if name == "cert-authority" {
      return problem(
        "cert-authority is not accepted: keys are trusted one by one here", at: index,
        hint: "list the signers' own keys")
    }
    let shown = SafeText.escape(name)
    return problem(
      name.isEmpty ? "an option must stand here" : "unknown option '\(shown)'", at: index,
      hint: NearestName.to(name.lowercased(), among: Self.optionNames).map { "did you mean \($0)=?" })
  }

  private mutating func optionName() -> String {
    let start = position
    while let byte = peek, ASCII.isLetterOrDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") {
      position += 1
    }
    return String(decoding: line[start..<position], as: UTF8.self)
  }

  private mutating func quoted(after name: String) throws(Diagnostic) -> (value: String, start: Int) {
    guard line[position...].starts(with: "=\"".utf8) else {
      throw problem("=\"…\" must follow \(name)", at: position)
    }
    position += 2
    let start = position
    while let byte = peek, byte != UInt8(ascii: "\"") {
      guard byte != UInt8(ascii: "\\") else { throw problem("'\\' has no place here", at: position) }
      position += 1
    }
    guard peek != nil else { throw problem("the quotation mark is not closed", at: start - 1) }
    defer { position += 1 }
    return (String(decoding: line[start..<position], as: UTF8.self), start)
  }

  private func namespaces(_ value: String, at start: Int) throws(Diagnostic) -> [String] {
    var names: [String] = []
    var column = start
    for part in value.split(separator: ",", omittingEmptySubsequences: false) {
      let name = String(part)
      if let fault = AllowedSigner.fault(inName: name) {
        throw problem(
          "namespace '\(SafeText.escape(name))' \(fault)", at: column,
          hint: "for example namespaces=\"\(SigningNamespace.release.rawValue)\"")
      }
      guard !names.contains(name) else { throw problem("namespace '\(name)' stands twice", at: column) }
      names.append(name)
      column += name.utf8.count + 1
    }
    return names
  }

  /// `YYYYMMDDZ`, `YYYYMMDDHHMMZ` or `YYYYMMDDHHMMSSZ`.
  private func time(_ value: String, of option: String, at start: Int) throws(Diagnostic) -> UTCTime {
    let digits = value.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    let rest = value.utf8.dropFirst(digits.count)
    let hint = "for example \(option)=\"20270101Z\" or \(option)=\"20270101120000Z\", in UTC"
    if [8, 12, 14].contains(digits.count), rest.isEmpty {
      throw problem("'\(value)' has no 'Z' at its end and would mean local time", at: start, hint: hint)
    }
    guard [8, 12, 14].contains(digits.count), rest.elementsEqual("Z".utf8) else {
      throw problem("'\(SafeText.escape(value))' is not a time", at: start, hint: hint)
    }
    let d = String(digits)! + String(repeating: "0", count: 14 - digits.count)
    func part(_ offset: Int, _ length: Int) -> Substring { d.dropFirst(offset).prefix(length) }
    let text = "\(part(0, 4))-\(part(4, 2))-\(part(6, 2))T\(part(8, 2)):\(part(10, 2)):\(part(12, 2))Z"
    guard let time = UTCTime(text), time.secondsSinceEpoch > 0 else {
      throw problem("'\(value)' is not a time that exists after the start of 1970", at: start, hint: hint)
    }
    return time
  }

  private var peek: UInt8? { position < line.endIndex ? line[position] : nil }

  private mutating func takeComma() -> Bool {
    guard peek == UInt8(ascii: ",") else { return false }
    position += 1
    return true
  }

  private mutating func skipBlanks() {
    while let byte = peek, byte == 0x20 || byte == 0x09 { position += 1 }
  }

  private mutating func word() -> String {
    let start = position
    while let byte = peek, byte != 0x20, byte != 0x09 { position += 1 }
    return String(decoding: line[start..<position], as: UTF8.self)
  }

  private func problem(_ message: String, at index: Int, hint: String? = nil) -> Diagnostic {
    Diagnostic(
      SourceLocation(file: file, line: number, column: index - line.startIndex + 1), message, hint: hint)
  }
}
