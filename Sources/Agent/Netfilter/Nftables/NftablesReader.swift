internal import Apply
internal import Core
internal import Glibc

/// Reads nf_tables from the kernel: some dumps, and again when something changed between them.
struct NftablesReader {
  /// A writer that never pauses would keep us for ever.
  private static let attempts = 10

  /// Answers are looked into when all have come, so that fewer changes fall between them; beyond this as they come.
  private static let kept = 8 << 20

  private let socket: NetlinkSocket

  init() throws(SystemCallError) { socket = try NetlinkSocket(NetlinkSocket.netfilter) }

  /// Nil where the kernel has no nf_tables.
  func read() throws -> NftablesState? {
    for attempt in 0..<Self.attempts {
      // 127 ms in all: a writer that works in bursts gets to an end.
      if attempt > 2 { usleep(1000 << UInt32(attempt - 3)) }
      guard let before = try generation() else { return nil }
      // In a conversation of its own, which may be broken off.
      if let tables = try NftablesReader().tables(of: before) {
        return NftablesState(generation: before, tables: tables)
      }
    }
    throw Reason("nf_tables changed \(Self.attempts) times while it was read")
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
  private func tables(of state: UInt32) throws -> [NftablesTable]? {
    var builder = NftablesBuilder()
    var answers: [(reply: NetlinkReply, kind: NftablesMessages.Kind)] = []
    var size = 0
    for kind in [NftablesMessages.Kind.table, .chain, .rule, .set, .object, .flowTable] {
      let isWhole = try dump(NftablesMessages.dump(kind), kind) { reply in
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
    for set in builder.setsWithoutNames {
      let question = NftablesMessages.elements(family: set.family, table: set.table, set: set.name)
      guard try dump(question, .element, take: { builder.take($0, .element) }) else { return nil }
    }
    guard try builder.setsWithoutNames.isEmpty || generation() == state else { return nil }
    return builder.tables()
  }

  private func dump(
    _ question: NetlinkMessage, _ kind: NftablesMessages.Kind, take: (NetlinkReply) -> Void
  ) throws -> Bool {
    do throws(SystemCallError) {
      return try socket.dump(question, "read nf_tables' \(kind)s", of: kind.answer, breaksOff: true) { reply in
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
