import Core
import Testing

@testable import Console

struct AlikeTests {
  /// As transport and agents word it, with what is the host's own taken out.
  @Test(arguments: [
    (
      "h002: no connection within 4 s: 10.77.1.2:22: no answer; [fd77::1:2]:22: no answer",
      "no connection within 4 s: no answer"
    ),
    (
      "h002: no connection within 4 s: 10.77.1.2:22: Connection refused; [fd77::1:2]:22: no answer",
      "no connection within 4 s: Connection refused; no answer"
    ),
    ("h002: 10.77.1.2:22: Connection refused", "Connection refused"),
    (
      "no contact since 2026-11-21T20:47:26Z: h002: 10.77.1.2:22 did not finish the key exchange within 15 s",
      "no contact since …: … did not finish the key exchange within 15 s"
    ),
    (
      "h002: [fd77::1:2]:22 shows the host key ssh-ed25519 SHA256:abc, but known_hosts has ssh-ed25519 SHA256:def (stop)",
      "… shows the host key ssh-ed25519 …, but known_hosts has ssh-ed25519 … (stop)"
    ),
    ("it ended the conversation", "it ended the conversation"), ("h002", "h002"), ("", ""), (": ;", ": ;"),
    ("release 9 says 10.77.1.2/33 and 22:30", "release 9 says 10.77.1.2/33 and 22:30"),
  ])
  func `what is a host's own is left out, and nothing else`(text: String, brief: String) {
    #expect(Brief.text(text, of: "h002") == brief)
  }

  private func lines(_ count: Int, wide: Bool = false) -> [Substring] {
    let reasons = (1...count).map { number in
      (host: "h\(number)", why: "h\(number): no connection within 4 s: 10.77.1.\(number):22: no answer")
    }
    return ReasonLines.text(reasons, TextStyle(wide: wide)).split(separator: "\n")
  }

  @Test func `hosts that were silent at addresses of their own are one line, and each is whole when wide`() {
    #expect(lines(200) == ["h[1-200]: no connection within 4 s: no answer"])
    #expect(lines(3, wide: true).count == 3)
    #expect(lines(3, wide: true).first == "h1: h1: no connection within 4 s: 10.77.1.1:22: no answer")
  }

  @Test func `one host alone is told whole, and so is what all say in the same words`() {
    #expect(lines(1) == ["h1: h1: no connection within 4 s: 10.77.1.1:22: no answer"])
    let same = "the bastion 192.0.2.1:22 does not answer"
    #expect(ReasonLines.text([("a", same), ("b", same)], TextStyle()) == "a,b: \(same)\n")
    let mixed = [("a", same), ("b", same), ("c", "the bastion 192.0.2.2:22 does not answer")]
    #expect(ReasonLines.text(mixed, TextStyle()) == "a,b,c: the bastion … does not answer\n")
  }

  @Test func `hosts with other troubles, or other keys, are other lines in the order of their first`() {
    let reasons = [("b", "Connection refused"), ("a", "no route"), ("c", "c: 192.0.2.3:22: Connection refused")]
    #expect(ReasonLines.text(reasons, TextStyle()) == "b,c: Connection refused\na: no route\n")
    let groups = Alike.fold([("a", 1, ["x"]), ("b", 2, ["x"]), ("c", 1, ["x"])], TextStyle())
    #expect(groups.map(\.hosts) == [["a", "c"], ["b"]] && groups.map(\.key) == [1, 2])
  }

  @Test func `what hosts say stays safe to print`() {
    let said = ReasonLines.text([("a", "a: \u{1b}[2J"), ("b", "b: \u{1b}[2J")], TextStyle())
    #expect(said == "a,b: \\u{1b}[2J\n")
  }
}
