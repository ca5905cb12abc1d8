import Core
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Inventory
@testable import Policy

/// Our schemas, asked through a real validator (`jsonschema` of PyPI), against our readers.
@Suite(
  "Schemas and readers agree",
  .enabled(
    if: SchemaValidator.isPresent || SchemaValidator.isNeeded,
    "jsonschema is not in \(SchemaValidator.directory); 'make ansible' installs it"))
struct SchemaAgreementTests {
  private struct Question {
    let root: YAMLNode
    /// What the reader finds wrong.
    let problems: [String]
  }

  private static func policy(_ root: YAMLNode, _ name: String = "p") -> Question {
    var reader = PolicyFileReader(file: "\(name).yaml", name: name, folder: nil)
    _ = reader.read(root)
    return Question(root: root, problems: reader.problems.all.map(\.message))
  }

  private static func common(_ root: YAMLNode) -> Question {
    var problems = Problems()
    root.mapping(allowing: DefinitionsReader.keys, &problems).map { _ = DefinitionsReader.read($0, &problems) }
    return Question(root: root, problems: problems.all.map(\.message))
  }

  private static func profile(_ root: YAMLNode, _ name: String = "p") -> Question {
    var reader = ProfileReader(file: "\(name).yaml", name: name)
    _ = reader.read(root)
    return Question(root: root, problems: reader.problems.all.map(\.message))
  }

  private static func parsed(_ text: String) throws -> YAMLNode {
    try StrictYAML.parse(Array(text.utf8), file: "p.yaml")
  }

  @Test("The policies of the repository are valid, and so is what they share")
  func repositoryPolicies() throws {
    let folder = repository + "/policies"
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    let policies = try names.filter { $0.hasSuffix(".yaml") && $0 != "common.yaml" }.map {
      Self.policy(try StrictYAML.load(path: "\(folder)/\($0)"), String($0.dropLast(5)))
    }
    #expect(policies.count > 8 && policies.allSatisfy(\.problems.isEmpty))
    #expect(try SchemaValidator.ask(.policy, policies.map(\.root)).allSatisfy { $0 })
    let common = Self.common(try StrictYAML.load(path: folder + "/common.yaml"))
    #expect(try common.problems.isEmpty && SchemaValidator.ask(.common, [common.root]) == [true])
  }

  @Test("Keys, kinds and words that one refuses the other refuses too, of random policies and of damaged ones")
  func policies() throws {
    var random = PolicyRandom(random: .fresh())
    var questions: [Question] = []
    while questions.count < 2000 {
      let root = try Self.parsed(random.random.sometimes(2) ? random.policy() : random.small())
      questions.append(Self.policy(root))
      // The more of them the likelier that each kind of node is hit.
      for _ in 0..<15 { questions.append(Self.policy(damaged(root, &random.random))) }
    }
    for text in Self.edges { questions.append(Self.policy(try Self.parsed("policy: p\napplies_to: all\n" + text))) }
    try compare(.policy, questions)
  }

  @Test("The same of common.yaml")
  func common() throws {
    var random = PolicyRandom(random: .fresh())
    let root = try Self.parsed(
      "sets: {a: [10.0.0.1, b], b: controllers}\nservices: {x: tcp/80, y: [udp/1-2, proto/esp]}\n"
        + "schedule: {t: {days: [mon, tue-fri], from: \"08:00\", to: \"24:00\", zone: UTC}, u: {days: sun}}\n")
    try compare(.common, [Self.common(root)] + (0..<600).map { _ in Self.common(damaged(root, &random.random)) })
  }

  @Test("The same of lockdown profiles")
  func profiles() throws {
    var random = PolicyRandom(random: .fresh())
    let examples = try Lockdown.examples.map {
      Self.profile(try Self.parsed(Lockdown.example($0)), $0)
    }
    #expect(examples.map(\.problems) == [[], [], []])
    let root = try Self.parsed(
      Lockdown.profile(
        """
        sets: {a: 10.0.0.1}
        services: {x: tcp/80}
        defaults: {input: drop, output: accept}
        keep: {input: [{tcp: [80, 443], from: a}], forward: [{proto: vrrp, in: eth0, out: eth1}], output: ~}
        input: [{accept: {service: x, comment: why}}, {log: {prefix: "p ", limit: 5/minute, burst: 3}}]
        output: [{drop: {to: 10.0.0.2, family: ipv4}}]
        """))
    let damaged = (0..<1500).map { _ in Self.profile(self.damaged(root, &random.random)) }
    try compare(.lockdown, examples + [Self.profile(root)] + damaged)
  }

