import ArgumentParser
import Console
import Core
import Wire

enum Version {
  static let text = ProductVersion.current
}

struct VersionVerb: Verb {
  static let configuration = CommandConfiguration(commandName: "version", abstract: "What this is.")

  @OptionGroup var output: OutputOptions

  func perform() async throws -> Int32 {
    try Terminal.print(VersionDocument(version: Version.text, protocolVersion: Int(ProtocolVersion.current)), output)
    return 0
  }
}
