import Core
import Foundation
import Release
import Testing

@testable import Operations

/// Keys are made and used by the real ssh-keygen.
final class SigningKeyTests {
  static let now = UTCTime("2026-11-22T02:00:00Z")!
  let folder = "/tmp/pk-\(UUID().uuidString)"
  var keys: SigningKeys {
    SigningKeys(allowedSignersPath: folder + "/allowed_signers", signingKeyPath: folder + "/release")
  }

  init() throws { try Files.makeDirectory(folder) }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func trusted() throws -> AllowedSigners {
    try AllowedSigners.parse(try Files.read(keys.allowedSignersPath), file: "allowed_signers")
  }

  @Test func `two keys are made: one shuts and can do nothing else, the other releases and opens`() async throws {
    let created = try await keys.initialize(principal: "anna@x", adopting: nil, passphrase: .none)
    #expect(created.lockdown.publicKeyPath == folder + "/lockdown.pub" && !created.lockdown.adopted)
    let signers = try trusted()
    #expect(signers.all.map(\.principal) == ["anna@x", "anna@x"])
    #expect(
      signers.all.map(\.namespaces) == [["release@portcullis", "unlock@portcullis"], ["lockdown@portcullis"]])
    let text = Array("text\n".utf8)
    for (kind, other) in [(OrderKind.lockdown, OrderKind.unlock), (.unlock, .lockdown)] {
      let signature = try await keys.sign(order: text, of: kind)
      let signed = SignedText(name: "order", bytes: text, signatures: [signature])
      func check(_ kind: OrderKind) throws -> [String] {
        try SignatureCheck(allowedSigners: signers, namespace: kind.namespace, threshold: 1)
          .principals(of: signed, now: Self.now)
      }
      #expect(try check(kind) == ["anna@x"])
      #expect(throws: SignatureProblem.self) { try check(other) }
    }
  }

  @Test func `a lockdown key that is the signing key is refused, and nothing is trusted then`() async throws {
    let other = SigningKeys(allowedSignersPath: folder + "/other", signingKeyPath: folder + "/theirs/release")
    _ = try await other.initialize(principal: "bert@x", adopting: nil, passphrase: .none)
    let mine = folder + "/theirs/release.pub"
    let error = await #expect(throws: Failure.self) {
      try await keys.initialize(principal: "anna@x", adopting: mine, forLockdown: mine, passphrase: .none)
    }
    #expect(error?.kind == .refused)
    #expect(!Files.exists(keys.allowedSignersPath))
  }

  @Test func `nothing is made where one of the keys exists`() async throws {
    try Files.write([], to: folder + "/lockdown")
    await #expect(throws: Failure.self) {
      try await keys.initialize(principal: "anna@x", adopting: nil, passphrase: .none)
    }
    #expect(!Files.exists(folder + "/release") && !Files.exists(keys.allowedSignersPath))
  }

  @Test func `thresholds that too few people can meet are not brought to hosts`() async throws {
    _ = try await keys.initialize(principal: "anna@x", adopting: nil, passphrase: .none)
    let signers = try trusted()
    func check(lockdown: Int, unlock: Int, of signers: AllowedSigners) throws {
      let strict = SigningKeys(
        allowedSignersPath: keys.allowedSignersPath, signingKeyPath: keys.signingKeyPath,
        thresholds: try Thresholds(lockdown: lockdown, unlock: unlock))
      try strict.checkThresholds(signers, at: Self.now)
    }
    try check(lockdown: 1, unlock: 1, of: signers)
    for (lockdown, unlock) in [(2, 1), (1, 2)] {
      let error = #expect(throws: Failure.self) { try check(lockdown: lockdown, unlock: unlock, of: signers) }
      #expect(error.map { ErrorChain($0).message }?.contains("2 people have to sign") == true)
    }
    // A fleet of before, where nobody was given a part in lockdowns.
    let release = try AllowedSigner(
      principal: "anna@x", namespaces: ["release@portcullis"], key: signers.all[0].key)
    try check(lockdown: 2, unlock: 2, of: try #require(AllowedSigners([release])))
  }

  @Test func `two keys of one person are one, and keys that have ended are none`() async throws {
    _ = try await keys.initialize(principal: "anna@x", adopting: nil, passphrase: .none)
    let known = try trusted().all.map(\.key)
    func people(_ principals: [String], endedAt: UTCTime? = nil) throws -> [String] {
      let signers = try zip(principals, known).map { principal, key in
        try AllowedSigner(
          principal: principal, namespaces: ["lockdown@portcullis"], validBefore: endedAt, key: key)
      }
      return SigningKeys.people(.lockdown, in: try #require(AllowedSigners(signers)), at: Self.now)
    }
    #expect(try people(["anna@x", "anna@x"]) == ["anna@x"])
    #expect(try people(["bert@x", "anna@x"]) == ["anna@x", "bert@x"])
    #expect(try people(["bert@x", "anna@x"], endedAt: Self.now).isEmpty)
  }
}
