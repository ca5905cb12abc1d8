package import Core
package import Inventory

/// All policies of a folder, parsed and checked, before any host.
package struct PolicySet: Sendable {
  /// Addresses of documentation (RFC 5737, RFC 3849) that may stand for the controllers where rules are only checked.
  package static let placeholderControllers = ["192.0.2.1", "2001:db8::1"]
  package static let commonName = "common.yaml"
  /// The folder of lockdown profiles among those of policies.
  package static let lockdownFolder = "lockdown"

  package let directory: String
  /// By name in ASCII order.
  let policies: [PolicyFile]
  let common: CommonFile
  /// By name in ASCII order.
  let profiles: [ProfileFile]
  package let pins: NamePins
  /// What is wrong with `dns.lock`, where it was tolerated; there are no pins then.
  package let unreadableLock: Diagnostics?

  package var names: [String] { policies.map(\.name) }
  package var profileNames: [ProfileName] { profiles.map(\.name) }
  package var lockPath: String { directory + "/" + NamePins.fileName }

  /// Reads `NAME.yaml`, and `NAME/policy.yaml` of every folder in this one, `common.yaml`, `dns.lock`, and the profiles
  /// `lockdown/NAME.yaml`; other files and hidden ones are not looked at. Everything wrong with any of them is reported at once.
  ///
  /// - Parameter toleratingLock: for whoever writes `dns.lock` anew.
  package static func load(directory: String, toleratingLock: Bool = false) throws(Diagnostics) -> PolicySet {
    var directory = directory
    while directory.hasSuffix("/"), directory != "/" { directory.removeLast() }
    let place = SourceLocation(file: directory, line: 1, column: 1)
    let names: [String]
    do throws(BoundedFile.Problem) {
      names = try BoundedFile.names(in: directory)
    } catch {
      throw Diagnostics(
        Diagnostic(
          place, "cannot read the policies: \(error.description)",
          hint: "their folder is policies: of portcullis.yaml, or --policies"))
    }
    var problems = Problems()
    var readers: [PolicyFileReader] = []
    for name in names {
      let path = directory + "/" + name
      if name == lockdownFolder, BoundedFile.isDirectory(path) { continue }
      if BoundedFile.isDirectory(path) {
        readers.append(
          PolicyFileReader(file: path + "/" + PolicyFileReader.fileName, name: name, folder: path))
      } else if name.hasSuffix(".yaml"), name != commonName {
        readers.append(PolicyFileReader(file: path, name: String(name.dropLast(".yaml".count)), folder: nil))
      } else if name.hasSuffix(".yml") {
        problems.add(SourceLocation(file: path, line: 1, column: 1), "a policy's file ends in .yaml", hint: "rename it")
      }
    }
    guard !readers.isEmpty else {
      try problems.throwIfAny()
      throw Diagnostics(
        Diagnostic(
          place, "the folder holds no policy", hint: "a policy is a file NAME.yaml, or a folder NAME with a policy.yaml"
        ))
    }
    let policies = read(&readers, &problems)
    let common = readCommon(directory + "/" + commonName, &problems)
    let profiles = readProfiles(directory + "/" + lockdownFolder, &problems)
    var pins = NamePins()
    var unreadable: Diagnostics?
    do throws(Diagnostics) {
      pins = try NamePins.load(directory + "/" + NamePins.fileName)
    } catch {
      if toleratingLock { unreadable = error } else { problems.add(error) }
    }
    try problems.throwIfAny()
    return PolicySet(
      directory: directory, policies: policies, common: common, profiles: profiles, pins: pins,
      unreadableLock: unreadable)
  }

  /// One policy that is not written yet, beside what the folder has in common.
  ///
  /// - Parameter directory: nil for one that does not exist.
  package static func drafted(_ yaml: [UInt8], name: String, directory: String?) throws(Diagnostics) -> PolicySet {
    var problems = Problems()
    var reader = PolicyFileReader(
      file: draftPath(name: name, directory: directory), name: name, folder: nil)
    let policy = reader.read(try StrictYAML.parse(yaml, file: reader.file))
    reader.problems.all.forEach { problems.add($0) }
    let common = directory.map { readCommon($0 + "/" + commonName, &problems) } ?? CommonFile()
    try problems.throwIfAny()
    return PolicySet(
      directory: directory ?? ".", policies: [policy].compactMap(\.self), common: common, profiles: [],
      pins: NamePins(), unreadableLock: nil)
  }

  /// Where mistakes of such a policy are said to be.
  package static func draftPath(name: String, directory: String?) -> String { "\(directory ?? ".")/\(name).yaml" }

  private static func read(_ readers: inout [PolicyFileReader], _ problems: inout Problems) -> [PolicyFile] {
    var policies: [PolicyFile] = []
    var files: [String: String] = [:]
    for index in readers.indices {
      let policy = readers[index].read()
      readers[index].problems.all.forEach { problems.add($0) }
      let (name, file) = (readers[index].name, readers[index].file)
      if let other = files.updateValue(file, forKey: name) {
        problems.add(
          SourceLocation(file: file, line: 1, column: 1), "policy \(quoted(name)) is in \(SafeText.escape(other)) too",
          hint: "keep one of them")
      }
      if let policy { policies.append(policy) }
    }
    return policies.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// None where there is no such folder.
  private static func readProfiles(_ directory: String, _ problems: inout Problems) -> [ProfileFile] {
    guard BoundedFile.isDirectory(directory) else { return [] }
    let names: [String]
    do throws(BoundedFile.Problem) {
      names = try BoundedFile.names(in: directory)
    } catch {
      problems.add(
        SourceLocation(file: directory, line: 1, column: 1), "cannot read the lockdown profiles: \(error.description)")
      return []
    }
    var profiles: [ProfileFile] = []
    for name in names {
      let path = directory + "/" + name
      let place = SourceLocation(file: path, line: 1, column: 1)
      if name == PolicyFileReader.fileName {
        problems.add(
          place, "the folder lockdown is that of lockdown profiles, and not a policy",
          hint: "give the policy's folder another name; a profile is called as its file is")
      } else if name.hasSuffix(".yaml"), !BoundedFile.isDirectory(path) {
        var reader = ProfileReader(file: path, name: String(name.dropLast(".yaml".count)))
        if let profile = reader.read() { profiles.append(profile) }
        reader.problems.all.forEach { problems.add($0) }
      } else if name.hasSuffix(".yml") {
        problems.add(place, "a lockdown profile's file ends in .yaml", hint: "rename it")
      }
    }
    return profiles.sorted { $0.name < $1.name }
  }

  private static func readCommon(_ path: String, _ problems: inout Problems) -> CommonFile {
    guard BoundedFile.exists(path) else { return CommonFile() }
    do throws(Diagnostics) {
      let root = try StrictYAML.load(path: path)
      guard let top = root.mapping(allowing: DefinitionsReader.keys, &problems) else { return CommonFile() }
      return DefinitionsReader.read(top, &problems)
    } catch {
      problems.add(error)
      return CommonFile()
    }
  }
}

extension PolicySet {
  /// DNS names that some policy needs addresses of: its own, and those of inventory hosts that it names by group or host.
  package func namesToPin(in inventory: HostInventory) -> [String] {
    var names: Set<String> = []
    for mentions in policies.map({ PolicyMentions($0) }) + profiles.map({ PolicyMentions($0) }) + [
      PolicyMentions(common)
    ] {
      names.formUnion(mentions.dnsNames)
      for operand in mentions.addresses {
        switch operand.value {
        case .group(let group):
          for index in inventory.group(named: group)?.hostIndices ?? [] {
            names.formUnion(Self.names(of: inventory.hosts[index]))
          }
        case .host(let host): names.formUnion(inventory.host(named: host).map { Self.names(of: $0) } ?? [])
        case .prefix, .set, .controllers, .name, .variable: break
        }
      }
    }
    return names.sorted()
  }

  private static func names(of host: InventoryHost) -> [String] {
    host.addresses.filter { NumericAddress(String($0.prefix { $0 != "%" })) == nil }.map { $0.lowercased() }
  }
}
