import Foundation
import Glibc
import Ruleset
import Testing

/// Numbers that `make bench-safety` makes large and CI leaves small, and figures that it prints.
enum Safety {
  /// Figures are asked for: runs may take hours.
  static var isMeasuring: Bool { getenv("PORTCULLIS_FIGURES") != nil }

  static func count(_ variable: String, _ otherwise: Int) -> Int {
    getenv(variable).flatMap { Int(String(cString: $0)) } ?? otherwise
  }

  /// One line for the table: what, and how much. Also printed, so that a failing run in CI shows it.
  static func record(_ figure: String, _ value: Double) throws {
    let line = "\(figure) \(value)\n"
    print("figure: \(line)", terminator: "")
    guard let path = getenv("PORTCULLIS_FIGURES").map({ String(cString: $0) }) else { return }
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    defer { close(file) }
    try #require(file >= 0 && write(file, line, line.utf8.count) == line.utf8.count, "\(path) cannot be written")
  }

  /// Sorted values' p-th part; the largest for p of 1.
  static func percentile(_ p: Double, of values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .infinity }
    return sorted[min(sorted.count - 1, Int((Double(sorted.count) * p).rounded(.up)) - 1)]
  }
}

/// A lab whose hosts all have one policy, which the test changes at will.
struct SafetyLab: Sendable {
  let lab: TestLab
  let hosts: [String]

  static func with(
    _ name: String, hosts: Int, backend: String = "mixed", _ flags: [String] = [],
    _ body: (SafetyLab) async throws -> Void
  ) async throws {
    let policies = "\(try Machine.scratch())/policies-\(name)"
    let made = SafetyPolicy(port: 4001)
    try made.write(to: "\(policies)/all")
    let lab = try await TestLab.up(
      name, ["--hosts", "\(hosts)", "--backend", backend, "--policies", policies] + flags, timeout: 300)
    do {
      try await body(SafetyLab(lab: lab, hosts: names(1...hosts)))
      try await lab.succeed("lab", "down", "--dir", lab.folder)
    } catch {
      _ = try? await lab.portcullis("lab", "down", "--dir", lab.folder)
      throw error
    }
  }

  func set(_ policy: SafetyPolicy) throws { try policy.write(to: lab.path("policies/all")) }

  /// What became of each host; any exit code but that of an error is an answer.
  func apply(_ flags: [String] = [], timeout: Int = 120) async throws -> [String: JSON] {
    let applied = try await Command.run(
      Machine.portcullis, ["apply", "--yes", "-o", "json"] + flags, in: lab.folder, timeout: timeout)
    try #require([0, 3, 4].contains(applied.status), "\(applied)")
    return try JSON(applied).hosts
  }

  /// Digests of both families' rules, one line, by the host's own tools: chains by name, since the kernel lists them in the
  /// order they were made, and a policy of ACCEPT left out, since a table that is not there says the same.
  static let digests = """
    for p in iptables-save ip6tables-save; do
      $p | awk '/^[*]/ { t = $1 } /^:/ && $2 != "ACCEPT" { print t, substr($1, 2), 0, $2 } /^-A/ { print t, $2, 1, $0 }' |
        sort -s -k 1,3 | sha256sum | cut -c 1-64
    done | paste -s -d ' '
    """

  func digests(of host: String) async throws -> String {
    try await lab.shell(host, Self.digests).trimmingCharacters(in: .whitespacesAndNewlines)
  }
}

struct SafetyPolicy: Sendable {
  var port: Int
  /// Besides the few that every host needs.
  var fillers = 0
  /// Nobody gets in by SSH any more, not even over connections that are open.
  var shutsOut = false
  /// IPv6 has as few rules as any.
  var fillsIPv4Only = false
  /// Before all others, in each family.
  var first: (ipv4: [String], ipv6: [String]) = ([], [])
  /// SSH from the controllers.
  var lettingIn = "-A INPUT -s controllers -p tcp -m tcp --dport 22 -j ACCEPT"
  /// Further lines of policy.yaml.
  var lines = ""
  /// A table of its own besides filter, as in a rules file.
  var table = ""
  /// Whom it applies to, and its name.
  var group = "all"

  func write(to folder: String) throws {
    try FleetTests.write(
      "policy: \(group)\ndescription: for tests\napplies_to: \(group)\nrules:\n  ipv4: rules.v4\n  ipv6: rules.v6\n\(lines)",
      to: "\(folder)/policy.yaml")
    try FleetTests.write(text(isSix: false), to: "\(folder)/rules.v4")
    try FleetTests.write(text(isSix: true), to: "\(folder)/rules.v6")
  }

  private func text(isSix: Bool) -> String {
    var lines = ["*filter", ":INPUT DROP", ":FORWARD DROP", ":OUTPUT ACCEPT"]
    lines += isSix ? first.ipv6 : first.ipv4
    if shutsOut { lines.append("-A INPUT -p tcp -m tcp --dport 22 -j DROP") }
    lines.append("-A INPUT -i lo -j ACCEPT")
    lines.append("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
    if isSix { lines.append("-A INPUT -p ipv6-icmp -j ACCEPT") }
    lines.append(lettingIn)
    lines.append("-A INPUT -p tcp -m tcp --dport \(port) -j ACCEPT")
    for number in 0..<(isSix && fillsIPv4Only ? 0 : fillers) {
      let source =
        isSix ? "2001:db8::\(String(number + 1, radix: 16))/128" : "10.9.\(number / 250).\(number % 250 + 1)/32"
      lines.append("-A INPUT -s \(source) -p tcp -m tcp --dport \(port) -j ACCEPT")
    }
    return (lines + ["COMMIT"]).joined(separator: "\n") + "\n" + table
  }
}
