internal import Core
package import Ruleset

extension RuleView {
  /// Reads `-A CHAIN …`. A rule whose words are not in order becomes one that is not clear.
  package init(_ rule: Rule) {
    guard let words = try? rule.words(), words.count > 1, words[0].says("-A"), !words[1].isQuoted else {
      self.init(chain: "", line: rule.line)
      isClear = false
      return
    }
    var reader = RuleReader(words, line: rule.line)
    self = reader.read()
  }
}

/// Takes a rule's words apart, option by option.
private struct RuleReader {
  private let words: [RuleWord]
  private var index = 2
  private var view: RuleView
  /// The match that was named last, and what of it is not taken apart.
  private var module: String?
  private var rest: [String] = []
  private var isBehindTarget = false
  private var seen: Set<String> = []
  /// The transport's header has to be there.
  private var needsPorts = false

  init(_ words: [RuleWord], line: Int) {
    self.words = words
    view = RuleView(chain: words[1].text, line: line)
  }

  mutating func read() -> RuleView {
    while index < words.count {
      guard option() else {
        var unclear = RuleView(chain: view.chain, line: view.line)
        unclear.isClear = false
        return unclear
      }
    }
    closeModule()
    if needsPorts, view.sourcePorts == nil, view.destinationPorts == nil { view.destinationPorts = .all }
    view.opaque.sort { ($0.module, $0.words.joined(separator: "\0")) < ($1.module, $1.words.joined(separator: "\0")) }
    return view
  }

  private static func isOption(_ word: RuleWord) -> Bool {
    !word.isQuoted && word.value.count > 1 && word.value.first == UInt8(ascii: "-")
  }

  /// To iptables a quoted word that begins with `-` is an option too, unless it is the value of one that takes any text.
  private static let takesAnyText: Set<String> = [
    "--comment", "--log-prefix", "--nflog-prefix", "--string", "--hex-string", "--name", "--label", "--ulog-prefix",
  ]

  /// One option with its values; false when it makes no sense.
  private mutating func option() -> Bool {
    let isNegated = !words[index].isQuoted && words[index].says("!")
    if isNegated { index += 1 }
    guard index < words.count, Self.isOption(words[index]) else { return false }
    let name = words[index].text
    index += 1
    let first = index
    while index < words.count, words[index].isQuoted || !(Self.isOption(words[index]) || words[index].says("!")) {
      let hidesOption =
        words[index].isQuoted && (words[index].value.first == UInt8(ascii: "-") || words[index].says("!"))
      guard !hidesOption || (index == first && Self.takesAnyText.contains(name)) else { return false }
      index += 1
    }
    return take(name, words[first..<index], isNegated: isNegated)
  }

  private mutating func take(_ name: String, _ values: ArraySlice<RuleWord>, isNegated: Bool) -> Bool {
    switch name {
    case "-s", "--source", "--src":
      return once("-s", values) && address(\.source, "-s", values, isNegated)
    case "-d", "--destination", "--dst":
      return once("-d", values) && address(\.destination, "-d", values, isNegated)
    case "-i", "--in-interface": return once("-i", values) && interface(\.input, values, isNegated)
    case "-o", "--out-interface": return once("-o", values) && interface(\.output, values, isNegated)
    case "-p", "--protocol": return once("-p", values) && transport(values, isNegated)
    case "-f", "--fragment", "--fragments":
      guard values.isEmpty, seen.insert("-f").inserted else { return false }
      keep("-f", [], isNegated)
      return true
    case "-j", "--jump", "-g", "--goto":
      guard once("-j", values), let value = values.first, !isNegated else { return false }
      view.target = name == "-g" || name == "--goto" ? .goTo(value.text) : .jump(value.text)
      isBehindTarget = true
      return true
    case "-m", "--match":
      guard values.count == 1, let value = values.first, !isNegated else { return false }
      closeModule()
      module = value.text
      isBehindTarget = false
      if ["tcp", "udp", "sctp", "dccp"].contains(value.text) { needsPorts = true }
      return true
    case _ where !name.hasPrefix("--"): return false
    default:
      if !understood(name, Array(values), isNegated) { keepOfModule(name, values, isNegated) }
      return true
    }
  }

  /// Options of iptables itself may occur once, with one value.
  private mutating func once(_ option: String, _ values: ArraySlice<RuleWord>) -> Bool {
    values.count == 1 && seen.insert(option).inserted
  }

  private mutating func keep(_ option: String, _ values: ArraySlice<RuleWord>, _ isNegated: Bool) {
    let negation = isNegated ? ["!"] : []
    view.opaque.append(OpaqueMatch(module: OpaqueMatch.core, words: negation + [option] + values.map(\.text)))
  }

