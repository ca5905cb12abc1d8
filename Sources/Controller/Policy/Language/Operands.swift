internal import Core

/// A value and where it was written.
struct Located<Value: Sendable>: Sendable {
  let value: Value
  let location: SourceLocation

  init(_ value: Value, _ location: SourceLocation) {
    self.value = value
    self.location = location
  }
}

extension Located: Equatable where Value: Equatable {}
extension Located: Hashable where Value: Hashable {}

/// What may stand for addresses in a policy. Only `prefix` says the addresses itself; the others are looked up when the
/// policy is compiled for a host.
package enum AddressOperand: Hashable, Sendable {
  case prefix(AddressPrefix)
  /// Of the policy's own `sets`, or of common.yaml.
  case set(String)
  /// Where this host sees its managers come from.
  case controllers
  /// All hosts of a group of the inventory.
  case group(String)
  case host(String)
  /// A DNS name, whose addresses are pinned.
  case name(String)
  /// `${name}`: a variable of the host.
  case variable(String)
}

/// What may stand for ports.
enum PortOperand: Hashable, Sendable {
  case range(PortRange)
  case variable(String)
}

/// What may stand for an interface; a trailing `+` means every name that begins so.
enum InterfaceOperand: Hashable, Sendable {
  case name(String)
  case variable(String)
}
