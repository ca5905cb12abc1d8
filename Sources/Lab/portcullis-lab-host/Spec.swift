/// What one host is, as the library wrote it: lines of `key value`, the value running to the end of the line.
struct Spec {
  let name: String
  /// DIR of the lab.
  let lab: String
  /// The host's own folder inside DIR.
  let folder: String
  /// Nil for the controller, which has a bridge instead.
  let network: Network?
  /// The root of another distribution's userland; nil for the machine's own.
  let userland: String?

  /// How bad the line between the controller and the hosts is; nil for a plain cable. The controller's alone.
  let line: Line?
  /// Milliseconds before a service that ended is started again, always the same; nil for pauses that grow.
  let restartPause: Int?

  struct Line {
    /// Percent of the packets, each way.
    let loss: Double
    /// Milliseconds, each way.
    let delay: Int
    let seed: UInt64
  }

  struct Network {
    let ipv4: String
    let ipv6: String
    let gateway4: String
    let gateway6: String
    let hardwareAddress: String
  }

  var isController: Bool { network == nil }
  var disk: String { "\(folder)/disk" }
  var work: String { "\(folder)/work" }
  var seed: String { "\(lab)/seed" }

  init(file: String) throws {
    guard let text = Files.read(file) else { throw HostError(call: "read", file) }
    var values: [String: String] = [:]
    for line in text.split(separator: "\n") {
      guard let space = line.firstIndex(of: " ") else { throw HostError("\(file): a line without a value: \(line)") }
      values[String(line[..<space])] = String(line[line.index(after: space)...])
    }
    func value(_ key: String) throws -> String {
      guard let value = values[key] else { throw HostError("\(file): \(key) is missing") }
      return value
    }
    name = try value("name")
    lab = try value("lab")
    folder = try value("folder")
    userland = values["userland"]
    restartPause = values["pause"].flatMap { Int($0) }
    if let words = values["line"]?.split(separator: " ") {
      guard words.count == 3, let loss = Double(words[0]), (0...100).contains(loss), let delay = Int(words[1]),
        (0...60_000).contains(delay), let seed = UInt64(words[2])
      else { throw HostError("\(file): line is not LOSS DELAY SEED") }
      line = Line(loss: loss, delay: delay, seed: seed)
    } else {
      line = nil
    }
    network =
      values["ipv4"] == nil
      ? nil
      : Network(
        ipv4: try value("ipv4"), ipv6: try value("ipv6"), gateway4: try value("gateway4"),
        gateway6: try value("gateway6"), hardwareAddress: try value("hardware"))
  }
}
