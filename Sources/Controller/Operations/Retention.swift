internal import Audit
internal import Core
internal import Store

/// How long a controller remembers. What a host said last, what it runs, what was released last, and the audit log stay
/// for ever.
package struct Retention: Hashable, Sendable {
  /// What hosts said, in seconds.
  package var reports: Int64 = 90 * 86_400
  /// What happened to them and who ran what, in seconds.
  package var events: Int64 = 400 * 86_400
  /// Bundles of so many releases can be gone back to; statements and signatures of all stay.
  package var releases = 100

  package init() {}

  func prune(_ store: FleetStore, at now: UTCTime) async throws {
    try await store.pruneReports(lastSeenBefore: now + -reports)
    try await store.pruneEvents(before: now + -events)
    // The patience of repairs counts runs, however short the memory for events is.
    try await store.pruneRuns(before: now + -max(events, RepairPatience.window))
  }

  /// Releases are only made where hosts are changed.
  func pruneReleases(_ store: FleetStore) async throws { try await store.pruneBundles(keepingReleases: releases) }
}
