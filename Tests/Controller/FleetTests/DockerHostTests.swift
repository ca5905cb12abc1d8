import Core
import Foundation
import Testing

extension FleetSuite {
  /// Hosts whose containers are reached through a published port: real packets through a real nat, which never pass INPUT.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct DockerHosts {
    private static let backends = ["nft", "legacy"]

    /// What Docker does for `-p 8080:80`: its rules, an interface docker0, and somebody behind it who answers.
    private func startContainer(_ lab: TestLab) async throws {
      try await ForeignSoftware.docker.install(on: "h001", of: lab)
      try await lab.shell(
        "h001",
        """
        echo 1 > /proc/sys/net/ipv4/ip_forward
        echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
        setsid unshare --net sleep 600 </dev/null >/dev/null 2>&1 &
        pid=$!
        for i in $(seq 100); do
          [ "$(readlink /proc/$pid/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
          sleep 0.05
        done
        ip link add docker0 type veth peer name eth0 netns $pid
        ip address add 172.17.0.1/16 dev docker0
        ip address add fd00:17::1/64 dev docker0 nodad
        ip link set docker0 up
        nsenter --target $pid --net /bin/sh -ec '
          ip link set lo up
          ip address add 172.17.0.2/16 dev eth0
          ip address add fd00:17::2/64 dev eth0 nodad
          ip link set eth0 up
          ip route add default via 172.17.0.1
          ip route add default via fd00:17::1
          /usr/sbin/sshd -f /etc/ssh/sshd_config -o PidFile=none -p 80'
        """)
    }

    private func reached(_ lab: TestLab, from: String) async throws -> [Bool] {
      var reached: [Bool] = []
      for address in LabAddress.both(1) { reached.append(try await lab.connects(from, address, 8080)) }
      return reached
    }

    @Test(arguments: backends)
    func forwardingGoesOnWithForwardForeignAndEndsWithoutIt(backend: String) async throws {
      try await SafetyLab.with("forward-\(backend)", hosts: 1, backend: backend) { fleet in
        let lab = fleet.lab
        try await startContainer(lab)
        let found = try await lab.printedForeign("h001")
        try #require(try await reached(lab, from: "controller") == [true, true], "the container itself")
        try fleet.set(SafetyPolicy(port: 4001, lines: "forward: foreign\n"))
        try await lab.succeed("apply", "--yes")
        #expect(try await reached(lab, from: "controller") == [true, true])
        // What nobody forwards is dropped by Docker's own policy, which we leave.
        #expect(try await lab.policies(of: "h001").isSuperset(of: ["ipv4 FORWARD DROP", "ipv6 FORWARD DROP"]))

        try fleet.set(SafetyPolicy(port: 4001))
        let plan = try await lab.succeed("plan")
        #expect(
          plan.out.contains("so the forwarding of docker ends") && plan.out.contains("forward: foreign"), "\(plan)")
        try await lab.succeed("apply", "--yes")
        #expect(try await reached(lab, from: "controller") == [false, false])
        #expect(try await lab.printedForeign("h001") == found)

        try await lab.succeed("release", "withdraw", "h001", "--yes")
        #expect(try await reached(lab, from: "controller") == [true, true])
        #expect(try await lab.printedForeign("h001") == found)
      }
    }

    @Test(arguments: backends)
    func aPublishedPortIsJudgedByContainersAndNotByInput(backend: String) async throws {
      try await SafetyLab.with("published-\(backend)", hosts: 2, backend: backend) { fleet in
        let lab = fleet.lab
        try await startContainer(lab)
        let found = try await lab.printedForeign("h001")
        try fleet.set(SafetyPolicy(port: 4001, lines: "forward: foreign\n"))
        try await lab.succeed("apply", "--yes")
        // INPUT drops 8080, and is never asked.
        #expect(try await reached(lab, from: "h002") == [true, true])

        let containers = "forward: foreign\ncontainers:\n  - accept: {tcp: 8080, from: controllers}\n  - drop: {}\n"
        try fleet.set(SafetyPolicy(port: 4001, lines: containers))
        try await lab.succeed("apply", "--yes")
        #expect(try await reached(lab, from: "h002") == [false, false])
        #expect(try await reached(lab, from: "controller") == [true, true])
        #expect(try await lab.shell("h001", "iptables -S DOCKER-USER").contains("-j PCL-CONTAINERS"))
        #expect(try await lab.printedForeign("h001") == found)
        // Where there is no Docker there is no hook, and that is no drift.
        #expect(try await lab.portcullis("drift").status == 0)

        // The port it is published as, not the one behind it.
        try fleet.set(
          SafetyPolicy(port: 4001, lines: "forward: foreign\ncontainers:\n  - drop: {tcp: 80}\n"))
        try await lab.succeed("apply", "--yes")
        #expect(try await reached(lab, from: "h002") == [true, true])
        try fleet.set(
          SafetyPolicy(port: 4001, lines: "forward: foreign\ncontainers:\n  - drop: {tcp: 8080}\n"))
        try await lab.succeed("apply", "--yes")
        #expect(try await reached(lab, from: "h002") == [false, false])
        #expect(try await lab.printedForeign("h001") == found)

        // Docker that starts anew forgets our hook; that is drift, and repaired.
        try await lab.shell("h001", "iptables -w 10 -F DOCKER-USER; iptables -w 10 -A DOCKER-USER -j RETURN")
        #expect(try await lab.portcullis("drift", "-l", "h001").status == 2)
        try await lab.succeed("apply", "--yes")
        #expect(try await lab.portcullis("drift").status == 0)
        #expect(try await reached(lab, from: "h002") == [false, false])
      }
    }
  }
}
