import Core
import Testing
import Wire

@testable import Store

struct AwaitingTests {
  func change(_ number: Int, transaction: UInt8 = 1) -> AwaitingChange {
    AwaitingChange(
      host: host(number),
      confirmation: ChangeConfirmation(
        transaction: TransactionID(bytes: [UInt8](repeating: transaction, count: 16))!,
        manifest: Digest(of: "manifest".utf8), nonce: Nonce(bytes: [UInt8](repeating: 9, count: 32))!),
      content: Digest(of: "content".utf8), serial: Serial(8), until: start + 60)
  }

  @Test func `what a person needs to confirm survives the command that left it`() async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    try await store.save(awaiting: [change(2), change(1)])
    try store.close()
    let again = try scratch.open()
    #expect(try await again.awaiting() == [change(1), change(2)])
  }

  @Test func `a later change of a host replaces the one before, and forgetting the old one keeps it`() async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    try await store.save(awaiting: [change(1)])
    try await store.save(awaiting: [change(1, transaction: 2)])
    #expect(try await store.awaiting() == [change(1, transaction: 2)])
    try await store.forget(awaiting: [change(1)])
    #expect(try await store.awaiting() == [change(1, transaction: 2)])
    try await store.forget(awaiting: [change(1, transaction: 2)])
    #expect(try await store.awaiting().isEmpty)
  }

  @Test func `what a later delivery overtook is forgotten, of no other host`() async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    try await store.save(awaiting: [change(1), change(2)])
    try await store.forgetAwaiting(of: [host(1), host(3)])
    #expect(try await store.awaiting() == [change(2)])
  }

  @Test func `what hosts were told as of a release is the newest up to it that names them`() async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    for (hosts, rules) in [(2, "a"), (1, "b"), (2, "c")] {
      let made = makeRelease(try await store.allocateSerial(), hosts: hosts, rules: rules)
      try await store.save(made.release, bundles: made.bundles, texts: made.texts)
    }
    let then = try await store.bundles(upTo: Serial(2))
    #expect(then.mapValues(\.serial) == [host(0): Serial(2), host(1): Serial(1)])
    #expect(try await store.bundles().mapValues(\.serial) == [host(0): Serial(3), host(1): Serial(3)])
    #expect(try await store.bundles(upTo: Serial(0)).isEmpty)
  }

  @Test func `a host is withdrawn while its newest release has no rules for it`() async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    for isWithdrawn in [false, true, false] {
      var made = makeRelease(try await store.allocateSerial(), hosts: 2, rules: "a")
      if isWithdrawn { made.bundles[1].rules = nil }
      try await store.save(made.release, bundles: made.bundles, texts: made.texts)
      #expect(try await store.withdrawn().keys.sorted() == (isWithdrawn ? [host(1)] : []))
    }
  }
}
