/// One rule's matches as text, in the order that iptables-save prints them: addresses, interfaces, protocol, then the
/// modules in the order they were given.
struct MatchText: Hashable, Sendable {
  var source = ""
  var destination = ""
  var input = ""
  var isInputNegated = false
  var output = ""
  var transport = ""
  /// `-m …`
  var modules: [String] = []

  func with(_ module: String?) -> MatchText {
    var copy = self
    if let module { copy.modules.append(module) }
    return copy
  }

  /// `-A CHAIN … -j TARGET`
  func rule(in chain: String, target: String) -> String {
    var words = ["-A \(chain)"]
    for (option, value) in [
      ("-s", source), ("-d", destination), (isInputNegated ? "! -i" : "-i", input), ("-o", output), ("-p", transport),
    ]
    where !value.isEmpty {
      words.append("\(option) \(value)")
    }
    words += modules
    words.append("-j \(target)")
    return words.joined(separator: " ")
  }
}
