import Core
import Synchronization
import Testing

@testable import Operations

/// Texts that hosts have in common. Who means harm costs the others no more than a moment, and never what they see.
struct SharedTextTests {
  private static let text = Array("*filter\nCOMMIT\n".utf8)
  private static let name = SharedTexts.Name(family: .ipv4, digest: Digest(of: text))

  private func text(_ found: SharedTexts.Found) -> [UInt8]? { if case .text(let text) = found { text } else { nil } }

  @Test func `whoever comes second waits for the first, and has its text`() async {
    let shared = SharedTexts(patience: patience)
    #expect(text(await shared.look(for: Self.name)) == nil)
    async let second = shared.look(for: Self.name)
    async let third = shared.look(for: Self.name)
    // Another text is nobody's business here.
    #expect(text(await shared.look(for: .init(family: .ipv6, digest: Self.name.digest))) == nil)
    await shared.settle(Self.name, Self.text)
    let waited = [text(await second), text(await third)]
    #expect(waited == [Self.text, Self.text])
    #expect(text(await shared.look(for: Self.name)) == Self.text)
  }

  @Test func `a text that is not the one that was reported is nobody else's`() async {
    let shared = SharedTexts(patience: patience)
    _ = await shared.look(for: Self.name)
    async let second = shared.look(for: Self.name)
    await shared.settle(Self.name, Self.text + [1])
    let waited = [text(await second), text(await shared.look(for: Self.name))]
    #expect(waited == [nil, nil])
    // One who does serve it helps the rest.
    await shared.settle(Self.name, Self.text)
    await shared.settle(Self.name, [7])
    #expect(text(await shared.look(for: Self.name)) == Self.text)
  }

  @Test func `nobody waits long for a host that says nothing, and when it fails another one asks for all`() async {
    let slow = SharedTexts(patience: .milliseconds(50))
    _ = await slow.look(for: Self.name)
    #expect(text(await slow.look(for: Self.name)) == nil)
    let failing = SharedTexts(patience: patience)
    _ = await failing.look(for: Self.name)
    async let second = failing.look(for: Self.name)
    await failing.settle(Self.name, nil)
    let waited = text(await second)
    #expect(waited == nil)
    async let third = failing.look(for: Self.name)
    await failing.settle(Self.name, Self.text)
    let found = text(await third)
    #expect(found == Self.text)
  }

  @Test func `what is too much for memory is asked of each host`() async {
    let shared = SharedTexts(patience: patience)
    let large = [UInt8](repeating: 0, count: SharedTexts.room + 1)
    let name = SharedTexts.Name(family: .ipv4, digest: Digest(of: large))
    _ = await shared.look(for: name)
    await shared.settle(name, large)
    #expect(text(await shared.look(for: name)) == nil)
  }
}
