internal import Core
internal import Inventory
internal import Ruleset

/// Reads what stands for addresses, ports and interfaces. Values are read from the text as written, so that nothing of
/// it is what YAML makes of `22:30`, `no` or `0644`.
enum OperandReader {
  /// More values than anybody writes by hand in one place.
  static let listLimit = 65_536
  static let controllersWord = "controllers"

  /// The value itself, or each of a list that is not empty.
  static func each<Value>(
    _ node: YAMLNode, _ what: String, _ problems: inout Problems, isNeeded: Bool = false,
    _ read: (YAMLNode, inout Problems) -> Value?
  ) -> [Value] {
    guard node.tag == nil, case .list(let nodes) = node.content else { return read(node, &problems).map { [$0] } ?? [] }
    if nodes.isEmpty {
      problems.add(
        node.location, "the list names no \(what)",
        hint: isNeeded ? "name at least one" : "leave the key out to mean every \(what)")
    }
    if nodes.count > listLimit {
      problems.add(node.location, "the list has \(nodes.count) values, more than the \(listLimit) allowed")
      return []
    }
    return nodes.compactMap { read($0, &problems) }
  }

  static func addresses(
    _ node: YAMLNode, _ problems: inout Problems, isNeeded: Bool = false
  ) -> [Located<AddressOperand>] {
    each(node, "address", &problems, isNeeded: isNeeded) { address($0, &$1) }
  }

  static func address(_ node: YAMLNode, _ problems: inout Problems) -> Located<AddressOperand>? {
    guard let text = node.string(&problems) else { return nil }
    do throws(Reason) {
      if let variable = try VariableName.whole(text) { return Located(.variable(variable), node.location) }
      return Located(try AddressText.operand(text), node.location)
    } catch {
      problems.add(node.location, error.description, hint: AddressText.hint(for: text))
      return nil
    }
  }

  static func port(_ node: YAMLNode, _ problems: inout Problems) -> Located<PortOperand>? {
    guard let text = node.string(&problems) else { return nil }
    if let range = PortRange(text) { return Located(.range(range), node.location) }
    do throws(Reason) {
      if let variable = try VariableName.whole(text) { return Located(.variable(variable), node.location) }
    } catch {
      problems.add(node.location, error.description)
      return nil
    }
    problems.add(
      node.location, "\(quoted(text)) is no port",
      hint: ServiceTable.names.contains(text)
        ? "write service: \(text)"
        : text.contains(",")
          ? "write several as a list: [80, 443]" : "a number from 1 to 65535, or a range such as 8000-8010")
    return nil
  }

  static func interface(_ node: YAMLNode, _ problems: inout Problems) -> Located<InterfaceOperand>? {
    guard let text = node.string(&problems) else { return nil }
    do throws(Reason) {
      if let variable = try VariableName.whole(text) { return Located(.variable(variable), node.location) }
    } catch {
      problems.add(node.location, error.description)
      return nil
    }
    guard InterfaceName.isValid(text) else {
      problems.add(
        node.location, "\(quoted(text)) is no interface",
        hint: text.contains(":")
          ? "packets know the interface, not its alias: name it without :, and the alias by its address"
          : "1 to 15 characters, such as eth0; a + at the end stands for any rest")
      return nil
    }
    return Located(.name(text), node.location)
  }

  static func protocolNumber(_ node: YAMLNode, _ problems: inout Problems) -> UInt8? {
    guard let text = node.string(&problems) else { return nil }
    if let number = ProtocolNames.number(text.lowercased()) { return number }
    problems.add(
      node.location, "\(quoted(text)) is no protocol",
      hint: nearestHint(text.lowercased(), among: ProtocolNames.names) ?? "a name such as vrrp or gre, or its number")
    return nil
  }

