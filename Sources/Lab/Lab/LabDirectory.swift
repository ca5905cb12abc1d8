package import Core
internal import Foundation
internal import Glibc

/// DIR of a lab: the names of everything in it, the marker that says it is ours, and the lock on it.
package struct LabDirectory: Sendable, Hashable {
  /// Absolute, without `.` and `..`, symbolic links resolved.
  package let path: String

  package var marker: String { "\(path)/.portcullis-lab" }
  package var configuration: String { "\(path)/portcullis.yaml" }
  package var inventory: String { "\(path)/inventory/hosts.yaml" }
  package var policies: String { "\(path)/policies" }
  package var state: String { "\(path)/state" }
  package var keys: String { "\(path)/keys" }
  /// Root's key on every host, for enrolment.
  package var adminKey: String { "\(path)/keys/admin" }
  /// The key of the unprivileged login that enrolment makes.
  package var controllerKey: String { "\(path)/keys/controller" }
  package var knownHosts: String { "\(path)/known_hosts" }
  package var controller: String { "\(path)/controller" }
  /// What every host has under its own files.
  var seed: String { "\(path)/seed" }
  /// Our own copy of `portcullis-lab-host`: reboots do not depend on what a build does meanwhile.
  var hostProgram: String { "\(path)/bin/portcullis-lab-host" }

  /// The folder of a host, or of `controller`.
  package func folder(of name: String) -> String {
    name == LabPlan.controllerName ? controller : "\(path)/hosts/\(name)"
  }
  package func state(of name: String) -> String { "\(folder(of: name))/state" }
  func spec(of name: String) -> String { "\(folder(of: name))/spec" }
  /// What sshd and the agent of a host print.
  package func log(of name: String) -> String { "\(folder(of: name))/log" }
  /// What a host writes; it survives a reboot.
  package func disk(of name: String) -> String { "\(folder(of: name))/disk" }

  /// Throws unless `path` is a place where a lab can be: absolute, of letters that mount options take as they are, and
  /// outside the folders that hosts have layers of their own over.
  package init(_ path: String) throws(Failure) {
    guard path.hasPrefix("/") else {
      throw Failure(
        "use \(SafeText.escape(path)) for a lab", because: Reason("it is not an absolute path"), kind: .usage)
    }
    let resolved = Self.resolve(path)
    let plain = resolved.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "/._-+@".utf8.contains(byte)
      }
    }
    guard plain else {
      throw Failure(
        "use \(SafeText.escape(path)) for a lab",
        because: Reason("mount options do not take every character; use letters, digits and / . _ - + @"), kind: .usage)
    }
    guard resolved.split(separator: "/").count >= 2 else {
      throw Failure(
        "use \(resolved) for a lab", because: Reason("it is a folder of the system itself"),
        hint: "name a folder of its own, such as \(LabFleet.defaultDirectory)", kind: .usage)
    }
    for layered in ["/etc", "/var/lib", "/usr/local", "/proc", "/sys", "/dev", "/run"] {
      guard resolved != layered, !resolved.hasPrefix(layered + "/") else {
        throw Failure(
          "use \(resolved) for a lab",
          because: Reason("lab hosts have their own \(layered), which cannot lie in itself"),
          hint: "name a folder outside it, such as \(LabFleet.defaultDirectory)", kind: .usage)
      }
    }
    self.path = resolved
  }

  /// The path without symbolic links, as far as it exists.
  private static func resolve(_ path: String) -> String {
    var existing = URL(fileURLWithPath: path).standardizedFileURL.path
    var rest: [String] = []
    while existing != "/" {
      if let real = realpath(existing, nil) {
        defer { free(real) }
        return ([String(cString: real)] + rest).joined(separator: "/")
      }
      let url = URL(fileURLWithPath: existing)
      rest.insert(url.lastPathComponent, at: 0)
      existing = url.deletingLastPathComponent().path
    }
    return "/" + rest.joined(separator: "/")
  }

  package var exists: Bool { access(path, F_OK) == 0 }
  package var isMarked: Bool { access(marker, F_OK) == 0 }

  package func readPlan() throws(Failure) -> LabPlan {
    guard isMarked else {
      throw Failure("open the lab in \(path)", because: Reason("there is none"), hint: "make one: portcullis lab up")
    }
    guard let bytes = FileManager.default.contents(atPath: marker),
      let plan = LabPlan(text: String(decoding: bytes, as: UTF8.self))
    else {
      throw Failure(
        "open the lab in \(path)", because: Reason("\(marker) is not what lab up writes"),
        hint: "take it away: portcullis lab down --dir \(path)")
    }
    return plan
  }

  /// Makes DIR with its marker. Throws when a lab, or anything else, is there.
  func create(_ plan: LabPlan) throws {
    if isMarked {
      throw Failure(
        "make a lab in \(path)", because: Reason("one is there already"),
        hint: "take it down first: portcullis lab down --dir \(path)")
    }
    try LabFiles.makeFolder(path)
    guard try FileManager.default.contentsOfDirectory(atPath: path).isEmpty else {
      throw Failure(
        "make a lab in \(path)", because: Reason("the folder holds other files, which lab down would delete"),
        hint: "name an empty or a new folder with --dir")
    }
    try LabFiles.write(plan.text, to: marker)
  }

  /// Removes DIR. Only for a folder that carries the marker; the marker goes last, so that an interrupted removal can
  /// be repeated.
  func remove() throws {
    guard isMarked else {
      throw Failure(
        "remove \(path)", because: Reason("it does not carry the marker of a lab"),
        hint: "nothing was removed; look at it yourself")
    }
    for name in try FileManager.default.contentsOfDirectory(atPath: path) where "\(path)/\(name)" != marker {
      try FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
    try FileManager.default.removeItem(atPath: marker)
    guard rmdir(path) == 0 || errno == ENOENT else { throw LabFiles.failed("rmdir", path) }
  }
}
