package import Core
package import Inventory
package import Rollout
package import Store
internal import Synchronization
internal import Transport
internal import Wire

/// Brings one order to many hosts, again and again until all obeyed or time is over. It reads no policy, plan or report:
/// nothing that could be missing on the day it is needed.
package struct Broadcasting: Sendable {
  /// Hosts' answers of this time are shown and written together.
  private static let window = Duration.milliseconds(50)

  let workspace: Workspace
  /// `timeout` is that of one attempt.
  let limits: ContactLimits
  /// How long hosts that did not obey are tried again.
  let time: Duration

  package init(_ workspace: Workspace, limits: ContactLimits, time: Duration) {
    self.workspace = workspace
    self.limits = limits
    self.time = time
  }

  /// What came of a broadcast.
  package struct Sent: Sendable {
    package let tally: OrderTally
    /// What hosts did could not be written down, or whether a later order was sent meanwhile not be read.
    package let recordingFailure: (any Error)?
  }

  /// The order and its hosts are on the disk before the first byte goes out, and so is each answer when it is shown.
  /// - Parameters:
  ///   - earlier: what may be claimed of hosts from before.
  ///   - told: called at the beginning, and whenever something new is known, with the hosts that it is of.
  package func send(
    _ order: SealedOrder, to hosts: [InventoryHost], of inventory: HostInventory,
    earlier: [HostID: OrderClaim] = [:], store: FleetStore,
    told: @escaping @Sendable (OrderTally, [HostID]) -> Void
  ) async throws -> Sent {
    let names = hosts.map(\.id)
    let connector = try workspace.connector()
    let endpoints = Endpoints(inventory: inventory, configuration: workspace.configuration)
    try await store.markSent(order.epoch, to: names, at: workspace.clock.now())
    return try await send(
      order, to: hosts.map { ($0, endpoints.endpoint(of: $0, as: .agent)) }, over: connector, earlier: earlier,
      store: store, told: told)
  }

  func send(
    _ order: SealedOrder, to hosts: [(host: InventoryHost, endpoint: HostEndpoint)], over connector: any HostConnector,
    earlier: [HostID: OrderClaim], store: FleetStore, told: @escaping @Sendable (OrderTally, [HostID]) -> Void
  ) async throws -> Sent {
    let gate = Gate(limits.parallel)
    let begun = ContinuousClock.now
    let late = Duration.seconds(order.arriveBy - workspace.clock.now())
    let later = LaterOrders(than: order.epoch, in: store)
    let carriers = hosts.map { host, endpoint in
      OrderCarrier(
        connector: connector, endpoint: endpoint,
        target: OrderTarget(
          host: host.id, fleet: workspace.configuration.fleet, epoch: order.epoch, order: order.digest,
          deed: order.deed, arriveBy: order.arriveBy, isMeant: order.isMeant(for: host)),
        earlier: earlier[host.id] ?? .waiting, order: order, timeout: limits.timeout, gate: gate, begun: begun,
        end: time, late: late, overtaken: { await later.overtaking(host) })
    }
    let (arrivals, sink) = AsyncStream.makeStream(of: Arrival.self)
    let carrying = Task {
      await withTaskGroup(of: Void.self) { group in
        for carrier in carriers {
          group.addTask {
            await carrier.run { claim in
              sink.yield(.claim(.init(host: carrier.target.host, claim: claim, after: begun.duration(to: .now))))
            }
          }
        }
      }
      sink.finish()
    }
    var begunWith = OrderTally(
      Dictionary(uniqueKeysWithValues: carriers.map { ($0.target.host, $0.earlier) }))
    if case .lift = order.deed {
      begunWith.outside = Set(carriers.filter { !$0.target.isMeant }.map(\.target.host))
    }
    // A task of its own: what hosts did is written down also when the run is interrupted.
    let keeping = Task { [begunWith] in await keep(arrivals, sink, begunWith, of: order.epoch, store, told) }
    return await withTaskCancellationHandler {
      await carrying.value
      var sent = await keeping.value
      if sent.recordingFailure == nil, let failure = await later.failure { sent = sent.failing(failure) }
      if Task.isCancelled { sent = sent.interrupted }
      return sent
    } onCancel: {
      carrying.cancel()
    }
  }

  private struct News: Sendable {
    let host: HostID
    let claim: OrderClaim
    let after: Duration
  }

  private enum Arrival: Sendable {
    case claim(News)
    case windowEnds
  }

  private func keep(
    _ arrivals: AsyncStream<Arrival>, _ sink: AsyncStream<Arrival>.Continuation, _ begun: OrderTally, of epoch: Epoch,
    _ store: FleetStore, _ told: @Sendable (OrderTally, [HostID]) -> Void
  ) async -> Sent {
    var tally = begun
    var together: [News] = []
    var failure: (any Error)?
    func tell() async {
      guard !together.isEmpty else { return }
      do {
        try await store.record(outcomes: together.compactMap { outcome($0) }, of: epoch)
      } catch {
        // The hosts are brought the order all the same: that matters more than what is known of them here.
        if failure == nil {
          failure = error
          tally.errors += 1
        }
      }
      told(tally, together.map(\.host))
      together = []
    }
    told(tally, [])
    for await arrival in arrivals {
      switch arrival {
      case .windowEnds: await tell()
      case .claim(let news):
        tally.note(news.claim, of: news.host, after: news.after)
        together.append(news)
        guard together.count == 1 else { continue }
        Task {
          try? await Task.sleep(for: Self.window)
          sink.yield(.windowEnds)
        }
      }
    }
    await tell()
    return Sent(tally: tally, recordingFailure: failure)
  }

  private func outcome(_ news: News) -> OrderOutcome? {
    OrderOutcome(host: news.host, at: workspace.clock.now(), claim: news.claim, after: news.after)
  }
}

extension Broadcasting.Sent {
  fileprivate func failing(_ failure: any Error) -> Broadcasting.Sent {
    var tally = tally
    tally.errors += 1
    return Broadcasting.Sent(tally: tally, recordingFailure: failure)
  }

  fileprivate var interrupted: Broadcasting.Sent {
    var tally = tally
    tally.interrupted = true
    return Broadcasting.Sent(tally: tally, recordingFailure: recordingFailure)
  }
}
