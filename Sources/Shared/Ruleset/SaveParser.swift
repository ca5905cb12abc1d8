package import Core

extension Ruleset {
  /// Reads what `iptables-save` or `ip6tables-save` printed on a host, with or without counters.
  ///
  /// Lenient where hosts are: any table, match and target; comment lines anywhere; bytes above 0x7E in rules, control
  /// characters between quotes. No text at all is a ruleset without tables (a host where nothing was ever loaded).
  /// Strict in form: every physical line must be of a known one, quotes must close on their line, chains must be
  /// declared, tables must end in COMMIT.
  ///
  /// What this cannot do: iptables-save prints a line break inside a rule raw. Inside a comment it shows, as quotes left
  /// open; inside a name that an extension prints without quotes (`-m recent --name`) the rest of it may look like a
  /// rule of its own, and nothing can tell. So a save is for comparing and showing, never for loading.
  ///
  /// At most 64 MiB, and 64 KiB a line. Up to 100 mistakes are reported.
  package static func parse(save bytes: [UInt8], file: String) throws(Diagnostics) -> Ruleset {
    var parser = SaveParser(bytes: bytes, file: file)
    parser.run()
    if let problems = Diagnostics(parser.mistakes.sorted()) { throw problems }
    return Ruleset(tables: parser.tables)
  }
}

struct SaveParser {
  static let maximumSize = 64 << 20
  static let maximumLine = 64 << 10

  private let bytes: [UInt8]
  private(set) var mistakes: Mistakes
  private(set) var tables: [RuleTable] = []
  private var names: Set<String> = []
  private var open: TableBuilder?
  private var number = 0

  init(bytes: [UInt8], file: String) {
    self.bytes = bytes
    mistakes = Mistakes(file: file)
  }

  mutating func run() {
    guard bytes.count <= Self.maximumSize else {
      mistakes.add(1, 1, "the text has \(bytes.count) bytes, more than the \(Self.maximumSize) allowed")
      return
    }
    let text = bytes
    text.withUnsafeBufferPointer { buffer in
      for range in Lines(buffer) {
        number += 1
        guard !mistakes.isFull else { return }
        line(buffer, range)
      }
    }
    if let open { mistakes.add(open.line, 1, "table \(open.name) has no COMMIT: the text is cut off") }
  }

  private mutating func line(_ buffer: UnsafeBufferPointer<UInt8>, _ whole: Range<Int>) {
    guard whole.count <= Self.maximumLine else {
      return mistakes.add(number, 1, "the line has \(whole.count) bytes, more than the \(Self.maximumLine) allowed")
    }
    var end = whole.upperBound
    while end > whole.lowerBound, buffer[end - 1] == space { end -= 1 }
    guard end > whole.lowerBound else { return }
    let start = whole.lowerBound
    switch buffer[start] {
    case UInt8(ascii: "-"): rule(buffer, start, start..<end)
    case UInt8(ascii: "["):
      guard let afterCounters = afterCounters(buffer, start..<end) else { return unknownForm(buffer[end - 1]) }
      rule(buffer, start, afterCounters..<end)
    case UInt8(ascii: "#"): return
    case UInt8(ascii: ":"): chain(buffer, start..<end)
    case UInt8(ascii: "*"): table(buffer, start..<end)
    default:
      guard buffer[start..<end].elementsEqual("COMMIT".utf8) else { return unknownForm(buffer[end - 1]) }
      commit()
    }
  }

  private mutating func unknownForm(_ lastByte: UInt8?) {
    mistakes.add(
      number, 1, "this is not a line that iptables-save prints",
      hint: lastByte == UInt8(ascii: "\r")
        ? "the text has Windows line endings" : "a line break inside a rule's comment or name looks like this")
  }

  // MARK: The four forms

  private mutating func table(_ buffer: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
    if let open {
      mistakes.add(number, 1, "table \(open.name) (line \(open.line)) has no COMMIT before the next table")
      close()
    }
    let name = buffer[(range.lowerBound + 1)..<range.upperBound]
    guard isWord(name) else { return mistakes.add(number, 2, "a table's name must be one word of printable ASCII") }
    open = TableBuilder(name: String(decoding: name, as: UTF8.self), line: number)
    if !names.insert(open?.name ?? "").inserted { mistakes.add(number, 2, "table \(open?.name ?? "") occurs twice") }
  }

