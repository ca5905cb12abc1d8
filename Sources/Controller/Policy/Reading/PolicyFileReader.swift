internal import Core
internal import Inventory

/// Reads `policies/NAME.yaml`, or `policies/NAME/policy.yaml` and the rules files it names.
struct PolicyFileReader {
  static let fileName = "policy.yaml"
  /// What a policy may say, in the order that documentation lists it.
  static let keys =
    ["policy", "description", "applies_to", "order", "mode", "foreign", "ipv6", "established", "observe", "on_drift"]
    + DefinitionsReader.keys + ["defaults"] + PolicyFile.Section.allCases.map(\.rawValue)
    + ["nat", "containers", "raw", "rules", "sysctl"]

  let file: String
  let name: String
  /// Of the rules files; nil for a policy that is one file.
  let folder: String?
  var problems = Problems()

  init(file: String, name: String, folder: String?) {
    self.file = file
    self.name = name
    self.folder = folder
  }

  /// Nil when something is wrong, which `problems` then say.
  mutating func read() -> PolicyFile? {
    guard BoundedFile.exists(file) else {
      problems.add(
        SourceLocation(file: file, line: 1, column: 1), "no such file",
        hint: folder.map { BoundedFile.exists($0 + "/policy.yml") } == true
          ? "rename policy.yml to policy.yaml" : "every folder here is a policy and needs one")
      return nil
    }
    do throws(Diagnostics) {
      return read(try StrictYAML.load(path: file))
    } catch {
      problems.add(error)
      return nil
    }
  }

  mutating func read(_ root: YAMLNode) -> PolicyFile? {
    guard let top = root.mapping(allowing: Self.keys, &problems) else { return nil }
    readName(top)
    let groups = Self.groups(top, &problems)
    let beside = BesideOthersReader.read(top, &problems)
    let definitions = DefinitionsReader.read(top, &problems)
    let closesIPv6 = readClosing(top)
    let raw = readRaw(top, beside.mode?.value ?? .owned, closesIPv6)
    let policy = PolicyFile(
      name: name, file: file, description: top["description"]?.string(&problems), appliesTo: groups,
      order: top["order"]?.integer(in: 0...10_000, &problems) ?? PolicyFile.defaultOrder, beside: beside,
      sets: definitions.sets, services: definitions.services, schedules: definitions.schedules,
      defaults: readDefaults(top), sections: readSections(top, raw),
      sectionPlaces: Dictionary(
        uniqueKeysWithValues: PolicyFile.Section.allCases.compactMap { section in
          top.keyLocation(section.rawValue).map { (section, $0) }
        }),
      translations: top["nat"].map { TranslationReader.read($0, RawItemReader(table: "nat", raw), &problems) } ?? [],
      containers: ContainersReader.read(top, &problems), raw: raw,
      sysctl: readSysctl(top), observes: readObserving(top), placesEstablished: readPlacing(top),
      closesIPv6: closesIPv6, onDrift: OnDrift.read(top, &problems))
    requireBothHalves(policy, top)
    if closesIPv6 != nil { refuseIPv6(policy) }
    return problems.isEmpty ? policy : nil
  }

  private mutating func readName(_ top: YAMLMapping) {
    guard let node = top.required("policy", &problems), let written = node.string(&problems) else { return }
    if written != name {
      let place = folder == nil ? "file" : "folder"
      problems.add(
        node.location, "policy \(quoted(written)) stands in the \(place) \(quoted(name))",
        hint: "a policy is called as its \(place) is")
    } else if HostID(written) == nil {
      problems.add(
        node.location, "\(quoted(written)) is no policy name",
        hint: "letters, digits, '.', '_' and '-', not beginning with '-' or '.'")
    }
  }

  static func groups(_ top: YAMLMapping, _ problems: inout Problems) -> [Located<String>] {
    guard let node = top.required("applies_to", &problems) else { return [] }
    return OperandReader.each(node, "group", &problems, isNeeded: true) { node, problems in
      guard let text = node.string(&problems) else { return nil }
      guard HostID(text) != nil else {
        problems.add(
          node.location, "\(quoted(text)) is no group name", hint: "several groups are a list: [web, db]")
        return nil
      }
      return Located(text, node.location)
    }
  }

