extension RuleView {
  /// What the rule says apart from addresses: the same in both families, for each member of a set, and on every run.
  var shape: String {
    var parts: [String] = []
    func add(_ name: String, _ text: String?, _ isNegated: Bool = false) {
      if let text { parts.append((isNegated ? "!" : "") + "\(name)=\(text)") }
    }
    add("in", input.map { $0.pattern.name + ($0.pattern.isPrefix ? "+" : "") }, input?.isNegated ?? false)
    add("out", output.map { $0.pattern.name + ($0.pattern.isPrefix ? "+" : "") }, output?.isNegated ?? false)
    add("proto", transport.map { "\($0.pattern.value)" }, transport?.isNegated ?? false)
    add("sport", sourcePorts?.words)
    add("dport", destinationPorts?.words)
    add("state", states.map { "\($0.rawValue)" })
    add("icmp", icmp.map { "\($0.pattern.type)/\($0.pattern.code.map(String.init) ?? "*")" }, icmp?.isNegated ?? false)
    add("flags", tcpFlags.map { "\($0.pattern.mask)/\($0.pattern.set)" }, tcpFlags?.isNegated ?? false)
    for match in opaque where match.module != "set" && match.module != OpaqueMatch.core {
      add(match.module, match.words.joined(separator: " "))
    }
    switch target {
    case .none: break
    case .jump(let name): add("do", name)
    case .goTo(let name): add("go", name)
    }
    return parts.joined(separator: " ")
  }
}
