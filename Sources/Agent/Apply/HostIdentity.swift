package import Core

/// Who this host is, from `/etc/portcullis/host`: set at enrolment, never what the host calls itself.
package struct HostIdentity: Hashable, Sendable {
  package let host: HostID
  package let fleet: FleetID

  package init(host: HostID, fleet: FleetID) {
    self.host = host
    self.fleet = fleet
  }

  package static let maximumSize = 4 << 10

  /// Strict: the lines `host NAME` and `fleet NAME`, in this order, and nothing else.
  package static func parse(_ bytes: [UInt8], file: String) throws(Diagnostics) -> HostIdentity {
    func fault(_ line: Int, _ message: String) -> Diagnostics {
      Diagnostics(
        Diagnostic(
          SourceLocation(file: file, line: line, column: 1), message,
          hint: "the file has the two lines `host NAME` and `fleet NAME`; enrolment writes it"))
    }
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    guard lines.count == 3, lines[2].isEmpty else { throw fault(max(1, min(lines.count, 3)), "not two lines") }
    func value(_ key: String, _ line: Int) throws(Diagnostics) -> String {
      let prefix = Array("\(key) ".utf8)
      guard lines[line - 1].starts(with: prefix) else { throw fault(line, "does not begin with `\(key) `") }
      return String(decoding: lines[line - 1].dropFirst(prefix.count), as: UTF8.self)
    }
    guard let host = HostID(try value("host", 1)) else { throw fault(1, "not a host name") }
    guard let fleet = FleetID(try value("fleet", 2)) else { throw fault(2, "not a fleet name") }
    return HostIdentity(host: host, fleet: fleet)
  }

  package func encode() -> [UInt8] { Array("host \(host)\nfleet \(fleet)\n".utf8) }
}
