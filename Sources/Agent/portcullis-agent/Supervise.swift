import ArgumentParser
import Core
import Daemon
import Installation

struct Supervise: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: Supervisor.verb,
    abstract: "Run the daemon and start it again when it dies; for hosts without systemd.", shouldDisplay: false)
  @OptionGroup var root: Root

  func run() throws {
    CodeMemory.release()
    try Supervisor(paths: HostPaths(root: root.folder)) { Edge.say("portcullis-agent: \(SafeText.escape($0))") }.run()
  }
}
