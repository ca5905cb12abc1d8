import ArgumentParser
import Console
import Core
import Import
import Inventory
import Operations
import Policy

struct ImportVerb: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Write policies from the rules that hosts have, or that files hold.",
    discussion: """
      portcullis import web1 web2 --out policies
      portcullis import --file /etc/iptables/rules.v4 --file6 /etc/iptables/rules.v6 --name web --out policies

      Hosts are asked over an administrator's login (ansible_user), and nothing is changed on them. Hosts whose rules are \
      the same get one policy. Chains of Docker, fail2ban, Kubernetes and the like are left out and named.
      """)

  @Argument(help: "Patterns of hosts of the inventory")
  var hosts: [String] = []

  @Option(help: "Rules of IPv4, as iptables-save prints them; /etc/iptables/rules.v4 is such a file")
  var file: String?

  @Option(name: .customLong("file6"), help: "Rules of IPv6")
  var file6: String?

  @Option(help: "The folder the policies are written to")
  var out: String

  @Option(help: "The policy's name (of several: NAME-1, NAME-2 …)")
  var name: String = "imported"

  @Option(help: "The group of the inventory it applies to (default: of a file, all; of hosts, the policy's name)")
  var group: String?

  @Flag(help: "Keep other software's chains too")
  var exact = false

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: InventoryOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions

  var overrides: Workspace.Overrides { .init(inventory: source.inventory, state: fleet.state) }

  func validate() throws {
    guard hosts.isEmpty != (file == nil && file6 == nil) else {
      throw ValidationError("name hosts, or files with --file and --file6, and not both")
    }
    guard HostID(name) != nil else { throw ValidationError("--name takes letters, digits, '.', '_' and '-'") }
    guard name + ".yaml" != PolicySet.commonName else {
      throw ValidationError(
        "--name \(name): \(PolicySet.commonName) holds what all policies share; choose another name")
    }
  }

  func perform() async throws -> Int32 {
    var options = ImportOptions(name: name, appliesTo: group ?? "all")
    options.keepsEverything = exact
    options.modeline = FileSchema.policy.modeline
    options.directory = Files.exists(out) ? out : nil
    guard hosts.isEmpty else { return try await importHosts(options) }
    options.source = .files
    options.files = PerFamily(ipv4: file ?? "rules.v4", ipv6: file6 ?? "rules.v6")
    let saved = PerFamily<[UInt8]?>(
      ipv4: try file.map { try Files.read($0) }, ipv6: try file6.map { try Files.read($0) })
    let imported = try Importer.run(saved, options)
    try write([(imported, [])], failed: [:])
    return 0
  }

  private func importHosts(_ options: ImportOptions) async throws -> Int32 {
    let workspace = try open()
    let known = try readInventory(of: workspace)
    let chosen = try known.hosts(named: hosts.joined(separator: ","))
    var read: [(host: String, rules: ImportedRules)] = []
    var failed: [String: String] = [:]
    var warnings: [String: [String]] = [:]
    for host in try await LiveRules(workspace, limits: contact.value).read(chosen) {
      let name = host.host.description
      do {
        let saved = try host.saved.get()
        var options = options
        options.files = PerFamily(ipv4: "\(name): iptables-save", ipv6: "\(name): ip6tables-save")
        read.append((name, try ImportedRules(saved.texts.map { _, text in text }, options)))
        if !saved.warnings.isEmpty { warnings[name] = saved.warnings }
      } catch {
        // One host that cannot be imported is no reason to leave the others out.
        failed[name] = ErrorChain(error).line
      }
    }
    let groups = ImportGroup.make(read)
    var policies: [(ImportedPolicy, [String])] = []
    for (index, members) in groups.enumerated() {
      var options = options
      if groups.count > 1 { options.name = "\(name)-\(index + 1)" }
      // A group of its own for each ruleset: one for all would give every host all of them.
      options.appliesTo = groups.count > 1 ? options.name : group ?? options.name
      options.description = "As found on \(Folding.fold(members.hosts))"
      policies.append((try members.policy(options), members.hosts))
    }
    let needsGroups = !groups.isEmpty && (groups.count > 1 || group == nil)
    if needsGroups { try ImportNames.check(newGroups: policies.map(\.0.name), in: known) }
    let inventory = needsGroups ? ImportGroup.inventory(policies.map { ($0.0.name, $0.1) }) : nil
    try write(policies, failed: failed, warnings: warnings, inventory: inventory)
    return failed.isEmpty ? 0 : 4
  }

  private func write(
    _ policies: [(policy: ImportedPolicy, hosts: [String])], failed: [String: String],
    warnings: [String: [String]] = [:], inventory: String? = nil
  ) throws {
    let files = policies.map { "\(out)/\($0.policy.name).yaml" }
    let groups = inventory.map { (path: "\(out)/\(name)-\(ImportGroup.inventoryName)", text: $0) }
    for path in files + [groups?.path].compactMap(\.self) where Files.exists(path) {
      throw Failure(
        "import into \(SafeText.escape(out))", because: Reason("\(SafeText.escape(path)) exists"),
        hint: "choose another --name or --out", kind: .refused)
    }
    if !files.isEmpty { try Files.makeDirectory(out) }
    for (path, policy) in zip(files, policies) { try Files.write(Array(policy.policy.yaml.utf8), to: path) }
    if let groups { try Files.write(Array(groups.text.utf8), to: groups.path) }
    try Terminal.print(
      ImportDocument(policies, files: files, failed: failed, warnings: warnings, inventory: groups?.path), output)
  }
}
