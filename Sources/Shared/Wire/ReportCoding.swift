internal import Core

extension Report {
  /// Of the bytes below, which stores keep for years.
  private static let format: UInt16 = 7
  /// Said nothing of lockdowns, nor of what listens.
  private static let formatWithoutLockdown: UInt16 = 6
  /// Said nothing of what others have, nor of renewals.
  private static let formatWithoutOthers: UInt16 = 5
  /// Said neither where sshd listens nor whether there are leases.
  private static let formatWithoutServices: UInt16 = 4
  /// Said nothing of kernel settings.
  private static let formatWithoutSettings: UInt16 = 3
  /// Said only whether the safe policy is loaded.
  private static let formatWithoutReason: UInt16 = 2

  /// The bytes of a report on its own, as they stand in its frame. Equal reports have equal bytes.
  package func encode() -> [UInt8] {
    var out = ByteWriter()
    write(to: &out)
    return out.bytes
  }

  /// Reads what `encode` wrote and nothing else.
  package init(encoded bytes: [UInt8]) throws(WireProblem) {
    var reader = ByteReader(bytes)
    do throws(ByteReader.Problem) {
      self = try Report(&reader)
      try reader.end()
    } catch {
      throw .malformedReport(error)
    }
  }

  func write(to out: inout ByteWriter) {
    out.uint16(Self.format)
    out.raw(nonce.bytes)
    out.text(host.description)
    out.text(fleet.description)
    out.time(time)
    out.clipped(bootID, to: WireLimit.bootID)
    out.clipped(agentVersion, to: WireLimit.version)
    out.clipped(architecture, to: WireLimit.architecture)
    out.clipped(kernel, to: WireLimit.kernel)
    out.uint8(backend.rawValue)
    out.clipped(iptablesVersion, to: WireLimit.version)
    out.optional(committed) { out, committed in
      out.serial(committed.serial)
      out.digest(committed.manifest)
      out.digest(committed.content)
      out.time(committed.at)
    }
    out.optional(lastFailure) { out, failure in
      out.serial(failure.serial)
      out.uint8(failure.result.rawValue)
      out.clipped(failure.detail, to: WireLimit.detail)
    }
    out.optional(pending) { out, pending in
      out.raw(pending.transaction.bytes)
      out.digest(pending.manifest)
      out.serial(pending.serial)
      out.uint32(pending.millisecondsLeft)
      out.bool(pending.isManual)
    }
    out.optional(localAct) { out, act in
      out.uint8(act.deed.rawValue)
      out.time(act.at)
      out.clipped(act.reason, to: WireLimit.reason)
    }
    families.ipv4.write(to: &out)
    families.ipv6.write(to: &out)
    // Readers want them in order, each once.
    let owners = Set(ownerWords).sorted().prefix(WireLimit.owners)
    out.clamped(owners.count)
    for owner in owners { out.clipped(owner, to: WireLimit.owner) }
    out.clamped(otherBackendRules)
    let named = conflicts.prefix(WireLimit.conflicts)
    out.clamped(named.count)
    for conflict in named { out.clipped(conflict, to: WireLimit.conflict) }
    out.optional(degraded) { out, why in out.clipped(why, to: WireLimit.detail) }
    out.clipped(managementSource, to: WireLimit.address)
    let made = settings.prefix(WireLimit.settings)
    out.clamped(made.count)
    for setting in made {
      out.clipped(setting.key, to: WireLimit.setting)
      out.clipped(setting.desired, to: WireLimit.settingValue)
      out.optional(setting.observed) { out, value in out.clipped(value, to: WireLimit.settingValue) }
    }
    let all = Set(sshPorts).subtracting([0]).sorted()
    // Some of too many would be other ones than those that matter.
    let ports = all.count > WireLimit.sshPorts ? [] : all
    out.clamped(ports.count)
    for port in ports { out.uint16(port) }
    out.optional(leases) { out, leases in
      out.bool(leases.ipv4)
      out.bool(leases.ipv6)
    }
    out.optional(others) { out, others in others.write(to: &out) }
    out.optional(renewal) { out, renewal in renewal.write(to: &out) }
    out.optional(lockdown) { out, lockdown in lockdown.write(to: &out) }
    out.optional(listening) { out, listening in listening.write(to: &out) }
  }

