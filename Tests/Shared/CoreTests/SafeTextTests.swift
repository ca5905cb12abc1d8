import Core
import Testing

struct SafeTextTests {
  @Test(arguments: [
    ("plain", "plain"), ("grün ✓", "grün ✓"), ("\u{1b}[31mred", "\\u{1b}[31mred"), ("a\nb", "a\\u{a}b"),
    ("\u{9b}31m", "\\u{9b}31m"), ("\u{7f}", "\\u{7f}"), ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
    ("a\u{200b}b", "a\\u{200b}b"), ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"), ("\u{feff}", "\\u{feff}"),
    ("\u{1b}]52;c;aGk=\u{7}", "\\u{1b}]52;c;aGk=\\u{7}"),
  ])
  func `nothing that a terminal obeys passes`(text: String, safe: String) {
    #expect(SafeText.escape(text) == safe)
  }

  @Test func `bytes that are no text become replacement characters, and no control character survives`() {
    #expect(SafeText.escape([0x61, 0xff, 0x62] as [UInt8]) == "a\u{fffd}b")
    let all = SafeText.escape((0...255).map { UInt8($0) })
    #expect(all.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value) })
  }
}
