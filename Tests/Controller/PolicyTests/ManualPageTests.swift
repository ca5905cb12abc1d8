import Core
import Foundation
import Glibc
import Ruleset
import Testing

@testable import Inventory
@testable import Policy

@Suite("The manual of policies")
struct ManualPageTests {
  private let page: ManualPage

  init() throws { page = try ManualPage() }

  @Test("Every block of rules in it is what the compiler makes; PORTCULLIS_UPDATE_DOCS=1 writes it anew")
  func blocks() throws {
    let wanted = try page.updated()
    if ProcessInfo.processInfo.environment["PORTCULLIS_UPDATE_DOCS"] == "1" {
      try Data(wanted.utf8).write(to: URL(filePath: ManualPage.path))
      return
    }
    // Not the texts themselves: a failure would print both.
    let isSame = wanted == page.text
    let difference = zip(wanted.components(separatedBy: "\n"), page.text.components(separatedBy: "\n"))
      .first { $0 != $1 }
    #expect(
      isSame, "docs/policies.md should say \(difference?.0 ?? "more or less"), not \(difference?.1 ?? "what it says")")
  }

  @Test("It shows no YAML that a test does not compile")
  func yaml() throws {
    let blocks = page.text.components(separatedBy: "\n").filter { $0 == "```yaml" }
    // One is the inventory of the examples.
    #expect(try blocks.count == page.examples().count + page.shownPolicies.count + page.shownLockdowns + 1)
  }

  @Test("It shows every policy of the repository")
  func policies() throws {
    let set = try PolicySet.load(directory: repository + "/policies")
    #expect(page.shownPolicies.sorted() == set.names)
  }

  @Test(
    "Its examples load on both backends in both families, and are printed back word for word",
    .enabled(if: geteuid() == 0, "needs root, for network namespaces"), arguments: ["nft", "legacy"])
  func kernel(backend: String) throws {
    let examples = try page.examples()
    #expect(examples.count >= 15)
    for example in examples { try expectSameInKernel(example.compiled, backend, "line \(example.line)") }
  }

  @Test("It names every key, verb, word and unit of the language")
  func vocabulary() {
    let words =
      PolicyFileReader.keys + DefinitionsReader.keys + ContainersReader.keys + ProfileReader.keys
      + MatchReader.Key.allCases.map(\.rawValue)
      + ItemReader.Verb.allCases.flatMap { [$0.rawValue] + $0.keys }
      + TranslationReader.Verb.allCases.flatMap { [$0.rawValue] + $0.keys }
      + TranslationReader.Mode.allCases.map(\.rawValue)
      + TrafficMatch.Word.allCases.map(\.rawValue) + TrafficMatch.State.allCases.map(\.rawValue)
      + Rejection.allCases.map(\.rawValue) + Rate.Unit.allCases.map(\.rawValue)
      + LogWords.Level.allCases.map(\.rawValue) + RateLimit.Key.allCases.map(\.rawValue)
      + RateLimit.Excess.allCases.map(\.rawValue) + BesideOthers.Mode.allCases.map(\.rawValue)
      + BuiltInHook.allCases.map(\.rawValue) + DefaultAction.allCases.map(\.rawValue)
      + Family.allCases.map(\.rawValue) + ServiceTable.names
    for word in Set(words).sorted() { #expect(page.text.contains("`\(word)`"), "`\(word)` is not in the manual") }
  }

  @Test("It names the limits as the language has them")
  func limits() {
    for fact in [
      "more than \(AddressResolver.inlineLimit) addresses", "\(MatchCompiler.expansionLimit) rules",
      "65,536 values", "after \(LastDay.latest)", "default order is \(PolicyFile.defaultOrder)",
      "at most \(InterfaceName.limit) characters",
    ] { #expect(page.text.contains(fact), "\(fact)") }
    #expect(OperandReader.listLimit == 65_536)
  }
}
