internal import Audit
package import Core
internal import GRDB
package import Wire

/// What we know of a host since its enrolment.
package struct Enrolment: Hashable, Sendable {
  package var host: HostID
  package var at: UTCTime
  /// Of the agent's executable.
  package var agent: Digest
  package var agentVersion: String
  package var architecture: String
  package var backend: Backend
  /// The host keeps the rules it had before us.
  package var hasGenerationZero: Bool
  /// The addresses that the host sees its managers come from: what `controllers` means in a policy. Sorted.
  package var controllers: [String]

  package init(
    host: HostID, at: UTCTime, agent: Digest, agentVersion: String, architecture: String, backend: Backend,
    hasGenerationZero: Bool, controllers: [String]
  ) {
    self.host = host
    self.at = at
    self.agent = agent
    self.agentVersion = agentVersion
    self.architecture = architecture
    self.backend = backend
    self.hasGenerationZero = hasGenerationZero
    self.controllers = controllers
  }
}

extension FleetStore {
  /// Records an enrolment or an upgrade. Addresses learnt before stay: a host must not lose the way its other managers
  /// come by because one of them enrolled it again.
  package func save(_ enrolment: Enrolment) async throws(Failure) {
    try await write("record the enrolment of \(enrolment.host)") { db in
      try db.execute(
        literal: """
          INSERT INTO enrolments (host, at, agent, agent_version, architecture, backend, generation_0)
          VALUES (\(enrolment.host.description), \(enrolment.at.column), \(enrolment.agent.column),
            \(enrolment.agentVersion), \(enrolment.architecture), \(enrolment.backend.rawValue),
            \(enrolment.hasGenerationZero))
          ON CONFLICT DO UPDATE SET at = excluded.at, agent = excluded.agent, agent_version = excluded.agent_version,
            architecture = excluded.architecture, backend = excluded.backend, generation_0 = excluded.generation_0
          """)
      try Self.learn(db, enrolment.controllers, of: enrolment.host, at: enrolment.at)
    }
  }

  /// Adds addresses that a host saw us come from. A host that is not enrolled is an error.
  package func learn(controllers: [String], of host: HostID, at time: UTCTime) async throws(Failure) {
    try await write("record how \(host) is managed") { db in
      let known = try Bool.fetchOne(
        db, sql: "SELECT EXISTS (SELECT 1 FROM enrolments WHERE host = ?)", arguments: [host.description])
      guard known == true else { throw Reason("it is not enrolled") }
      try Self.learn(db, controllers, of: host, at: time)
    }
  }

  private static func learn(_ db: Database, _ controllers: [String], of host: HostID, at time: UTCTime) throws {
    for address in controllers {
      try db.execute(
        literal: """
          INSERT INTO controllers (host, address, learnt) VALUES (\(host.description), \(address), \(time.column))
          ON CONFLICT DO UPDATE SET learnt = max(learnt, excluded.learnt)
          """)
    }
  }

  /// Replaces what was learnt, when an operator retires a way in.
  package func forget(controllers: [String], of host: HostID) async throws(Failure) {
    try await write("forget how \(host) was managed") { db in
      for address in controllers {
        try db.execute(
          literal: "DELETE FROM controllers WHERE host = \(host.description) AND address = \(address)")
      }
    }
  }

  package func enrolments() async throws(Failure) -> [HostID: Enrolment] {
    try await read("read the enrolments") { db in
      var enrolments: [HostID: Enrolment] = [:]
      let rows = try Row.fetchCursor(db, sql: "SELECT * FROM enrolments")
      while let row = try rows.next() {
        let host = try row.host()
        guard let backend = Backend(rawValue: row["backend"]) else {
          throw Reason("the store has an unknown backend for \(host)")
        }
        enrolments[host] = Enrolment(
          host: host, at: row.time("at"), agent: try row.digest("agent"), agentVersion: row["agent_version"],
          architecture: row["architecture"], backend: backend, hasGenerationZero: row["generation_0"], controllers: [])
      }
      let addresses = try Row.fetchCursor(db, sql: "SELECT host, address FROM controllers ORDER BY host, address")
      while let row = try addresses.next() { enrolments[try row.host()]?.controllers.append(row["address"]) }
      return enrolments
    }
  }

  /// The host leaves the fleet: what was last known of it goes, its history stays.
  package func removeEnrolment(of host: HostID, at time: UTCTime) async throws(Failure) {
    try await write("remove \(host) from the fleet") { db in
      let known = try Bool.fetchOne(
        db, sql: "SELECT EXISTS (SELECT 1 FROM enrolments WHERE host = ?)", arguments: [host.description])
      if known == true {
        try Self.append([HostEvent(host: host, at: time, kind: .removed, cause: .intentional)], db)
      }
      for table in [
        "enrolments", "latest_reports", "contact_failures", "attempts", "differences", "waivers", "change_marks",
      ] {
        try db.execute(sql: "DELETE FROM \(table) WHERE host = ?", arguments: [host.description])
      }
      try Self.depart(host, db)
    }
  }
}
