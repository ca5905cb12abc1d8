import TestSupport

/// A random inventory of one to three sources in a folder of its own, and patterns to ask it for.
struct GeneratedInventory {
  let sources: [String]
  private(set) var patterns: [String] = []

  private static let groups = ["web", "db", "prod", "stage", "eu", "rack_1", "g7", "Upper", "z"]
  private static let hosts = [
    "web1", "web2", "web10", "web01", "web02", "db-a", "db-b", "lone", "h1.example.net", "10.0.0.5", "x_1", "UPPER",
    "rack10", "rack11", "both", "localhost",
  ]
  private static let ranges = [
    "web[1:3]", "web[01:03]", "n[08:11]", "db-[a:c]", "r[1:2]s[a:b]", "w[0:10:5]", "[1:2]x", "w[:2]", "z[a:e:2].y",
    "q[3:3]",
  ]

  private var values: GeneratedValues
  private let folder: TemporaryFolder
  private let root: String

  init(_ number: Int, in folder: TemporaryFolder, _ random: inout Random) throws {
    values = GeneratedValues(random: Random(seed: random.next()))
    self.folder = folder
    root = "i\(number)"
    var sources: [String] = []
    for index in 0..<values.pick([1, 1, 2, 3]) {
      // Sometimes two sources share a folder, and so what lies beside them.
      let place = "\(root)/\(values.chance(30) ? 0 : index)"
      sources.append(folder.path + "/" + (try Self.source(&values, folder, place, index)))
    }
    if values.chance(10) { sources.append("lone,web9:2022,db-z,") }
    self.sources = sources
    for _ in 0..<12 { patterns.append(pattern()) }
  }

  // MARK: Files

  private static func source(
    _ values: inout GeneratedValues, _ folder: TemporaryFolder, _ place: String, _ index: Int
  ) throws -> String {
    if values.chance(60) { try variableFiles(&values, folder, place) }
    guard values.chance(40) else { return try file(&values, folder, place + "/", "s\(index)") }
    let directory = place + "/dir\(index)"
    for number in 0..<values.number(1...3) {
      let nested = values.chance(20) ? "/sub\(number)" : ""
      _ = try file(&values, folder, directory + nested + "/", values.pick(["0", "b", "A"]) + "\(number)")
    }
    try folder.write(directory + "/notes.txt", "[broken")
    if values.chance(60) { try variableFiles(&values, folder, directory) }
    return directory
  }

  private static func file(
    _ values: inout GeneratedValues, _ folder: TemporaryFolder, _ place: String, _ name: String
  ) throws -> String {
    switch values.number(0...9) {
    case 0...3:
      let path = place + name + values.pick([".yml", ".yaml", ""])
      try folder.write(path, yaml(&values))
      return path
    case 4...7:
      let path = place + name + values.pick([".ini", "", ".dc1"])
      try folder.write(path, ini(&values))
      return path
    case 8:
      let path = place + name + ".json"
      try folder.write(path, json(&values, isProgram: false))
      return path
    default:
      let path = place + name + values.pick([".sh", "", ".yml"])
      try folder.writeProgram(path, program(&values))
      return path
    }
  }

  private static func variableFiles(
    _ values: inout GeneratedValues, _ folder: TemporaryFolder, _ place: String
  ) throws {
    for _ in 0..<values.number(1...5) {
      let isHost = values.chance(40)
      let name = isHost ? values.pick(hosts) : values.pick(groups + ["all", "all", "ungrouped"])
      let path = "\(place)/\(isHost ? "host_vars" : "group_vars")/\(name)"
      switch values.number(0...5) {
      case 0:
        // A folder, of which some files do not count.
        for file in ["1.yml", "2", "0.json", "sub/x.yaml", "no.txt", ".hidden.yml", "old~"] where values.chance(50) {
          _ = try? folder.write(
            "\(path)/\(file)", file.hasSuffix(".json") ? object(&values, 2) : mapping(&values, indent: 0))
        }
      case 1: _ = try? folder.write(path + ".json", object(&values, 3))
      case 2: _ = try? folder.write(path, mapping(&values, indent: 0))
      case 3: _ = try? folder.write(path + ".yaml", anchored(&values))
      default: _ = try? folder.write(path + ".yml", values.chance(10) ? "---\n" : mapping(&values, indent: 0))
      }
    }
  }

  private static func anchored(_ values: inout GeneratedValues) -> String {
    """
    base: &base {k1: 1, k2: two}
    list: &list [1, 2]
    merged: {<<: *base, k2: own}
    both:
      <<: [*base, {k1: later, k3: yes}]
      k4: *list
    \(mapping(&values, indent: 0))
    """
  }

