package import Core
internal import Ruleset
package import Wire

/// What observed policies would have dropped, over a fleet: one line for each port and place it came from.
package struct ObservedDrop: Hashable, Sendable {
  package let family: Family
  /// `tcp`, `icmp`, or a number.
  package let proto: String
  package let port: String
  /// The one address, or the prefix that all of them lie in.
  package let source: String
  /// Different addresses within it.
  package let sources: Int
  package let packets: UInt64
  package let bytes: UInt64
  /// On which it happened, by name.
  package let hosts: [HostID]

  /// Addresses that begin alike are mostly of one network: a /24, or a /64.
  private static func place(_ entry: Observations.Entry) -> String {
    AddressPrefix(entry.source)?.widened(to: entry.family == .ipv4 ? 24 : 64).description ?? entry.source
  }

  /// The most packets first.
  package static func fold(_ observed: [(host: HostID, observations: Observations)]) -> [ObservedDrop] {
    struct Key: Hashable {
      let family: Family
      let proto: String
      let port: String
      let place: String
    }
    struct Sum {
      var sources: Set<String> = []
      var packets: UInt64 = 0
      var bytes: UInt64 = 0
      var hosts: Set<HostID> = []
    }
    var sums: [Key: Sum] = [:]
    for (host, observations) in observed {
      for entry in observations.entries {
        let key = Key(
          family: entry.family, proto: SafeText.escape(entry.proto), port: SafeText.escape(entry.port),
          place: SafeText.escape(place(entry)))
        var sum = sums[key] ?? Sum()
        sum.sources.insert(SafeText.escape(entry.source))
        // A host may claim any number.
        sum.packets = sum.packets.saturating(adding: entry.packets)
        sum.bytes = sum.bytes.saturating(adding: entry.bytes)
        sum.hosts.insert(host)
        sums[key] = sum
      }
    }
    return sums.map { key, sum in
      ObservedDrop(
        family: key.family, proto: key.proto, port: key.port,
        source: sum.sources.count == 1 ? sum.sources.first ?? key.place : key.place, sources: sum.sources.count,
        packets: sum.packets, bytes: sum.bytes, hosts: sum.hosts.sorted())
    }.sorted { a, b in
      if a.packets != b.packets { return a.packets > b.packets }
      return (a.family, a.proto, a.port, a.source) < (b.family, b.proto, b.port, b.source)
    }
  }
}

extension UInt64 {
  fileprivate func saturating(adding other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
