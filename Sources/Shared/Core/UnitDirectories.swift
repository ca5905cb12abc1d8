/// Where systemd looks for units and their drop-ins, below the root, the first before the others (systemd.unit(5)).
package enum UnitDirectories {
  /// A whole unit there takes the place of the one that enrolment wrote.
  package static let aboveEnrolled = [
    "etc/systemd/system.control", "run/systemd/system.control", "run/systemd/transient",
    "run/systemd/generator.early",
  ]

  package static let all =
    aboveEnrolled + [
      "etc/systemd/system", "etc/systemd/system.attached", "run/systemd/system", "run/systemd/system.attached",
      "run/systemd/generator", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "run/systemd/generator.late",
    ]

  /// Holds drop-ins of every service there is.
  package static let ofEveryService = "service.d"

  /// - Parameter path: of a drop-in, or of a link in place of the folder.
  package static func isOfEveryService(_ path: String) -> Bool {
    path.split(separator: "/").suffix(2).contains { $0 == ofEveryService }
  }
}
