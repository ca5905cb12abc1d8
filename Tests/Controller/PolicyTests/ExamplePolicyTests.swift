import Core
import Foundation
import Glibc
import Ruleset
import Testing

@testable import Inventory
@testable import Policy

@Suite("The repository's own policies")
struct ExamplePolicyTests {
  private let policies: PolicySet
  private let fleet: HostInventory
  private let compiler: PolicyCompiler

  init() throws {
    policies = try PolicySet.load(directory: repository + "/policies")
    fleet = try HostInventory.load(repository + "/inventory/example.yaml")
    compiler = try PolicyCompiler(policies, inventory: fleet)
  }

}
