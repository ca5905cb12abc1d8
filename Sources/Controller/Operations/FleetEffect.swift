package import Core
internal import Lint
internal import Release
internal import Ruleset
internal import Store
internal import Wire

/// What an armed lockdown would do to the services of a fleet, folded over hosts on which it does the same.
package struct FleetEffect: Hashable, Sendable {
  package struct Entry: Hashable, Sendable {
    package let services: [ListeningService]
    package let whom: [String]
    package let hosts: [HostID]
  }

  package let stops: [Entry]
  package let goesOn: [Entry]
  package let inVain: [Entry]
  /// Of which nobody knows what listens.
  package let unknown: [HostID]

  package init(_ effects: [HostID: ArmedEffect], unknown: [HostID]) {
    stops = Self.folded(effects, \.stops)
    goesOn = Self.folded(effects, \.goesOn)
    inVain = Self.folded(effects, \.inVain)
    self.unknown = unknown.sorted()
  }

  private static func folded(_ effects: [HostID: ArmedEffect], _ part: KeyPath<ArmedEffect, [ArmedEffect.Row]>)
    -> [Entry]
  {
    struct Shared: Hashable {
      let whom: [String]
      let hosts: [HostID]
    }
    var hosts: [ArmedEffect.Row: [HostID]] = [:]
    for (host, effect) in effects {
      for row in effect[keyPath: part] { hosts[row, default: []].append(host) }
    }
    var services: [Shared: [ListeningService]] = [:]
    for (row, hosts) in hosts {
      services[Shared(whom: row.whom, hosts: hosts.sorted()), default: []].append(row.service)
    }
    return services.map { Entry(services: $1.sorted(), whom: $0.whom, hosts: $0.hosts) }
      .sorted { ($0.services[0], $0.hosts[0]) < ($1.services[0], $1.hosts[0]) }
  }
}

/// What is asked of a host, and the same on many.
struct EffectQuestion: Hashable {
  let layer: PerFamily<Digest>
  let release: PerFamily<Digest>?
  let sets: Digest?
  let sources: [String]
  let services: PerFamily<Set<ListeningService>>

  /// Nil where the bundle has no such profile.
  init?(_ profile: ProfileName, _ bundle: StoredBundle, _ manifest: Manifest, _ listening: ListeningReport) {
    guard let index = manifest.profiles.firstIndex(where: { $0.name == profile }),
      bundle.profiles.indices.contains(index)
    else { return nil }
    layer = bundle.profiles[index]
    release = bundle.rules
    sets = bundle.sets
    sources = manifest.sources
    services = PerFamily { family in Self.services(listening, family) }
  }

  var digests: [Digest] {
    Family.allCases.flatMap { [layer[$0], release?[$0]].compactMap(\.self) } + [sets].compactMap(\.self)
  }

  /// - Throws: when the store's texts are not what they were.
  func answer(_ texts: [Digest: [UInt8]]) throws -> ArmedEffect {
    let sets = try sets.flatMap { texts[$0] }.map { try SetsFile.parse($0) }
    return ArmedEffect(
      try PerFamily { family in
        ArmedEffect.Side(
          layer: try view(layer[family], texts, family) ?? RulesetView(Ruleset(), family),
          release: try release.flatMap { try view($0[family], texts, family) },
          sets: KnownSets(sets?.sets ?? []), sources: sources.compactMap { AddressPrefix($0) },
          services: services[family])
      })
  }

  private func view(_ digest: Digest, _ texts: [Digest: [UInt8]], _ family: Family) throws -> RulesetView? {
    try texts[digest].map { RulesetView(try Ruleset.parse(save: $0, file: "\(family).rules"), family) }
  }

  /// A socket that listens on all IPv6 addresses mostly takes IPv4 too.
  private static func services(_ listening: ListeningReport, _ family: Family) -> Set<ListeningService> {
    let heard = listening.sockets.filter { socket in
      !socket.isLoopback && (socket.family == family || socket.family == .ipv6 && socket.isForAnyAddress)
    }
    return Set(heard.map { ListeningService($0.transport == .tcp ? .tcp : .udp, $0.port) })
  }
}

extension ListeningReport.Socket {
  fileprivate var isLoopback: Bool {
    switch family {
    case .ipv4: address[0] == 127
    case .ipv6: address.dropLast().allSatisfy { $0 == 0 } && address.last == 1
    }
  }
}
