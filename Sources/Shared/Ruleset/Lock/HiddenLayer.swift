// Texts for a kernel whose table mangle no save program prints, because it holds rules that only nft can show. The restore
// programs change such a table all the same, and each of these says by itself whether there was what it takes away.

extension LockLayer {
  /// Takes one call of the layer out; fails where there is none.
  package static func unhooking(_ builtIn: String) -> [UInt8] { transaction([deletion(hook(of: builtIn))]) }

  /// Puts one call first in the place of one; fails where there is none.
  package static func hookingAgain(_ builtIn: String) -> [UInt8] {
    transaction([deletion(hook(of: builtIn)), insertion(builtIn)])
  }

  /// Puts one call first, whatever there is.
  package static func hooking(_ builtIn: String) -> [UInt8] { transaction([insertion(builtIn)]) }

  /// Empties a chain; fails where there is none.
  package static func emptying(_ builtIn: String) -> [UInt8] { transaction([Array("-F \(prefix)\(builtIn)".utf8)]) }

  /// Takes an empty chain out; fails where there is none, or something calls it.
  package static func deleting(_ builtIn: String) -> [UInt8] { transaction([Array("-X \(prefix)\(builtIn)".utf8)]) }
}
