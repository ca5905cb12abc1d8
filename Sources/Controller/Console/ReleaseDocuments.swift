internal import Core
package import Store

package struct ExportDocument: Document {
  package static let kind = "Export"

  let host: String
  let folder: String
  let files: [String]

  package init(host: String, folder: String, files: [String]) {
    self.host = host
    self.folder = folder
    self.files = files
  }

  package var names: [String] { files }
  package var records: [any Encodable] { [self] }
  package func text(_ style: TextStyle) -> String {
    "bundle of \(SafeText.escape(host)): \(files.count) files in \(SafeText.escape(folder))\n"
  }
}

package struct ReleasesDocument: Document {
  package static let kind = "Releases"

  package struct Release: Encodable, Sendable {
    let serial: UInt64
    let issued: String
    let expires: String
    let hosts: Int
    let statement: String
    let reason: String
  }

  let releases: [Release]

  package init(_ releases: [StoredRelease]) {
    self.releases = releases.map {
      Release(
        serial: $0.serial.value, issued: $0.issued.description, expires: $0.expires.description, hosts: $0.hosts,
        statement: $0.statementDigest.description, reason: $0.reason)
    }
  }

  package var names: [String] { releases.map { String($0.serial) } }
  package var records: [any Encodable] { releases }
  package func text(_ style: TextStyle) -> String {
    var table = TextTable(["RELEASE", "ISSUED", "INSTALLABLE UNTIL", "HOSTS", "REASON"])
    for release in releases {
      table.add([String(release.serial), release.issued, release.expires, String(release.hosts), release.reason])
    }
    return table.text()
  }
}
