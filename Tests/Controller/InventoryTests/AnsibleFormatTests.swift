import Core
import Foundation
import Testing

@testable import Inventory

/// What the differential test cannot show where there is no Ansible: formats, files, and where we differ on purpose.
@Suite("Ansible's formats")
struct AnsibleFormatTests {
  private func load(_ files: [String: String], _ sources: [String] = ["hosts"]) throws -> HostInventory {
    let folder = try TemporaryFolder()
    for (name, text) in files { try folder.write(name, text) }
    return try HostInventory.load(sources: sources.map { folder.path + "/" + $0 })
  }

  private func iniMessages(_ text: String) -> [String] {
    messages { () throws(Diagnostics) in
      var draft = InventoryDraft()
      try INIReader.read(Array(text.utf8), file: "hosts", into: &draft)
      return try InventoryBuilder(draft).build()
    }
  }

  @Test("An INI inventory has groups, children, variables, ranges and ports")
  func ini() throws {
    let inventory = try load([
      "hosts": """
      ; servers
      lone
      [web]
      web[01:03] ansible_port=2222 note="two words" # comment
      last:2022
      [prod:children]
      web
      [web:vars]
      ports = 80,443
      ansible_user=deploy
      """
    ])
    #expect(inventory.hosts.map(\.id.description) == ["lone", "web01", "web02", "web03", "last"])
    let web = try #require(inventory.host(named: "web02"))
    #expect(web.port == 2222 && web.user == "deploy" && web.groups == ["all", "prod", "web"])
    #expect(web.variables["ports"] == [80, 443] && web.variables["note"] == "two words")
    #expect(web.variables.location(of: "note")?.line == 4)
    #expect(inventory.host(named: "last")?.port == 2022)
  }

  @Test(
    "What is wrong in an INI file is named at its place",
    arguments: [
      ("[web\nh\n", "1:1 \"[web\": a '[' without its ']'"),
      ("[web x]\nh\n", "1:1 \"[web x]\" is no section"),
      ("[web:hots]\n", "1:1 a section of unknown kind \"hots\""),
      ("[web:vars]\nx=1\n", "1:1 variables of group \"web\", which no section declares"),
      ("[web:children]\ndb\n", "2:1 group \"db\" is declared nowhere"),
      ("[web:children]\ndb web\n", "2:1 expected the name of a group, found \"db web\""),
      ("[web]\n[web:vars]\nx\n", "3:1 expected NAME=VALUE, found \"x\""),
      ("h1 x=1 y\n", "1:8 expected NAME=VALUE, found \"y\""),
      ("h1 x='a\n", "1:1 a quote is opened and never closed"),
      ("h1 =1\n", "1:4 a variable without a name"),
      ("h1 ansible_port=0\n", "1:4 expected a number from 1 to 65535, found the text \"0\""),
      ("h1 ansible_host={{x}}\n", "1:4 templates are not evaluated: \"{{x}}\""),
      ("h1 portcullis_lables=x\n", "1:4 unknown variable \"portcullis_lables\""),
      ("---\n", "1:1 \"---\" is no host name"),
      ("all:\n", "1:1 \"all:\" is no host name"),
      ("a\u{7}\n", "1:2 holds the hidden character U+7"),
    ])
  func iniMistakes(text: String, message: String) {
    #expect(iniMessages(text).first == message)
  }

  @Test("Files without an extension are told apart by what they hold")
  func formats() throws {
    func format(_ name: String, _ text: String) throws -> InventoryFormat {
      try InventoryFormat.of("/x/" + name, beginning: Array(text.utf8))
    }
    #expect(try format("hosts", "# c\nall:\n  hosts:\n") == .yaml)
    #expect(try format("hosts", "---\nweb: {}\n") == .yaml)
    #expect(try format("hosts", "{\"web\": {}}") == .yaml)
    #expect(try format("hosts", "web1 x='a: b'\n") == .ini)
    #expect(try format("hosts", "web1:2222\n[web]\n") == .ini)
    #expect(try format("hosts.dc1", "all:\n") == .ini)
    #expect(try format("hosts.json", "") == .yaml)
    #expect(throws: Diagnostics.self) { try format("hosts.toml", "") }
    #expect(throws: Diagnostics.self) { try format("hosts.py", "#!/usr/bin/python\n") }
    #expect(throws: Diagnostics.self) { try format("hosts", "$ANSIBLE_VAULT;1.1;AES256\n00") }
  }

