internal import Core
internal import Foundation

/// How a host is, seen from outside without touching it.
package struct LabHostStatus: Sendable, Hashable {
  package enum Agent: String, Sendable, Hashable {
    case up
    case down
    case notEnrolled = "not enrolled"
  }

  package let host: LabHost
  /// The host's first process, as the machine counts; nil when the host is down.
  package let process: LabProcess?
  package let isSSHListening: Bool
  package let agent: Agent

  package var isUp: Bool { process != nil }
}

package struct LabStatus: Sendable, Hashable {
  package let directory: String
  /// Nil when it is down; then no host can be reached.
  package let controller: LabProcess?
  package let hosts: [LabHostStatus]
}

/// A host that was rebooted.
package struct LabReboot: Sendable, Hashable {
  package let host: LabHost
  /// From the power cut until sshd listens, and the agent too where the host is enrolled.
  package let seconds: Double
  package let status: LabHostStatus
}

extension LabFleet {
  package func status() -> LabStatus {
    LabStatus(
      directory: directory.path, controller: process(of: LabPlan.controllerName), hosts: hosts.map(status(of:)))
  }

  package func status(of host: LabHost) -> LabHostStatus {
    guard let process = process(of: host.name) else {
      return LabHostStatus(
        host: host, process: nil, isSSHListening: false, agent: enrolled(host) ? .down : .notEnrolled)
    }
    // /proc/PID/net shows the network of that process.
    let sockets = LabFiles.lines("/proc/\(process.pid)/net/unix")
    let agentListens = sockets.contains { fields in
      fields.count > 7 && fields[3] == "00010000" && fields[7].hasPrefix("/run/portcullis/agent.sock")
    }
    let listens = ["tcp", "tcp6"].allSatisfy { table in
      LabFiles.lines("/proc/\(process.pid)/net/\(table)").contains { fields in
        fields.count > 3 && fields[1].hasSuffix(":0016") && fields[3] == "0A"
      }
    }
    return LabHostStatus(
      host: host, process: process, isSSHListening: listens,
      agent: agentListens ? .up : enrolled(host) ? .down : .notEnrolled)
  }

  /// Whether the host's disk says so; it does while the host is down as well.
  private func enrolled(_ host: LabHost) -> Bool {
    LabFiles.isRegular(directory.disk(of: host.name) + "/etc/portcullis/host")
  }

  /// Cuts the power of a host and boots it again: every process of it gets SIGKILL, its kernel rules are gone, its disk
  /// stays. A host that is down is booted.
  package func reboot(_ name: String) async throws -> LabReboot {
    let host = try host(name)
    return try await LabLock.hold(directory, patience: 30) {
      guard let controller = process(of: LabPlan.controllerName) else {
        throw Failure(
          "reboot \(name)", because: Reason("the lab is down"),
          hint: "take its remains away with portcullis lab down --dir \(directory.path), then lab up")
      }
      let start = ContinuousClock.now
      if let process = process(of: name) { try await LabProcess.kill([process]) }
      try await launch([name], controller: controller)
      let elapsed = start.duration(to: .now)
      return LabReboot(host: host, seconds: elapsed / .seconds(1), status: status(of: host))
    }
  }
}
