package import Apply
internal import Core
internal import Glibc
internal import Wire

/// Hears of every change that anybody makes to nf_tables in the network namespace that the thread was in when this was
/// made. What changed is not looked at: whoever wants to know reads.
package final class NftablesWatcher: ChangeWatcher {
  private let socket: NetlinkSocket
  private var buffer = [UInt8](repeating: 0, count: 32 << 10)

  /// Messages taken at a time: as many as there is room for in a socket of the usual size. Beyond that it is enough to
  /// know that there were some.
  private static let taken = 256

  package init() throws {
    socket = try NetlinkSocket(NetlinkSocket.netfilter, group: NftablesMessages.changes)
  }

  package var descriptor: Int32 { socket.descriptor.raw }

  package func take() -> Announced {
    var announced = Announced()
    for _ in 0..<Self.taken {
      let count = uninterrupted { recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT)) }
      guard count > 0 else {
        // ENOBUFS: more came than there was room for. Any other fault is as good a reason to look.
        if count < 0, errno == EAGAIN { return announced }
        announced.isChange = true
        if count < 0, errno == ENOBUFS { continue }
        return announced
      }
      announced.isChange = true
      for reply in NetlinkReply.all(in: buffer[..<count]) {
        guard let change = NftablesMessages.change(reply), let process = change.process,
          !OwnPrograms.made(process: process, socket: reply.socket)
        else { continue }
        let actor = HostChange.Actor(name: SafeText.escape(change.name), process: process)
        if announced.actors.count < WireLimit.actors, !announced.actors.contains(actor) {
          announced.actors.append(actor)
        }
      }
    }
    return announced
  }

  package func unannounced() -> [UInt8] { Family.allCases.flatMap { LegacyTables.names($0) + [0] } }
}
