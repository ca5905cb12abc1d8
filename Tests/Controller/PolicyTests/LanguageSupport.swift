import Core
import Foundation

@testable import Inventory
@testable import Policy

/// A host of every kind of fact that the language asks for.
let languageInventory = """
  all:
    hosts:
      h:
        ansible_host: 192.0.2.10
        ansible_port: 2222
        one: 10.5.0.0/16
        six: 2001:db8:5::1
        port: "8080"
        device: eth7
        shell: "eth0 -j ACCEPT"
        quote: "x\\" -j ACCEPT -m comment --comment \\"y"
        lines: "10.0.0.1\\n-A INPUT -j ACCEPT"
        option: "--dport"
        word: controllers
        range: "1:65535"
        empty: ""
    children:
      web: {hosts: {w1: {ansible_host: 198.51.100.10, portcullis_addresses: ["2001:db8:20::10"]}, w2: {ansible_host: 198.51.100.11}}}
      old: {hosts: {o1: {ansible_host: 198.51.100.20}}}
      new: {hosts: {n1: {ansible_host: "2001:db8:30::1"}}}
      lost: {hosts: {l1: {ansible_host: lost.example}}}
      nobody: {}

  """

let languageCommon = """
  sets:
    shared: 203.0.113.0/24
  services:
    admin-panel: tcp/9443

  """

/// `established: explicit`, so that only what an item says becomes rules.
func languagePolicy(_ rest: String) -> String {
  """
  policy: p
  applies_to: all
  established: explicit
  sets:
    mixed: [192.0.2.0/24, "2001:db8:1::/64"]
    four: 198.51.100.0/24
    six: "2001:db8:6::/64"
    outer: [mixed, four, 198.51.100.7]
    first: second
    second: [10.9.0.1, third]
    third: [first]
  services:
    app: [tcp/8080, tcp/8443]
    both: [tcp/53, udp/53, proto/esp]
  schedule:
    office: { days: mon-fri, from: "08:00", to: "18:00", zone: UTC }
    night: { from: "22:00", to: "06:00" }
    weekend: { days: [sat, sun] }
    morning: { to: "12:00" }
  \(rest)

  """
}

func language(
  _ rest: String, controllers: [String] = ["203.0.113.1", "2001:db8:ff::1"]
) throws -> CompiledPolicy {
  let folder = try PolicyFolder()
  try folder.write("p.yaml", languagePolicy(rest))
  try folder.write("common.yaml", languageCommon)
  try folder.write("dns.lock", "db.example.net 203.0.113.50 2001:db8:50::1\n")
  return try folder.compiled(for: languageInventory, controllers: controllers)
}

/// Everything wrong with it, as `line:column message | hint`, lines counted from the text's own first.
func languageMistakes(_ rest: String) -> [String] {
  let above = languagePolicy("").split(separator: "\n").count
  do {
    _ = try language(rest)
    return []
  } catch let error as Diagnostics {
    return error.all.map { problem in
      let place = problem.location
      let file = (place.file as NSString).lastPathComponent
      return "\(file == "p.yaml" ? "" : file + ":")\(place.line - above):\(place.column) \(problem.message)"
        + (problem.hint.map { " | \($0)" } ?? "")
    }
  } catch {
    return ["\(error)"]
  }
}

extension CompiledPolicy {
  /// The rules of one chain, without `-A CHAIN`.
  func lines(_ family: Family, _ chain: String, table: String = "filter") -> [String] {
    var isInTable = false
    var found: [String] = []
    for line in String(decoding: rules[family], as: UTF8.self).split(separator: "\n") {
      if line.hasPrefix("*") { isInTable = line == "*\(table)" }
      if isInTable, line.hasPrefix("-A \(chain) ") { found.append(String(line.dropFirst(chain.utf8.count + 4))) }
    }
    return found
  }
}
