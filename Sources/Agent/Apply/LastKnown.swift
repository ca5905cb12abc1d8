internal import Core
internal import Ruleset

/// What was read last of something that cannot always be read. A writer that is busy for a moment must not make a host look
/// like another, and one that never pauses must not hide what differs.
struct LastKnown<Value> {
  /// As long as software that sets its rules up may take. What cannot be read for longer may be anything.
  static var patience: Duration { .seconds(60) }

  struct Reading {
    /// What is there, or was a moment ago; nil when nobody knows.
    let value: Value?
    /// Nobody knows, and it is time to say so.
    let isUnknown: Bool
  }

  private var value: Value?
  private var unreadSince: BootTime?

  mutating func take(_ read: Result<Value, any Error>, at now: BootTime) -> Reading {
    guard case .success(let fresh) = read else {
      let since = unreadSince ?? now
      unreadSince = since
      let isUnknown = now - since >= Self.patience
      return Reading(value: isUnknown ? nil : value, isUnknown: isUnknown)
    }
    value = fresh
    unreadSince = nil
    return Reading(value: fresh, isUnknown: false)
  }

  /// - Parameter part: of what is known, what still holds.
  mutating func keep(_ part: (Value) -> Value) { value = value.map(part) }
}

/// Of what filters packets on this host, besides what the host's own programs print.
struct LastKnownFilters {
  var kernel = LastKnown<NftablesState?>()
  /// What `kernel` was read with: digests of another scope are others.
  var scope = SetScope.ofNobodyKnown
  /// Our own tables were changed since the kernel was read.
  var isKernelPart = false
  var otherBackend = PerFamily(ipv4: LastKnown<[ForeignPart]?>(), ipv6: LastKnown<[ForeignPart]?>())
}

/// What nf_tables holds.
struct KernelReading {
  /// Nil where there is none, or nobody knows.
  let state: NftablesState?
  /// What is not in there is not there.
  let isWhole: Bool
  let isUnknown: Bool
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
    switch read {
    case .success(let state):
      lastKnown.isKernelPart = false
      noteKernel(state)
    case .failure(let error): problem = error
    }
    return KernelReading(
      state: (known.value ?? nil).map(beneathLock), isWhole: known.value != nil && !lastKnown.isKernelPart,
      isUnknown: known.isUnknown,
      problem: problem)
  }

  /// After a load of ours: what was read before of iptables' tables says nothing any more.
  func forgetOwnTables() {
    lastKnown.isKernelPart = true
    lastKnown.kernel.keep { state in
      state.map { NftablesState(generation: $0.generation, tables: $0.tables.filter { $0.iptablesFamily == nil }) }
    }
  }
}
