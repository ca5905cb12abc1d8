import Core
import Wire

/// What a verb has to say, once: text is drawn from the value that `-o json` prints.
indirect enum Document {
  case object([(key: String, value: Document)])
  case array([Document])
  case string(String)
  case number(UInt64)
  case bool(Bool)
  case null

  private static func optional<Value>(_ value: Value?, _ make: (Value) -> Document) -> Document {
    value.map(make) ?? .null
  }

  var json: String {
    switch self {
    case .object(let fields):
      "{" + fields.map { "\(Self.quoted($0.key)):\($0.value.json)" }.joined(separator: ",") + "}"
    case .array(let elements): "[" + elements.map(\.json).joined(separator: ",") + "]"
    case .string(let text): Self.quoted(text)
    case .number(let number): String(number)
    case .bool(let value): value ? "true" : "false"
    case .null: "null"
    }
  }

  /// A line for each field; fields of an inner object are indented. Lists of objects are only counted.
  var text: String { lines(indent: "").joined() }

  private func lines(indent: String) -> [String] {
    guard case .object(let fields) = self else { return [] }
    return fields.flatMap { key, value in
      let name = indent + key.utf8.split(separator: UInt8(ascii: "_")).map { String($0) ?? "" }.joined(separator: " ")
      if case .object = value { return ["\(name)\n"] + value.lines(indent: indent + "  ") }
      let padding = String(repeating: " ", count: max(1, 22 - name.utf8.count))
      return ["\(name)\(padding)\(value.scalar)\n"]
    }
  }

  private var scalar: String {
    switch self {
    case .string(let text): text.isEmpty ? "-" : SafeText.escape(text)
    case .number(let number): String(number)
    case .bool(let value): value ? "yes" : "no"
    case .null: "-"
    case .array(let elements):
      if elements.isEmpty {
        "-"
      } else if case .object? = elements.first {
        String(elements.count)
      } else {
        elements.map(\.scalar).joined(separator: ", ")
      }
    case .object: ""
    }
  }

  /// RFC 8259 §7. What a terminal could obey is escaped too, so that printing it is safe.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      default:
        if SafeText.escape(String(scalar)) == String(scalar) {
          quoted.unicodeScalars.append(scalar)
        } else {
          for unit in String(scalar).utf16 {
            let hex = String(unit, radix: 16)
            quoted += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
          }
        }
      }
    }
    return quoted + "\""
  }
}

extension Document {
  init(_ report: Report) {
    func digest(_ digest: Digest) -> Document { .string(digest.description) }
    func family(_ family: FamilyReport) -> Document {
      .object([
        ("expected", Document.optional(family.expected, digest)), ("observed", digest(family.observed)),
        ("save", digest(family.save)),
        (
          "chains",
          .array(
            family.chains.map {
              .object([("table", .string($0.table)), ("chain", .string($0.chain)), ("digest", digest($0.digest))])
            })
        ),
        ("omitted_chains", .number(UInt64(clamping: family.omittedChains))),
      ])
    }
    self = .object([
      ("format_version", .number(1)), ("kind", .string("report")), ("host", .string(report.host.description)),
      ("fleet", .string(report.fleet.description)), ("time", .string(report.time.description)),
      ("boot_id", .string(report.bootID)), ("agent_version", .string(report.agentVersion)),
      ("architecture", .string(report.architecture)), ("kernel", .string(report.kernel)),
      ("backend", .string(report.backend.name)), ("iptables_version", .string(report.iptablesVersion)),
      (
        "committed",
        Document.optional(report.committed) {
          .object([
            ("serial", .number($0.serial.value)), ("manifest", digest($0.manifest)), ("content", digest($0.content)),
            ("at", .string($0.at.description)),
          ])
        }
      ),
      (
        "last_failure",
        Document.optional(report.lastFailure) {
          .object([
            ("serial", .number($0.serial.value)), ("result", .string("\($0.result)")), ("detail", .string($0.detail)),
          ])
        }
      ),
      (
        "pending",
        Document.optional(report.pending) {
          .object([
            ("transaction", .string($0.transaction.description)), ("serial", .number($0.serial.value)),
            ("manifest", digest($0.manifest)), ("milliseconds_left", .number(UInt64($0.millisecondsLeft))),
            ("manual", .bool($0.isManual)),
          ])
        }
      ),
      (
        "local_act",
        Document.optional(report.localAct) {
          .object([
            ("deed", .string("\($0.deed)")), ("at", .string($0.at.description)), ("reason", .string($0.reason)),
          ])
        }
      ),
      ("ipv4", family(report.families.ipv4)), ("ipv6", family(report.families.ipv6)),
      ("owners", .array(report.ownerWords.map { .string($0) })),
      ("other_backend_rules", .number(UInt64(clamping: report.otherBackendRules))),
      ("conflicts", .array(report.conflicts.map { .string($0) })), ("degraded", .bool(report.degraded != nil)),
      ("degraded_reason", Document.optional(report.degraded) { .string($0) }),
      ("management_source", .string(report.managementSource)),
      ("ssh_ports", .array(report.sshPorts.map { .number(UInt64($0)) })),
      (
        "leases",
        Document.optional(report.leases) { .object([("ipv4", .bool($0.ipv4)), ("ipv6", .bool($0.ipv6))]) }
      ),
      (
        "settings",
        .array(
          report.settings.map {
            .object([
              ("key", .string($0.key)), ("desired", .string($0.desired)),
              ("observed", Document.optional($0.observed) { .string($0) }),
            ])
          })
      ),
      ("others", Document.optional(report.others, Document.init)),
      (
        "renewal",
        Document.optional(report.renewal) {
          .object([("from", .string($0.from)), ("to", .string($0.to)), ("at", .string($0.at.description))])
        }
      ),
      ("lockdown", report.lockdown.map(Document.init) ?? .null),
      ("listening", report.listening.map(Document.init) ?? .null),
    ])
  }

  private init(_ others: OthersReport) {
    func number(_ count: Int) -> Document { .number(UInt64(clamping: count)) }
    self = .object([
      (
        "tables",
        .array(
          others.tables.map {
            .object([
              ("family", .string($0.family)), ("name", .string($0.name)),
              ("owner", Document.optional($0.ownerWord) { .string($0) }), ("hooked", .bool($0.isHooked)),
              ("drops", .bool($0.drops)), ("digest", .string($0.digest.description)),
            ])
          })
      ),
      ("omitted_tables", number(others.omittedTables)),
      (
        "rules",
        .array(
          others.chains.map {
            .object([
              ("family", .string($0.family.rawValue)),
              ("owner", Document.optional($0.ownerWord) { .string($0) }), ("count", number($0.rules)),
              ("digest", .string($0.digest.description)),
            ])
          })
      ),
      ("other_backend_ipv4", Document.optional(others.otherBackend.ipv4) { .string($0.description) }),
      ("other_backend_ipv6", Document.optional(others.otherBackend.ipv6) { .string($0.description) }),
      ("sets", .array(others.sets.map { .string($0) })), ("omitted_sets", number(others.omittedSets)),
      ("problem", Document.optional(others.problem) { .string($0) }),
    ])
  }
}
