import Core
import Foundation
import TestSupport
import Testing

@testable import Inventory

@Suite("Inventory")
struct HostInventoryTests {
  @Test("Variables of all, parent, child and host are laid over each other in this order")
  func precedence() throws {
    let inventory = try inventory(
      """
      all:
        vars: {ansible_user: all, ansible_port: 1, ansible_host: all.example, a: all, b: all, c: all, d: all}
        children:
          parent:
            vars: {ansible_user: parent, ansible_port: 2, b: parent, c: parent, d: parent}
            children:
              child:
                vars: {ansible_user: child, c: child, d: child}
                hosts:
                  h1: {d: host, ansible_user: host}
                  h2:
      """)
    let h1 = try #require(inventory.host(named: "h1"))
    #expect(
      h1.variables == [
        "a": "all", "b": "parent", "c": "child", "d": "host", "ansible_user": "host", "ansible_port": 2,
        "ansible_host": "all.example",
      ])
    #expect(h1.variables.location(of: "c")?.description == "hosts.yaml:8:42")
    #expect(h1.variables.location(of: "d")?.line == 10)
    #expect(h1.user == "host")
    #expect(h1.port == 2)
    #expect(h1.addresses == ["all.example"])
    #expect(inventory.host(named: "h2")?.user == "child")
    #expect(h1.memberships.map { "\($0.group) \($0.depth)" } == ["all 0", "parent 1", "child 2"])
    #expect(h1.groups == ["all", "parent", "child"])
  }

  @Test("Groups of one depth go by priority, then by name; the later wins")
  func sameDepth() throws {
    let inventory = try inventory(
      """
      b: {hosts: {h: }, vars: {x: b, y: b}}
      a: {hosts: {h: }, vars: {x: a, y: a}}
      c: {hosts: {k: }, vars: {x: c, ansible_group_priority: 1}}
      d: {hosts: {k: }, vars: {x: d, ansible_group_priority: 0}}
      """)
    #expect(inventory.host(named: "h")?.variables["x"] == "b")
    #expect(inventory.host(named: "h")?.groups == ["all", "a", "b"])
    #expect(inventory.host(named: "k")?.variables["x"] == "c")
  }

  @Test("A group's depth is that of its deepest parent plus one, and a host may be in many")
  func depth() throws {
    let inventory = try inventory(
      """
      all: {children: {x: {children: {y: {children: {z: }}}}, z: {hosts: {h: }}}}
      z: {}
      """)
    #expect(inventory.group(named: "z")?.depth == 3)
    #expect(inventory.host(named: "h")?.groups == ["all", "x", "y", "z"])
    #expect(inventory.group(named: "x")?.hostIndices == [0])
    #expect(inventory.groups.map(\.name) == ["all", "ungrouped", "x", "y", "z"])
  }

  @Test("A host of no group is in ungrouped, and in all")
  func ungrouped() throws {
    let inventory = try inventory("all: {hosts: {a: , b: }, children: {web: {hosts: {b: }}}}")
    #expect(inventory.host(named: "a")?.groups == ["all", "ungrouped"])
    #expect(inventory.host(named: "b")?.groups == ["all", "web"])
    #expect(inventory.group(named: "ungrouped")?.hostIndices == [0])
    #expect(inventory.host(named: "a")?.agentUser == "portcullis")
    #expect(inventory.host(named: "a")?.addresses == ["a"])
  }

  @Test(
    "Ranges make names as Ansible's do",
    arguments: [
      ("web[1:3]", ["web1", "web2", "web3"]),
      ("web[001:010:4].x", ["web001.x", "web005.x", "web009.x"]),
      ("db-[a:c]", ["db-a", "db-b", "db-c"]),
      ("r[1:2]n[a:b]", ["r1na", "r1nb", "r2na", "r2nb"]),
      ("w[:2]", ["w0", "w1", "w2"]),
      ("w[08:10]", ["w08", "w09", "w10"]),
    ])
  func ranges(key: String, names: [String]) throws {
    #expect(try inventory("all: {hosts: {\"\(key)\": }}").hosts.map(\.id.description) == names)
  }

  @Test(
    "What is wrong is named at its place",
    arguments: [
      ("all: {host: {a: }}", "1:7 unknown key \"host\""),
      ("all: [a]", "1:6 expected a mapping, found a list"),
      ("- a", "1:1 expected a mapping, found a list"),
      ("all: {hosts: [a]}", "1:14 expected a mapping, found a list"),
      ("all: {vars: [a]}", "1:13 expected a mapping, found a list"),
      ("all: {vars: web}", "1:13 expected a mapping, found the text \"web\""),
      ("all: {hosts: {a: b}}", "1:18 expected a mapping, found the text \"b\""),
      ("all: {hosts: {\"a b\": }}", "1:15 \"a b\" is no host name"),
      ("all: {hosts: {\"a:0\": }}", "1:15 \"a:0\": the port must be a number from 1 to 65535"),
      ("all: {hosts: {\"a-:22\": }}", "1:15 \"a-:22\" is no host name"),
      ("all: {hosts: {\"2001:db8::1\": }}", "1:15 \"2001:db8::1\" is no host name"),
      ("\"a b\": {}", "1:1 \"a b\" is no group name"),
      ("all: {hosts: {\"w[3:1]\": }}", "1:15 \"w[3:1]\": the range runs backwards"),
      ("all: {hosts: {\"w[01:100]\": }}", "1:15 \"w[01:100]\": both ends of a padded range must be as wide: 01, 100"),
      (
        "all: {hosts: {\"w[1-3]\": }}",
        "1:15 \"w[1-3]\": a range in an inventory is written [FIRST:LAST] or [FIRST:LAST:STEP]"
      ),
      ("all: {hosts: {\"w[1:3\": }}", "1:15 \"w[1:3\": a '[' without its ']'"),
      ("all: {hosts: {\"w[1:999999999]\": }}", "1:15 \"w[1:999999999]\": the range makes more than 200000 names"),
      ("all: {vars: {ansible_port: 22:30}}", "1:28 expected a number from 1 to 65535, found the text \"22:30\""),
      ("all: {vars: {ansible_port: 0}}", "1:28 expected a number from 1 to 65535, found the text \"0\""),
      ("all: {vars: {ansible_host: 1.2.3.400}}", "1:28 \"1.2.3.400\" is neither an address nor a host name"),
      ("all: {vars: {ansible_host: \"[::1]\"}}", "1:28 \"[::1]\" is neither an address nor a host name"),
      ("all: {vars: {ansible_host: \"{{ x }}\"}}", "1:28 templates are not evaluated: \"{{ x }}\""),
      ("all: {vars: {ansible_host: }}", "1:28 expected a text, found nothing"),
      ("all: {vars: {ansible_user: -oX=y}}", "1:28 \"-oX=y\" is no login name"),
      ("all: {vars: {portcullis_jmp: x}}", "1:14 unknown variable \"portcullis_jmp\""),
      (
        "all: {vars: {portcullis_controllers: [10.0.0.0/8]}}",
        "1:39 expected a numeric address, found \"10.0.0.0/8\""
      ),
      ("all: {vars: {portcullis_controllers: {a: b}}}", "1:38 expected a list, found a mapping"),
      ("all: {vars: {portcullis_labels: [\"a b\"]}}", "1:34 \"a b\" is no label"),
      ("all: {vars: {portcullis_user: \"a b\"}}", "1:31 \"a b\" is no login name"),
      ("all: {hosts: {a: {portcullis_jump: a}}}", "1:36 \"a\" cannot be reached through itself"),
      (
        "all: {hosts: {bastion1: , a: {portcullis_jump: bastoin1}}}",
        "1:48 jump host \"bastoin1\" is not in the inventory"
      ),
      ("all: {hosts: {a: {portcullis_jump: \"x@y:0\"}}}", "1:36 \"x@y:0\" is no jump host"),
      (
        "all: {hosts: {a: {portcullis_jump: b}, b: {portcullis_jump: a}}}",
        "1:15 jump hosts go round in a circle: a > b > a"
      ),
      ("a: {children: {b: {children: {a: }}}}", "1:31 group \"a\" contains itself: a > b > a"),
      ("a: {children: {all: }}", "1:16 group \"all\" contains itself: all > a > all"),
      ("a: {children: {a: }}", "1:16 group \"a\" contains itself: a > a"),
    ])
  func mistakes(text: String, message: String) {
    #expect(inventoryMessages(text).first == message)
  }

  @Test("Several mistakes are shown at once, a group's once however many hosts inherit it")
  func several() {
    let found = inventoryMessages(
      """
      all:
        vars: {ansible_port: x, portcullis_user: ""}
        hosts: {"h[1:99]": , "b c": }
        childs: {}
      """)
    #expect(
      found == [
        "2:24 expected a number from 1 to 65535, found the text \"x\"", "2:44 the value is empty",
        "3:24 \"b c\" is no host name", "4:3 unknown key \"childs\"",
      ])
  }

  @Test("Other ansible_ variables are counted and passed over, whatever they hold")
  func ignored() throws {
    let inventory = try inventory(
      "all: {vars: {ansible_become: true, ansible_password: !vault x, other: !vault y}, hosts: {a: {ansible_python: [1]}}}"
    )
    #expect(inventory.ignoredVariables == 3)
    #expect(
      inventory.hosts[0].variables == [
        "ansible_become": true, "ansible_password": .vaulted("x"), "other": .vaulted("y"), "ansible_python": [1],
      ])
  }

  @Test("Several addresses, IPv6 and their canonical form")
  func addresses() throws {
    let inventory = try inventory(
      """
      all:
        hosts:
          a: {ansible_host: 2001:DB8:0::1, portcullis_addresses: [10.0.0.1, "::ffff:10.0.0.1", "fe80::1%eth0", b.example]}
          b: {portcullis_addresses: 10.0.0.2, portcullis_controllers: ["2001:db8::A", 10.0.0.9, 10.0.0.9]}
      """)
    #expect(inventory.hosts[0].addresses == ["2001:db8::1", "10.0.0.1", "fe80::1%eth0", "b.example"])
    #expect(inventory.hosts[1].addresses == ["10.0.0.2"])
    #expect(inventory.hosts[1].controllers == ["10.0.0.9", "2001:db8::a"])
  }

  @Test(
    "Jump hosts, as we and as ssh write them",
    arguments: [
      ("portcullis_jump: b1", ["b1"]),
      ("portcullis_jump: [b1, ops@out.example:2222]", ["b1", "ops@out.example:2222"]),
      ("portcullis_jump: \"b1,b2\"", ["b1", "b2"]),
      ("portcullis_jump: \"ops@[2001:db8::1]:22\"", ["ops@[2001:db8::1]:22"]),
      ("portcullis_jump: []", []),
      ("ansible_ssh_common_args: -J b1,out", ["b1", "out"]),
      ("ansible_ssh_common_args: -o ProxyJump=ops@b1", ["ops@b1"]),
      ("ansible_ssh_common_args: '-o \"ProxyJump b1\"'", ["b1"]),
      ("ansible_ssh_common_args: -oProxyJump=none", []),
      ("ansible_ssh_common_args: -J b1\n      portcullis_jump: b2", ["b2"]),
    ])
  func jumps(setting: String, hops: [String]) throws {
    let inventory = try inventory("all:\n  hosts:\n    b1:\n    b2:\n    h:\n      \(setting)\n")
    let host = try #require(inventory.host(named: "h"))
    #expect(host.jump.map(\.description) == hops)
    #expect(host.jump.allSatisfy { ($0.inventoryHost != nil) == ["b1", "b2"].contains($0.host) })
    #expect(inventory.warnings.isEmpty)
  }

  @Test("What else stands in ansible_ssh_common_args is named in a warning")
  func otherArguments() throws {
    let inventory = try inventory(
      "all: {vars: {ansible_ssh_common_args: \"-J b -o ProxyCommand='nc %h %p' -C\"}, hosts: {b: , h: }}")
    #expect(inventory.host(named: "h")?.jump.map(\.host) == ["b"])
    #expect(
      inventory.warnings.map(\.message) == [
        "of ansible_ssh_common_args only -J and -o ProxyJump= are understood; ignored: -o ProxyCommand=nc %h %p -C"
      ])
  }

  @Test("A bastion in the group that goes through it is reached directly")
  func bastionInItsGroup() throws {
    let inventory = try inventory("dc: {vars: {portcullis_jump: b}, hosts: {b: , h: }}")
    #expect(inventory.host(named: "b")?.jump == [])
    #expect(inventory.host(named: "h")?.jump.map(\.host) == ["b"])
  }

  @Test("A folder is read in ASCII order as one inventory, with the mistakes of all its files")
  func folder() throws {
    let folder = try TemporaryFolder()
    try folder.write("b.yaml", "web: {hosts: {h1: {x: b}}}")
    try folder.write("a.yml", "all: {hosts: {h1: {x: a}, h2: }}")
    try folder.write("c", "[db]\nd1\n")
    for ignored in ["notes.txt", "old.bak", "b.yaml.orig", ".hidden", "README.md", "x~"] {
      try folder.write(ignored, "[broken")
    }
    let inventory = try HostInventory.load(folder.path)
    #expect(inventory.hosts.map(\.id.description) == ["h1", "h2", "d1"])
    #expect(inventory.hosts[0].variables["x"] == "b")

    try folder.write("d.yaml", "web: {host: }")
    try folder.write("e.yaml", "web: {vars: {ansible_port: x}}")
    do {
      _ = try HostInventory.load(folder.path)
      Issue.record("mistakes in two files were not found")
    } catch {
      #expect(error.all.map(\.location.file) == ["\(folder.path)/d.yaml", "\(folder.path)/e.yaml"])
    }
  }

  @Test("An empty folder and a missing file are told apart")
  func wrongFiles() throws {
    let folder = try TemporaryFolder()
    #expect(
      messages { () throws(Diagnostics) in try HostInventory.load(folder.path) }
        == ["1:1 the folder holds no inventory"])
    #expect(
      messages { () throws(Diagnostics) in try HostInventory.load(folder.path + "/none") }
        == ["1:1 cannot read the file: no such file"])
  }

  @Test("The example fleet says what its comments say")
  func example() throws {
    let inventory = try HostInventory.load(repository + "/inventory/example.yaml")
    #expect(inventory.hosts.count == 24)
    #expect(inventory.warnings.isEmpty && inventory.ignoredVariables == 0)
    #expect(inventory.host(named: "web05.dc1.example.net")?.addresses == ["2001:db8:20::5"])
    #expect(inventory.host(named: "web01.dc1.example.net")?.jump.first?.inventoryHost == HostID("bastion1"))
    #expect(inventory.host(named: "db-b")?.port == 2222)
    #expect(inventory.host(named: "db-a")?.addresses == ["10.30.0.11", "2001:db8:30::11"])
    #expect(inventory.host(named: "gw1")?.controllers == ["203.0.113.9", "2001:db8:ff::9"])
    #expect(inventory.host(named: "backup1")?.jump.map(\.description) == ["ops@jump.example.com:2222"])
    #expect(inventory.host(named: "monitor1")?.user == "ops")
  }

  @Test("Ten thousand hosts are read in little time")
  func large() throws {
    var text = "web:\n  vars: {ansible_user: root}\n  hosts:\n"
    for number in 1...10_000 { text += "    web\(number): {ansible_host: 10.0.\(number / 256).\(number % 256)}\n" }
    let start = ProcessorTime.now
    #expect(try inventory(text).hosts.count == 10_000)
    #expect(ProcessorTime.now - start < .seconds(10))
  }
}
