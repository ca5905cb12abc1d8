import Audit
import Core
import Foundation
import Store
import Testing

@testable import Console
@testable import Operations

/// What operators read about a fleet of 10,000 hosts, compared with Golden/*.txt word for word. They are meant to be read:
/// a change of wording shows in a review. PORTCULLIS_UPDATE_GOLDEN=1 writes them anew.
struct GoldenTranscriptTests {
  @Test(.timeLimit(.minutes(5))) func `what is said of the scripted fleet is what is written down`() async throws {
    let fleet = try await ScriptedFleet()
    let start = ContinuousClock.now
    let statuses = try await fleet.statuses()
    let status = try DocumentPrinter.render(StatusDocument(statuses), as: .text, colour: false)
    print("status of \(statuses.count) hosts: \(start.duration(to: .now))")
    #expect(status.split(separator: "\n", omittingEmptySubsequences: false).count - 1 <= 24)
    try Golden.compare(status, "status")
    for host in ["web0500", "web0700", "app0666", "app0700"] {
      try Golden.compare(StatusDocument(try await fleet.statuses(host)), "status-\(host)", [.text, .wide, .json])
    }

    let drift = DriftDocument(try await fleet.drifts(statuses), statuses: statuses)
    #expect(drift.exitCode == 4)
    try Golden.compare(drift, "drift", [.text, .json, .ndjson])
    for host in ["db0008", "app0666"] {
      let one = try await fleet.statuses(host)
      try Golden.compare(DriftDocument(try await fleet.drifts(one), statuses: one), "drift-show-\(host)", [.text])
    }
    try Golden.compare(
      WaiversDocument(try await fleet.store.waivers(), now: ScriptedFleet.now), "waivers", [.text, .json])

    for (hours, format) in [(72, OutputFormat.text), (8, .ndjson)] as [(Int64, OutputFormat)] {
      let since = ScriptedFleet.now + -hours * 3600
      try Golden.compare(EventsDocument(try await fleet.store.events(since: since), since: since), "events", [format])
    }
    for host in ["web0003", "app0061", "edge095"] {
      let history = try await HostHistory.read(HostID(host)!, since: nil, store: fleet.store).entries
      try Golden.compare(HistoryDocument(HostID(host)!, history), "history-\(host)", [.text, .json])
    }
  }
}

struct TranscriptPageTests {
  /// Written down by hand there, since a page shows less than there is.
  @Test func `the page on drift shows what is said of the scripted fleet`() throws {
    let page = String(decoding: try Files.read(Golden.checkout + "/docs/drift.md"), as: UTF8.self)
    for name in ["status", "history-app0061"] {
      #expect(page.contains("\n" + (try Golden.read(name)) + "```\n"), "\(name)")
    }
    let block = try #require(page.components(separatedBy: "```\n").first { $0.hasPrefix("drifted web") })
    let groups = try Golden.read("drift").components(separatedBy: "\n\n")
    let shown = block.components(separatedBy: "\n\n").map { $0.trimmingCharacters(in: .newlines) }
    #expect(shown.count == 3)
    for group in shown { #expect(groups.contains(group), "\(group)") }
  }

  @Test func `the page for the bad day shows what the verbs of a lockdown say`() throws {
    let page = String(decoding: try Files.read(Golden.checkout + "/docs/lockdown.md"), as: UTF8.self)
    for name in ["lockdown-start", "lockdown-arm", "lockdown-drill"] {
      #expect(page.contains("```\n" + (try Golden.read(name)) + "```\n"), "\(name)")
    }
  }
}

enum Golden {
  private static let own = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  private static let folder = own.path + "/Golden"
  static let checkout =
    own.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  static func read(_ name: String) throws -> String {
    String(decoding: try Files.read("\(folder)/\(name).txt"), as: UTF8.self)
  }

  static func compare(_ document: some Document, _ name: String, _ formats: [OutputFormat]) throws {
    for format in formats {
      let text = try DocumentPrinter.render(document, as: format, colour: false)
      // Whatever hosts say, a terminal obeys none of it.
      for line in text.split(separator: "\n") { #expect(SafeText.escape(line) == String(line), "\(name)") }
      try compare(text, format == .text ? name : "\(name)-\(format.rawValue)")
    }
  }

  static func compare(_ text: String, _ name: String) throws {
    let path = "\(folder)/\(name).txt"
    guard ProcessInfo.processInfo.environment["PORTCULLIS_UPDATE_GOLDEN"] != "1" else {
      return try Files.write(Array(text.utf8), to: path)
    }
    let written = try read(name)
    let lines = (text.components(separatedBy: "\n"), written.components(separatedBy: "\n"))
    let place = zip(lines.0, lines.1).enumerated().first { $1.0 != $1.1 }
    // Not the texts themselves: a failure would print both.
    let isSame = text == written
    #expect(
      isSame,
      """
      \(path):\((place?.offset ?? min(lines.0.count, lines.1.count)) + 1): it says
      \(place?.element.1 ?? "more or less"), and now it would be
      \(place?.element.0 ?? "less or more")
      """)
  }
}
