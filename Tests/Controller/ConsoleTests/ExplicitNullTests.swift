import Console
import Testing

struct ExplicitNullTests {
  private struct Sample: Document {
    static let kind = "Sample"
    @ExplicitNull var known: Int?
    @ExplicitNull var unknown: Int?
    func text(_ style: TextStyle) -> String { "" }
    var names: [String] { [] }
    var records: [any Encodable] { [] }
  }

  @Test func `what is not known is null, and its key is there`() throws {
    let json = try DocumentPrinter.render(Sample(known: 7, unknown: nil), as: .json, colour: false)
    #expect(json.contains("\"known\" : 7"))
    #expect(json.contains("\"unknown\" : null"))
  }
}
