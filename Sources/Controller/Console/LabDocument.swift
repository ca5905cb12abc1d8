package struct LabDocument: Document {
  package static let kind = "Lab"

  package struct Host: Encodable, Sendable {
    let name: String
    let up: Bool
    let root: String
    let backend: String
    let ipv4: String
    let ipv6: String
    let pid: Int?
    let sshd: Bool
    let agent: String

    package init(
      name: String, up: Bool, root: String, backend: String, ipv4: String, ipv6: String, pid: Int?, sshd: Bool,
      agent: String
    ) {
      self.name = name
      self.up = up
      self.root = root
      self.backend = backend
      self.ipv4 = ipv4
      self.ipv6 = ipv6
      self.pid = pid
      self.sshd = sshd
      self.agent = agent
    }
  }

  let directory: String
  let controllerUp: Bool
  let hosts: [Host]

  package init(directory: String, controllerUp: Bool, hosts: [Host]) {
    self.directory = directory
    self.controllerUp = controllerUp
    self.hosts = hosts
  }

  package var names: [String] { hosts.map(\.name) }
  package var records: [any Encodable] { hosts }
  package var summary: [String: Int] { ["hosts": hosts.count, "up": hosts.count(where: \.up)] }

  package func text(_ style: TextStyle) -> String {
    var table = TextTable(["HOST", "UP", "ROOT", "BACKEND", "IPV4", "IPV6", "SSHD", "AGENT"])
    for host in hosts {
      table.add([
        host.name, host.up ? "yes" : "no", host.root, host.backend, host.ipv4, host.ipv6, host.sshd ? "up" : "down",
        host.agent,
      ])
    }
    return "lab in \(directory), controller \(controllerUp ? "up" : "down")\n" + table.text()
  }
}
