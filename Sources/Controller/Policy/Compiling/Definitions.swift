/// Sets, services and schedules that one policy may name: its own, then those of common.yaml.
struct Definitions: Sendable {
  let own: CommonFile
  let common: CommonFile

  init(_ policy: PolicyFile, common: CommonFile) {
    own = CommonFile(sets: policy.sets, services: policy.services, schedules: policy.schedules)
    self.common = common
  }

  init(own: CommonFile, common: CommonFile) {
    self.own = own
    self.common = common
  }

  func set(_ name: String) -> NamedSet? { own.sets[name] ?? common.sets[name] }
  func schedule(_ name: String) -> Schedule? { own.schedules[name] ?? common.schedules[name] }

  /// Not `ssh`, which is the host's.
  func service(_ name: String) -> [ServicePort]? {
    (own.services[name] ?? common.services[name])?.ports ?? ServiceTable.all[name]
  }

  var setNames: [String] { (Array(own.sets.keys) + common.sets.keys).sorted() }
  var scheduleNames: [String] { (Array(own.schedules.keys) + common.schedules.keys).sorted() }
  var serviceNames: [String] { (Array(own.services.keys) + common.services.keys + ServiceTable.names).sorted() }
}