  /// `10.8.0.5`, `10.8.0.5:80`, `[2001:db8::5]:80`, `${var}`, `${var}:80`.
  static func endpoint(_ node: YAMLNode, _ problems: inout Problems) -> Located<Endpoint>? {
    guard let text = node.string(&problems) else { return nil }
    func refuse() -> Located<Endpoint>? {
      problems.add(
        node.location, "\(quoted(text)) is no address to translate to",
        hint: "such as 10.8.0.5, 10.8.0.5:80 or [2001:db8::5]:80")
      return nil
    }
    var address = text[...]
    var port: UInt16?
    let isBare = NumericAddress(text) != nil || text.hasSuffix("]")
    if !isBare, let colon = text.lastIndex(of: ":") {
      guard let range = PortRange(String(text[text.index(after: colon)...])) else { return refuse() }
      guard range.isOne else {
        problems.add(
          node.location, "\(quoted(text)) has several ports, of which the first alone would be used",
          hint: "leave the port out to keep it, or write one item for each port")
        return nil
      }
      port = range.first
      address = text[..<colon]
    }
    let isBracketed = address.hasPrefix("[") && address.hasSuffix("]")
    if isBracketed { address = address.dropFirst().dropLast() }
    if let variable = try? VariableName.whole(String(address)) {
      return Located(Endpoint(address: .variable(variable), port: port), node.location)
    }
    guard let numeric = NumericAddress(String(address)), !isBracketed || numeric.family == .ipv6,
      isBracketed || numeric.family == .ipv4 || port == nil
    else { return refuse() }
    if let fault = Endpoint.fault(of: AddressPrefix(numeric)) {
      problems.add(node.location, fault.message, hint: fault.hint)
      return nil
    }
    return Located(Endpoint(address: .numeric(AddressPrefix(numeric)), port: port), node.location)
  }
}

/// Addresses as policies and variables write them.
enum AddressText {
  static func operand(_ text: String) throws(Reason) -> AddressOperand {
    if text == OperandReader.controllersWord { return .controllers }
    for (prefix, make) in Self.kinds where text.hasPrefix(prefix) {
      let name = String(text.dropFirst(prefix.utf8.count))
      guard HostID(name) != nil else { throw Reason("\(quoted(text)) names no \(prefix.dropLast())") }
      return make(name)
    }
    do throws(PrefixFault) {
      return .prefix(try AddressPrefix(reading: text))
    } catch {
      switch error {
      case .malformed: break
      case .length(let limit): throw Reason("\(quoted(text)) has a prefix length outside 0 to \(limit)")
      case .hostBits(let network): throw Reason("\(quoted(text)) has bits set behind its prefix; write \(network)")
      }
    }
    let isNumber = text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
    if text.contains(":") || text.contains("/") || isNumber || text.isEmpty {
      throw Reason("\(quoted(text)) is neither an address nor a name of one")
    }
    // The last label of a name that DNS knows is no number: `10.0.0.1-10.0.0.9` is meant as addresses.
    let lastLabel = text.split(separator: ".", omittingEmptySubsequences: false).last ?? ""
    let isName = !(text.contains(".") && lastLabel.utf8.allSatisfy { (0x30...0x39).contains($0) })
    guard isName, HostID(text) != nil else { throw Reason("\(quoted(text)) is neither an address nor a name of one") }
    return text.contains(".") ? .name(text.lowercased()) : .set(text)
  }

  private static let kinds: [(String, @Sendable (String) -> AddressOperand)] = [
    ("group:", { .group($0) }), ("host:", { .host($0) }), ("dns:", { .name($0.lowercased()) }),
  ]

  static func hint(for text: String) -> String? {
    if text == "any" || text == "all" { return "leave the key out to mean everybody" }
    if text.hasPrefix("!") { return "there is no negation: drop these first, and accept the rest after" }
    if text.hasPrefix("[") { return "write an IPv6 address without brackets" }
    if text.contains("-"), text.contains(".") || text.contains(":") { return "write a range of addresses as prefixes" }
    return
      "write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, the name of a set, group:NAME, host:NAME, controllers or a DNS name"
  }
}

/// Names of network interfaces.
enum InterfaceName {
  /// IFNAMSIZ less its NUL.
  static let limit = 15

  /// Also with the `+` that stands for any rest, at the end: elsewhere, and as `*`, it would be a letter like others, and
  /// the rule would match nothing. Nothing that a rule would read as more than one word.
  static func isValid(_ text: String) -> Bool {
    (1...limit).contains(text.utf8.count) && text.first != "-" && text.first != "!" && text != "+"
      && !text.dropLast().contains("+")
      && text.utf8.allSatisfy { (0x21...0x7e).contains($0) && !"\"'\\/,$:*?[];".utf8.contains($0) }
  }
}

/// `${name}`
enum VariableName {
  /// The name when the text is one variable and nothing else; nil when it holds none. Text is never put together of
  /// variables, because a value would then decide what the rest means.
  static func whole(_ text: String) throws(Reason) -> String? {
    guard text.contains("${") else { return nil }
    let name = text.dropFirst(2).dropLast()
    let isName =
      text.hasPrefix("${") && text.hasSuffix("}") && !name.isEmpty && name.utf8.count <= 128
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
          true
        default: false
        }
      }
    guard isName else {
      throw Reason("\(quoted(text)): a variable stands alone, as ${name}")
    }
    return String(name)
  }
}
