import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Policy
import Ruleset
import Store

extension Family: ExpressibleByArgument {}

struct Render: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "The rules that the policies make of a host, with file:line beside each.",
    discussion: """
      portcullis render web1
      portcullis render --standalone --policies DIR --family ipv4 --mode exclusive > rules.v4

      The second prints a file that iptables-restore takes, without inventory and configuration.
      """)

  @Argument(help: "A host of the inventory")
  var host: String?

  @Option(help: "Only this family: ipv4 or ipv6")
  var family: Family?

  @Flag(help: "Of policies alone: restore text on standard output")
  var standalone = false

  @Option(help: "With --standalone: exclusive, whose text is whole tables")
  var mode: String?

  @Option(help: "With --standalone: only these policies (repeat for several; default: all of the folder)")
  var policy: [String] = []

  @Option(help: "With --standalone: the address the host is managed from (repeat for several)")
  var controller: [String] = []

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: SourceOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }
  var overrides: Workspace.Overrides {
    .init(inventory: source.inventory, policies: source.policies, state: fleet.state)
  }

  func validate() throws {
    guard standalone else {
      guard host != nil else { throw ValidationError("name a host, or render policies alone with --standalone") }
      guard mode == nil, policy.isEmpty, controller.isEmpty else {
        throw ValidationError("--mode, --policy and --controller have a meaning only with --standalone")
      }
      return
    }
    guard host == nil else { throw ValidationError("--standalone renders for no host of an inventory") }
    guard source.policies != nil, family != nil, mode == "exclusive" else {
      throw ValidationError(
        "--standalone needs --policies DIR, --family ipv4|ipv6 and --mode exclusive: chains beside other people's "
          + "rules are made by the agent, which knows those")
    }
  }

  func perform() async throws -> Int32 {
    if standalone, let directory = source.policies, let family {
      let rendering = try Rendering.standalone(policies: directory, named: policy, controllers: controller)
      if !rendering.compiled.settings.isEmpty {
        Terminal.say("warning: the policy's sysctl is no part of these rules")
      }
      if output.output == .text {
        Terminal.write(String(decoding: rendering.compiled.rules[family], as: UTF8.self), to: 1)
      } else {
        try Terminal.print(RenderDocument(rendering, families: [family]), output)
      }
      return 0
    }
    let workspace = try open()
    let inventory = try readInventory(of: workspace)
    guard let name = host, let found = inventory.host(named: name) else {
      throw Failure(
        "render \(SafeText.escape(host ?? ""))", because: Reason("the inventory has no such host"),
        hint: NearestName.to(host ?? "", among: inventory.hosts.map(\.id.description)).map { "did you mean '\($0)'?" },
        kind: .usage)
    }
    let store = try workspace.existingStore()
    let rendering = try await Rendering.of(found, in: workspace, store: store)
    try store?.close()
    if rendering.usesPlaceholders {
      Terminal.say(
        "note: no management source of \(found.id) is known yet; addresses of documentation stand for the controllers")
    }
    try Terminal.print(RenderDocument(rendering, families: family.map { [$0] } ?? Family.allCases), output)
    return 0
  }
}
