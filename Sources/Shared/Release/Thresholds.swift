/// How many different people must sign each kind of order: the host's /etc/portcullis/thresholds.
package struct Thresholds: Hashable, Sendable {
  package static let fileName = "thresholds"
  /// In bytes.
  package static let maximumSize = 4 << 10
  /// What is said where there is no such file.
  package static let one = Thresholds()

  package let lockdown: Int
  package let unlock: Int

  private init() {
    lockdown = 1
    unlock = 1
  }

  /// Throws for a threshold that no order could meet, or that every order would.
  package init(lockdown: Int, unlock: Int) throws(FormatProblem) {
    for (kind, threshold) in [(OrderKind.lockdown, lockdown), (.unlock, unlock)] {
      guard (1...UnverifiedOrder.maximumSignatures).contains(threshold) else {
        throw FormatProblem(
          Self.fileName,
          "\(kind.rawValue) \(threshold): 1 to \(UnverifiedOrder.maximumSignatures) people can sign an order")
      }
    }
    self.lockdown = lockdown
    self.unlock = unlock
  }

  package func of(_ kind: OrderKind) -> Int {
    switch kind {
    case .lockdown: lockdown
    case .unlock: unlock
    }
  }

  package func encode() -> [UInt8] {
    Array("portcullis-thresholds 1\nlockdown \(lockdown)\nunlock \(unlock)\n".utf8)
  }

  /// Accepts exactly what `encode` writes.
  package static func parse(_ bytes: [UInt8]) throws(FormatProblem) -> Thresholds {
    var lines = try StrictLines(bytes, file: fileName, atMost: maximumSize)
    try lines.header("portcullis-thresholds")
    let lockdown = try lines.count("lockdown")
    let unlock = try lines.count("unlock")
    try lines.end()
    return try Thresholds(lockdown: lockdown, unlock: unlock)
  }
}