  @Test("group_vars and host_vars lie beside each source, and later sources win")
  func variableFiles() throws {
    let inventory = try load(
      [
        "a/hosts": "[web]\nh1 own=line\n[web:vars]\ng=inventory\nown=group\n",
        "a/group_vars/all.yml": "g: all-file\nfirst: a\n",
        "a/group_vars/web/2.yml": "order: two\n", "a/group_vars/web/1.json": "{\"order\": \"one\", \"n\": 1e3}",
        "a/group_vars/web.yml": "order: never\n",
        "a/host_vars/h1": "own: file\n",
        "b/hosts.yaml": "web: {hosts: {h2: }}\n",
        "b/group_vars/all": "first: b\n",
      ], ["a/hosts", "b/hosts.yaml"])
    let h1 = try #require(inventory.host(named: "h1"))
    #expect(h1.variables == ["g": "all-file", "first": "b", "order": "two", "n": .real("1000.0"), "own": "file"])
    #expect(inventory.host(named: "h2")?.variables["own"] == "group")
  }

  @Test("What ansible-vault encrypted is passed over with a warning, and so is a priority that means nothing")
  func encrypted() throws {
    let inventory = try load([
      "hosts": "h1\n", "group_vars/all/vault.yml": "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
      "group_vars/all/vars.yml": "x: 1\nansible_group_priority: 5\nansible_ssh_host: a\n",
    ])
    #expect(inventory.hosts[0].variables["x"] == 1)
    #expect(
      inventory.warnings.map(\.message) == [
        "is encrypted by ansible-vault: its variables are not read",
        "ansible_group_priority means nothing in group_vars, to Ansible neither", "ansible_ssh_host is not read",
      ])
    #expect(inventory.ignoredVariables == 2)
  }

  @Test("Templates stay as they are in variables that we do not use, and are an error in those we do")
  func templates() throws {
    #expect(try load(["hosts": "h1 x='{{ y }}'\n"]).hosts[0].variables["x"]?.hasTemplate == true)
    #expect(throws: Diagnostics.self) { try load(["hosts": "h1\n", "host_vars/h1": "ansible_user: '{{ y }}'\n"]) }
  }

  private static let programs = InventoryPrograms { path, arguments in
    switch arguments {
    case ["--list"]:
      path.hasSuffix("/meta")
        ? .success(Array(#"{"web": {"hosts": ["w1"]}, "_meta": {"hostvars": {"w1": {"x": 1}, "gone": {}}}}"#.utf8))
        : path.hasSuffix("/old") ? .success(Array(#"{"db": ["d1", "d2"]}"#.utf8)) : .success(Array("{\"web\": [".utf8))
    case ["--host", "d1"]: .success(Array(#"{"x": 2}"#.utf8))
    default: .success([])
    }
  }

  @Test("A program gives hosts and variables at once, or is asked for each host")
  func program() throws {
    let folder = try TemporaryFolder()
    for name in ["meta", "old", "broken"] { try folder.writeProgram(name, "#!/bin/sh\n") }
    let inventory = try HostInventory.load(
      sources: [folder.path + "/meta", folder.path + "/old"], running: Self.programs)
    #expect(inventory.hosts.map(\.id.description) == ["w1", "d1", "d2"])
    #expect(inventory.hosts.map { $0.variables["x"] } == [1, 2, nil])
    let found = messages { () throws(Diagnostics) in
      try HostInventory.load(sources: [folder.path + "/broken"], running: Self.programs)
    }
    #expect(found == ["1:10 what it printed is no JSON: the JSON ends too early"])
    #expect(messages { () throws(Diagnostics) in try HostInventory.load(folder.path + "/meta") }.count == 1)
  }

  @Test("Our lists may be written in a line of an INI file")
  func lists() throws {
    let host = try load(["hosts": "h1 portcullis_addresses=10.0.0.1,2001:db8::1 portcullis_labels=\"['a', 'b']\"\n"])
      .hosts[0]
    #expect(host.addresses == ["10.0.0.1", "2001:db8::1"] && host.labels == ["a", "b"])
    #expect(iniMessages("h1 portcullis_labels=a,,b\n") == ["1:4 the value is empty"])
  }

  @Test("A list of hosts is a source, and a host that a group has the name of is named with a warning")
  func others() throws {
    let inventory = try HostInventory.load(sources: ["web1,web2:2022,"])
    #expect(inventory.hosts.map(\.port) == [nil, 2022])
    let both = try load(["hosts": "[web]\nweb\nw2\n"])
    #expect(both.warnings.count == 1)
    #expect(try both.hosts(matching: "web").map(\.id.description) == ["web"])
    #expect(throws: Failure.self) { try both.hosts(matching: "all,!web") }
  }
}
