import Foundation
import Testing

extension FleetSuite {
  /// Lab hosts of both backends whose Debian is upgraded under their rules: the real iptables programs of each release,
  /// the real agent, and what the operator reads.
  @Suite(.serialized, .timeLimit(.minutes(5))) struct UpgradedHosts {
    private static let userlands = "\(Machine.checkout)/.build/userlands"
    private static let onHosts = "/usr/local/lib/userlands"

    /// To where it outlives a reboot: a checkout below /tmp or /var/tmp is not there on hosts, which have their own.
    private static func install(on host: String, of lab: TestLab) async throws {
      let folder = userlands as NSString
      let packed = try await Command.succeed(
        "/usr/bin/tar", ["-C", folder.deletingLastPathComponent, "-c", folder.lastPathComponent])
      let unpacked = try await lab.exec(host, "/usr/bin/tar", "-x", "-C", "/usr/local/lib", input: .bytes(packed.bytes))
      try #require(unpacked.status == 0, "\(unpacked)")
      try await lab.shell(host, "sed -i 's|\(userlands)|\(onHosts)|g' \(onHosts)/*/sbin/*-multi")
    }

    /// The host's iptables are those of this Debian release from now on, with the backend that it has.
    private static func upgrade(_ host: String, to release: String, of lab: TestLab) async throws {
      try await lab.shell(
        host,
        """
        backend=$(readlink -f /etc/alternatives/iptables | grep -o 'nft\\|legacy')
        for family in iptables ip6tables; do for verb in '' -restore -save; do
          ln -sfn \(onHosts)/\(release)/sbin/$family-$backend$verb /etc/alternatives/$family$verb
        done; done
        """)
    }

    @Test(
      .enabled(
        if: access("\(userlands)/trixie/installed", R_OK) == 0 || Machine.isContinuousIntegration,
        "there are no userlands in .build; 'make userlands' fetches them"))
    func fromDebian11To12And13NothingHasDriftedAndTheOperatorReadsWhy() async throws {
      try await SafetyLab.with("upgraded", hosts: 2) { fleet in
        let lab = fleet.lab
        let hosts = ["h001", "h002"]
        for host in hosts {
          try await Self.install(on: host, of: lab)
          try await Self.upgrade(host, to: "bullseye", of: lab)
        }
        try await lab.succeed("apply", "--yes")
        // keepalived's rule above ours is known, in whatever words it is printed.
        for host in hosts { try await lab.shell(host, "iptables -w 10 -I INPUT -p vrrp -j ACCEPT") }
        try await lab.succeed(
          "drift", "waive", "-l", hosts.joined(separator: ","), "--until", "2037-01-31", "--reason",
          "INC-7: keepalived",
          "--each", "--yes")
        var version = "1.8.7"
        for (release, next) in [("bookworm", "1.8.9"), ("trixie", "1.8.11")] {
          for host in hosts { try await Self.upgrade(host, to: release, of: lab) }
          let drift = try await lab.portcullis("drift")
          #expect(drift.status == 0, "\(release): \(drift)")
          for (host, backend) in zip(hosts, ["nft", "legacy"]) {
            let status = try await lab.succeed("status", "-l", host)
            #expect(
              status.out.contains("its iptables changed from \(version) \(backend) to \(next) \(backend)"), "\(status)")
          }
          version = next

          // What somebody really changes is seen as before, and so is that he took it back.
          try await lab.shell("h001", "iptables -w 10 -I PCL-INPUT -p tcp --dport 8081 -j ACCEPT")
          #expect(try await lab.portcullis("drift").status == 2)
          try await lab.shell("h001", "iptables -w 10 -D PCL-INPUT 1")
          #expect(try await lab.portcullis("drift").status == 0)
        }
        for host in hosts { try await lab.succeed("lab", "reboot", host, "--dir", lab.folder) }
        let booted = try await lab.portcullis("drift")
        #expect(booted.status == 0, "\(booted)")
        #expect(try await lab.portcullis("plan", "--detailed-exitcode").status == 0)
      }
    }
  }
}
