internal import Core
internal import Ruleset

/// What was read last of something that cannot always be read. A writer that is busy for a moment must not make a host look
/// like another, and one that never pauses must not hide what differs.
struct LastKnown<Value> {
  /// As long as software that sets its rules up may take. What cannot be read for longer may be anything.
  static var patience: Duration { .seconds(60) }

  private var value: Value?
  private var unreadSince: BootTime?

  /// - Returns: what is there, or was a moment ago; nil when nobody knows.
  mutating func take(_ read: Result<Value, any Error>, at now: BootTime) -> Value? {
    guard case .success(let fresh) = read else {
      let since = unreadSince ?? now
      unreadSince = since
      return now - since < Self.patience ? value : nil
    }
    value = fresh
    unreadSince = nil
    return fresh
  }
}

/// Of what filters packets on this host, besides what the host's own programs print.
struct LastKnownFilters {
  var kernel = LastKnown<NftablesState?>()
  /// What `kernel` was read with: digests of another scope are others.
  var scope = SetScope.ofNobodyKnown
  var otherBackend = PerFamily(ipv4: LastKnown<[ForeignPart]?>(), ipv6: LastKnown<[ForeignPart]?>())
}

/// What nf_tables holds.
struct KernelReading {
  /// Nil where there is none, or nobody knows.
  let state: NftablesState?
  let isKnown: Bool
  /// Why it could not be read this time.
  let problem: (any Error)?
}

extension HostAgent {
  /// - Parameter rules: by which it is judged.
  func readKernel(for rules: SideRules?) -> KernelReading {
    let scope: SetScope = rules?.judgesKnownSoftware == true ? .ofAll : .ofNobodyKnown
    if scope != lastKnown.scope { lastKnown.kernel = LastKnown() }
    lastKnown.scope = scope
    let read: Result<NftablesState?, any Error> = Result { try firewall.nftables(sets: scope) }
    let known = lastKnown.kernel.take(read, at: bootClock.now())
    var problem: (any Error)?
    if case .failure(let error) = read { problem = error }
    return KernelReading(state: known ?? nil, isKnown: known != nil, problem: problem)
  }

  /// After a load, when what was read before says nothing any more.
  func readKernelAnew(for rules: SideRules) -> NftablesState? {
    lastKnown.kernel = LastKnown()
    return readKernel(for: rules).state
  }
}
