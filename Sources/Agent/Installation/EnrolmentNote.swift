internal import Core
internal import Wire

/// What an enrolment leaves on the host, noted so that the agent can tell later what somebody else changed.
struct EnrolmentNote {
  let paths: HostPaths
  let service: InstallationAnswer.Service
  let request: EnrolmentRequest

  private var place: String { "\(paths.state)/\(EnrolledFiles.fileName)" }

  /// - Returns: what stands in it now.
  @discardableResult
  func write() throws -> EnrolledFiles {
    try announce()
    let files = EnrolledFiles(try files())
    try HostFiles.write(files.encode(), to: place, mode: 0o600)
    return files
  }

  /// Nil where there is none, or none that this agent can read.
  func read() -> EnrolledFiles? {
    ((try? HostFiles.read(place)) ?? nil).flatMap(EnrolledFiles.init(parsing:))
  }

  /// Files are about to be put back, or were.
  func announce() throws {
    try HostFiles.write([], to: "\(paths.state)/\(EnrolledFiles.unseenFileName)", mode: 0o600)
  }

  private func files() throws -> [EnrolledFiles.File] {
    var files = [
      file(paths.hostFile, Digest(of: request.hostText)),
      file(paths.allowedSigners, Digest(of: request.allowedSigners)),
      file(paths.thresholds, Digest(of: request.thresholds)),
      file(paths.authorizedKeys, Digest(of: LoginUser.authorizedKeys(request.loginKeys, paths))),
      // The one that stays, which is the one before when the new one does not answer.
      file(paths.agent, try HostFiles.digest(of: paths.agent)),
    ]
    var links = [paths.bridge]
    var found: [EnrolledFiles.File] = []
    if service == .systemd {
      files += SystemdUnit.allCases.map { file("\(paths.units)/\($0.fileName)", Digest(of: $0.text.utf8)) }
      found = dropInsOfEveryService()
      links += SystemdUnit.enabled.flatMap { unit in unit.wantedBy.map { "\(paths.units)/\($0).wants/\(unit.fileName)" }
      }
    }
    return files + links.compactMap { link in HostFiles.readLink(link).map { file(link, Digest(ofLinkTo: $0)) } }
      + found
  }

  /// Distributions and containers bring some: only what comes or changes later is somebody's doing. What cannot be read is
  /// not noted, so that the agent tells of it.
  private func dropInsOfEveryService() -> [EnrolledFiles.File] {
    let folders = UnitDirectories.all.map { "\(paths.root)/\($0)/\(UnitDirectories.ofEveryService)" }
    let found = folders.flatMap { folder -> [String] in
      if HostFiles.readLink(folder) != nil { return [folder] }
      let names = (try? HostFiles.names(in: folder)) ?? []
      return names.filter { $0.hasSuffix(".conf") && !$0.utf8.contains(10) }.sorted().map { "\(folder)/\($0)" }
    }
    return found.prefix(EnrolledFiles.maximumDropIns).compactMap { path in
      let digest = HostFiles.readLink(path).map { Digest(ofLinkTo: $0) } ?? (try? HostFiles.digest(of: path))
      return digest.map { file(path, $0) }
    }
  }

  /// By its place below the root, which may be another one in tests.
  private func file(_ path: String, _ digest: Digest) -> EnrolledFiles.File {
    EnrolledFiles.File(String(path.dropFirst(paths.root.count + 1)), digest)
  }
}

extension EnrolmentRequest {
  var hostText: [UInt8] { Array("host \(host)\nfleet \(fleet)\n".utf8) }
}
