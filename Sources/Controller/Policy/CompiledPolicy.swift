package import Core
internal import Inventory
package import Ruleset
internal import Synchronization

/// What the policies of one host make of it. The same policies and facts give the same bytes.
package struct CompiledPolicy: Sendable {
  /// Names, in the order of their rules.
  package let policies: [String]
  /// Restore text.
  package let rules: PerFamily<[UInt8]>
  /// Of `rules`: worked out once, however many hosts share them.
  package let digests: PerFamily<Digest>
  /// The bundle's file of ipsets that the rules name; nil when they name none.
  package let sets: [UInt8]?
  /// The bundle's file of kernel settings; nil when the policy makes none.
  package let sysctl: [UInt8]?
  package let beside: BesideOthers
  /// `ipv6: drop-all`: nobody reaches the host over it.
  package var closesIPv6: Bool { closing != nil }
  /// Where that is said.
  package let closing: SourceLocation?
  /// Items and raw rules for IPv6 alone, of which that leaves nothing; in reading order.
  package let leftOut: [SourceLocation]
  /// Where rules come from that accept answers although no item says so.
  package let impliedAnswers: Set<SourceLocation>
  /// Families in which forwarded packets that no rule accepts are dropped.
  package let dropsForward: [Family]
  /// Named by the rules, by name.
  package let addressSets: [AddressSet]
  /// `observe: true`
  package let observes: Bool
  package let onDrift: OnDrift
  package let settings: SysctlFile
  /// The first policy's file.
  package let start: SourceLocation
  /// Of each line of `rules`.
  package let traces: PerFamily<RuleTrace>

  init(
    _ composition: Composition, _ facts: HostFacts, drafts: PerFamily<RulesetDraft>, sets: [AddressSet],
    leftOut: [SourceLocation], impliedAnswers: Set<SourceLocation>
  ) throws(Diagnostics) {
    policies = composition.policies.map(\.name)
    beside = composition.beside
    closing = composition.closesIPv6
    self.leftOut = leftOut
    self.impliedAnswers = impliedAnswers
    observes = composition.observes != nil
    onDrift = composition.onDrift
    settings = composition.sysctl
    sysctl = settings.isEmpty ? nil : settings.encode()
    addressSets = sets
    let isObserved = observes
    let isClosed = composition.closesIPv6 != nil
    let observed = Set(
      Family.allCases.filter { family in
        isObserved && BuiltInHook.allCases.contains { composition.defaults[family][$0]?.value == .drop }
          && !(isClosed && family == .ipv6)
      })
    do throws(StrictTextProblem) {
      let file = try SetsFile(sets, observing: observed)
      self.sets = file.isEmpty ? nil : file.encode()
    } catch {
      throw Diagnostics(
        Diagnostic(
          SourceLocation(file: composition.policies[0].file, line: 1, column: 1),
          "the sets of host \(quoted(facts.host.id.description)): \(error.reason)"))
    }
    start = SourceLocation(file: composition.policies[0].file, line: 1, column: 1)
    let rendered = drafts.map { $1.render() }
    rules = rendered.map { $1.text }
    digests = rendered.map { Digest(of: $1.text) }
    traces = rendered.map { RuleTrace($1.places) }
    dropsForward = Family.allCases.filter { drafts[$0].chain("FORWARD", in: "filter")?.dropsTheRest == true }
    for family in Family.allCases { try Self.check(rendered[family], family, facts.host, composition) }
  }

  /// Where a line of `rules`, counted from 1, comes from: what a failed rehearsal points at. Nil behind the end.
  package func source(of family: Family, line: Int) -> SourceLocation? {
    traces[family].source(line: line)
  }

  /// Whether the policies let the kernel forward.
  package var forwards: PerFamily<Bool?> {
    func isOn(_ key: String) -> Bool { SysctlKey(key).flatMap { settings.values[$0] } ?? 0 != 0 }
    return PerFamily(ipv4: isOn("net.ipv4.ip_forward"), ipv6: isOn("net.ipv6.conf.all.forwarding"))
  }

  /// The text is read again as every agent will read it: what was put together of values must be the lines it was meant
  /// to be, and nothing else.
  private static func check(
    _ rendered: (text: [UInt8], places: [SourceLocation]), _ family: Family, _ host: InventoryHost,
    _ composition: Composition
  ) throws(Diagnostics) {
    let limit = BundleFile.rules(family).maximumSize
    guard rendered.text.count <= limit else {
      throw Diagnostics(
        Diagnostic(
          SourceLocation(file: composition.policies[0].file, line: 1, column: 1),
          "the \(family) rules for host \(quoted(host.id.description)) are larger than \(limit >> 20) MiB"))
    }
    do throws(Diagnostics) {
      _ = try Ruleset.parse(policy: rendered.text, file: "rules", family: family)
    } catch {
      let moved = error.all.map { diagnostic in
        let index = diagnostic.location.line - 1
        return Diagnostic(
          rendered.places.indices.contains(index) ? rendered.places[index] : diagnostic.location,
          "the \(family) rule made of this: \(diagnostic.message)", hint: diagnostic.hint)
      }
      throw Diagnostics(moved) ?? error
    }
  }
}

extension RulesetDraft.Chain {
  /// Its policy is DROP, or its last rule drops or rejects whatever comes to it.
  fileprivate var dropsTheRest: Bool {
    let text = lines.last.map { String(decoding: $0.text, as: UTF8.self) } ?? ""
    return policy == "DROP" || text == "-A \(name) -j DROP" || text.hasPrefix("-A \(name) -j REJECT")
  }
}

/// What a host's rules depend on.
struct CompileKey: Hashable {
  /// Or lockdown profiles.
  let policies: [String]
  let controllers: [NumericAddress]
  let sshPorts: [PortRange]
  let variables: [[String]?]
  var ways: [JumpWays.Way] = []
}

/// Hosts of which the policies' questions have the same answers share one text.
final class CompileCache<Value: Sendable>: Sendable {
  /// A fleet has few controllers; one that has a source for each host would only fill memory.
  private let limit = 256

  private let entries = Mutex<[CompileKey: Value]>([:])

  subscript(key: CompileKey) -> Value? {
    get { entries.withLock { $0[key] } }
    set {
      entries.withLock { entries in
        if entries.count >= limit { entries.removeAll() }
        entries[key] = newValue
      }
    }
  }
}
