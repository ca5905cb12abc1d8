internal import Glibc

package enum Fuzzing {
  /// How many inputs: `usual`, which a debug build gets through in seconds, times PORTCULLIS_FUZZ.
  package static func count(_ usual: Int) -> Int {
    usual * max(1, getenv("PORTCULLIS_FUZZ").flatMap { Int(String(cString: $0)) } ?? 1)
  }
}
