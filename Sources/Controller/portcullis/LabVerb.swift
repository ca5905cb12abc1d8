import ArgumentParser
import Console
import Core
import Glibc
import Lab
import Operations

struct Lab: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "A fleet of namespace hosts on this machine, for trying, training and testing.",
    discussion: """
      Every host has its own interfaces, kernel packet filter, sshd, agent and files; nothing of it exists outside its \
      namespaces. Needs root.
      """,
    subcommands: [Up.self, Down.self, LabStatusVerb.self, Exec.self, Reboot.self, Root.self])

  struct DirectoryOption: ParsableArguments {
    @Option(help: "The lab's folder")
    var dir: String = LabFleet.defaultDirectory
  }

  struct Up: Verb {
    static let configuration = CommandConfiguration(
      abstract: "Make a lab, boot its hosts and enroll them.",
      discussion: "Example: portcullis lab up --hosts 6 --backend mixed")

    @Option(help: "How many hosts, 1 to 1000")
    var hosts: Int = 3

    @Option(help: "nft, legacy, or mixed: odd hosts nft, even hosts legacy")
    var backend: LabBackend = .mixed

    @Option(help: "Folder of policies to copy into the lab (default: this checkout's)")
    var policies: String?

    @Option(help: "Userlands given to the hosts in turn: host,debian11,debian13")
    var roots: String = LabRoot.host.rawValue

    @Option(help: "Percent of the packets lost between controller and hosts, each way")
    var loss: Double = 0

    @Option(help: "Milliseconds by which packets between controller and hosts come later, each way")
    var delay: Int = 0

    @Option(help: "Which packets are lost; the same again for the same traffic (default: another one each time)")
    var seed: UInt64?

    @Option(
      help: "Milliseconds before a host's daemon that died is started again, always the same (default: as systemd)")
    var restartPause: Int?

    @Flag(help: "Leave the agent off the hosts' disks, so that enrolment uploads it")
    var bare = false

    @Flag(help: "Do not enroll the hosts")
    var noEnroll = false

    @OptionGroup var directory: DirectoryOption
    @OptionGroup var output: OutputOptions

    func validate() throws { _ = try parsedRoots() }

    private func parsedRoots() throws -> [LabRoot] {
      try roots.split(separator: ",").map { word in
        guard let root = LabRoot(rawValue: String(word)) else {
          throw ValidationError("--roots takes \(LabRoot.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return root
      }
    }

    func perform() async throws -> Int32 {
      let start = ContinuousClock.now
      let agent = AgentExecutable.ownFolder + "/portcullis-agent"
      let source = try policies ?? LabPolicies.ofThisCheckout()
      let options = LabOptions(
        directory: directory.dir, hosts: hosts, backend: backend, roots: try parsedRoots(), policies: source,
        chosenPolicies: policies == nil ? FleetFiles.starters : nil, agentBinary: bare ? nil : agent,
        line: loss == 0 && delay == 0
          ? nil : LabLine(loss: loss, delay: delay, seed: seed ?? .random(in: .min ... .max)),
        restartPause: restartPause)
      let fleet = try await LabFleet.up(
        options, configuration: { lab, _ in LabConfiguration.text(lab) }, progress: { Terminal.say($0) })
      let config = fleet.directory.configuration
      do {
        try await OwnProgram.run([
          "keys", "init", "--no-passphrase", "--principal", "lab@portcullis", "--config", config,
        ])
        if !noEnroll { try await OwnProgram.run(["enroll", "all", "--config", config]) }
      } catch {
        // Half a lab helps nobody; why it could not be made matters more than what goes wrong while clearing up.
        _ = try? await LabFleet.down(directory: directory.dir)
        throw error
      }
      let seconds = start.duration(to: .now) / .seconds(1)
      let rounded = (seconds * 10).rounded() / 10
      let done = "\(hosts) \(hosts == 1 ? "host" : "hosts") up\(noEnroll ? "" : " and enrolled")"
      try Terminal.print(
        ActionDocument("lab up", config, seconds: rounded, sentence: "\(done) in \(rounded) s: \(config)"), output)
      return 0
    }
  }

  struct Down: Verb {
    static let configuration = CommandConfiguration(abstract: "Take the lab away: no process, mount or file is left.")

    @OptionGroup var directory: DirectoryOption
    @OptionGroup var output: OutputOptions

    func perform() async throws -> Int32 {
      let found = try await LabFleet.down(directory: directory.dir)
      let words = found ? "lab in \(directory.dir) is gone" : "no lab in \(directory.dir); nothing to do"
      try Terminal.print(ActionDocument("lab down", directory.dir, done: found, sentence: words), output)
      return 0
    }
  }

  struct LabStatusVerb: Verb {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "Which hosts are up.")

    @OptionGroup var directory: DirectoryOption
    @OptionGroup var output: OutputOptions

    func perform() async throws -> Int32 {
      let status = try LabFleet(directory: directory.dir).status()
      try Terminal.print(
        LabDocument(
          directory: status.directory, controllerUp: status.controller != nil,
          hosts: status.hosts.map { host in
            LabDocument.Host(
              name: host.host.name, up: host.isUp, root: host.host.root.rawValue, backend: host.host.backend.rawValue,
              ipv4: host.host.ipv4, ipv6: host.host.ipv6, pid: host.process.map { Int($0.pid) },
              sshd: host.isSSHListening, agent: host.agent.rawValue)
          }), output)
      return 0
    }
  }

  struct Exec: Verb {
    static let configuration = CommandConfiguration(
      abstract: "Run a command inside a host, or inside 'controller'; its exit status is ours.",
      discussion: "Example: portcullis lab exec h003 -- iptables -S")

    @Argument(help: "h001 …, or controller")
    var host: String

    @OptionGroup var directory: DirectoryOption

    @Argument(parsing: .postTerminator, help: "The command, after --")
    var command: [String] = []

    func perform() async throws -> Int32 {
      try LabFleet(directory: directory.dir).execArguments(host, command).execute()
    }
  }

  struct Reboot: Verb {
    static let configuration = CommandConfiguration(
      abstract: "Cut a host's power and boot it again: its processes are killed, its kernel rules vanish.")

    @Argument(help: "h001 …")
    var host: String

    @OptionGroup var directory: DirectoryOption
    @OptionGroup var output: OutputOptions

    func perform() async throws -> Int32 {
      let reboot = try await LabFleet(directory: directory.dir).reboot(host)
      let rounded = (reboot.seconds * 10).rounded() / 10
      let words = "\(reboot.host.name) is back after \(rounded) s; agent \(reboot.status.agent.rawValue)"
      try Terminal.print(ActionDocument("lab reboot", host, seconds: rounded, sentence: words), output)
      return 0
    }
  }

  struct Root: Verb {
    static let configuration = CommandConfiguration(
      abstract: "Make another distribution's userland for lab hosts, with debootstrap; kept in a cache folder.")

    @Argument(help: "debian11 or debian13")
    var name: LabRoot

    @OptionGroup var output: OutputOptions

    func perform() async throws -> Int32 {
      let folder = try await LabRootMaker.make(name, progress: { Terminal.say($0) })
      try Terminal.print(ActionDocument("lab root", name.rawValue, sentence: folder), output)
      return 0
    }
  }
}

extension LabBackend: ExpressibleByArgument {}
extension LabRoot: ExpressibleByArgument {}
