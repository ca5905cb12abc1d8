import Arguments
import Core
import Daemon
import Installation

struct Supervise: AgentCommand {
  static let verb = Verb(
    Supervisor.verb, "Run the daemon and start it again when it dies; for hosts without systemd.",
    options: [Root.option], isListed: false)
  let root: Root

  init(_ request: ArgumentReader.Request) { root = Root(request) }

  func run() throws -> Int32 {
    UnusedMemory.release()
    try Supervisor(paths: HostPaths(root: root.folder)) { Edge.say("portcullis-agent: \(SafeText.escape($0))") }.run()
    return 0
  }
}
