internal import Core
internal import Inventory
package import Operations

package struct ValidateDocument: Document {
  package static let kind = "Validate"

  let hosts: [String]
  let policies: [String]
  let uncovered: [String]
  let warnings: [String]

  package init(_ validated: Validation) {
    hosts = validated.hosts
    policies = validated.policies
    uncovered = validated.uncovered
    warnings = validated.warnings.map { SafeText.escape($0.description) }
  }

  package var names: [String] { hosts }
  package var records: [any Encodable] { [self] }
  package var summary: [String: Int] {
    ["hosts": hosts.count, "policies": policies.count, "uncovered": uncovered.count, "warnings": warnings.count]
  }

  package func text(_ style: TextStyle) -> String {
    var text = "\(hosts.count) hosts, \(policies.count) policies (\(policies.joined(separator: ", "))): valid\n"
    if !uncovered.isEmpty { text += "no policy applies to \(Folding.fold(uncovered))\n" }
    return text
  }
}
