internal import Core
internal import Inventory

/// The section `containers:` of a policy: who may reach containers, whose published ports bypass INPUT. It becomes a
/// chain that the agent hooks from DOCKER-USER, where Docker runs.
///
/// Docker translates a published port before that chain sees the packet, so a port is matched as the client asked for it
/// (conntrack's original destination). An accept returns: Docker's own rules then decide.
struct ContainerRules: Sendable {
  /// The chain's name in a policy's rules, which is reserved for this.
  static let chain = "CONTAINERS"
  /// Docker's default bridge.
  private static let bridge = "docker0"

  enum Verdict: String, CaseIterable, Sendable {
    case accept, drop, reject
  }

  struct Ports: Sendable {
    enum Transport: String, CaseIterable, Sendable {
      case tcp, udp
    }
    let transport: Transport
    /// `8080` or `8000:8010`.
    let ports: [String]
  }

  enum Source: Sendable, Equatable {
    case controllers
    /// An address or prefix of this family.
    case network(String, Family)
  }

  struct Item: Sendable {
    let verdict: Verdict
    let location: SourceLocation
    /// Of any transport and port when empty.
    var ports: [Ports] = []
    /// From anywhere when empty.
    var sources: [Source] = []
    /// The interface it comes in by; nil for any.
    var interface: String?

    var takesEverything: Bool { ports.isEmpty && sources.isEmpty && interface == nil }
  }

  let location: SourceLocation
  let items: [Item]
  /// The first item that names the controllers.
  var controllersLocation: SourceLocation? { items.first { $0.sources.contains(.controllers) }?.location }

  typealias Line = (line: PolicyTemplate.Line, source: SourceLocation)

  /// The rules of one family. Items whose sources are all of the other family have none.
  func rules(_ family: Family) -> [Line] {
    // Answers first: they are most packets, and what is established was judged when it began.
    let answers = "-A \(Self.chain) -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    return [(.fixed(Array(answers.utf8)), location)] + items.flatMap { Self.rules($0, family) }
  }

  private static func rules(_ item: Item, _ family: Family) -> [Line] {
    var lines: [Line] = []
    for tail in tails(item, family) {
      guard !item.sources.isEmpty else {
        lines.append((.fixed(Array("-A \(chain)\(tail)".utf8)), item.location))
        continue
      }
      for source in item.sources {
        switch source {
        case .controllers:
          lines.append((.perSource(head: Array("-A \(chain) -s ".utf8), tail: Array(tail.utf8)), item.location))
        case .network(let text, family):
          lines.append((.fixed(Array("-A \(chain) -s \(text)\(tail)".utf8)), item.location))
        case .network: break
        }
      }
    }
    return lines
  }

  /// What follows the source in each rule of an item.
  private static func tails(_ item: Item, _ family: Family) -> [String] {
    let ports: [(transport: Ports.Transport?, port: String?)] =
      item.ports.isEmpty ? [(nil, nil)] : item.ports.flatMap { ports in ports.ports.map { (ports.transport, $0) } }
    return ports.flatMap { transport, port in
      let transportMatch = transport.map { " -p \($0.rawValue)" } ?? ""
      let portMatch = port.map { " --ctorigdstport \($0) --ctdir ORIGINAL" } ?? ""
      let given = item.interface.map { " -i \($0)" }
      switch item.verdict {
      case .accept:
        let match = portMatch.isEmpty ? "" : " -m conntrack\(portMatch)"
        return ["\(given ?? "")\(transportMatch)\(match) -j RETURN"]
      case .drop, .reject:
        // Only what comes from outside to a container: what containers ask of others passes this chain too.
        let input = given ?? " ! -i \(bridge)"
        let target = " -j " + (item.verdict == .drop ? "DROP" : reject(transport, family))
        let direct = portMatch.isEmpty ? "" : " -m conntrack\(portMatch)"
        return [
          "\(input)\(transportMatch) -m conntrack --ctstate DNAT\(portMatch)\(target)",
          "\(input) -o \(bridge)\(transportMatch)\(direct)\(target)",
        ]
      }
    }
  }

  /// In the words of iptables-save.
  private static func reject(_ transport: Ports.Transport?, _ family: Family) -> String {
    switch (transport, family) {
    case (.tcp, _): "REJECT --reject-with tcp-reset"
    case (_, .ipv4): "REJECT --reject-with icmp-port-unreachable"
    case (_, .ipv6): "REJECT --reject-with icmp6-port-unreachable"
    }
  }
}
