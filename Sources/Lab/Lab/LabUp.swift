internal import Core
internal import Foundation
internal import Glibc

extension LabFleet {
  /// Makes a lab and boots its hosts. When it throws, nothing is left of it.
  ///
  /// - Parameters:
  ///   - configuration: the text of DIR/portcullis.yaml, from the lab's paths; nil writes none.
  ///   - progress: one line at a time, for a person.
  /// - Throws: `Failure`; also when DIR holds a lab already, or anything else.
  package static func up(
    _ options: LabOptions, configuration: ((LabDirectory, LabPlan) throws -> String)? = nil,
    progress: @Sendable (String) -> Void = { _ in }
  ) async throws -> LabFleet {
    let plan = try LabPlan(options)
    let directory = try LabDirectory(options.directory)
    try checkMachine(plan)
    let program = try hostProgram(options)
    var userlands: [LabRoot: String] = [:]
    for root in LabRoot.allCases where root.suite != nil && plan.hosts.contains(where: { $0.root == root }) {
      userlands[root] = try await LabRootMaker.make(root, cache: options.cache, progress: progress)
    }
    try directory.create(plan)
    if LabFiles.mount(holding: directory.path)?.type == "overlay" {
      try directory.remove()
      throw Failure(
        "make a lab in \(directory.path)",
        because: Reason(
          "the folder is on an overlay file system, as in a container, and the hosts' layers cannot lie there"),
        hint: "name a folder on a disk, a volume or a tmpfs with --dir")
    }
    let fleet = LabFleet(directory: directory, plan: plan)
    return try await LabLock.hold(directory) {
      do {
        progress("writing the disks of \(plan.hosts.count) hosts")
        try fleet.write(options, program: program, userlands: userlands)
        if let configuration {
          try LabFiles.write(configuration(directory, plan), to: directory.configuration)
        }
        progress("booting")
        try await fleet.launch(plan.hosts.map(\.name), controller: nil)
        return fleet
      } catch {
        // In a task of its own, since ours may be cancelled, which would stop the clearing as well. The reason for
        // stopping matters more than what goes wrong here; `lab down` can be repeated.
        try? await Task { try await clear(directory) }.value
        throw error is Failure ? error : Failure("make a lab in \(directory.path)", because: error)
      }
    }
  }

  /// Everything a lab needs of the machine, before anything is made.
  private static func checkMachine(_ plan: LabPlan) throws(Failure) {
    guard geteuid() == 0 else {
      throw Failure("make a lab", because: Reason("only root can make network namespaces and mounts"), hint: "use sudo")
    }
    var programs = ["/usr/sbin/ip", "/usr/bin/nsenter"]
    if plan.hosts.contains(where: { $0.root == .host }) { programs.append("/usr/sbin/sshd") }
    for path in programs where access(path, X_OK) != 0 {
      throw Failure("make a lab", because: Reason("\(path) is missing"), hint: LabProgram.hint(for: path))
    }
    guard LabFiles.exists("/proc/sys/net/ipv6") else {
      throw Failure(
        "make a lab", because: Reason("IPv6 is switched off in this kernel, and every host has both families"))
    }
    // Overlays may live in a module that is not loaded yet; mounting one loads it, so only its absence there is final.
    if let known = LabFiles.text("/proc/filesystems"), !known.contains("overlay"),
      !LabFiles.exists("/lib/modules"), !LabFiles.exists("/sys/module/overlay")
    {
      throw Failure("make a lab", because: Reason("this kernel has no overlay file system"))
    }
  }

  /// `portcullis-lab-host`: as given, beside the running program, or where packages put it.
  private static func hostProgram(_ options: LabOptions) throws(Failure) -> String {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/"
    let candidates =
      options.hostProgram.map { [$0] }
      ?? [LabFiles.parent(of: own) + "/portcullis-lab-host", "/usr/lib/portcullis/portcullis-lab-host"]
    guard let found = candidates.first(where: { access($0, X_OK) == 0 }) else {
      throw Failure(
        "make a lab", because: Reason("portcullis-lab-host is not at \(candidates.joined(separator: " nor at "))"),
        hint: "build it: swift build --product portcullis-lab-host")
    }
    return found
  }

  func write(_ options: LabOptions, program: String, userlands: [LabRoot: String]) throws {
    try LabFiles.makeFolder(LabFiles.parent(of: directory.hostProgram))
    // Hardened machines mount /var/tmp so that nothing in it can be run.
    if LabFiles.mount(holding: directory.path)?.options.contains("noexec") == true {
      try LabFiles.link(directory.hostProgram, to: program)
    } else {
      try FileManager.default.copyItem(atPath: program, toPath: directory.hostProgram)
    }
    try writeSeed(options.agentBinary)
    try LabFiles.makeFolder(directory.keys, mode: 0o700)
    let admin = LabKey(comment: "lab-admin")
    try admin.write(to: directory.adminKey)
    try LabKey(comment: "lab-controller").write(to: directory.controllerKey)
    var hostKeys: [(LabHost, LabKey)] = []
    for host in hosts {
      let key = LabKey(comment: host.name)
      try HostDisk(
        directory: directory, host: host, userland: userlands[host.root], restartPause: options.restartPause
      ).write(
        hostKey: key, adminKey: admin)
      hostKeys.append((host, key))
    }
    try ControllerDisk(directory: directory, plan: plan, line: options.line).write(
      hostKeys: hostKeys, policies: options.policies, only: options.chosenPolicies)
  }

  /// One copy of the agent under all hosts' own layers: a host that writes there gets its own.
  private func writeSeed(_ agent: String?) throws {
    let place = "/usr/local/lib/portcullis"
    guard agent != nil || LabFiles.exists(place) else { return }
    try LabFiles.makeFolder(directory.seed + place)
    try LabFiles.makeOpaque(directory.seed + place)
    guard let agent else { return }
    guard LabFiles.exists(agent) else {
      throw Failure("lay the agent under the hosts", because: Reason("\(SafeText.escape(agent)) does not exist"))
    }
    let copy = "\(directory.seed)\(place)/portcullis-agent"
    try FileManager.default.copyItem(atPath: agent, toPath: copy)
    chmod(copy, 0o755)
    try LabFiles.link("\(directory.seed)\(place)/portcullis-bridge", to: "portcullis-agent")
  }

  /// Boots hosts and waits until they are ready. Throws, naming those that are not.
  /// - Parameter controller: the controller's first process; nil boots the controller too.
  func launch(_ names: [String], controller: LabProcess?) async throws {
    let result = try await LabProgram.run(
      directory.hostProgram, ["launch", directory.path, String(controller?.pid ?? 0)] + names)
    if result.succeeded { return }
    let failed = result.output.split(separator: "\n").filter { $0.hasPrefix("failed ") }
      .map { $0.dropFirst(7).split(separator: " ", maxSplits: 1).map(String.init) }
    guard let first = failed.first, first.count == 2 else {
      throw Failure("boot the hosts", because: result.complaint)
    }
    let log = (LabFiles.text(directory.log(of: first[0])) ?? "").split(separator: "\n").suffix(3)
    let reason = ([first[1]] + log.map { SafeText.escape($0) }).joined(separator: "; ")
    let others = failed.count > 1 ? " and \(failed.count - 1) more" : ""
    throw Failure("boot \(first[0])\(others)", because: Reason(reason))
  }
}
