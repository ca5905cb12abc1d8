/// Reads a command line; why this is not left to a library: docs/adr/0013-agent-reads-arguments.md.
package struct ArgumentReader: Sendable {
  package enum Outcome: Sendable, Hashable {
    case help(String)
    case run(Request)
  }

  /// A verb and what was said with it. Every option that its verb requires is there.
  package struct Request: Sendable, Hashable {
    package let verb: String
    fileprivate(set) package var values: [String: String] = [:]
    fileprivate(set) package var flags: Set<String> = []
  }

  package struct UsageProblem: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
  }

  private let program: String
  private let abstract: String
  private let verbs: [Verb]

  package init(program: String, abstract: String, verbs: [Verb]) {
    self.program = program
    self.abstract = abstract
    self.verbs = verbs
  }

  /// `arguments` without the program's own name. No verb is an error: help with success would pass for work done.
  package func read(_ arguments: some Sequence<String>) throws(UsageProblem) -> Outcome {
    var rest = Array(arguments)[...]
    guard let first = rest.popFirst() else { throw UsageProblem("say what to do") }
    switch first {
    case "-h", "--help": return .help(overview)
    case "help":
      guard let name = rest.popFirst() else { return .help(overview) }
      return .help(help(for: try verb(name)))
    default: return try read(rest, of: try verb(first))
    }
  }

  private func verb(_ name: String) throws(UsageProblem) -> Verb {
    guard let verb = verbs.first(where: { $0.name == name }) else { throw UsageProblem("there is no verb '\(name)'") }
    return verb
  }

  private func read(_ arguments: ArraySlice<String>, of verb: Verb) throws(UsageProblem) -> Outcome {
    var request = Request(verb: verb.name)
    var rest = arguments
    while let argument = rest.popFirst() {
      if argument == "-h" || argument == "--help" { return .help(help(for: verb)) }
      let (name, joined) = Self.parts(of: argument)
      guard let option = verb.options.first(where: { "--\($0.name)" == name || $0.short.map { "-\($0)" } == name })
      else {
        throw UsageProblem("'\(verb.name)' takes no '\(argument)'")
      }
      guard request.values[option.name] == nil, !request.flags.contains(option.name) else {
        throw UsageProblem("\(name) is there twice")
      }
      guard option.value != nil else {
        guard joined == nil else { throw UsageProblem("\(name) takes no value") }
        request.flags.insert(option.name)
        continue
      }
      guard let value = joined ?? rest.popFirst() else { throw UsageProblem("\(name) needs a value") }
      request.values[option.name] = value
    }
    for option in verb.options where option.isRequired {
      guard request.values[option.name] != nil || request.flags.contains(option.name) else {
        throw UsageProblem("'\(verb.name)' needs \(Self.usage(of: option))")
      }
    }
    return .run(request)
  }

  /// `--name=value` is one argument.
  private static func parts(of argument: String) -> (name: String, value: String?) {
    guard argument.utf8.starts(with: "--".utf8), let equals = argument.utf8.firstIndex(of: UInt8(ascii: "=")) else {
      return (argument, nil)
    }
    return (String(argument[..<equals]), String(argument[argument.utf8.index(after: equals)...]))
  }

  private static func usage(of option: VerbOption) -> String {
    "--\(option.name)" + (option.value.map { " \($0)" } ?? "")
  }
}

extension ArgumentReader {
  private var overview: String {
    let listed = verbs.filter(\.isListed).map { ($0.name, $0.abstract) }
    return """
      \(HelpText.paragraph(abstract))
      Usage: \(program) VERB [OPTIONS]

      \(HelpText.table(listed))
      '\(program) VERB --help' says more of one.

      """
  }

  private func help(for verb: Verb) -> String {
    let synopsis = verb.options.map { $0.isRequired ? Self.usage(of: $0) : "[\(Self.usage(of: $0))]" }
    let options = verb.options.map { option in
      (option.short.map { "-\($0), " } ?? "") + Self.usage(of: option)
    }
    let discussion = verb.discussion.isEmpty ? "" : HelpText.paragraph(verb.discussion) + "\n"
    return """
      \(HelpText.paragraph(verb.abstract))
      \(discussion)Usage: \(([program, verb.name] + synopsis).joined(separator: " "))

      \(HelpText.table(Array(zip(options, verb.options.map(\.help)))))
      """
  }
}