  private mutating func readClosing(_ top: YAMLMapping) -> SourceLocation? {
    guard let node = top["ipv6"], let word = node.string(&problems) else { return nil }
    guard word == "drop-all" else {
      problems.add(
        node.location, "expected drop-all, found \(quoted(word))",
        hint: "a rules file for IPv6 is named as ipv6 below rules")
      return nil
    }
    return node.location
  }

  private mutating func readDefaults(_ top: YAMLMapping) -> [BuiltInHook: Located<DefaultAction>] {
    guard let node = top["defaults"], !node.isNull,
      let body = node.mapping(allowing: BuiltInHook.allCases.map(\.rawValue), &problems)
    else { return [:] }
    var defaults: [BuiltInHook: Located<DefaultAction>] = [:]
    for hook in BuiltInHook.allCases {
      guard let node = body[hook.rawValue] else { continue }
      if case .scalar("reject") = node.content {
        problems.add(
          node.location, "a default is accept or drop",
          hint: "drop, and reject what is left: \(hook.last.rawValue): [{reject: {}}]")
      } else if let action: DefaultAction = MatchReader.choice(node, "default", &problems) {
        defaults[hook] = Located(action, node.location)
      }
    }
    return defaults
  }

  private mutating func readSections(
    _ top: YAMLMapping, _ raw: PerFamily<RawRules?>
  ) -> [PolicyFile.Section: [FilterItem]] {
    var sections: [PolicyFile.Section: [FilterItem]] = [:]
    for section in PolicyFile.Section.allCases {
      guard let node = top[section.rawValue] else { continue }
      // `forward: foreign` is read with what else concerns other people's rules.
      if section == .forward, case .scalar = node.content { continue }
      let raw = RawItemReader(table: "filter", chain: section.hook.chain, raw)
      let items = ItemReader.read(node, in: section, raw, &problems)
      if !items.isEmpty { sections[section] = items }
    }
    return sections
  }

  private mutating func readObserving(_ top: YAMLMapping) -> SourceLocation? {
    guard let node = top["observe"], node.bool(&problems) == true else { return nil }
    return node.location
  }

  private mutating func readPlacing(_ top: YAMLMapping) -> Bool {
    guard let node = top["established"], let word = node.string(&problems) else { return false }
    if word != "explicit" {
      problems.add(
        node.location, "expected explicit, found \(quoted(word))",
        hint: "answers to connections are accepted first by themselves; explicit: only where an item says so")
    }
    return true
  }

  private mutating func readSysctl(_ top: YAMLMapping) -> [Located<SysctlSetting>] {
    guard let node = top["sysctl"], !node.isNull, let entries = node.entries(&problems) else { return [] }
    return entries.compactMap { SysctlReader.read($0, &problems) }
  }

  // MARK: Restore text

  private mutating func readRaw(
    _ top: YAMLMapping, _ mode: BesideOthers.Mode, _ closing: SourceLocation?
  ) -> PerFamily<RawRules?> {
    var halves = PerFamily<RawRules?>(ipv4: nil, ipv6: nil)
    if let node = top["raw"], !node.isNull,
      let body = node.mapping(allowing: Family.allCases.map(\.rawValue), &problems)
    {
      for family in Family.allCases {
        guard let text = body[family.rawValue] else { continue }
        if family == .ipv6, let closing {
          problems.add(closing, "ipv6: drop-all and raw rules for IPv6 exclude each other", hint: "remove one of them")
        }
        halves[family] = inline(text, family, mode)
      }
    }
    guard let node = top["rules"] else { return halves }
    if let place = top.keyLocation("raw") {
      problems.add(place, "raw and rules exclude each other", hint: "keep the restore text in one place")
      return halves
    }
    guard let rules = node.mapping(allowing: Family.allCases.map(\.rawValue), &problems) else { return halves }
    for family in Family.allCases {
      guard let name = rules[family.rawValue] else {
        if family == .ipv4 {
          problems.add(rules.location, "the IPv4 half is missing", hint: "name its file: ipv4: rules.v4")
        } else if closing == nil {
          problems.add(
            rules.location, "the IPv6 half is missing",
            hint: "name its file (ipv6: rules.v6), or close IPv6 with ipv6: drop-all beside rules")
        }
        continue
      }
      if family == .ipv6, let closing {
        problems.add(
          closing, "ipv6: drop-all and a rules file for IPv6 exclude each other", hint: "remove one of them")
        continue
      }
      halves[family] = readRules(name, family, mode)
    }
    return halves
  }

