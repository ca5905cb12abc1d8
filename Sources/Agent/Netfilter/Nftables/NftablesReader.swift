internal import Apply
internal import Core
internal import Glibc

/// Reads nf_tables from the kernel: some dumps, and again when something changed between them.
struct NftablesReader {
  /// Answers are looked into when all have come, so that fewer changes fall between them; beyond this as they come.
  private static let kept = 8 << 20

  /// Sets that are looked into. The kernel finds a set by going through all of its table, so that time grows with the
  /// square of their number.
  private static let maximumSets = 1024

  private let socket: NetlinkSocket
  private let scope: SetScope
  private let maximumSets: Int

  /// Members of one set that are read: one set must not take all the time there is. More than anybody writes into a rule by
  /// hand; longer lists belong into sets that have names.
  private static let maximumMembers = 65_536
  private let maximumMembers: Int

  init(
    _ scope: SetScope = .ofNobodyKnown, atMost sets: Int = Self.maximumSets, members: Int = Self.maximumMembers
  ) throws(SystemCallError) {
    socket = try NetlinkSocket(NetlinkSocket.netfilter)
    self.scope = scope
    maximumSets = sets
    maximumMembers = members
  }

  /// Nil where the kernel has no nf_tables.
  ///
  /// - Parameter limit: in milliseconds: a writer that never pauses would keep us for ever, and somebody may wait for his
  ///   rules to be confirmed.
  func read(within limit: Int = 2000) throws -> NftablesState? {
    let deadline = monotonicMilliseconds() + limit
    var attempt = 0
    repeat {
      // A writer that works in bursts gets to an end.
      if attempt > 2 { usleep(1000 << UInt32(min(attempt - 3, 6))) }
      attempt += 1
      guard let before = try generation() else { return nil }
      // In a conversation of its own, which may be broken off.
      if let tables = try NftablesReader(scope, atMost: maximumSets, members: maximumMembers).tables(
        of: before, until: deadline)
      {
        return NftablesState(generation: before, tables: tables)
      }
    } while monotonicMilliseconds() < deadline
    throw Reason("nf_tables changed again and again while it was read")
  }

  /// Which changes the kernel has made so far; nil where it has no nf_tables.
  func generation() throws(SystemCallError) -> UInt32? {
    do throws(SystemCallError) {
      let answer = try socket.ask(
        NftablesMessages.askGeneration, "ask for nf_tables' generation", wanting: NftablesMessages.generation)
      return answer.flatMap(NftablesMessages.change)?.generation
    } catch {
      // No such subsystem, and modules that cannot be loaded.
      if error.errno == EINVAL || error.errno == EOPNOTSUPP || error.errno == EPROTONOSUPPORT { return nil }
      throw error
    }
  }

  /// Nil when something changed meanwhile.
  private func tables(of state: UInt32, until deadline: Int) throws -> [NftablesTable]? {
    var builder = NftablesBuilder(scope)
    var answers: [(reply: NetlinkReply, kind: NftablesMessages.Kind)] = []
    var size = 0
    for kind in [NftablesMessages.Kind.table, .chain, .set] {
      let isWhole = try dump(NftablesMessages.dump(kind), kind, until: deadline) { reply in
        builder.take(reply, kind)
        return true
      }
      guard isWhole else { return nil }
    }
    var asking = socket
    for set in builder.setsToTake(atMost: maximumSets) {
      let question = NftablesMessages.elements(family: set.family, table: set.table, set: set.name)
      var isLarge = false
      let isWhole = try dump(question, .element, on: asking, until: deadline) { reply in
        builder.take(reply, .element)
        isLarge = builder.members(of: set) > UInt64(maximumMembers)
        return !isLarge
      }
      guard isWhole else { return nil }
      guard isLarge else { continue }
      builder.leaveOut(set)
      // The rest of its members is still to come there.
      asking = try NetlinkSocket(NetlinkSocket.netfilter)
    }
    for kind in [NftablesMessages.Kind.rule, .object, .flowTable] {
      let isWhole = try dump(NftablesMessages.dump(kind), kind, until: deadline) { reply in
        answers.append((reply, kind))
        size += reply.payload.count
        guard size > Self.kept else { return true }
        for answer in answers { builder.take(answer.reply, answer.kind) }
        (answers, size) = ([], 0)
        return true
      }
      guard isWhole else { return nil }
    }
    guard try generation() == state else { return nil }
    for answer in answers { builder.take(answer.reply, answer.kind) }
    return builder.tables()
  }

  private func dump(
    _ question: NetlinkMessage, _ kind: NftablesMessages.Kind, on other: NetlinkSocket? = nil, until deadline: Int,
    take: (NetlinkReply) -> Bool
  ) throws -> Bool {
    do throws(SystemCallError) {
      return try (other ?? socket).dump(
        question, "read nf_tables' \(kind)s", of: kind.answer, breaksOff: true, until: deadline, take: take)
    } catch {
      switch error.errno {
      // The set went away since: whoever asks again will see.
      case ENOENT: return false
      // Flow tables and objects came later than nf_tables itself.
      case EINVAL, EOPNOTSUPP: if kind == .flowTable || kind == .object { return true }
      default: break
      }
      throw error
    }
  }
}
