import ArgumentParser
import Core

/// The bad day, and its preparation.
struct LockdownVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lockdown",
    abstract: "Shut hosts to all but what a profile keeps, prove it, and open them again.",
    discussion: """
      In calm: write policies/lockdown/NAME.yaml, apply, then arm and drill. On the bad day: start, and lift when it is \
      over. docs/lockdown.md is one page for that day.
      """,
    subcommands: [
      LockdownArm.self, LockdownSign.self, LockdownStart.self, LockdownStatus.self, LockdownLift.self,
      LockdownDrill.self, LockdownResume.self,
    ])
}

/// `90s`, `15m`, `2h`, `7d`.
struct TimeSpan: ExpressibleByArgument {
  let seconds: Int64

  init?(argument: String) {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    guard let unit = argument.last.flatMap({ units[$0] }), argument.utf8.count <= 8,
      argument.utf8.dropLast().allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let count = Int64(argument.dropLast())
    else { return nil }
    seconds = count * unit
  }

  var defaultValueDescription: String {
    let units: [(String, Int64)] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)]
    return units.first { seconds % $0.1 == 0 }.map { "\(seconds / $0.1)\($0.0)" } ?? "\(seconds)s"
  }
}

extension ProfileName: ExpressibleByArgument {
  package init?(argument: String) { self.init(argument) }
}
