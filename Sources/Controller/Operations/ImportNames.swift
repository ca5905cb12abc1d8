package import Core
package import Inventory

/// Groups that an import makes for its policies.
package enum ImportNames {
  /// Ansible joins groups of one name, so a group that is there already would bring the rules to its hosts too.
  package static func check(newGroups names: [String], in inventory: HostInventory) throws(Failure) {
    for name in names {
      let isGroup = inventory.group(named: name) != nil
      guard isGroup || inventory.host(named: name) != nil else { continue }
      throw Failure(
        "import policy \(SafeText.escape(name))",
        because: Reason(
          "the inventory has a \(isGroup ? "group" : "host") of this name: the rules would go to other hosts than theirs"
        ),
        hint: "choose another --name; --group gives one ruleset to a group that exists", kind: .refused)
    }
  }
}
