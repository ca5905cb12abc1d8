import ArgumentParser
import Console
import Core
import Operations
import Policy

struct Resolve: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "Look up the DNS names in policies, and pin their addresses in policies/dns.lock.",
    discussion: """
      Rules hold addresses, so a name means what it meant when it was pinned. plan says when a name has moved; review the \
      changed dns.lock like any other file.
      """)

  @Flag(help: "Write nothing; exit with 2 when a name has moved or is not pinned")
  var check = false

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: SourceOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }
  var overrides: Workspace.Overrides {
    .init(inventory: source.inventory, policies: source.policies, state: fleet.state)
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let policies = try workspace.policies(toleratingLock: true)
    let resolution = await NameResolution.ask(policies, try readInventory(of: workspace))
    let silent = resolution.names.filter { $0.problem != nil }
    if let unreadable = policies.unreadableLock {
      for problem in unreadable.all { Terminal.say("warning: \(SafeText.escape(problem.description))") }
      guard check || silent.isEmpty else {
        throw Failure(
          "rewrite \(SafeText.escape(policies.lockPath))",
          because: Reason(
            "nobody answered for \(silent.map(\.name).joined(separator: ", ")), whose addresses it may hold"),
          hint: "try again, or mend the file by hand")
      }
      Terminal.say("note: \(SafeText.escape(policies.lockPath)) cannot be read\(check ? "" : ", and is written anew")")
    }
    let writes = !check && (!resolution.names.isEmpty || policies.unreadableLock != nil)
    if writes {
      _ = try await workspace.audited("resolve", hosts: [], reason: nil) {
        try Files.write(resolution.newPins().encode(), to: policies.lockPath)
        return ActionEnd(exitCode: 0)
      }
    }
    try Terminal.print(ResolveDocument(resolution, lock: policies.lockPath, written: writes), output)
    if !silent.isEmpty { return check ? 2 : 1 }
    return check && (policies.unreadableLock != nil || resolution.names.contains { $0.hasMoved }) ? 2 : 0
  }
}
