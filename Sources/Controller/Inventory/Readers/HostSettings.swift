internal import Core

/// The variables we read, as one group or host gives them; nil where it says nothing. Each is checked where it is
/// written, once, however many hosts inherit it.
struct HostSettings {
  var address: String?
  var port: UInt16?
  var user: String?
  var identityFile: String?
  var addresses: [String]?
  var agentUser: String?
  var controllers: [String]?
  var labels: [String]?
  /// `portcullis_ssh_port`
  var sshPort: StatedPort?
  /// `portcullis_dhcp`
  var hasLeases: Bool?
  /// From `ansible_ssh_common_args`; `portcullis_jump` wins over it wherever either stands.
  var sshJump: Hops?
  var jump: Hops?

  /// Hops and where they were written, because the names in them can be checked only when all hosts are known.
  struct Hops {
    var specs: [JumpSpec]
    var location: SourceLocation
    /// Whether a bare name must be a host of the inventory.
    var isStrict: Bool
    /// Given to a group, so that a bastion may find itself among its own hops.
    var isInherited: Bool
  }

  static let ownNames = [
    "portcullis_jump", "portcullis_addresses", "portcullis_user", "portcullis_controllers", "portcullis_labels",
    "portcullis_ssh_port", "portcullis_dhcp",
  ]

  /// Lays more specific settings over these.
  func overlaid(by other: HostSettings) -> HostSettings {
    var result = self
    result.address = other.address ?? address
    result.port = other.port ?? port
    result.user = other.user ?? user
    result.identityFile = other.identityFile ?? identityFile
    result.addresses = other.addresses ?? addresses
    result.agentUser = other.agentUser ?? agentUser
    result.controllers = other.controllers ?? controllers
    result.labels = other.labels ?? labels
    result.sshPort = other.sshPort ?? sshPort
    result.hasLeases = other.hasLeases ?? hasLeases
    result.sshJump = other.sshJump ?? sshJump
    result.jump = other.jump ?? jump
    return result
  }
}

/// One variable as a file gives it.
struct RawVariable {
  let name: String
  /// Where the name stands.
  let location: SourceLocation
  let node: YAMLNode

  init(name: String, location: SourceLocation, node: YAMLNode) {
    self.name = name
    self.location = location
    self.node = node
  }

  init(_ entry: YAMLNode.Entry) {
    self.init(name: InventoryValue.key(entry), location: entry.keyLocation, node: entry.value)
  }
}

/// What one group or host says, or several of them laid over each other.
struct VariableLayer {
  var settings = HostSettings()
  /// All variables, those we read ourselves as well.
  var variables: [String: InventoryVariables.Written] = [:]
  /// `ansible_group_priority`, where it means something.
  var groupPriority: Int?

  /// Lays a more specific layer over this one.
  mutating func overlay(_ other: VariableLayer) {
    guard !other.variables.isEmpty else { return }
    settings = settings.overlaid(by: other.settings)
    variables.merge(other.variables) { $1 }
  }
}

/// Where a variable was given.
enum VariablePlace {
  case group
  case groupFile
  case host

  var isGroup: Bool { self != .host }
}

/// Reads variables; keeps count of what it passes over.
struct SettingsReader {
  /// Spellings that Ansible knows too, and that would be missed in silence.
  private static let otherSpellings = [
    "ansible_ssh_host": "ansible_host", "ansible_ssh_port": "ansible_port", "ansible_ssh_user": "ansible_user",
    "ansible_private_key_file": "ansible_ssh_private_key_file",
  ]

  var problems = Problems()
  var warnings: [Diagnostic] = []
  var ignored = 0

  mutating func read(_ variable: RawVariable, _ place: VariablePlace, into layer: inout VariableLayer) {
    if variable.name == "ansible_group_priority", place == .group {
      layer.groupPriority = variable.node.integer(in: -1_000_000...1_000_000, &problems)
      return
    }
    layer.variables[variable.name] = InventoryVariables.Written(
      value: InventoryValue(variable.node), location: variable.node.location)
    readSetting(variable, place, into: &layer.settings)
  }

