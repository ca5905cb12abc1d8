internal import Core
internal import Inventory
internal import Ruleset

/// One policy as its file says it: read and checked by itself, not yet for any host.
struct PolicyFile: Sendable {
  /// Where a policy stands among others of the same host when it does not say.
  static let defaultOrder = 50

  let name: String
  let file: String
  let description: String?
  /// Groups of the inventory.
  let appliesTo: [Located<String>]
  let order: Int
  let beside: BesideOthers.Statement
  let sets: [String: NamedSet]
  let services: [String: NamedService]
  let schedules: [String: Schedule]
  let defaults: [BuiltInHook: Located<DefaultAction>]
  let sections: [Section: [FilterItem]]
  /// Where their keys stand.
  let sectionPlaces: [Section: SourceLocation]
  let translations: [TranslationItem]
  let containers: ContainerRules?
  let raw: PerFamily<RawRules?>
  let sysctl: [Located<SysctlSetting>]
  /// `observe: true`
  let observes: SourceLocation?
  /// `established: explicit`
  let placesEstablished: Bool
  /// `ipv6: drop-all`
  let closesIPv6: SourceLocation?
  let onDrift: Located<OnDrift>?

  /// For what is said by no line of it.
  var start: SourceLocation { SourceLocation(file: file, line: 1, column: 1) }

  /// Whether it says anything of the filter table besides its raw text.
  var filters: Bool { !sections.isEmpty || !defaults.isEmpty || containers != nil || observes != nil }

  enum Section: String, CaseIterable, Sendable {
    case input, forward, output
    case inputLast = "input_last"
    case forwardLast = "forward_last"
    case outputLast = "output_last"

    var hook: BuiltInHook {
      switch self {
      case .input, .inputLast: .input
      case .forward, .forwardLast: .forward
      case .output, .outputLast: .output
      }
    }

    var isLast: Bool {
      switch self {
      case .inputLast, .forwardLast, .outputLast: true
      case .input, .forward, .output: false
      }
    }
  }
}

/// The built-in chains of table filter, by the names policies give them.
package enum BuiltInHook: String, CaseIterable, Sendable {
  case input, forward, output

  var chain: String { rawValue.uppercased() }
  var main: PolicyFile.Section {
    switch self {
    case .input: .input
    case .forward: .forward
    case .output: .output
    }
  }
  var last: PolicyFile.Section {
    switch self {
    case .input: .inputLast
    case .forward: .forwardLast
    case .output: .outputLast
    }
  }
}

enum DefaultAction: String, CaseIterable, Sendable {
  case accept, drop

  var policy: String { rawValue.uppercased() }
}

/// Addresses by a name of their own.
struct NamedSet: Sendable {
  let location: SourceLocation
  let members: [Located<AddressOperand>]
}

/// Ports by a name of their own.
struct NamedService: Sendable {
  let location: SourceLocation
  let ports: [ServicePort]
}

struct SysctlSetting: Hashable, Sendable {
  let key: SysctlKey
  let value: Int
}

/// `policies/common.yaml`: what every policy may name.
struct CommonFile: Sendable {
  var sets: [String: NamedSet] = [:]
  var services: [String: NamedService] = [:]
  var schedules: [String: Schedule] = [:]
}
