// Three programs in one small file, because a lab may hold hundreds of hosts:
//
//   portcullis-lab-host launch DIR CONTROLLER NAME…   boots hosts of the lab in DIR and wires them; ends when they are up
//   portcullis-lab-host init DIR/…/spec               the first process of one host, until its power is cut
//   portcullis-lab-host relay DIR/controller/spec A B  the bad line between two of the controller's interfaces
//
// `portcullis lab` runs the first, which runs the second, and the controller's second runs the third. All have one
// thread, so that they may enter namespaces.
internal import Glibc

signal(SIGPIPE, SIG_IGN)

let arguments = CommandLine.arguments
do {
  switch arguments.dropFirst().first {
  case "launch" where arguments.count >= 5:
    guard let controller = Int32(arguments[3]) else { throw HostError("\(arguments[3]) is not a process id") }
    exit(try Launcher(directory: arguments[2], controller: controller, names: Array(arguments[4...])).run())
  case "init" where arguments.count == 3:
    try Init(specFile: arguments[2]).run()
  case "relay" where arguments.count == 5:
    guard let line = try Spec(file: arguments[2]).line else { throw HostError("\(arguments[2]) names no line") }
    var relay = try Relay(between: arguments[3], and: arguments[4], line)
    try relay.run()
  default:
    throw HostError("this program is run by `portcullis lab`, not by hand")
  }
} catch {
  Files.writeAll(2, "portcullis-lab-host: \(error)\n")
  exit(1)
}
