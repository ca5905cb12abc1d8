import Foundation
import Testing

@testable import Policy

@Suite("JSON Schemas of the files people write")
struct SchemaTests {
  private func schema(_ file: FileSchema) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(file.text.utf8)) as? [String: Any])
  }

  @Test("Each is JSON of draft-07", arguments: FileSchema.allCases)
  func valid(file: FileSchema) throws {
    #expect(try schema(file)["$schema"] as? String == "http://json-schema.org/draft-07/schema#")
    #expect(file.modeline.hasSuffix("schemas/\(file.rawValue).json"))
  }

  @Test("That of policies knows every key that the reader takes, and says something of each")
  func keys() throws {
    let policy = try schema(.policy)
    let properties = try #require(policy["properties"] as? [String: [String: Any]])
    #expect(Set(properties.keys) == Set(PolicyFileReader.keys))
    for (key, value) in properties { #expect(!value.isEmpty, "\(key)") }
    let definitions = try #require(policy["definitions"] as? [String: [String: Any]])
    let verbs = try #require(definitions["item"]?["properties"] as? [String: Any])
    #expect(Set(verbs.keys) == Set(ItemReader.Verb.allCases.map(\.rawValue) + [RawItemReader.verb]))
    let profile = try schema(.lockdown)
    #expect(Set((profile["properties"] as? [String: Any] ?? [:]).keys) == Set(ProfileReader.keys))
    let shared = try #require(profile["definitions"] as? [String: [String: Any]])
    for name in FileSchema.lockdown.text.split(separator: "#/definitions/").dropFirst() {
      #expect(shared[String(name.prefix { $0 != "\"" })] != nil, "\(name.prefix(20))")
    }
    // Every reference leads somewhere.
    for name in FileSchema.policy.text.split(separator: "#/definitions/").dropFirst().map({ $0.prefix { $0 != "\"" } })
    {
      #expect(definitions[String(name)] != nil, "\(name)")
    }
  }
}