  private mutating func readSetting(
    _ variable: RawVariable, _ place: VariablePlace, into settings: inout HostSettings
  ) {
    let value = variable.node
    switch variable.name {
    case "ansible_host":
      guard let text = plainText(value) else { return }
      settings.address = address(text, at: value.location)
    case "ansible_port":
      guard plainText(value) != nil else { return }
      settings.port = value.integer(in: 1...65535, &problems).map(UInt16.init)
    case "ansible_user":
      guard let text = plainText(value) else { return }
      settings.user = loginName(text, at: value.location)
    case "ansible_ssh_private_key_file":
      guard let text = plainText(value) else { return }
      settings.identityFile = HomeFolder.resolving(text)
    case "ansible_ssh_common_args":
      guard let text = value.string(&problems) else { return }
      readCommonArguments(text, at: value.location, ofGroup: place.isGroup, into: &settings)
    case "ansible_group_priority" where place == .groupFile:
      ignored += 1
      warnings.append(
        Diagnostic(
          variable.location, "ansible_group_priority means nothing in group_vars, to Ansible neither",
          hint: "give it in the inventory itself, under the group's vars"))
    case "portcullis_jump":
      settings.jump = hops(value, ofGroup: place.isGroup)
    case "portcullis_addresses":
      settings.addresses = texts(value).map { each($0) { reader, text, place in reader.address(text, at: place) } }
    case "portcullis_user":
      guard let text = plainText(value) else { return }
      settings.agentUser = loginName(text, at: value.location)
    case "portcullis_controllers":
      settings.controllers = texts(value).map {
        each($0) { reader, text, place in
          if let address = NumericAddress(text) { return address.description }
          reader.problems.add(
            place, "expected a numeric address, found \(quoted(text))",
            hint: text.contains("/") ? "a management source is one address, not a network" : nil)
          return nil
        }
      }
    case "portcullis_labels":
      settings.labels = texts(value).map {
        each($0) { reader, text, place in
          if HostID(text) != nil, text.utf8.count <= 63 { return text }
          reader.problems.add(
            place, "\(quoted(text)) is no label",
            hint: "up to 63 letters, digits, '.', '_' and '-', not beginning with '-' or '.'")
          return nil
        }
      }
    case "portcullis_ssh_port":
      guard plainText(value) != nil else { return }
      settings.sshPort = value.integer(in: 1...65535, &problems).map {
        StatedPort(port: UInt16($0), location: variable.location)
      }
    case "portcullis_dhcp":
      settings.hasLeases = value.bool(&problems)
    case let name where name.hasPrefix("portcullis_"):
      problems.add(
        variable.location, "unknown variable \(quoted(name))",
        hint: nearestHint(name, among: HostSettings.ownNames)
          ?? "known are \(HostSettings.ownNames.joined(separator: ", "))")
    case let name where name.hasPrefix("ansible_"):
      ignored += 1
      if let known = Self.otherSpellings[name] {
        warnings.append(Diagnostic(variable.location, "\(name) is not read", hint: "write \(known)"))
      }
    case let name where name.hasPrefix("p"):
      if let near = NearestName.to(name, among: HostSettings.ownNames) {
        warnings.append(
          Diagnostic(variable.location, "\(quoted(name)) means nothing to us", hint: "did you mean \(quoted(near))?"))
      }
    default: break
    }
  }

  /// A text that says something itself: we evaluate no templates.
  mutating func plainText(_ value: YAMLNode) -> String? {
    guard let text = value.string(&problems) else { return nil }
    guard !text.contains("{{"), !text.contains("{%") else {
      problems.add(value.location, "templates are not evaluated: \(quoted(text))", hint: "write the value itself")
      return nil
    }
    guard !text.isEmpty else {
      problems.add(value.location, "the value is empty")
      return nil
    }
    return text
  }

  /// A list, or a text with commas, which is what one line of an INI file has for a list.
  private mutating func texts(_ value: YAMLNode) -> [YAMLNode]? {
    if value.tag == nil, case .scalar(let text) = value.content {
      guard text.contains(",") else { return [value] }
      return text.split(separator: ",", omittingEmptySubsequences: false).map { part in
        var trimmed = part.drop { $0 == " " }
        while trimmed.last == " " { trimmed.removeLast() }
        return YAMLNode(location: value.location, tag: nil, content: .scalar(String(trimmed)))
      }
    }
    return value.list(&problems)
  }

  private mutating func each(
    _ nodes: [YAMLNode], _ read: (inout SettingsReader, String, SourceLocation) -> String?
  ) -> [String] {
    var texts: [String] = []
    for node in nodes {
      guard let text = plainText(node), let value = read(&self, text, node.location) else { continue }
      if !texts.contains(value) { texts.append(value) }
    }
    return texts
  }

  /// A numeric address in canonical form (an IPv6 one may have a zone), or a DNS name as it is.
  mutating func address(_ text: String, at location: SourceLocation) -> String? {
    if let numeric = NumericAddress(text) { return numeric.description }
    let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 2, let numeric = NumericAddress(String(parts[0])), numeric.family == .ipv6,
      HostID(String(parts[1])) != nil
    {
      return "\(numeric)%\(parts[1])"
    }
    let looksNumeric = text.utf8.allSatisfy {
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".")
    }
    if HostID(text) != nil, !looksNumeric { return text }
    problems.add(
      location, "\(quoted(text)) is neither an address nor a host name",
      hint: text.hasPrefix("[")
        ? "write an IPv6 address without brackets" : text.contains(":") ? "the port goes into ansible_port" : nil)
    return nil
  }

  mutating func loginName(_ text: String, at location: SourceLocation) -> String? {
    let isSafe =
      !text.hasPrefix("-") && text.utf8.count <= 128
      && text.utf8.allSatisfy {
        $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "'")
      }
    guard isSafe, !text.isEmpty else {
      problems.add(location, "\(quoted(text)) is no login name")
      return nil
    }
    return text
  }
}

/// `~/` in paths that people write.
enum HomeFolder {
  static func resolving(_ path: String) -> String {
    guard path.hasPrefix("~/"), let home = ProcessEnvironment.home else { return path }
    return home + path.dropFirst(1)
  }
}
