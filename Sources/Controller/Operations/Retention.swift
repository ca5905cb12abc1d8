internal import Core
internal import Store

/// How long a controller remembers. What a host said last, what it runs and what it was released last stay for ever.
enum Retention {
  /// In seconds: a quarter of a year of what hosts said.
  static let reports: Int64 = 90 * 86_400
  /// Bundles of so many releases can be gone back to; statements and signatures of all stay.
  static let releases = 100

  static func prune(_ store: FleetStore, at now: UTCTime) async throws {
    try await store.pruneReports(lastSeenBefore: now + -reports)
    try await store.pruneBundles(keepingReleases: releases)
  }
}
