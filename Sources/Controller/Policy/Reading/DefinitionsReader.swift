internal import Core
internal import Inventory

/// Reads `sets`, `services` and `schedule`, which policies and common.yaml have alike.
enum DefinitionsReader {
  static let keys = ["sets", "services", "schedule"]
  /// Names that mean something else where a set or service is named.
  static let reserved: Set<String> = [
    OperandReader.controllersWord, "any", "all", "none", "self", "established", "invalid",
  ]

  static func isName(_ text: String) -> Bool {
    guard (1...64).contains(text.utf8.count), let first = text.utf8.first else { return false }
    let isLetter = { (byte: UInt8) in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
    return isLetter(first)
      && text.utf8.allSatisfy {
        isLetter($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
      }
  }

  static func read(_ top: YAMLMapping, _ problems: inout Problems) -> CommonFile {
    var common = CommonFile()
    common.sets = each(top["sets"], "set", &problems) { entry, problems in
      NamedSet(location: entry.keyLocation, members: OperandReader.addresses(entry.value, &problems, isNeeded: true))
    }
    common.services = each(top["services"], "service", &problems) { entry, problems in
      if entry.key == ServiceTable.ssh {
        problems.add(
          entry.keyLocation, "ssh is the port that a host's own sshd listens on",
          hint: "give ansible_port in the inventory, or call this service otherwise")
      }
      return NamedService(
        location: entry.keyLocation,
        ports: OperandReader.each(entry.value, "port", &problems, isNeeded: true) { servicePort($0, &$1) })
    }
    common.schedules = each(top["schedule"], "schedule", &problems) { ScheduleReader.read($0, &$1) }
    return common
  }

  private static func each<Value>(
    _ node: YAMLNode?, _ what: String, _ problems: inout Problems,
    _ read: (YAMLNode.Entry, inout Problems) -> Value?
  ) -> [String: Value] {
    guard let node, !node.isNull, let entries = node.entries(&problems) else { return [:] }
    var named: [String: Value] = [:]
    for entry in entries {
      guard isName(entry.key), !reserved.contains(entry.key) else {
        problems.add(
          entry.keyLocation, "\(quoted(entry.key)) is no name for a \(what)",
          hint: reserved.contains(entry.key)
            ? "the word means something else already" : "letters, digits, '_' and '-', beginning with a letter")
        continue
      }
      named[entry.key] = read(entry, &problems)
    }
    return named
  }

  /// `tcp/443`, `udp/8000-8010`, `proto/esp`
  private static func servicePort(_ node: YAMLNode, _ problems: inout Problems) -> ServicePort? {
    guard let text = node.string(&problems) else { return nil }
    if let port = ServiceText.port(text) { return port }
    problems.add(
      node.location, "\(quoted(text)) is no port of a service", hint: "such as tcp/443, udp/8000-8010 or proto/esp")
    return nil
  }
}

enum ServiceText {
  static func port(_ text: String) -> ServicePort? {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 else { return nil }
    if parts[0] == "proto" { return ProtocolNames.number(parts[1]).map { .protocolNumber($0) } }
    guard let transport = PortTransport(rawValue: parts[0]), let range = PortRange(parts[1]) else { return nil }
    return .ports(transport, range)
  }
}

/// Reads one entry of `schedule`.
enum ScheduleReader {
  static func read(_ entry: YAMLNode.Entry, _ problems: inout Problems) -> Schedule? {
    guard let body = entry.value.mapping(allowing: ["days", "from", "to", "zone"], &problems) else { return nil }
    if let zone = body["zone"], let text = zone.string(&problems), text != "UTC" {
      problems.add(
        zone.location, "schedules are in UTC only, found \(quoted(text))",
        hint: "the kernel knows no time zones: a window in local time would move twice a year")
    }
    var days: Set<Int> = []
    if let node = body["days"] {
      for range in OperandReader.each(node, "day", &problems, { Self.days($0, &$1) }) { days.formUnion(range) }
    }
    let start = body["from"].flatMap { clock($0, isEnd: false, &problems) }
    let stop = body["to"].flatMap { clock($0, isEnd: true, &problems) }
    if let stop, start ?? 0 == stop, let place = body.keyLocation("to") {
      problems.add(
        place, "the window begins and ends at the same second", hint: "the end of a day is written \"24:00\"")
    }
    let schedule = Schedule(location: entry.keyLocation, days: days.count == 7 ? [] : days, start: start, stop: stop)
    if schedule.isAlways, problems.isEmpty {
      problems.add(
        entry.keyLocation, "the schedule's window is always open",
        hint: "such as {days: mon-fri, from: \"08:00\", to: \"18:00\"}")
    }
    return schedule
  }

  /// `mon`, `mon-fri`, `sat-mon`, `mon,wed`
  private static func days(_ node: YAMLNode, _ problems: inout Problems) -> Set<Int>? {
    guard let text = node.string(&problems) else { return nil }
    var days: Set<Int> = []
    for part in text.lowercased().split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map {
        Schedule.days.firstIndex(of: String($0.filter { $0 != " " }))
      }
      guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil else {
        problems.add(
          node.location, "\(quoted(text)) names no days", hint: "such as mon-fri or [mon, wed]")
        return nil
      }
      var day = first
      days.insert(day)
      while day != last {
        day = (day + 1) % 7
        days.insert(day)
      }
    }
    return days
  }

  /// `08:00`, `24:00` at the end, seconds if need be.
  private static func clock(_ node: YAMLNode, isEnd: Bool, _ problems: inout Problems) -> Int? {
    guard let text = node.string(&problems) else { return nil }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { part in
      part.utf8.count == 2 && part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(part) : nil
    }
    if (2...3).contains(parts.count), numbers.count == parts.count, numbers[0] < 24,
      numbers.dropFirst().allSatisfy({ $0 < 60 })
    {
      return numbers[0] * 3600 + numbers[1] * 60 + (numbers.count == 3 ? numbers[2] : 0)
    }
    if isEnd, text == "24:00" { return 86_399 }
    problems.add(node.location, "\(quoted(text)) is no time of day", hint: "write it as \"08:00\"")
    return nil
  }
}
