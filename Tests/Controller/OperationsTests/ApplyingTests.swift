import Audit
import Core
import Foundation
import Inventory
import Operations
import Rollout
import Store
import Testing

final class ApplyingTests {
  let folder = "/tmp/pa-\(UUID().uuidString)"

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  @Test func `a controller that lost its memory does not say that every host runs what it should`() async throws {
    for (name, text) in [
      ("portcullis.yaml", "fleet: lab\n"),
      ("inventory/hosts.yaml", "all: { children: { web: { hosts: { h001: {} } } } }\n"),
      (
        "policies/web/policy.yaml",
        "policy: web\ndescription: Web.\napplies_to: web\nrules: { ipv4: rules.v4, ipv6: rules.v6 }\n"
      ), ("policies/web/rules.v4", Self.rules),
      ("policies/web/rules.v6", Self.rules),
    ] {
      let path = "\(folder)/\(name)"
      try Files.makeDirectory((path as NSString).deletingLastPathComponent)
      try Files.write(Array(text.utf8), to: path)
    }
    let workspace = try Workspace.open(config: folder + "/portcullis.yaml", environment: nil)
    let store = try workspace.store()
    let planned = try await Planning(workspace).plan(try workspace.inventory().hosts, store: store)
    #expect(planned.plan.hosts.map(\.action) == [.notEnrolled])
    await #expect(throws: Failure.self) {
      try await Applying(workspace, limits: ContactLimits()).apply(planned, store: store, reason: "-") { _ in }
    }
    #expect(try await store.lastSerial() == .none)
    try store.close()
  }

  private static let rules = """
    *filter
    :INPUT DROP [0:0]
    :FORWARD DROP [0:0]
    :OUTPUT ACCEPT [0:0]
    -A INPUT -i lo -j ACCEPT
    COMMIT

    """
}
