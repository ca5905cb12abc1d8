internal import Core
internal import Inventory

/// Reads `policies/NAME/policy.yaml` and the rules files it names.
struct PolicyReader {
  static let fileName = "policy.yaml"
  private static let keys = [
    "policy", "applies_to", "description", "mode", "forward", "foreign", "rules", "ipv6", "containers",
  ]

  let directory: String
  let folderName: String
  var problems = Problems()

  private var path: String { directory + "/" + folderName }

  init(directory: String, folderName: String) {
    self.directory = directory
    self.folderName = folderName
  }

  /// Nil when something is wrong, which `problems` then say.
  mutating func read() -> HostPolicy? {
    let file = path + "/" + Self.fileName
    guard BoundedFile.exists(file) else {
      problems.add(
        SourceLocation(file: file, line: 1, column: 1), "no such file",
        hint: BoundedFile.exists(path + "/policy.yml")
          ? "rename policy.yml to policy.yaml" : "every folder here is a policy and needs one")
      return nil
    }
    let root: YAMLNode
    do throws(Diagnostics) {
      root = try StrictYAML.load(path: file)
    } catch {
      problems.add(error)
      return nil
    }
    guard let top = root.mapping(allowing: Self.keys, &problems) else { return nil }
    readName(top)
    let group = top.required("applies_to", &problems)
    let appliesTo = group?.string(&problems)
    if let group, let appliesTo, HostID(appliesTo) == nil {
      problems.add(group.location, "\(quoted(appliesTo)) is no group name", hint: "a policy applies to one group")
    }
    let description = top["description"]?.string(&problems)
    let beside = BesideOthersReader.read(top, &problems)
    let containers = ContainersReader.read(top, &problems)
    let halves = readHalves(top, beside.mode)
    guard problems.isEmpty, let group, let appliesTo, let ipv4 = halves.ipv4, let ipv6 = halves.ipv6 else {
      return nil
    }
    var templates = PerFamily(ipv4: ipv4, ipv6: ipv6)
    if let containers {
      for family in Family.allCases where !templates[family].add(containers, family) {
        problems.add(
          containers.location, "the \(family) rules declare no table filter, where containers are judged",
          hint: "declare it in their file, with the chains INPUT, FORWARD and OUTPUT")
      }
    }
    guard problems.isEmpty else { return nil }
    return HostPolicy(
      name: folderName, appliesTo: appliesTo, description: description, location: group.location, beside: beside,
      closesIPv6: top.has("ipv6"), templates: templates, containersNameControllers: containers?.controllersLocation)
  }

  private mutating func readName(_ top: YAMLMapping) {
    guard let node = top.required("policy", &problems), let name = node.string(&problems) else { return }
    if name != folderName {
      problems.add(
        node.location, "policy \(quoted(name)) stands in the folder \(quoted(folderName))",
        hint: "a policy is called as its folder is")
    } else if HostID(name) == nil {
      problems.add(
        node.location, "\(quoted(name)) is no policy name",
        hint: "letters, digits, '.', '_' and '-', not beginning with '-' or '.'")
    }
  }

  private mutating func readHalves(
    _ top: YAMLMapping, _ mode: HostPolicy.Mode
  ) -> PerFamily<PolicyTemplate?> {
    var halves = PerFamily<PolicyTemplate?>(ipv4: nil, ipv6: nil)
    var dropAll: YAMLNode?
    if let node = top["ipv6"], let word = node.string(&problems) {
      if word == "drop-all" {
        dropAll = node
        halves.ipv6 = .droppingAll(at: node.location)
      } else {
        problems.add(
          node.location, "expected drop-all, found \(quoted(word))",
          hint: "a rules file for IPv6 is named as ipv6 below rules")
      }
    }
    guard let node = top.required("rules", &problems),
      let rules = node.mapping(allowing: Family.allCases.map(\.rawValue), &problems)
    else { return halves }
    for family in Family.allCases {
      guard let file = rules[family.rawValue] else {
        if family == .ipv4 {
          problems.add(rules.location, "the IPv4 half is missing", hint: "name its file: ipv4: rules.v4")
        } else if top["ipv6"] == nil {
          problems.add(
            rules.location, "the IPv6 half is missing",
            hint: "name its file (ipv6: rules.v6), or close IPv6 with ipv6: drop-all beside rules")
        }
        continue
      }
      if family == .ipv6, let dropAll {
        problems.add(
          dropAll.location, "ipv6: drop-all and a rules file for IPv6 exclude each other", hint: "remove one of them")
        continue
      }
      halves[family] = readRules(file, family, mode)
    }
    return halves
  }

  private mutating func readRules(
    _ node: YAMLNode, _ family: Family, _ mode: HostPolicy.Mode
  ) -> PolicyTemplate? {
    guard let name = node.string(&problems) else { return nil }
    let components = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !name.isEmpty, !name.hasPrefix("/"), !components.contains(".."), !name.utf8.contains(0) else {
      problems.add(
        node.location, "\(quoted(name)) is not a file of this policy's folder",
        hint: "name a file beside policy.yaml, without / at the beginning and without ..")
      return nil
    }
    let file = path + "/" + name
    if let folder = BoundedFile.resolved(path), let real = BoundedFile.resolved(file), !real.hasPrefix(folder + "/") {
      problems.add(node.location, "\(quoted(name)) is a link out of this policy's folder")
      return nil
    }
    let bytes: [UInt8]
    do throws(BoundedFile.Problem) {
      bytes = try BoundedFile.read(file, limit: BundleFile.rules(family).maximumSize)
    } catch {
      problems.add(node.location, "\(SafeText.escape(file)): \(error.description)")
      return nil
    }
    do throws(Diagnostics) {
      return try PolicyTemplate.parse(bytes, file: file, family: family, mode: mode)
    } catch {
      problems.add(error)
      return nil
    }
  }
}
