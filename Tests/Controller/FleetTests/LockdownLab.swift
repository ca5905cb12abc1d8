import Core
import Foundation
import Release
import Testing
import Wire

/// Hosts with the example profiles staged, both backends: those to lock, and an outsider that looks at them.
struct LockdownLab: Sendable {
  let fleet: SafetyLab
  var lab: TestLab { fleet.lab }

  var insiders: [String] { fleet.hosts.dropLast() }
  var outsider: String { fleet.hosts.last! }
  var pattern: String { "all:!\(outsider)" }
  static let profiles = ["isolate", "no-ingress", "no-egress"]
  /// What the policy lets everybody in to.
  static let port = 4001

  static func with(
    _ name: String, insiders: Int = 3, _ body: (LockdownLab) async throws -> Void
  ) async throws {
    try await SafetyLab.with(name, hosts: insiders + 1) { fleet in
      for profile in profiles {
        try write(
          try text(of: "\(Machine.checkout)/examples/lockdown/\(profile).yaml"),
          to: fleet.lab.path("policies/lockdown/\(profile).yaml"))
      }
      let applied = try await fleet.apply()
      try #require(applied.values.allSatisfy { $0["result"].text == "committed" }, "\(applied)")
      try await body(LockdownLab(fleet: fleet))
    }
  }

  // MARK: - Orders

  func order(_ verb: String, _ flags: [String], timeout: Int = 90) async throws -> Finished {
    try await Command.run(
      Machine.portcullis, ["lockdown", verb, "-o", "json"] + flags, in: lab.folder, timeout: timeout)
  }

  func start(_ profile: String, _ flags: [String] = [], timeout: Int = 90) async throws -> Finished {
    try await order(
      "start", [profile, "-l", pattern, "--confirm-hosts", "\(insiders.count)", "--reason", "a test"] + flags,
      timeout: timeout)
  }

  func lift(_ flags: [String] = []) async throws -> Finished {
    try await order("lift", ["--confirm-hosts", "\(fleet.hosts.count)", "--reason", "the test is over"] + flags)
  }

  /// Names of those with that outcome.
  func hosts(_ outcome: String, in finished: Finished) throws -> Set<String> {
    Set(try JSON(finished).hosts.filter { $0.value["outcome"].text == outcome }.keys)
  }

  func isLocked(_ host: String) async throws -> Bool {
    let found = try await lab.shell(
      host, "for p in iptables-save ip6tables-save; do $p | grep -c '^-A INPUT -j PCLLOCK-INPUT' || true; done")
    let counts = found.split(separator: "\n").map(String.init)
    #expect(counts == ["1", "1"] || counts == ["0", "0"], "\(host): the families differ: \(counts)")
    return counts == ["1", "1"]
  }

  // MARK: - Ways

  /// `ip link` of the host's only interface beside loopback.
  func link(_ host: String, _ state: String) async throws {
    try await lab.shell(
      host, "for i in /sys/class/net/*; do i=${i##*/}; [ $i = lo ] || ip link set $i \(state) || true; done")
  }

  /// IPv6 addresses go with the link; a boot brings everything back.
  func boot(_ host: String) async throws {
    try await lab.succeed("lab", "reboot", host, "--dir", lab.folder)
  }
}

/// An order that a test makes by itself, signed with the lab's own keys.
struct CraftedOrder: Sendable {
  let message: OrderDelivery

  /// - Parameter namespace: of the signature; nil leaves it out.
  static func lockdown(
    _ lab: TestLab, epoch: UInt64, fleet: String = "lab", profile: String = "isolate", isDrill: Bool = false,
    any: [String] = ["all"], issued: Int64 = -60, arrivesWithin: Int64 = 600, namespace: String? = "lockdown@portcullis"
  ) async throws -> CraftedOrder {
    let terms = try terms(epoch, fleet, any, issued, arrivesWithin)
    let text = try LockdownOrder(terms: terms, isDrill: isDrill, profile: ProfileName(profile)!, liftsAfter: nil)
    return try await signed(.lockdown, text.encode(), lab.path("keys/lockdown"), namespace)
  }

  static func unlock(_ lab: TestLab, epoch: UInt64) async throws -> CraftedOrder {
    let text = try UnlockOrder(terms: try terms(epoch, "lab", ["all"], -60, 600))
    return try await signed(.unlock, text.encode(), lab.path("keys/release"), "unlock@portcullis")
  }

  private static func terms(
    _ epoch: UInt64, _ fleet: String, _ any: [String], _ issued: Int64, _ arrivesWithin: Int64
  ) throws -> OrderTerms {
    let begun = UTCTime(secondsSinceEpoch: Int64(Date().timeIntervalSince1970) + issued)
    return try OrderTerms(
      fleet: FleetID(fleet)!, epoch: Epoch(epoch), scope: LockScope(any: any), issued: begun,
      arriveBy: begun + arrivesWithin, reason: "a test")
  }

  private static func signed(
    _ kind: OrderDelivery.Kind, _ text: [UInt8], _ key: String, _ namespace: String?
  ) async throws -> CraftedOrder {
    var signatures: [[UInt8]] = []
    if let namespace {
      signatures.append(
        try await Command.succeed(
          "/usr/bin/ssh-keygen", ["-q", "-Y", "sign", "-n", namespace, "-f", key], input: .bytes(text)
        ).bytes)
    }
    return CraftedOrder(
      message: OrderDelivery(nonce: .random(), kind: kind, statement: text, signatures: signatures))
  }

  /// The same bytes as another kind.
  func posing(as kind: OrderDelivery.Kind) -> CraftedOrder {
    CraftedOrder(
      message: OrderDelivery(
        nonce: .random(), kind: kind, statement: message.statement, signatures: message.signatures))
  }
}

extension Conversation {
  var obeyed: [Obeyed] { messages.compactMap { if case .obeyed(_, let obeyed) = $0 { obeyed } else { nil } } }
}

extension TestLab {
  func bring(_ order: CraftedOrder, to host: String) async throws -> Conversation {
    try await say([.hello(version: ProtocolVersion.current), .order(order.message), .goodbye], to: host)
  }
}
