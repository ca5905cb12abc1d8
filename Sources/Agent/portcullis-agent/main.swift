import Core
import Daemon
import Glibc
import Netfilter

// Swift looks for the arguments in /proc/self/maps and has none where it cannot read that. Then we do not know what was asked
// for, and help with success would pass for having done it: at boot, for having loaded the rules.
guard !CommandLine.arguments.isEmpty else {
  Edge.say("portcullis-agent: error: its arguments cannot be read; is /proc mounted, and is there memory?")
  exit(1)
}

// Four ways in. The first three are for machines and come before any parsing of arguments.

/// What this executable was called as, without its folder.
let name = CommandLine.arguments.first?.utf8.split(separator: UInt8(ascii: "/")).last.map { String($0) ?? "" }

// sshd runs a login shell under its own name, with a dash before it when it is one. Whatever a client asks for comes as
// arguments, and is not looked at.
if name == "portcullis-bridge" || name == "-portcullis-bridge" {
  exit(Edge.bridge(HostLayout(root: "/")))
}
if CommandLine.arguments.dropFirst().first == RehearsalChild.argument {
  exit(RehearsalChild.run())
}
if CommandLine.arguments.dropFirst().first == GuardChild.argument {
  exit(GuardChild.run(CommandLine.arguments.dropFirst(2).map { $0 }))
}
PortcullisAgent.start(CommandLine.arguments.dropFirst())