  /// Typed items are in both families by themselves, text is not.
  private mutating func requireBothHalves(_ policy: PolicyFile, _ top: YAMLMapping) {
    guard problems.isEmpty, policy.closesIPv6 == nil, !policy.filters, policy.translations.isEmpty,
      let place = top.keyLocation("raw")
    else { return }
    for family in Family.allCases where policy.raw[family] == nil {
      problems.add(
        place, "the \(family) half is missing: a policy of raw text alone says nothing of that family",
        hint: "write both, close IPv6 with ipv6: drop-all, or say what shall be: defaults: {input: drop}")
    }
  }

  /// A container's traffic is judged beside what drop-all closes.
  private mutating func refuseIPv6(_ policy: PolicyFile) {
    let matches = PolicyFile.Section.allCases.flatMap { (policy.sections[$0] ?? []).map(\.match) }
    for match in matches + policy.translations.map(\.match) where match.family == .ipv6 {
      problems.add(
        match.location, "an item for IPv6 alone and ipv6: drop-all exclude each other", hint: "remove one of them")
    }
  }

  private mutating func inline(_ node: YAMLNode, _ family: Family, _ mode: BesideOthers.Mode) -> RawRules? {
    guard let text = node.string(&problems) else { return nil }
    guard !text.contains("\n") || text.hasSuffix("\n") else {
      problems.add(node.location, "the text does not end in a line end", hint: "write it as a block: ipv4: |")
      return nil
    }
    do throws(Diagnostics) {
      let origin = node.blockStart.map { RawOrigin.block($0) } ?? .quoted(node.location)
      return try RawRules.parse(Array(text.utf8), from: origin, family: family, mode: mode)
    } catch {
      problems.add(error)
      return nil
    }
  }

  private mutating func readRules(_ node: YAMLNode, _ family: Family, _ mode: BesideOthers.Mode) -> RawRules? {
    guard let name = node.string(&problems) else { return nil }
    guard let folder else {
      problems.add(
        node.location, "a policy that is one file has no rules files beside it",
        hint: "move it to \(self.name)/policy.yaml, or write the text below raw")
      return nil
    }
    let components = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !name.isEmpty, !name.hasPrefix("/"), !components.contains(".."), !name.utf8.contains(0) else {
      problems.add(
        node.location, "\(quoted(name)) is not a file of this policy's folder",
        hint: "name a file beside policy.yaml, without / at the beginning and without ..")
      return nil
    }
    let path = folder + "/" + name
    if let real = BoundedFile.resolved(folder), let target = BoundedFile.resolved(path), !target.hasPrefix(real + "/") {
      problems.add(node.location, "\(quoted(name)) is a link out of this policy's folder")
      return nil
    }
    let bytes: [UInt8]
    do throws(BoundedFile.Problem) {
      bytes = try BoundedFile.read(path, limit: BundleFile.rules(family).maximumSize)
    } catch {
      problems.add(node.location, "\(SafeText.escape(path)): \(error.description)")
      return nil
    }
    do throws(Diagnostics) {
      return try RawRules.parse(bytes, from: .file(path), family: family, mode: mode)
    } catch {
      problems.add(error)
      return nil
    }
  }
}