  /// What chance seldom makes.
  private static let edges = [
    "input:", "nat: ~", "containers: ~", "defaults:", "sets:", "raw:", "rules:", "sysctl:", "schedule:", "order: \"7\"",
    "observe: \"true\"", "order:", "description:", "description: 2027", "applies: all", "foreign: {allow: []}",
    "foreign: {allow: \"*\"}", "foreign: ~", "foreign: {}", "input_last: [{accept: {when: t, strict: true}}]",
    "input: [{accept: {out: eth0}}]", "output: [{drop: {in: eth0}}]", "forward: [{accept: dhcp-client}]",
    "forward: foreign", "forward: ~", "input: [{accept: {strict: true}}]", "input: [{log: {burst: 5}}]",
    "input: [{limit: {}}]", "input: [{limit: established}]", "input: [{accept: {helper: ftp}}]",
    "input: [{accept: {tcp: 21, helper: ftp}}]", "nat: [{snat: {out: eth0}}]", "nat: [{forward-port: {tcp: 1}}]",
    "nat: [{forward-port: {to: 10.0.0.1}}]", "nat: [{forward-port: {sctp: 1, to: 10.0.0.1}}]",
    "nat: [{redirect: {tcp: 1, udp: 1, to: 5}}]", "nat: [{balance: {tcp: 1, to: 10.0.0.1}}]",
    "nat: [{balance: {tcp: 1, to: [10.0.0.1]}}]", "nat: [{balance: {tcp: 1, to: [10.0.0.1, 10.0.0.2]}}]",
    "sysctl: {net.ipv4.ip_forward: 1, net.ipv6.conf.eth0.100.accept_ra: 2}", "sysctl: {net.ipv4.ip_forward: 2}",
    "sysctl: {kernel.panic: 1}", "sysctl: {net.ipv4.ip_forward: \"1\"}", "sysctl: {net.ipv4.conf.all.rp_filter: ~}",
    "input: [{accept: {until: 2027-01-31}}]", "input: [{accept: {until: \"2027-01-31\"}}]",
    "input: [{accept: {tcp: \"80\"}}, {accept: {tcp: 8000-8010}}, {accept: {tcp: 0}}]", "sets: {any: 10.0.0.1}",
    "services: {ssh: tcp/22}", "sets: {1a: 10.0.0.1}", "schedule: {t: {zone: UTC}}", "schedule: {t: {from: 08:00}}",
    "schedule: {t: {from: 8:00}}", "schedule: {t: {from: \"24:00\"}}", "schedule: {t: {to: \"24:00\", days: mon}}",
  ]

  /// The reader may know better about values: what the schema takes, and it refuses, is never a matter of keys or kinds.
  private func compare(_ schema: FileSchema, _ questions: [Question]) throws {
    let answers = try SchemaValidator.ask(schema, questions.map(\.root))
    try #require(answers.count == questions.count)
    let matters = [
      "unknown key", "expected ", "the key \"", "an item is one of", "names no ", "the list is empty", "unknown ",
      "only beside", "knows no interface", "needs the ports of one", "needs 2 to 64", "is never forwarded",
      "no name for",
      "stands only in", "settings that a policy may make", "is attached to connections of a port", "ssh is the port",
    ]
    var counts = (valid: 0, invalid: 0, values: 0)
    for (question, isValid) in zip(questions, answers) {
      let text = try String(decoding: SchemaValidator.json(question.root), as: UTF8.self)
      if isValid {
        let missed = question.problems.filter { problem in matters.contains { problem.contains($0) } }
        #expect(missed.isEmpty, "the schema takes \(text)")
        if question.problems.isEmpty { counts.valid += 1 } else { counts.values += 1 }
      } else {
        #expect(!question.problems.isEmpty, "the schema refuses \(text)")
        counts.invalid += 1
      }
    }
    print("\(schema): both take \(counts.valid), both refuse \(counts.invalid); \(counts.values) of values alone")
    #expect(counts.valid > 0 && counts.invalid > 0)
  }

  // MARK: Damage

  private func damaged(_ root: YAMLNode, _ random: inout Random) -> YAMLNode {
    var left = random.below(count(root))
    return replacing(root, &left, &random)
  }

