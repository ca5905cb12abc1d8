internal import Core

extension LockLayer {
  /// Whether a new TCP connection from there to a port of the host's is certainly dropped, by what the rules say: where a
  /// rule is not understood it may let it in.
  package func shutsOut(_ source: AddressPrefix, of port: UInt16) -> Bool {
    guard source.family == family, let input = chains.first(where: { $0.name == "PCLLOCK-INPUT" }),
      input.rules.last?.afterChain.elementsEqual(" -j DROP".utf8) == true
    else { return false }
    return !input.rules.contains { rule in
      guard let pattern = FlowPattern.pattern(rule, in: input.name, family), !rule.isForNoBeginning else {
        return false
      }
      return pattern.mayBegin(from: source, at: port)
    }
  }
}

extension Rule {
  /// Only for packets after the first of a connection, or for answers.
  fileprivate var isForNoBeginning: Bool {
    (parts() ?? []).contains { part in
      switch part.option {
      case "--tcp-flags": part.isNegated && part.values.map(\.text) == ["FIN,SYN,RST,ACK", "SYN"]
      case "--ctdir": !part.isNegated && part.value == "REPLY"
      case "--ctstate":
        !part.isNegated
          && part.value.map { Set($0.split(separator: ",")).isSubset(of: ["RELATED", "ESTABLISHED"]) }
            ?? false
      default: false
      }
    }
  }
}

extension FlowPattern {
  /// Whoever connects has some port above these.
  private static let firstShortLived: UInt16 = 32_768

  fileprivate func mayBegin(from outsider: AddressPrefix, at port: UInt16) -> Bool {
    if staysOnHost { return false }
    if let source, !source.contains(outsider) { return false }
    if let sourcePorts, sourcePorts.allSatisfy({ $0.upperBound < Self.firstShortLived }) { return false }
    if let destinationPorts, !destinationPorts.contains(where: { $0.contains(port) }) { return false }
    return true
  }
}