  private mutating func chain(_ buffer: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
    let words = buffer[(range.lowerBound + 1)..<range.upperBound].split(separator: space)
    guard words.count == 2 || words.count == 3, isWord(words[0]), isPolicy(words[1]),
      words.count == 2 || isCounters(words[2])
    else { return unknownForm(words.last?.last) }
    guard open != nil else { return mistakes.add(number, 1, "a chain outside any table") }
    let policy = words[1].elementsEqual("-".utf8) ? nil : String(decoding: words[1], as: UTF8.self)
    let name = bytes[words[0].startIndex..<words[0].endIndex]
    // A built-in chain that hangs nowhere is printed twice: as it should be, and as it is.
    if policy == nil, open?.unhook(name) == true { return }
    if open?.declare(name, policy: policy) == false {
      mistakes.add(number, 2, "chain \(SafeText.escape(words[0])) is declared twice")
    }
  }

  private mutating func rule(_ buffer: UnsafeBufferPointer<UInt8>, _ lineStart: Int, _ range: Range<Int>) {
    guard let chain = Self.chainOfRule(buffer, range) else { return unknownForm(buffer[range.upperBound - 1]) }
    if let fault = Self.fault(in: buffer, range) {
      let column = fault.position - lineStart + 1
      return mistakes.add(number, column, fault.message, hint: "a line break inside a rule's comment looks like this")
    }
    guard open != nil else { return mistakes.add(number, 1, "a rule outside any table") }
    if open?.append(Rule(bytes: bytes[range], line: number), to: bytes[chain]) == false {
      let column = chain.lowerBound - lineStart + 1
      mistakes.add(number, column, "a rule in chain \(SafeText.escape(bytes[chain])), which is not declared")
    }
  }

  private mutating func commit() {
    guard open != nil else { return mistakes.add(number, 1, "COMMIT outside any table") }
    close()
  }

  private mutating func close() {
    if let table = open?.finish() { tables.append(table) }
    open = nil
  }

  // MARK: Bytes

  /// The name in `-A NAME`, followed by a space or the end.
  @inline(__always)
  static func chainOfRule(_ buffer: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Range<Int>? {
    let start = range.lowerBound
    guard range.count > 3, buffer[start] == UInt8(ascii: "-"), buffer[start + 1] == UInt8(ascii: "A"),
      buffer[start + 2] == space
    else { return nil }
    var end = start + 3
    while end < range.upperBound, buffer[end] != space { end += 1 }
    return end > start + 3 ? start + 3..<end : nil
  }

  /// Quotes that do not close, or a control character outside quotes.
  static func fault(
    in buffer: UnsafeBufferPointer<UInt8>, _ range: Range<Int>
  ) -> (position: Int, message: String)? {
    var quote: Int?
    var index = range.lowerBound
    while index < range.upperBound {
      let byte = buffer[index]
      if byte == UInt8(ascii: "\"") {
        quote = quote == nil ? index : nil
      } else if byte == UInt8(ascii: "\\"), quote != nil {
        index += 1
      } else if byte < space || byte == 0x7f, quote == nil {
        return (index, "a control character outside quotes")
      }
      index += 1
    }
    return quote.map { ($0, "the quotes opened here do not close on this line") }
  }

  /// Past `[12:34] `, or nil.
  private func afterCounters(_ buffer: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Int? {
    guard let end = buffer[range].firstIndex(of: space), isCounters(buffer[range.lowerBound..<end]) else { return nil }
    return end + 1
  }
}

let space = UInt8(ascii: " ")

/// Printable ASCII without spaces, at least one byte.
func isWord(_ bytes: some Collection<UInt8>) -> Bool {
  !bytes.isEmpty && bytes.allSatisfy { $0 > space && $0 < 0x7f }
}

/// `-`, or a word of upper-case letters.
private func isPolicy(_ bytes: some Collection<UInt8>) -> Bool {
  if bytes.elementsEqual("-".utf8) { return true }
  return !bytes.isEmpty && bytes.allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
}

/// `[PACKETS:BYTES]`
func isCounters(_ bytes: some BidirectionalCollection<UInt8>) -> Bool {
  guard bytes.count <= 64, bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]") else { return false }
  let numbers = bytes.dropFirst().dropLast().split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
  return numbers.count == 2 && numbers.allSatisfy { !$0.isEmpty && $0.allSatisfy(isDigit) }
}

func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
