package struct VersionDocument: Document {
  package static let kind = "Version"
  package let version: String
  package let protocolVersion: Int

  package init(version: String, protocolVersion: Int) {
    self.version = version
    self.protocolVersion = protocolVersion
  }

  package func text(_ style: TextStyle) -> String { "portcullis \(version), protocol \(protocolVersion)\n" }
  package var names: [String] { [version] }
  package var records: [any Encodable] { [self] }
}
