package import Core
internal import Foundation
internal import Glibc

/// A program that replaces ours: its path, its argument vector (with the program's own name first), its environment.
package struct LabCommand: Sendable, Hashable {
  package let path: String
  package let arguments: [String]
  package let environment: [String: String]

  /// execve(2). Returns only by throwing.
  package func execute() throws(Failure) -> Never {
    let vector = arguments.map { strdup($0) } + [nil]
    let variables = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
    // Our threads block signals, and a program keeps what it was started with: timeout(1) would wait for ever.
    var none = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, nil)
    execve(path, vector, variables)
    let error = LabFiles.failed("execve", path)
    for pointer in vector + variables { free(pointer) }
    throw Failure("run \(path)", because: error)
  }
}

extension LabFleet {
  /// Marks a process that has entered the controller's namespace, with DIR as its value, so that it does not enter twice.
  package static let namespaceVariable = "PORTCULLIS_LAB_NAMESPACE"

  static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  /// Runs `command` inside a host, or inside `controller`, in all of its namespaces: as root, in `/`, with an
  /// environment of its own. Its exit status is the command's; standard streams are ours.
  ///
  /// Throws a usage failure for an unknown host or an empty command, a failure when the host is down.
  package func execArguments(_ name: String, _ command: [String]) throws(Failure) -> LabCommand {
    guard !command.isEmpty else {
      throw Failure(
        "run a command in \(SafeText.escape(name))", because: Reason("no command is given"),
        hint: "portcullis lab exec \(SafeText.escape(name)) -- iptables -S", kind: .usage)
    }
    if name != LabPlan.controllerName { _ = try host(name) }
    guard let process = process(of: name) else {
      throw Failure(
        "run a command in \(name)", because: Reason("it is down"),
        hint: name == LabPlan.controllerName ? downHint : "boot it: portcullis lab reboot \(name)")
    }
    var environment = [
      "HOME": name == LabPlan.controllerName ? "\(directory.controller)/disk/root" : "/root", "PATH": Self.searchPath,
      "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh", "LANG": "C.UTF-8",
    ]
    environment["TERM"] = getenv("TERM").map { String(cString: $0) } ?? "dumb"
    return LabCommand(
      path: "/usr/bin/nsenter",
      arguments: ["nsenter", "--target=\(process.pid)", "--mount", "--uts", "--ipc", "--net", "--pid", "--"] + command,
      environment: environment)
  }

  /// Runs our own program again, with the same arguments, inside the network of the controller; files and processes
  /// stay the machine's.
  ///
  /// - Parameter arguments: our own, without the program's name.
  package func reexecArguments(_ arguments: [String]) throws(Failure) -> LabCommand {
    guard let process = process(of: LabPlan.controllerName) else {
      throw Failure("enter the lab in \(directory.path)", because: Reason("it is down"), hint: downHint)
    }
    guard let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
      throw Failure("enter the lab in \(directory.path)", because: LabFiles.failed("readlink", "/proc/self/exe"))
    }
    var environment = ProcessInfo.processInfo.environment
    environment[Self.namespaceVariable] = directory.path
    return LabCommand(
      path: "/usr/bin/nsenter",
      arguments: ["nsenter", "--net=/proc/\(process.pid)/ns/net", "--", program] + arguments, environment: environment)
  }

  /// Whether this process is in the controller's network already.
  package var isEntered: Bool {
    guard let controller = process(of: LabPlan.controllerName)?.networkNamespace else { return false }
    return (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")) == controller
  }

  /// The first process of a host or of `controller`, if that host is up.
  package func process(of name: String) -> LabProcess? { LabProcess(stateFile: directory.state(of: name)) }

  private var downHint: String {
    "its processes are gone, perhaps since the machine rebooted: portcullis lab down --dir \(directory.path), then lab up"
  }
}