  private mutating func keepOfModule(_ option: String, _ values: ArraySlice<RuleWord>, _ isNegated: Bool) {
    let kept = (isNegated ? ["!"] : []) + [option] + values.map(\.text)
    if isBehindTarget {
      view.targetOptions += kept
    } else {
      // An option whose match was not named belongs to one that nothing is known of.
      if module == nil { module = "" }
      rest += kept
    }
  }

  /// Matches that have been taken apart wholly leave nothing.
  private mutating func closeModule() {
    if let module, !rest.isEmpty || !Self.takenApart.contains(module) {
      view.opaque.append(OpaqueMatch(module: module, words: rest))
    }
    module = nil
    rest = []
  }

  private static let takenApart: Set<String> = [
    "tcp", "udp", "sctp", "dccp", "multiport", "conntrack", "state", "comment", "icmp", "icmp6",
  ]

  // MARK: Options of iptables itself

  private mutating func address(
    _ slot: WritableKeyPath<RuleView, Negatable<AddressPrefix>?>, _ option: String, _ values: ArraySlice<RuleWord>,
    _ isNegated: Bool
  ) -> Bool {
    guard let value = values.first?.value else { return false }
    let family = value.contains(UInt8(ascii: ":")) ? Family.ipv6 : .ipv4
    if let prefix = AddressPrefix(matched: value, family) {
      if isNegated || !prefix.isWhole { view[keyPath: slot] = Negatable(prefix, isNegated: isNegated) }
    } else {
      keep(option, values, isNegated)
    }
    return true
  }

  private mutating func interface(
    _ slot: WritableKeyPath<RuleView, Negatable<InterfacePattern>?>, _ values: ArraySlice<RuleWord>, _ isNegated: Bool
  ) -> Bool {
    guard let value = values.first, !value.value.isEmpty else { return false }
    let pattern = InterfacePattern(value.text)
    if isNegated || !pattern.isEverything { view[keyPath: slot] = Negatable(pattern, isNegated: isNegated) }
    return true
  }

  private mutating func transport(_ values: ArraySlice<RuleWord>, _ isNegated: Bool) -> Bool {
    guard let value = values.first else { return false }
    if let number = ProtocolNumber(value.value) {
      if number.value != 0 {
        view.transport = Negatable(number, isNegated: isNegated)
      } else if isNegated {
        return false
      }
    } else {
      keep("-p", values, isNegated)
    }
    return true
  }

  // MARK: Options of matches

  /// False when the option has to stay as it is.
  private mutating func understood(_ name: String, _ values: [RuleWord], _ isNegated: Bool) -> Bool {
    switch name {
    case "--dport", "--destination-port", "--dports", "--destination-ports":
      return ports(\.destinationPorts, values, isNegated)
    case "--sport", "--source-port", "--sports", "--source-ports": return ports(\.sourcePorts, values, isNegated)
    case "--ctstate" where module == "conntrack", "--state" where module == "state": return states(values, isNegated)
    case "--icmp-type", "--icmpv6-type":
      guard values.count == 1, view.icmp == nil, view.transport?.positive == (name == "--icmp-type" ? .icmp : .icmpv6),
        let kind = ICMPKind(values[0].text, isIPv6: name == "--icmpv6-type")
      else { return false }
      view.icmp = Negatable(kind, isNegated: isNegated)
      return true
    case "--tcp-flags", "--syn":
      guard view.transport?.positive == .tcp, view.tcpFlags == nil, let test = TCPFlagTest(values) else { return false }
      needsPorts = true
      view.tcpFlags = Negatable(test, isNegated: isNegated)
      return true
    case "--comment" where !isNegated && values.count == 1 && !isBehindTarget:
      view.comment = values[0].text
      return true
    default: return false
    }
  }

  private mutating func ports(
    _ slot: WritableKeyPath<RuleView, PortSet?>, _ values: [RuleWord], _ isNegated: Bool
  ) -> Bool {
    guard values.count == 1, view.transport?.positive?.hasPorts == true, var ports = PortSet(values[0].value) else {
      return false
    }
    if isNegated { ports = ports.complement }
    view[keyPath: slot] = view[keyPath: slot].map(ports.intersection) ?? ports
    return true
  }

  private mutating func states(_ values: [RuleWord], _ isNegated: Bool) -> Bool {
    guard values.count == 1, var states = ConnectionStates(values[0].value) else { return false }
    if isNegated {
      guard !states.dependsOnTranslation else { return false }
      states = ConnectionStates.everyPacket.subtracting(states)
    }
    if let before = view.states {
      // What NAT did is asked beside the state: two such lists have no common one.
      guard !before.dependsOnTranslation, !states.dependsOnTranslation else { return false }
      states.formIntersection(before)
    }
    if !states.isSuperset(of: .everyPacket) { view.states = states }
    return true
  }
}
