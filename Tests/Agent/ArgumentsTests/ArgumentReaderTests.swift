import Testing

@testable import Arguments

@Suite struct ArgumentReaderTests {
  private let reader = ArgumentReader(
    program: "keeper", abstract: "Keeps what is kept.",
    verbs: [
      Verb("serve", "Run.", options: [VerbOption("root", value: "DIR", help: "Where.")]),
      Verb(
        "order", "Order something.", discussion: "It says at length what an order is, so that it needs a second line.",
        options: [
          VerbOption("local", help: "Meant."),
          VerbOption("reason", short: "r", value: "TEXT", help: "Why.", isRequired: true),
        ]),
      Verb("inner", "Ours.", isListed: false),
    ])

  private func request(_ arguments: [String]) throws -> ArgumentReader.Request {
    guard case .run(let request) = try reader.read(arguments) else { throw Unexpected() }
    return request
  }

  private func help(_ arguments: [String]) throws -> String {
    guard case .help(let text) = try reader.read(arguments) else { throw Unexpected() }
    return text
  }

  private struct Unexpected: Error {}

  @Test(arguments: [
    ["order", "--local", "--reason", "a b"], ["order", "--reason=a b", "--local"], ["order", "-r", "a b", "--local"],
  ])
  func optionsComeInAnyOrderAndSpelling(arguments: [String]) throws {
    let request = try request(arguments)
    #expect(request.verb == "order")
    #expect(request.values == ["reason": "a b"])
    #expect(request.flags == ["local"])
  }

  @Test func aValueMayLookLikeAnOptionOrBeEmpty() throws {
    #expect(try request(["order", "--reason", "--local"]).values == ["reason": "--local"])
    #expect(try request(["order", "--reason="]).values == ["reason": ""])
    #expect(try request(["order", "--reason", "a=b"]).values == ["reason": "a=b"])
  }

  @Test(arguments: [
    ([], "say what to do"),
    (["serv"], "there is no verb 'serv'"),
    (["help", "serv"], "there is no verb 'serv'"),
    (["serve", "--rot", "/"], "'serve' takes no '--rot'"),
    (["serve", "now"], "'serve' takes no 'now'"),
    (["serve", "-root", "/"], "'serve' takes no '-root'"),
    (["serve", "--root"], "--root needs a value"),
    (["serve", "--root", "/", "--root=/"], "--root is there twice"),
    (["order", "--local", "--local", "--reason", "x"], "--local is there twice"),
    (["order", "--local=yes", "--reason", "x"], "--local takes no value"),
    (["order", "--local"], "'order' needs --reason TEXT"),
  ])
  func whatIsNotMeantIsRefused(arguments: [String], complaint: String) {
    #expect(throws: ArgumentReader.UsageProblem(complaint)) { try reader.read(arguments) }
  }

  @Test(arguments: [["--help"], ["-h"], ["help"]])
  func helpListsTheVerbsThatPeopleUse(arguments: [String]) throws {
    #expect(
      try help(arguments) == """
        Keeps what is kept.

        Usage: keeper VERB [OPTIONS]

          serve  Run.
          order  Order something.

        'keeper VERB --help' says more of one.

        """)
  }

  @Test(arguments: [["order", "--help"], ["help", "order"], ["order", "--reason", "x", "-h"]])
  func helpOfAVerbShowsWhatItTakes(arguments: [String]) throws {
    #expect(
      try help(arguments) == """
        Order something.

        It says at length what an order is, so that it needs a second line.

        Usage: keeper order [--local] --reason TEXT

          --local            Meant.
          -r, --reason TEXT  Why.

        """)
  }

  @Test func noLineOfHelpIsWiderThanAConsole() throws {
    let words = Array(repeating: "words", count: 40).joined(separator: " ")
    let reader = ArgumentReader(
      program: "keeper", abstract: words, verbs: [Verb("serve", words, discussion: words)])
    for arguments in [["--help"], ["serve", "-h"]] {
      guard case .help(let text) = try reader.read(arguments) else { throw Unexpected() }
      #expect(text.split(separator: "\n").allSatisfy { $0.utf8.count <= 80 }, "\(text)")
    }
  }
}
