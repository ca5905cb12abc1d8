package import Core
internal import Foundation

/// What `plan --out` writes and `apply FILE` takes as the approval: the fingerprint that must still hold, and enough to
/// say what moved when it does not. Only bytes that `encode` writes are read back: an approval is not edited.
package struct PlanFile: Hashable, Sendable {
  package static let formatVersion = 1
  /// In bytes; about 300 for each host.
  package static let maximumSize = 64 << 20

  package struct Host: Hashable, Sendable, Codable {
    package let host: String
    package let action: String
    package let content: String?
    package let mode: String?
  }

  package let fleet: FleetID
  package let serialBase: Serial
  package let created: UTCTime
  /// The `--limit` it was made with; `apply` plans the same hosts again.
  package let limit: String?
  package let fingerprint: Digest
  package let hosts: [Host]

  package init(_ plan: RolloutPlan, limit: String?, created: UTCTime) {
    fleet = plan.fleet
    serialBase = plan.serialBase
    self.created = created
    self.limit = limit
    fingerprint = plan.fingerprint
    hosts = plan.hosts.map {
      Host(
        host: $0.host.description, action: $0.action.rawValue, content: $0.desired?.description, mode: $0.mode)
    }
  }

  private struct Form: Codable {
    var format_version: Int
    var kind: String
    var fleet: String
    var last_serial: UInt64
    var created: String
    var limit: String?
    var fingerprint: String
    var hosts: [Host]
  }

  private static let kind = "plan-file"

  package func encode() throws(Failure) -> [UInt8] {
    let form = Form(
      format_version: Self.formatVersion, kind: Self.kind, fleet: fleet.description, last_serial: serialBase.value,
      created: created.description, limit: limit, fingerprint: fingerprint.description, hosts: hosts)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    do {
      return [UInt8](try encoder.encode(form)) + [UInt8(ascii: "\n")]
    } catch {
      throw Failure("write the plan", because: error)
    }
  }

  /// - Parameter file: what messages call it.
  package init(decoding bytes: [UInt8], file: String) throws(Failure) {
    let name = SafeText.escape(file)
    func problem(_ words: String) -> Failure {
      Failure("read the plan \(name)", because: Reason(words), hint: "make a new one with plan --out")
    }
    guard bytes.count <= Self.maximumSize else { throw problem("it has more than \(Self.maximumSize) bytes") }
    struct Version: Decodable {
      var format_version: Int
      var kind: String
    }
    guard let version = try? JSONDecoder().decode(Version.self, from: Data(bytes)), version.kind == Self.kind else {
      throw problem("it is not a plan written by plan --out")
    }
    guard version.format_version == Self.formatVersion else {
      throw problem("it has format \(version.format_version), this version reads \(Self.formatVersion)")
    }
    guard let form = try? JSONDecoder().decode(Form.self, from: Data(bytes)), let fleet = FleetID(form.fleet),
      let created = UTCTime(form.created), let fingerprint = Digest(form.fingerprint)
    else { throw problem("a field is missing or has another form") }
    self.fleet = fleet
    serialBase = Serial(form.last_serial)
    self.created = created
    limit = form.limit
    self.fingerprint = fingerprint
    hosts = form.hosts
    guard try encode() == bytes else { throw problem("it was changed after it was written") }
  }

  /// Refuses unless this plan, made just now, is the one that was approved.
  package func approve(_ plan: RolloutPlan) throws(Failure) {
    guard plan.fingerprint != fingerprint else { return }
    throw Failure(
      "apply the approved plan", because: Reason("it is stale: \(whatMoved(plan))"),
      hint: "look at a new plan, and approve that", kind: .refused)
  }

  private func whatMoved(_ plan: RolloutPlan) -> String {
    if plan.fleet != fleet { return "it was made for fleet \(fleet), this is \(plan.fleet)" }
    if plan.serialBase != serialBase {
      return "release \(plan.serialBase) was made since; it was approved over \(serialBase)"
    }
    let before = Dictionary(hosts.map { ($0.host, $0) }) { first, _ in first }
    let now = Dictionary(uniqueKeysWithValues: PlanFile(plan, limit: nil, created: created).hosts.map { ($0.host, $0) })
    var moved: [String] = []
    for name in Set(before.keys).union(now.keys).sorted() {
      switch (before[name], now[name]) {
      case (nil, _?): moved.append("\(SafeText.escape(name)) was added")
      case (_?, nil): moved.append("\(SafeText.escape(name)) is gone")
      case (let a?, let b?) where a.action != b.action:
        moved.append("\(SafeText.escape(name)) was \(SafeText.escape(a.action)) and is \(SafeText.escape(b.action))")
      case (let a?, let b?) where a != b: moved.append("the policies say something else for \(SafeText.escape(name))")
      default: break
      }
    }
    guard !moved.isEmpty else { return "what the hosts run has changed since" }
    let shown = moved.prefix(5).joined(separator: ", ")
    return moved.count > 5 ? "\(shown) and \(moved.count - 5) more" : shown
  }
}
