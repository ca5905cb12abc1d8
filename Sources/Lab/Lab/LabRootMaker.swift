internal import Core
internal import Foundation
internal import Glibc

/// Makes the userlands of other distributions, once, in a cache folder; labs only read them.
package enum LabRootMaker {
  /// What a host needs beyond the smallest system.
  private static let packages = "openssh-server,iptables,iproute2,passwd,kmod"

  package static func defaultCache() -> String {
    let home = getenv("XDG_CACHE_HOME").map { String(cString: $0) } ?? ""
    return (home.hasPrefix("/") ? home : "/var/cache") + "/portcullis/roots"
  }

  /// The root of a userland, from the cache or made with debootstrap (about 35 s and 260 MB). Two at once do not
  /// disturb each other, and an interrupted one leaves nothing that looks finished.
  package static func make(
    _ root: LabRoot, cache: String = defaultCache(), progress: @Sendable (String) -> Void = { _ in }
  ) async throws -> String {
    guard let suite = root.suite else {
      throw Failure(
        "make the userland \(root)", because: Reason("it is the machine's own"),
        hint: "name one of \(LabRoot.allCases.filter { $0.suite != nil }.map(\.rawValue).joined(separator: ", "))",
        kind: .usage)
    }
    let path = try LabDirectory(cache).path + "/\(root)"
    if LabFiles.exists(path) { return path }
    guard geteuid() == 0 else {
      throw Failure("make the userland \(root)", because: Reason("only root can run debootstrap"), hint: "use sudo")
    }
    try LabFiles.makeFolder(LabFiles.parent(of: path))
    return try await LabLock.hold(LabDirectory(LabFiles.parent(of: path)), patience: 600) {
      if LabFiles.exists(path) { return path }
      let mirror = try await mirror()
      progress("making the userland \(root) with debootstrap, which takes about half a minute")
      // Whatever an earlier one left is in the way of nobody: we hold the lock.
      let temporary = path + ".making"
      if LabFiles.exists(temporary) { try FileManager.default.removeItem(atPath: temporary) }
      do {
        try await bootstrap(suite, into: temporary, from: mirror, root: root)
        guard rename(temporary, path) == 0 else { throw LabFiles.failed("rename", path) }
        return path
      } catch {
        try? FileManager.default.removeItem(atPath: temporary)
        throw error
      }
    }
  }

  /// debootstrap mounts things; in a mount namespace of its own they end with it.
  static func bootstrap(_ suite: String, into target: String, from mirror: String, root: LabRoot) async throws {
    guard access("/usr/sbin/debootstrap", X_OK) == 0 else {
      throw Failure(
        "make the userland \(root)", because: Reason("debootstrap is missing"),
        hint: LabProgram.hint(for: "/usr/sbin/debootstrap"))
    }
    let result = try await LabProgram.run(
      "/usr/bin/unshare",
      [
        "--mount", "--propagation", "private", "--", "/usr/sbin/debootstrap", "--variant=minbase",
        "--include=\(packages)", suite, target, mirror,
      ], environment: try await proxy())
    guard !result.succeeded else {
      let archives = target + "/var/cache/apt/archives"
      for name in (try? FileManager.default.contentsOfDirectory(atPath: archives)) ?? [] where name.hasSuffix(".deb") {
        unlink("\(archives)/\(name)")
      }
      return
    }
    let said = result.output + result.errors
    if said.contains("Failed getting release file") || said.contains("Invalid Release file")
      || said.contains("No such script")
    {
      throw Failure(
        "make the userland \(root)", because: Reason("the mirror that apt uses here does not carry \(suite)"),
        hint: "point apt at a mirror that does, or leave \(root) out of --roots")
    }
    throw Failure("make the userland \(root)", because: result.complaint)
  }

  /// The mirror that this machine's own apt uses for its main component.
  static func mirror() async throws -> String {
    let result = try await LabProgram.run(
      "/usr/bin/apt-get", ["indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"])
    let lines = result.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    // A suite such as bookworm-security lies elsewhere and holds only part of a system.
    guard let found = lines.first(where: { $0.count == 3 && $0[2] == "main" && !$0[1].contains("-") }) else {
      throw Failure(
        "find a package mirror", because: Reason("apt on this machine has no source with a component main"),
        hint: "debootstrap needs a Debian mirror in apt's sources, and apt-get update")
    }
    return found[0]
  }

  /// apt's own proxy, or the caller's.
  private static func proxy() async throws -> [String: String] {
    var environment: [String: String] = [:]
    for name in ["http_proxy", "https_proxy", "no_proxy"] {
      if let value = getenv(name) { environment[name] = String(cString: value) }
    }
    let result = try await LabProgram.run("/usr/bin/apt-config", ["shell", "proxy", "Acquire::http::Proxy"])
    let line = result.output.split(separator: "\n").first ?? ""
    if line.hasPrefix("proxy='"), line.hasSuffix("'") {
      environment["http_proxy"] = String(line.dropFirst(7).dropLast())
    }
    return environment
  }
}
