internal import Core

/// Copies the ipsets that rules name, so that such rules load, and decide, in a rehearsal as they do on the host.
struct HostSets {
  let calls: FirewallCalls
  /// Where ipset is, or nil when the host has none.
  let program: String?

  /// More are not copied; the rules that name them are then refused by their own program.
  static let maximumSets = 512
  static let maximumBytes = 32 << 20

  /// What `ipset restore` takes to make the named sets again; those that do not exist are left out.
  ///
  /// - Parameter known: made already, before these; somebody's set of sets may have them as members.
  func copy(_ names: Set<String>, besides known: Set<String> = []) -> [UInt8] {
    guard let program else { return [] }
    var copied = Set<String>()
    var text: [UInt8] = []
    func add(_ name: String) {
      guard !known.contains(name), !name.hasPrefix("-"), copied.count < Self.maximumSets, copied.insert(name).inserted
      else { return }
      // One that does not exist, or cannot be read, is for the rules that name it to stumble over.
      let request = ProgramRequest(program, ["save", name], outputLimit: Self.maximumBytes, milliseconds: 10_000)
      guard let saved = try? calls.run(request, nil), text.count + saved.count <= Self.maximumBytes else { return }
      // A set of sets needs its members first.
      for member in Self.members(of: saved) { add(member) }
      text += saved
    }
    for name in names.sorted() { add(name) }
    return text
  }

  /// The sets that a set of the type list:set names.
  static func members(of saved: [UInt8]) -> [String] {
    let lines = saved.split(separator: UInt8(ascii: "\n")).lazy.map { RuleText.words($0) }
    guard let first = lines.first, first.count > 2, first[0] == "create", first[2] == "list:set" else { return [] }
    return lines.compactMap { $0.count > 2 && $0[0] == "add" ? $0[2] : nil }
  }

  /// The names of sets of sets among the headers that `ipset list -terse` prints.
  static func lists(in headers: [UInt8]) -> [String] {
    var name: Substring?
    var lists: [String] = []
    for line in String(decoding: headers, as: UTF8.self).split(separator: "\n") {
      if line.hasPrefix("Name: ") { name = line.dropFirst(6) }
      if line == "Type: list:set", let name { lists.append(String(name)) }
    }
    return lists
  }

  /// The sets that a text for `ipset restore` makes.
  static func created(by text: [UInt8]) -> Set<String> {
    let lines = text.split(separator: UInt8(ascii: "\n")).lazy.filter { $0.starts(with: "create ".utf8) }
    return Set(lines.compactMap { RuleText.words($0).dropFirst().first })
  }
}
