/// One thing that the agent can be asked to do on its command line, as its help shows it.
package struct Verb: Sendable {
  package let name: String
  package let abstract: String
  package let discussion: String
  package let options: [VerbOption]
  /// Verbs that only our own units and scripts use stay out of the list.
  package let isListed: Bool

  package init(
    _ name: String, _ abstract: String, discussion: String = "", options: [VerbOption] = [], isListed: Bool = true
  ) {
    self.name = name
    self.abstract = abstract
    self.discussion = discussion
    self.options = options
    self.isListed = isListed
  }
}

package struct VerbOption: Sendable {
  /// Without its dashes.
  package let name: String
  /// Without its dash.
  package let short: String?
  /// What stands for its value in help; a flag has none.
  package let value: String?
  package let help: String
  package let isRequired: Bool

  package init(
    _ name: String, short: String? = nil, value: String? = nil, help: String, isRequired: Bool = false
  ) {
    self.name = name
    self.short = short
    self.value = value
    self.help = help
    self.isRequired = isRequired
  }
}
