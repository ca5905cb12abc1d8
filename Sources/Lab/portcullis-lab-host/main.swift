// Two programs in one small file, because a lab may hold hundreds of hosts:
//
//   portcullis-lab-host launch DIR CONTROLLER NAME…   boots hosts of the lab in DIR and wires them; ends when they are up
//   portcullis-lab-host init DIR/…/spec               the first process of one host, until its power is cut
//
// `portcullis lab` runs the first, which runs the second. Both have one thread, so that they may enter namespaces.
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
  default:
    throw HostError("this program is run by `portcullis lab`, not by hand")
  }
} catch {
  Files.writeAll(2, "portcullis-lab-host: \(error)\n")
  exit(1)
}
