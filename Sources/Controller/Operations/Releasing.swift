internal import Core
internal import Policy
internal import Release
internal import Rollout
internal import Store

/// Makes a release of the whole fleet: one serial, one statement, one signature.
struct Releasing {
  let workspace: Workspace
  let store: FleetStore

  /// Signed, checked as a host would check it, and kept, before any host sees it.
  /// - Parameter planned: the last serial when the content was worked out.
  /// - Parameter grants: given to `granted` only, the hosts that somebody said it for.
  func make(
    _ content: ReleaseContent, above floor: Serial, after planned: Serial, reason: String, grants: [Grant] = [],
    to granted: Set<HostID> = []
  ) async throws -> StoredRelease {
    let serial = try await store.allocateSerial(above: floor, after: planned)
    let operation = "make release \(serial)"
    let issued = workspace.clock.now()
    let built = try ReleaseBuilder.build(
      fleet: content.fleet, serial: serial, issued: issued, expires: issued + workspace.configuration.releaseValidity,
      reason: reason,
      manifests: try content.byHost.map { host, said in
        try said.manifest(serial, granted.contains(host) ? grants : [])
      })
    let statement = built.statement.encode()
    let release = StoredRelease(
      serial: serial, statement: statement,
      signatures: [try await workspace.configuration.keys.sign(release: statement)],
      issued: issued, expires: built.statement.expires, reason: reason, hosts: built.hosts.count)
    var texts: [Digest: [UInt8]] = [:]
    let bundles = built.hosts.map { host in
      let said = content.byHost[host.manifest.host]!
      for text in said.texts { texts[text.digest] = text.bytes }
      for family in Family.allCases { said.traces.map { texts[$0[family].digest] = $0[family].encoded } }
      return Self.stored(host, said, serial)
    }
    try checkAsHost(release, bundles[0], texts, doing: operation)
    try await store.save(release, bundles: bundles, texts: texts)
    return release
  }

  static func stored(_ host: BuiltRelease.Host, _ said: ReleaseContent.Host, _ serial: Serial) -> StoredBundle {
    StoredBundle(
      serial: serial, host: host.manifest.host, manifest: host.manifest.encode(),
      content: host.manifest.contentDigest, proof: host.proof.encode(),
      rules: said.rules?.map { _, text in text.digest }, sets: said.sets?.digest, sysctl: said.sysctl?.digest,
      profiles: said.profiles.map { $0.rules.map { _, text in text.digest } },
      traces: said.traces?.map { _, trace in trace.digest })
  }

  /// A key that hosts do not trust is found out here, not on ten thousand hosts.
  private func checkAsHost(
    _ release: StoredRelease, _ bundle: StoredBundle, _ texts: [Digest: [UInt8]], doing operation: String
  ) throws {
    let path = workspace.configuration.keys.allowedSignersPath
    let signers = try AllowedSigners.parse(try Files.read(path), file: path)
    var files: [BundleFile: [UInt8]] = [
      .statement: release.statement, .signature(0): release.signatures[0], .manifest: bundle.manifest,
      .proof: bundle.proof,
    ]
    for family in Family.allCases {
      if let digest = bundle.rules?[family] { files[.rules(family)] = texts[digest] }
    }
    files[.sets] = bundle.sets.flatMap { texts[$0] }
    files[.sysctl] = bundle.sysctl.flatMap { texts[$0] }
    for (index, digests) in bundle.profiles.enumerated() {
      for family in Family.allCases { files[.lockdown(index, family)] = texts[digests[family]] }
    }
    // As a host that has the release before: how far a host lags is its own to judge.
    let before = InstalledRelease(
      serial: Serial(release.serial.value - 1), manifest: bundle.manifestDigest, statement: bundle.manifestDigest)
    do {
      _ = try BundleVerifier(allowedSigners: signers, fleet: workspace.configuration.fleet, host: bundle.host)
        .verify(try UnverifiedBundle(files: files), now: workspace.clock.now(), installed: before)
    } catch {
      throw Failure(
        operation, because: error,
        hint:
          "hosts would refuse it: does \(path) name the key keys.signing_key with namespaces=\"release@portcullis\"?")
    }
  }
}
