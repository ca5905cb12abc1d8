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

  init(_ scope: SetScope = .ofNobodyKnown, atMost sets: Int = Self.maximumSets) throws(SystemCallError) {
    socket = try NetlinkSocket(NetlinkSocket.netfilter)
    self.scope = scope
    maximumSets = sets
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
      if let tables = try NftablesReader(scope, atMost: maximumSets).tables(of: before, until: deadline) {
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
      guard try dump(NftablesMessages.dump(kind), kind, until: deadline, take: { builder.take($0, kind) }) else {
        return nil
      }
    }
    for set in builder.setsToTake(atMost: maximumSets) {
      let question = NftablesMessages.elements(family: set.family, table: set.table, set: set.name)
      guard try dump(question, .element, until: deadline, take: { builder.take($0, .element) }) else { return nil }
    }
    for kind in [NftablesMessages.Kind.rule, .object, .flowTable] {
      let isWhole = try dump(NftablesMessages.dump(kind), kind, until: deadline) { reply in
        answers.append((reply, kind))
        size += reply.payload.count
        guard size > Self.kept else { return }
        for answer in answers { builder.take(answer.reply, answer.kind) }
        (answers, size) = ([], 0)
      }
      guard isWhole else { return nil }
    }
    guard try generation() == state else { return nil }
    for answer in answers { builder.take(answer.reply, answer.kind) }
    return builder.tables()
  }

  private func dump(
    _ question: NetlinkMessage, _ kind: NftablesMessages.Kind, until deadline: Int, take: (NetlinkReply) -> Void
  ) throws -> Bool {
    do throws(SystemCallError) {
      return try socket.dump(
        question, "read nf_tables' \(kind)s", of: kind.answer, breaksOff: true, until: deadline
      ) { reply in
        take(reply)
        return true
      }
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
