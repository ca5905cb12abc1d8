package import Core
package import Wire

/// The host's packet filter, through the host's own programs. Every call blocks while programs run, and every program
/// has a hard limit, after which it is killed and the call throws.
package protocol HostFirewall: AnyObject {
  /// Which programs there are now. Cheap when nothing changed; notices an upgrade.
  func programs() throws(FirewallProblem) -> FirewallPrograms

  /// Loads both inputs into an empty network stack of its own and returns what the save programs then print. The
  /// host's own rules are not touched. That the programs succeeded proves nothing: compare what they print.
  func rehearse(_ inputs: PerFamily<[UInt8]>) throws(FirewallProblem) -> PerFamily<[UInt8]>

  /// Replaces every table that the input declares. After an error some of them may have been replaced.
  func load(_ input: [UInt8], into family: Family) throws(FirewallProblem)

  /// What the save program prints for the kernel's rules as they are.
  func save(_ family: Family) throws(FirewallProblem) -> [UInt8]

  /// Rules of both families that only the other backend's programs see.
  func otherBackendRules() throws(FirewallProblem) -> Int
}

package struct FirewallPrograms: Hashable, Sendable, CustomStringConvertible {
  package var backend: Backend
  /// "1.8.9"
  package var version: String

  package init(backend: Backend, version: String) {
    self.backend = backend
    self.version = version
  }

  package var description: String { "\(version) \(backend.name)" }
}

/// A firewall program that could not be run, or that failed.
package struct FirewallProblem: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Kind: Hashable, Sendable {
    /// The host has no such program, or it could not be started.
    case unavailable
    /// It ran over its limit and was killed.
    case timedOut
    /// It refused its input.
    case refused
    /// It printed more than we are ready to read.
    case flooded
  }
  package var kind: Kind
  /// "ip6tables-restore"
  package var program: String
  package var family: Family?
  /// The line of the input that it named, counted from 1.
  package var line: Int?
  /// What it said, safe to show.
  package var words: String

  package init(_ kind: Kind, program: String, family: Family?, line: Int? = nil, words: String) {
    self.kind = kind
    self.program = program
    self.family = family
    self.line = line
    self.words = words
  }

  package var description: String { words.isEmpty ? program : "\(program): \(words)" }
}
