import Release
import Testing

@Suite struct ThresholdsTests {
  private static let text = "portcullis-thresholds 1\nlockdown 2\nunlock 3\n"

  @Test func theFileIsReadAndWrittenAgainByteByByte() throws {
    let thresholds = try Thresholds.parse(Array(Self.text.utf8))
    #expect(thresholds.of(.lockdown) == 2 && thresholds.of(.unlock) == 3)
    #expect(thresholds.encode() == Array(Self.text.utf8))
    #expect(Thresholds.one.of(.lockdown) == 1 && Thresholds.one.of(.unlock) == 1)
  }

  @Test(
    arguments: [
      ("lockdown 2", "lockdown 0", "lockdown 0: 1 to 16 people"), ("unlock 3", "unlock 0", "unlock 0: 1 to 16 people"),
      ("unlock 3", "unlock 17", "unlock 17: 1 to 16"), ("lockdown 2", "lockdown 02", "not a canonical number"),
      ("lockdown 2", "lockdown -1", "not a canonical number"), ("lockdown 2\n", "", "a 'lockdown …' line must stand"),
      ("unlock 3\n", "", "ends where a 'unlock' line"), ("unlock 3\n", "unlock 3\nunlock 1\n", "unexpected line"),
      ("thresholds 1", "thresholds 2", "format version '2'"), ("unlock 3\n", "unlock 3", "line feed"),
      ("lockdown 2", "lockdown 18446744073709551615", "too large"),
    ]) func anyOtherSpellingIsRefused(_ old: String, _ new: String, _ says: String)
  {
    let text = replacingFirst(Array(old.utf8), with: Array(new.utf8), in: Array(Self.text.utf8))
    let problem = #expect(throws: FormatProblem.self) { try Thresholds.parse(text) }
    #expect(problem?.description.contains(says) == true, "\(String(describing: problem))")
  }

  @Test func aFileOverItsSizeIsRefusedUnread() {
    #expect(throws: FormatProblem.self) { try Thresholds.parse([UInt8](repeating: 10, count: 4097)) }
  }
}
