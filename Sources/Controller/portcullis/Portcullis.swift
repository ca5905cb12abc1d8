import ArgumentParser
import Core
import Glibc

@main
struct Portcullis: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "portcullis",
    abstract: "Keeps the packet filter of a fleet of Linux servers in the state its owners signed.",
    discussion: """
      A day with it: portcullis plan, portcullis apply, portcullis status, portcullis drift.
      To try it without touching a server: portcullis lab up --hosts 6

      Exit codes: 0 done · 1 error · 2 finding (drift, what doctor found, errors that validate and plan found, changes \
      with --detailed-exitcode) · 3 some hosts failed or reverted · 4 some unreachable or unknown, none failed · \
      5 refused by a guard · 64 usage · 130 interrupted
      """,
    version: Version.text,
    groupedSubcommands: [
      CommandGroup(name: "Day one", subcommands: [Init.self, Keys.self, Enroll.self, ImportVerb.self, Lab.self]),
      CommandGroup(
        name: "Change",
        subcommands: [
          Validate.self, Render.self, Plan.self, Apply.self, Confirm.self, Cancel.self, Rollback.self, ReleaseVerb.self,
        ]),
      CommandGroup(name: "Emergency", subcommands: [LockdownVerb.self]),
      CommandGroup(
        name: "Fleet",
        subcommands: [
          Status.self, DriftVerb.self, EventsVerb.self, HistoryVerb.self, DoctorVerb.self, Hosts.self,
          InventoryVerb.self,
          Observe.self,
        ]),
      CommandGroup(name: "Record", subcommands: [AuditVerb.self]),
      CommandGroup(
        name: "Tools",
        subcommands: [
          RulesetVerb.self, Resolve.self, SchemaVerb.self, VersionVerb.self, Measure.self, LoadScratch.self,
        ]),
    ])

  /// Swift looks for the arguments in /proc/self/maps and has none where it cannot read that. Help with success would then
  /// pass for what was asked.
  static func main() async {
    guard !CommandLine.arguments.isEmpty else {
      let words = "portcullis: error: its arguments cannot be read; is /proc mounted, and is there memory?\n"
      _ = write(STDERR_FILENO, words, words.utf8.count)
      Glibc.exit(1)
    }
    await main(nil)
  }
}