  init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let format = try reader.uint16("format of report")
    guard (Self.formatWithoutReason...Self.format).contains(format) else {
      throw .malformed(field: "format of report")
    }
    self.init(
      nonce: try reader.nonce(), host: try reader.host(), fleet: try reader.fleet(), time: try reader.time("time"),
      bootID: try reader.text("boot id", atMost: WireLimit.bootID),
      agentVersion: try reader.text("agent version", atMost: WireLimit.version),
      architecture: try reader.text("architecture", atMost: WireLimit.architecture),
      kernel: try reader.text("kernel", atMost: WireLimit.kernel),
      backend: try reader.one(of: Backend.self, "backend"),
      iptablesVersion: try reader.text("iptables version", atMost: WireLimit.version),
      committed: try reader.optional("committed") { (reader) throws(ByteReader.Problem) in
        Committed(
          serial: try reader.serial(), manifest: try reader.digest("manifest"),
          content: try reader.digest("content"), at: try reader.time("time of commit"))
      },
      lastFailure: try reader.optional("last failure") { (reader) throws(ByteReader.Problem) in
        LastFailure(
          serial: try reader.serial(), result: try reader.one(of: Outcome.Result.self, "result"),
          detail: try reader.text("detail", atMost: WireLimit.detail))
      },
      pending: try reader.optional("pending") { (reader) throws(ByteReader.Problem) in
        PendingChange(
          transaction: try reader.transaction(), manifest: try reader.digest("manifest"),
          serial: try reader.serial(), millisecondsLeft: try reader.uint32("milliseconds left"),
          isManual: try reader.bool("manual"))
      },
      localAct: try reader.optional("local act") { (reader) throws(ByteReader.Problem) in
        LocalAct(
          deed: try reader.one(of: LocalOrder.Deed.self, "deed"), at: try reader.time("time of local act"),
          reason: try reader.text("reason", atMost: WireLimit.reason))
      },
      families: PerFamily(ipv4: try FamilyReport(&reader), ipv6: try FamilyReport(&reader)),
      ownerWords: try Self.owners(&reader),
      otherBackendRules: Int(try reader.uint32("rules of the other backend")),
      conflicts: try Self.conflicts(&reader),
      degraded: try format == Self.formatWithoutReason
        ? reader.bool("degraded") ? "its agent does not say why" : nil
        : reader.optional("degraded") { (reader) throws(ByteReader.Problem) in
          try reader.text("why it is degraded", atMost: WireLimit.detail)
        },
      managementSource: try reader.text("management source", atMost: WireLimit.address),
      settings: try format > Self.formatWithoutSettings ? Self.settings(&reader) : [],
      sshPorts: try format > Self.formatWithoutServices ? Self.sshPorts(&reader) : [],
      leases: try format > Self.formatWithoutServices
        ? reader.optional("leases") { (reader) throws(ByteReader.Problem) in
          PerFamily(ipv4: try reader.bool("IPv4 lease"), ipv6: try reader.bool("IPv6 lease"))
        } : nil)
    guard format > Self.formatWithoutOthers else { return }
    others = try reader.optional("others") { (reader) throws(ByteReader.Problem) in try OthersReport(&reader) }
    renewal = try reader.optional("renewal") { (reader) throws(ByteReader.Problem) in try Renewal(&reader) }
    guard format > Self.formatWithoutLockdown else { return }
    lockdown = try reader.optional("lockdown") { (reader) throws(ByteReader.Problem) in try LockdownReport(&reader) }
    listening = try reader.optional("listening") { (reader) throws(ByteReader.Problem) in
      try ListeningReport(&reader)
    }
  }

  private static func sshPorts(_ reader: inout ByteReader) throws(ByteReader.Problem) -> [UInt16] {
    var ports: [UInt16] = []
    for _ in 0..<(try reader.count("number of SSH ports", atMost: WireLimit.sshPorts)) {
      let port = try reader.uint16("SSH port")
      // 0 is no port.
      guard port > ports.last ?? 0 else { throw .malformed(field: "SSH port") }
      ports.append(port)
    }
    return ports
  }

  private static func settings(_ reader: inout ByteReader) throws(ByteReader.Problem) -> [SettingReport] {
    var settings: [SettingReport] = []
    for _ in 0..<(try reader.count("number of settings", atMost: WireLimit.settings)) {
      settings.append(
        SettingReport(
          key: try reader.text("setting", atMost: WireLimit.setting),
          desired: try reader.text("desired value", atMost: WireLimit.settingValue),
          observed: try reader.optional("observed value") { (reader) throws(ByteReader.Problem) in
            try reader.text("observed value", atMost: WireLimit.settingValue)
          }))
    }
    return settings
  }

  private static func owners(_ reader: inout ByteReader) throws(ByteReader.Problem) -> [String] {
    var owners: [String] = []
    for _ in 0..<(try reader.count("number of owners", atMost: WireLimit.owners)) {
      let owner = try reader.owner("owner")
      guard owners.last.map({ $0 < owner }) ?? true else { throw .malformed(field: "owner") }
      owners.append(owner)
    }
    return owners
  }

  private static func conflicts(_ reader: inout ByteReader) throws(ByteReader.Problem) -> [String] {
    var names: [String] = []
    for _ in 0..<(try reader.count("number of conflicts", atMost: WireLimit.conflicts)) {
      names.append(try reader.text("conflict", atMost: WireLimit.conflict))
    }
    return names
  }
}

extension FamilyReport {
  fileprivate func write(to out: inout ByteWriter) {
    out.optional(expected) { $0.digest($1) }
    out.digest(observed)
    out.digest(save)
    var list = ByteWriter()
    var listed = 0
    // In the order given, up to the limits: the same chains are left out every time.
    for chain in chains where listed < WireLimit.reportChains {
      guard chain.isEncodable else { continue }
      guard list.bytes.count + chain.encodedSize <= WireLimit.reportChainBytes else { break }
      list.text(chain.table)
      list.text(chain.chain)
      list.digest(chain.digest)
      listed += 1
    }
    out.clamped(chains.count - listed + omittedChains)
    out.clamped(listed)
    out.raw(list.bytes)
  }

  fileprivate init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let expected = try reader.optional("expected") { (reader) throws(ByteReader.Problem) in
      try reader.digest("expected")
    }
    let observed = try reader.digest("observed")
    let save = try reader.digest("save")
    let omitted = Int(try reader.uint32("number of chains left out"))
    var chains: [ChainDigest] = []
    for _ in 0..<(try reader.count("number of chains", atMost: WireLimit.reportChains)) {
      chains.append(
        ChainDigest(
          table: try reader.text("table", atMost: WireLimit.table),
          chain: try reader.text("chain", atMost: WireLimit.chain), digest: try reader.digest("digest of chain")))
    }
    self.init(expected: expected, observed: observed, save: save, chains: chains, omittedChains: omitted)
  }
}

extension ChainDigest {
  fileprivate var isEncodable: Bool {
    table.utf8.count <= WireLimit.table && chain.utf8.count <= WireLimit.chain
  }
  fileprivate var encodedSize: Int { 8 + table.utf8.count + chain.utf8.count + Digest.byteCount }
}
