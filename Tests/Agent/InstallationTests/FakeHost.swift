import Core
import Foundation
import Glibc
import Installation
import Synchronization
import Wire

/// A host in a temporary folder where systemd seems to run. Its programs are played: `useradd` writes into its passwd,
/// `systemctl restart` starts a daemon that greets when the executable in place is one of the good ones.
final class FakeHost: ProgramRunning, RulesKeeper {
  let paths: HostPaths
  let root: String
  /// Contents of executables whose daemon comes up.
  var good: Set<String> = []
  var commands: [String] = []
  var hasCaptured = false
  var returns = 0
  var refusesToReturn = false
  private var daemon: GreetingDaemon?

  init() throws {
    // Short: a socket's path has at most 107 bytes.
    root = "/tmp/pi-\(UInt32.random(in: .min ... .max))"
    paths = HostPaths(root: root)
    for folder in ["/run/systemd/system", "/run/portcullis", "/etc/systemd/system"] {
      try FileManager.default.createDirectory(atPath: root + folder, withIntermediateDirectories: true)
    }
    try put("root:x:0:0:root:/root:/bin/bash\n", at: paths.passwd)
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  func put(_ text: String, at path: String) throws {
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  func text(_ path: String) -> String? {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
  }

  func exists(_ path: String) -> Bool {
    var facts = stat()
    return lstat(path, &facts) == 0
  }

  func mode(_ path: String) -> UInt32 {
    var facts = stat()
    return lstat(path, &facts) == 0 ? facts.st_mode & 0o7777 : .max
  }

  /// As the controller does it: the executable is uploaded and then runs itself.
  func install(
    _ executable: String, uploaded: Bool = true, host: String = "h001", fleet: String = "lab", expecting: String? = nil
  ) throws -> InstallationAnswer {
    let own = root + "/running-executable"
    try put(executable, at: own)
    if uploaded { try put(executable, at: paths.newAgent) }
    let request = EnrolmentRequest(
      host: HostID(host)!, fleet: FleetID(fleet)!, agent: Digest(of: Array((expecting ?? executable).utf8)),
      allowedSigners: Array("a@example.net namespaces=\"release@portcullis\" ssh-ed25519 AAAA\n".utf8),
      thresholds: Array("portcullis-thresholds 1\nlockdown 2\nunlock 2\n".utf8),
      loginKeys: ["ssh-ed25519 AAAAone controller", "ssh-ed25519 AAAAtwo"])
    return try Installer(paths: paths, runner: self, rules: self, executable: own, answerTimeout: 1).install(request)
  }

  func remove(_ rules: Remover.Rules) throws { try Remover(paths: paths, runner: self, rules: self).remove(rules) }

  // MARK: What the host's programs would do

  func succeed(_ command: [String], doing operation: String) throws {
    commands.append(command.joined(separator: " "))
    if command[0].hasSuffix("/useradd") {
      func value(_ flag: String) -> String { command.firstIndex(of: flag).map { command[$0 + 1] } ?? "" }
      let line = "portcullis:x:990:990::\(value("--home-dir")):\(value("--shell"))\n"
      try put((text(paths.passwd) ?? "") + line, at: paths.passwd)
    } else if command[0].hasSuffix("/userdel") {
      try put("root:x:0:0:root:/root:/bin/bash\n", at: paths.passwd)
    } else if command.contains("enable") {
      for unit in SystemdUnit.enabled {
        for target in unit.wantedBy {
          let folder = "\(paths.units)/\(target).wants"
          try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
          try? FileManager.default.createSymbolicLink(
            atPath: "\(folder)/\(unit.fileName)", withDestinationPath: "\(paths.units)/\(unit.fileName)")
        }
      }
    } else if command.contains("restart") {
      daemon = nil
      guard good.contains(text(paths.agent) ?? "") else { throw Reason("the daemon ended with 1") }
      daemon = try GreetingDaemon(paths.socket)
    } else if command.contains("--now") {
      daemon = nil
    }
  }

  // MARK: Its rules

  func captureGenerationZero() throws -> Bool {
    defer { hasCaptured = true }
    if !hasCaptured { try put("", at: paths.generationZero + "/ipv4.rules") }
    return !hasCaptured
  }

  func returnToGenerationZero() throws -> Bool {
    returns += 1
    if refusesToReturn { throw Reason("the managers would be shut out") }
    return hasCaptured
  }

  /// Why nothing may be removed.
  var lock: Failure?

  func requireUnlocked() throws {
    if let lock { throw lock }
  }

  func conflicts() -> [String] { ["ufw"] }
}

/// Greets everyone who connects, as a daemon does.
final class GreetingDaemon {
  private let listener: Int32
  private let path: String

  init(_ path: String) throws {
    self.path = path
    unlink(path)
    let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    listener = socket
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0, listen(socket, 4) == 0 else { throw Reason("bind \(path): \(errno)") }
    let hello = AgentMessage.hello(
      AgentHello(version: ProtocolVersion.current, agentVersion: "9", host: HostID("h001")!, fleet: FleetID("lab")!)
    ).encode()
    Thread {
      while true {
        let peer = accept(socket, nil, nil)
        guard peer >= 0 else { return }
        send(peer, hello, hello.count, Int32(MSG_NOSIGNAL))
        close(peer)
      }
    }.start()
  }

  deinit {
    unlink(path)
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }
}
