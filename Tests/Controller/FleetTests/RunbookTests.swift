import Core
import Foundation
import Testing

extension FleetSuite {
  /// The page for the bad day, typed as it stands there.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct Runbook {
    @Test func whatThePageForTheBadDaySaysToTypeShutsAndOpensHosts() async throws {
      let page = try text(of: "\(Machine.checkout)/docs/lockdown.md")
      let begin = try #require(page.firstRange(of: "## It is on fire\n")).upperBound
      let end = try #require(page[begin...].firstRange(of: "\n## ")).lowerBound
      let section = page[begin..<end]
      let blocks = section.split(separator: "```").enumerated().filter { $0.offset % 2 == 1 }
        .map { $0.element.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) } }
      let commands = blocks.joined().filter { $0.hasPrefix("portcullis ") }
      try #require(commands.count == 2)
      try await LockdownLab.with("runbook", insiders: 2) { lab in
        func typed(_ command: String, hosts: Int? = nil) async throws -> Finished {
          let words = command.replacing("portcullis ", with: "'\(Machine.portcullis)' ", maxReplacements: 1)
            .replacing("'web:&prod'", with: "'\(lab.pattern)'")
          let counted = hosts.map { " --confirm-hosts \($0)" } ?? ""
          return try await Command.run("/bin/sh", ["-c", words + counted], in: lab.lab.folder, timeout: 90)
        }
        let shut = try await typed(commands[0], hosts: lab.insiders.count)
        #expect(shut.status == 0, "\(shut)")
        for host in lab.insiders { #expect(try await lab.isLocked(host)) }
        for command in ["portcullis lockdown resume", "portcullis status", "portcullis lockdown status"] {
          #expect(section.contains("`\(command)`"), "the page does not say \(command)")
          let finished = try await typed(command)
          #expect(finished.status == 0, "\(command): \(finished)")
        }
        let opened = try await typed(commands[1], hosts: lab.insiders.count)
        #expect(opened.status == 0, "\(opened)")
        for host in lab.insiders { #expect(try await lab.isLocked(host) == false) }
      }
    }
  }
}
