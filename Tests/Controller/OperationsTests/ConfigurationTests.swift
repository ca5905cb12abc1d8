import Core
import Foundation
import Inventory
import Operations
import Release
import Testing
import Transport

final class ConfigurationTests {
  let folder = "/tmp/pc-\(UUID().uuidString)"

  init() throws { try Files.makeDirectory(folder + "/inventory") }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func load(_ text: String) throws -> Configuration {
    try Files.write(Array(text.utf8), to: folder + "/portcullis.yaml")
    return try Configuration.load(folder + "/portcullis.yaml")
  }

  @Test func `the template says what an almost empty file means`() throws {
    let template = try load(Configuration.template(fleet: FleetID("shop")!))
    let short = try load("fleet: shop\n")
    for configuration in [template, short] {
      #expect(configuration.fleet == FleetID("shop")!)
      #expect(configuration.inventory == [folder + "/inventory"])
      #expect(configuration.policies == folder + "/policies")
      #expect(configuration.state == folder + "/state")
      #expect(configuration.keys.allowedSignersPath == folder + "/keys/allowed_signers")
      #expect(configuration.keys.signingKeyPath == folder + "/keys/release")
      #expect(configuration.keys.lockdownKeyPath == folder + "/keys/lockdown")
      #expect(configuration.keys.unlockKeyPath == folder + "/keys/release")
      #expect(configuration.keys.thresholds == .one)
      #expect(configuration.login.identity == folder + "/keys/controller")
      #expect(configuration.login.knownHosts == folder + "/keys/known_hosts")
      #expect(configuration.login.adminIdentity == nil)
      #expect(configuration.releaseValidity == Configuration.defaultValidity)
      #expect(configuration.staleAfter == Configuration.defaultStaleAfter)
      #expect(configuration.agents == nil && configuration.lab == nil && configuration.controllers.isEmpty)
    }
  }

  @Test(
    arguments: [
      "fleet: a b\n", "{}\n", "fleet: lab\npolicy: x\n", "fleet: lab\nfleet: lab\n",
      "fleet: lab\ncontrollers: [host.example]\n",
      "fleet: lab\nretention: { reports: ever }\n", "fleet: lab\nretention: { releases: 0 }\n",
      "fleet: lab\nretention: { audit: 90d }\n",
      "fleet: lab\nkeys: { thresholds: 2 }\n", "fleet: lab\nkeys: { thresholds: { lockdown: 0 } }\n",
      "fleet: lab\nkeys: { thresholds: { unlock: 17 } }\n", "fleet: lab\nkeys: { thresholds: { release: 2 } }\n",
      "fleet: lab\nrelease: { valid_for: soon }\n", "fleet: lab\nssh: { indentity: x }\n", "fleet: [lab]\n", "",
    ])
  func `a mistake is named with its place`(text: String) throws {
    let error = #expect(throws: Diagnostics.self) { try self.load(text) }
    #expect(error?.all.first?.description.contains("portcullis.yaml") == true)
  }

  @Test func `how long things are remembered is said in the file`() throws {
    let retention = try load("fleet: lab\nretention: { reports: 7d, events: 30d, releases: 5 }\n").retention
    #expect(retention.reports == 7 * 86_400 && retention.events == 30 * 86_400 && retention.releases == 5)
    #expect(try load("fleet: lab\nretention: { reports: 7d }\n").retention.events == Retention().events)
    #expect(try load("fleet: lab\n").retention == Retention())
  }

  @Test func `who begins and ends lockdowns, and how many of them, is said in the file`() throws {
    let keys = try load(
      "fleet: lab\nkeys: { lockdown_key: oncall, unlock_key: /keys/lead.pub, thresholds: { lockdown: 2 } }\n"
    ).keys
    #expect(keys.path(for: .lockdown) == folder + "/oncall" && keys.path(for: .unlock) == "/keys/lead.pub")
    #expect(keys.thresholds.lockdown == 2 && keys.thresholds.unlock == 1)
  }

  @Test func `inventories may be several, and lists of hosts are no files`() throws {
    let configuration = try load("fleet: lab\ninventory: [hosts.ini, /srv/cmdb, 'web1,']\n")
    #expect(configuration.inventory == [folder + "/hosts.ini", "/srv/cmdb", "web1,"])
    #expect(try load("fleet: lab\ninventory: hosts\n").inventory == [folder + "/hosts"])
    #expect(throws: Diagnostics.self) { try load("fleet: lab\ninventory: []\n") }
  }

  @Test func `agents and people log in differently, through the same bastions in their order`() throws {
    try Files.write(
      Array(
        """
        all:
          vars: { ansible_user: ops, ansible_ssh_private_key_file: /keys/ops }
          hosts:
            bastion: { ansible_host: 192.0.2.1, ansible_port: 2200, ansible_user: jumper }
            inner: { ansible_host: 10.0.0.1, portcullis_jump: ["bastion", "other@192.0.2.9:2022"] }
            plain: { ansible_host: 10.0.0.2 }

        """.utf8), to: folder + "/inventory/hosts.yaml")
    let configuration = try load("fleet: lab\n")
    let inventory = try HostInventory.load(sources: configuration.inventory)
    let endpoints = Endpoints(inventory: inventory, configuration: configuration)
    let inner = try #require(inventory.host(named: "inner"))

    let agent = endpoints.endpoint(of: inner, as: .agent)
    #expect(agent.user == "portcullis" && agent.identityFile == folder + "/keys/controller")
    #expect(agent.agentSocket == nil && agent.port == 22 && agent.addresses == ["10.0.0.1"])
    guard case .via(let near) = agent.jump, case .via(let far) = near.jump else {
      Issue.record("two bastions are missing: \(agent.jump)")
      return
    }
    #expect(near.addresses == ["192.0.2.9"] && near.port == 2022 && near.user == "other")
    #expect(far.name == "bastion" && far.addresses == ["192.0.2.1"] && far.port == 2200 && far.user == "jumper")
    #expect(far.jump == .direct)

    let person = endpoints.endpoint(of: inner, as: .administrator)
    #expect(person.user == "ops" && person.identityFile == "/keys/ops")
    #expect(endpoints.endpoint(of: try #require(inventory.host(named: "plain")), as: .agent).jump == .direct)
  }
}