  /// Variables of a group or host, one a line.
  private static func mapping(_ values: inout GeneratedValues, indent: Int) -> String {
    var seen: Set<String> = []
    var lines: [String] = []
    let blanks = String(repeating: " ", count: indent)
    for _ in 0..<values.number(1...4) {
      let (name, value) = values.yaml()
      guard seen.insert(name).inserted else { continue }
      switch name.hasPrefix("ansible_") ? 9 : values.number(0...9) {
      case 0: lines.append("\(blanks)\(name): |\n\(blanks)  line 1\n\(blanks)   line 2\n")
      case 1: lines.append("\(blanks)\(name): >-\n\(blanks)  folded\n\(blanks)  text\n")
      case 2: lines.append("\(blanks)\(name):\n\(blanks)- one\n\(blanks)- k: 0644\n\(blanks)  l: no")
      default: lines.append("\(blanks)\(name): \(value == "- 1" || value == "-" ? "'\(value)'" : value)")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func object(_ values: inout GeneratedValues, _ count: Int) -> String {
    var entries: [String: String] = [:]
    for _ in 0..<count {
      let (name, value) = values.json()
      entries[name] = value
    }
    return "{" + entries.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ") + "}"
  }

  private static func host(_ values: inout GeneratedValues) -> String {
    let name = values.chance(25) ? values.pick(ranges) : values.pick(hosts)
    // Ansible knows no port behind a range without its first end.
    return values.chance(8) && !name.contains("[:") ? name + ":" + values.pick(["2022", "22"]) : name
  }

  // MARK: Formats

  private static func yaml(_ values: inout GeneratedValues) -> String {
    var text = values.chance(50) ? "---\n" : ""
    var names: Set<String> = []
    for _ in 0..<values.number(1...3) {
      let index = values.number(-1...(groups.count - 1))
      guard names.insert(index < 0 ? "all" : groups[index]).inserted else { continue }
      text += group(&values, index: index, indent: 0)
    }
    return text
  }

  /// Children come later in the list of groups, so that none contains itself.
  private static func group(_ values: inout GeneratedValues, index: Int, indent: Int) -> String {
    let blanks = String(repeating: " ", count: indent)
    var text = "\(blanks)\(index < 0 ? "all" : groups[index]):\n"
    for section in ["hosts", "vars", "children"].shuffled(using: &values.random) where values.chance(60) {
      var seen: Set<String> = []
      var body = ""
      switch section {
      case "hosts":
        for _ in 0..<values.number(1...4) {
          let name = host(&values)
          guard seen.insert(name).inserted else { continue }
          let quote = name.contains("[") || name.contains(":") ? "\"" : ""
          body += "\(blanks)    \(quote)\(name)\(quote):\n"
          if values.chance(40) { body += mapping(&values, indent: indent + 6) }
        }
      case "vars":
        body += mapping(&values, indent: indent + 4)
        if values.chance(25) { body += "\(blanks)    ansible_group_priority: \(values.number(-3...12))\n" }
      default:
        guard index + 1 < groups.count, indent < 16 else { continue }
        for _ in 0..<values.number(1...2) {
          let child = values.number((index + 1)...(groups.count - 1))
          guard seen.insert(groups[child]).inserted else { continue }
          body += group(&values, index: child, indent: indent + 4)
        }
      }
      text += "\(blanks)  \(section):\n\(body)"
    }
    return text
  }

  private static func ini(_ values: inout GeneratedValues) -> String {
    var text = values.chance(50) ? "; comment\n\n" : "# comment\n"
    func lines(_ values: inout GeneratedValues) -> String {
      var text = ""
      for _ in 0..<values.number(0...4) {
        text += values.chance(10) ? "  " : ""
        text += host(&values)
        for _ in 0..<values.number(0...3) {
          let (name, value) = values.python()
          text += " \(name)=\(shellWord(value, &values))"
        }
        text += values.chance(10) ? "  # note\n" : "\n"
      }
      return text
    }
    text += lines(&values)
    var declared: [Int] = []
    for index in groups.indices where values.chance(45) { declared.append(index) }
    for index in declared.shuffled(using: &values.random) {
      let name = groups[index]
      text += values.chance(80) ? "[\(name)]\n" + lines(&values) : "[\(name)] # empty\n"
      let children = declared.filter { $0 > index }
      if !children.isEmpty, values.chance(40) {
        text += "\n[\(name):children]\n"
        for _ in 0..<values.number(1...2) { text += groups[values.pick(children)] + "\n" }
      }
      if values.chance(50) {
        text += "[\(name):vars]\n"
        for _ in 0..<values.number(1...4) {
          let (name, value) = values.python()
          text += name + values.pick(["=", " = ", "= "]) + value + "\n"
        }
        if values.chance(25) { text += "ansible_group_priority=\(values.number(-3...12))\n" }
      }
    }
    if values.chance(30) { text += "[all:vars]\nall_var=1\n" }
    return text
  }

  private static func shellWord(_ value: String, _ values: inout GeneratedValues) -> String {
    let isPlain = !value.contains { " '\"\\#".contains($0) }
    if isPlain, values.chance(70) { return value }
    if !value.contains("'"), values.chance(50) { return "'\(value)'" }
    return "\"" + value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }

  private static func json(_ values: inout GeneratedValues, isProgram: Bool, meta: Bool = true) -> String {
    var entries: [String] = []
    var named: [String] = []
    for (index, name) in groups.enumerated() where values.chance(40) {
      let own = hosts.shuffled(using: &values.random).prefix(values.number(0...3))
      named += own
      let list = own.map { "\"\($0)\"" }.joined(separator: ", ")
      if isProgram, values.chance(20) {
        entries.append("\"\(name)\": [\(list)]")
        continue
      }
      var parts = [
        isProgram ? "\"hosts\": [\(list)]" : "\"hosts\": {\(own.map { "\"\($0)\": null" }.joined(separator: ", "))}"
      ]
      if values.chance(50) { parts.append("\"vars\": \(object(&values, 2))") }
      if index + 1 < groups.count, values.chance(30) {
        let child = groups[values.number((index + 1)...(groups.count - 1))]
        parts.append(isProgram ? "\"children\": [\"\(child)\"]" : "\"children\": {\"\(child)\": {}}")
      }
      entries.append("\"\(name)\": {\(parts.joined(separator: ", "))}")
    }
    if isProgram, meta {
      let variables = Set(named).sorted().filter { _ in values.chance(60) }
        .map { "\"\($0)\": \(object(&values, 2))" }.joined(separator: ", ")
      entries.append("\"_meta\": {\"hostvars\": {\(variables)}}")
    } else if entries.isEmpty {
      entries.append("\"web\": {\"hosts\": \(isProgram ? "[\"web1\"]" : "{\"web1\": {}}")}")
    }
    return "{\n" + entries.joined(separator: ",\n") + "\n}"
  }

  private static func program(_ values: inout GeneratedValues) -> String {
    """
    #!/bin/sh
    if [ "$1" = --host ]; then
      case "$2" in
        web*) echo '{"from_host": "'"$2"'", "n": 1.50}';;
        db*) ;;
        *) echo '{}';;
      esac
      exit 0
    fi
    cat <<'JSON'
    \(json(&values, isProgram: true, meta: values.chance(70)))
    JSON
    """
  }

  // MARK: Patterns

  private mutating func pattern() -> String {
    var parts: [String] = []
    for index in 0..<values.pick([1, 1, 2, 3]) {
      let sign = index == 0 ? values.pick(["", "", "", "!"]) : values.pick(["", "&", "!", "!"])
      parts.append(sign + part())
    }
    return parts.joined(separator: values.pick([",", ":", ", "]))
  }

  private mutating func part() -> String {
    let group = values.pick(Self.groups + ["all", "ungrouped"])
    switch values.number(0...13) {
    case 0...3: return group
    case 4...5: return values.pick(Self.hosts)
    case 6:
      return values.pick(["web*", "*", "db-?", "w*", "*1", "[wd]*", "web[!0]*", "r*b", "?????", "*.example.*", "all*"])
    case 7: return "\(group)[\(values.number(0...3))]"
    case 8: return "\(group)[-\(values.number(1...3))]"
    case 9: return "\(group)[\(values.number(0...1)):\(values.number(1...4))]"
    case 10: return "\(group)[\(values.number(0...2)):]"
    case 11: return values.pick(["w*", "*", "web*", "db*"]) + "[\(values.number(-2...6))]"
    case 12: return values.pick(["~web.*", "~(web|db)", "~.*1$", "~w[a-e]+b[0-9]", "~db-[ab]", "~^lone$"])
    default: return values.pick(["web1*", "h1.example.net", "10.0.0.5", "rack1?", "*_1"])
    }
  }
}
