import Console
import Core
import Foundation
import Inventory
import Testing

@testable import Operations

/// What `validate` and `render` show of lockdown profiles.
@Suite final class LockdownDocumentTests {
  private let folder = "/tmp/pl-\(UUID().uuidString)"
  private let workspace: Workspace

  init() throws {
    for (name, text) in [
      ("portcullis.yaml", "fleet: lab\n"), ("inventory/hosts.yaml", "all: {hosts: {h1: }}\n"),
      ("policies/p.yaml", "policy: p\napplies_to: all\ndefaults: {input: drop}\n"),
      (
        "policies/lockdown/quiet.yaml",
        "lockdown: quiet\nrank: 20\napplies_to: all\ndefaults: {input: drop}\nkeep:\n  input:\n    - {udp: 5405}\n"
      ),
    ] {
      let file = "\(folder)/\(name)"
      try Files.makeDirectory((file as NSString).deletingLastPathComponent)
      try Files.write(Array(text.utf8), to: file)
    }
    workspace = try Workspace.open(config: folder + "/portcullis.yaml", environment: nil)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  @Test func `validate counts and names them`() throws {
    let document = ValidateDocument(try Validation.run(workspace))
    #expect(document.text(TextStyle()).contains("1 host, 1 policy (p), 1 lockdown profile (quiet): "))
    let json = try DocumentPrinter.render(document, as: .json, colour: false)
    #expect(json.contains("\"lockdowns\" : [\n    \"quiet\"\n  ]"), "\(json)")
  }

  @Test func `render shows them behind the host's rules, each line with its place`() async throws {
    let host = try #require(try workspace.inventory().host(named: "h1"))
    let rendering = try await Rendering.of(host, in: workspace, store: nil)
    let text = RenderDocument(rendering, families: [.ipv6]).text(TextStyle())
    let lines = text.split(separator: "\n")
    let heading = try #require(lines.firstIndex(of: "# IPv6: lockdown quiet (rank 20)"))
    #expect(lines[heading + 1] == "*mangle" && lines.last == "COMMIT")
    #expect(!text.contains("IPv4"))
    let kept = try #require(lines.first { $0.contains("--dport 5405") })
    #expect(kept.hasPrefix("-A INPUT -p udp -m udp --dport 5405 -j RETURN ") && kept.hasSuffix("/quiet.yaml:7"))
  }
}