  private func count(_ node: YAMLNode) -> Int {
    switch node.content {
    case .null, .scalar: 1
    case .list(let nodes): 1 + nodes.map(count).reduce(0, +)
    case .mapping(let entries): 1 + entries.map { count($0.value) }.reduce(0, +)
    }
  }

  /// The node that stands that many behind this one in reading order becomes another.
  private func replacing(_ node: YAMLNode, _ left: inout Int, _ random: inout Random) -> YAMLNode {
    left -= 1
    guard left != -1 else { return other(than: node, &random) }
    switch node.content {
    case .null, .scalar: return node
    case .list(let nodes): return made(.list(nodes.map { replacing($0, &left, &random) }))
    case .mapping(let entries):
      return made(.mapping(entries.map { entry($0.key, replacing($0.value, &left, &random)) }))
    }
  }

  private func made(_ content: YAMLNode.Content, _ style: YAMLNode.Style = .plain) -> YAMLNode {
    YAMLNode(
      location: SourceLocation(file: "p.yaml", line: 1, column: 1), tag: nil, content: content, style: style)
  }

  private func entry(_ key: String, _ value: YAMLNode) -> YAMLNode.Entry {
    YAMLNode.Entry(key: key, keyLocation: value.location, value: value)
  }

  private func other(than node: YAMLNode, _ random: inout Random) -> YAMLNode {
    let word = made(.scalar("x"), .quoted)
    if case .mapping(var entries) = node.content, !entries.isEmpty, !random.sometimes(3) {
      let index = random.below(entries.count)
      switch random.below(3) {
      case 0: entries.remove(at: index)
      case 1: entries[index] = entry(entries[index].key + "x", entries[index].value)
      default:
        let key = random.pick(["tcp", "strict", "burst", "to", "when", "helper", "out", "in", "state", "with", "days"])
        if !entries.contains(where: { $0.key == key }) { entries.append(entry(key, word)) }
      }
      return made(.mapping(entries))
    }
    return random.pick([
      made(.null), made(.list([])), made(.mapping([])), made(.list([word])), made(.list([made(.null)])),
      made(.mapping([entry("x", word)])), word, made(.scalar("true")),
    ])
  }
}

enum SchemaValidator {
  static let directory =
    ProcessInfo.processInfo.environment["PORTCULLIS_ANSIBLE"] ?? repository + "/.build/ansible"

  static var isPresent: Bool { access(directory + "/bin/python", X_OK) == 0 }
  /// Continuous integration has it, or has a fault.
  static var isNeeded: Bool { ProcessInfo.processInfo.environment["CI"] == "true" && geteuid() == 0 }

  /// Whether the schema takes each document, as an editor reads it.
  static func ask(_ schema: FileSchema, _ documents: [YAMLNode]) throws -> [Bool] {
    let folder = try PolicyFolder()
    let object = try JSONSerialization.jsonObject(with: Data(schema.text.utf8))
    let lines = try [JSONSerialization.data(withJSONObject: object)] + documents.map { try json($0) }
    try folder.write("in", lines.map { String(decoding: $0, as: UTF8.self) + "\n" }.joined())
    try folder.write("out", "")
    let process = Process()
    process.executableURL = URL(filePath: directory + "/bin/python")
    process.arguments = [repository + "/Tests/Controller/PolicyTests/validate-schema.py"]
    process.standardInput = try FileHandle(forReadingFrom: URL(filePath: folder.path + "/in"))
    process.standardOutput = try FileHandle(forWritingTo: URL(filePath: folder.path + "/out"))
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Reason("the validator ended with \(process.terminationStatus)") }
    return try String(contentsOfFile: folder.path + "/out", encoding: .utf8).split(separator: "\n").map { $0 == "true" }
  }

  static func json(_ node: YAMLNode) throws -> Data {
    try JSONSerialization.data(withJSONObject: value(node), options: [.fragmentsAllowed, .sortedKeys])
  }

  /// Plain words as YAML 1.2 takes them.
  private static func value(_ node: YAMLNode) -> Any {
    switch node.content {
    case .null: return NSNull()
    case .scalar(let text):
      guard node.style == .plain else { return text }
      if let number = Int(text), "\(number)" == text { return number }
      return text == "true" ? true : text == "false" ? false : text as Any
    case .list(let nodes): return nodes.map(value)
    case .mapping(let entries):
      return Dictionary(entries.map { ($0.key, value($0.value)) }, uniquingKeysWith: { first, _ in first })
    }
  }
}
