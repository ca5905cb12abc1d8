internal import Core
internal import Wire

/// What an enrolment leaves on the host, noted so that the agent can tell later what somebody else changed.
struct EnrolmentNote {
  let paths: HostPaths
  let service: InstallationAnswer.Service
  let request: EnrolmentRequest

  func write() throws {
    try HostFiles.write(
      EnrolledFiles(try files()).encode(), to: "\(paths.state)/\(EnrolledFiles.fileName)", mode: 0o600)
  }

  private func files() throws -> [EnrolledFiles.File] {
    var files = [
      file(paths.hostFile, Digest(of: request.hostText)),
      file(paths.allowedSigners, Digest(of: request.allowedSigners)),
      file(paths.authorizedKeys, Digest(of: LoginUser.authorizedKeys(request.loginKeys, paths))),
      // The one that stays, which is the one before when the new one does not answer.
      file(paths.agent, try HostFiles.digest(of: paths.agent)),
    ]
    var links = [paths.bridge]
    if service == .systemd {
      files += SystemdUnit.allCases.map { file("\(paths.units)/\($0.fileName)", Digest(of: $0.text.utf8)) }
      links += SystemdUnit.enabled.flatMap { unit in unit.wantedBy.map { "\(paths.units)/\($0).wants/\(unit.fileName)" }
      }
    }
    return files + links.compactMap { link in HostFiles.readLink(link).map { file(link, Digest(ofLinkTo: $0)) } }
  }

  /// By its place below the root, which may be another one in tests.
  private func file(_ path: String, _ digest: Digest) -> EnrolledFiles.File {
    EnrolledFiles.File(String(path.dropFirst(paths.root.count + 1)), digest)
  }
}

extension EnrolmentRequest {
  var hostText: [UInt8] { Array("host \(host)\nfleet \(fleet)\n".utf8) }
}
