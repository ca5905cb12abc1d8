package import Core

/// Which userland a host boots.
package enum LabRoot: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
  /// The machine's own, with private layers where a host writes.
  case host
  case debian11
  case debian13

  package var description: String { rawValue }

  /// The release's name on a mirror; nil for the machine's own userland.
  package var suite: String? {
    switch self {
    case .host: nil
    case .debian11: "bullseye"
    case .debian13: "trixie"
    }
  }
}

/// Which programs `iptables` and its companions are on the hosts.
package enum LabBackend: String, Sendable, Hashable, CaseIterable {
  case nft
  case legacy
  /// Odd hosts nft, even hosts legacy.
  case mixed
}

/// How bad the line between the controller and all hosts is.
package struct LabLine: Sendable, Hashable {
  /// Percent of the packets that are lost, each way.
  package let loss: Double
  /// Milliseconds that a packet takes longer, each way.
  package let delay: Int
  /// The same seed loses the same packets of the same traffic.
  package let seed: UInt64

  package init(loss: Double = 0, delay: Int = 0, seed: UInt64 = .random(in: .min ... .max)) {
    self.loss = loss
    self.delay = delay
    self.seed = seed
  }
}

package struct LabOptions: Sendable {
  /// Holds everything the lab writes. See `LabDirectory.check` for where it may be.
  package var directory: String
  package var hosts: Int
  package var backend: LabBackend
  /// Given to the hosts in turn.
  package var roots: [LabRoot]
  /// Copied to DIR/policies; nil leaves that folder empty.
  package var policies: String?
  /// Names of files and folders among them; nil copies all.
  package var chosenPolicies: Set<String>?
  /// Laid under every host's `/usr/local/lib/portcullis`, so that enrolment finds the right digest and sends nothing;
  /// nil leaves it out.
  package var agentBinary: String?
  /// `portcullis-lab-host`; nil looks beside the running program.
  package var hostProgram: String?
  /// Where userlands made by `LabRootMaker` are kept.
  package var cache: String
  /// Nil for a plain cable.
  package var line: LabLine?
  /// Milliseconds before a host's sshd or agent that ended is started again, always the same: for those who kill it
  /// thousands of times. Nil: as systemd does, a second, longer each time.
  package var restartPause: Int?

  package init(
    directory: String = LabFleet.defaultDirectory, hosts: Int, backend: LabBackend = .mixed, roots: [LabRoot] = [.host],
    policies: String? = nil, chosenPolicies: Set<String>? = nil, agentBinary: String? = nil, hostProgram: String? = nil,
    cache: String = LabRootMaker.defaultCache(), line: LabLine? = nil, restartPause: Int? = nil
  ) {
    self.directory = directory
    self.hosts = hosts
    self.backend = backend
    self.roots = roots
    self.policies = policies
    self.chosenPolicies = chosenPolicies
    self.agentBinary = agentBinary
    self.hostProgram = hostProgram
    self.cache = cache
    self.line = line
    self.restartPause = restartPause
  }
}

/// One host as it was planned. Everything follows from its number, so that a reboot gives it the same addresses.
package struct LabHost: Sendable, Hashable {
  package let number: Int
  package let root: LabRoot
  /// `nft` or `legacy`, never `mixed`.
  package let backend: LabBackend

  package var name: String { Self.name(of: number) }

  /// `h001` … `h999`, `h1000`.
  package static func name(of number: Int) -> String {
    let digits = String(number)
    return "h" + String(repeating: "0", count: max(0, 3 - digits.utf8.count)) + digits
  }

  private var third: Int { 1 + (number - 1) / 250 }
  private var fourth: Int { 1 + (number - 1) % 250 }

  /// Without prefix length; the network is 10.77.0.0/16.
  package var ipv4: String { "10.77.\(third).\(fourth)" }
  /// Without prefix length; the network is fd77::/64. The decimal digits of the IPv4 address, read by eye.
  package var ipv6: String { "fd77::\(third):\(fourth)" }

  /// Fixed, so that neighbour tables stay right over a reboot.
  package var hardwareAddress: String { "02:77:00:00:\(Hex.encode([UInt8(third), UInt8(fourth)]).colonPairs)" }
}

/// What `lab up` decided, before it does any of it. Kept as the lab's marker file.
package struct LabPlan: Sendable, Hashable {
  /// A bridge has 1,023 ports.
  package static let maximumHosts = 1000
  package static let controllerIPv4 = "10.77.0.1"
  package static let controllerIPv6 = "fd77::1"
  package static let controllerName = "controller"

  package let hosts: [LabHost]

  package init(hosts: [LabHost]) { self.hosts = hosts }

  package init(_ options: LabOptions) throws(Failure) {
    guard (1...Self.maximumHosts).contains(options.hosts) else {
      throw Failure(
        "plan a lab of \(options.hosts) hosts", because: Reason("a lab has 1 to \(Self.maximumHosts) hosts"),
        kind: .usage)
    }
    guard !options.roots.isEmpty else {
      throw Failure("plan a lab", because: Reason("no userland is named"), hint: "use --roots host", kind: .usage)
    }
    if let line = options.line {
      guard line.loss >= 0, line.loss <= 100, (0...60_000).contains(line.delay) else {
        throw Failure(
          "plan a lab with a bad line", because: Reason("it loses 0 to 100 percent and delays by 0 to 60000 ms"),
          kind: .usage)
      }
    }
    if let pause = options.restartPause, !(1...60_000).contains(pause) {
      throw Failure("plan a lab", because: Reason("services are started again after 1 to 60000 ms"), kind: .usage)
    }
    hosts = (1...options.hosts).map { number in
      let backend: LabBackend = number % 2 == 1 ? .nft : .legacy
      return LabHost(
        number: number, root: options.roots[(number - 1) % options.roots.count],
        backend: options.backend == .mixed ? backend : options.backend)
    }
  }

  package func host(named name: String) -> LabHost? { hosts.first { $0.name == name } }

  /// The first half, rounded up.
  package var web: ArraySlice<LabHost> { hosts.prefix((hosts.count + 1) / 2) }
  package var db: ArraySlice<LabHost> { hosts.dropFirst((hosts.count + 1) / 2) }

  /// `portcullis-lab 1`, then one line for each host: `host NUMBER ROOT BACKEND`.
  package var text: String {
    "portcullis-lab 1\n" + hosts.map { "host \($0.number) \($0.root) \($0.backend.rawValue)\n" }.joined()
  }

  /// Nil unless `text` is what `text` writes.
  package init?(text: String) {
    var lines = text.utf8.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }[...]
    guard lines.popFirst() == "portcullis-lab 1" else { return nil }
    var hosts: [LabHost] = []
    for line in lines {
      let words = line.split(separator: " ").map(String.init)
      guard words.count == 4, words[0] == "host", let number = Int(words[1]),
        (1...Self.maximumHosts).contains(number), let root = LabRoot(rawValue: words[2]),
        let backend = LabBackend(rawValue: words[3]), backend != .mixed
      else { return nil }
      hosts.append(LabHost(number: number, root: root, backend: backend))
    }
    self.hosts = hosts
  }
}

extension String {
  /// "0a1b" as "0a:1b".
  fileprivate var colonPairs: String {
    let digits = Array(utf8)
    return stride(from: 0, to: digits.count, by: 2)
      .map { String(decoding: digits[$0..<min($0 + 2, digits.count)], as: UTF8.self) }
      .joined(separator: ":")
  }
}
