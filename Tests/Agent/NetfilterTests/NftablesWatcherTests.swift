import AgentTestSupport
import Apply
import Core
import Glibc
import Testing
import Wire

@testable import Netfilter

/// What the kernel announces, against what programs did.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct NftablesWatcherTests {
  /// As a child of somebody else's.
  private static func nft(_ script: String) throws {
    _ = try SignedBundles.run("/bin/sh", ["-c", "/usr/sbin/nft -f -; exit $?"], input: Array(script.utf8))
  }

  private static func isReadable(_ watcher: NftablesWatcher) -> Bool {
    var waiting = pollfd(fd: watcher.descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&waiting, 1, 0) == 1
  }

  @Test func `a change is announced with the process that made it`() throws {
    try inNamespace {
      let watcher = try NftablesWatcher()
      #expect(!Self.isReadable(watcher) && watcher.take() == Announced())
      try Self.nft("add table inet t")
      #expect(Self.isReadable(watcher))
      let announced = watcher.take()
      #expect(announced.isChange && announced.actors.map(\.name) == ["nft"])
      #expect(announced.actors.first.map { $0.process > 1 } == true)
      #expect(!Self.isReadable(watcher) && watcher.take() == Announced())
    }
  }

  @Test func `tables of the legacy backend are not announced, and appear without being asked for`() throws {
    try inNamespace {
      let watcher = try NftablesWatcher()
      let before = watcher.unannounced()
      #expect(watcher.unannounced() == before)
      _ = try SignedBundles.run("/usr/sbin/ip6tables-legacy", ["-t", "mangle", "-A", "OUTPUT", "-j", "ACCEPT"])
      #expect(watcher.take() == Announced())
      #expect(watcher.unannounced() != before)
    }
  }

  @Test func `what our own programs do is a change by nobody else`() throws {
    try inNamespace {
      let watcher = try NftablesWatcher()
      _ = try SignedBundles.run("/usr/sbin/nft", ["add", "table", "inet", "ours"])
      #expect(watcher.take() == Announced(isChange: true))
      try Self.nft("add table inet theirs")
      #expect(watcher.take().actors.map(\.name) == ["nft"])
    }
  }

  @Test func `reading rules announces nothing`() throws {
    try onRealHost(.nft) { host in
      _ = try host.agent().apply(1, RealFirewallTests.web4, RealFirewallTests.web6)
      let watcher = try NftablesWatcher()
      let agent = try host.agent()
      for _ in 0..<2 {
        #expect(try agent.look(for: []) == true)
        _ = try agent.report(.random(), managementSource: "")
      }
      #expect(watcher.take() == Announced())
    }
  }

  @Test func `announcements that were lost count as a change, and later ones are heard`() throws {
    try inNamespace {
      let watcher = try NftablesWatcher()
      try Self.nft("add table ip t; add chain ip t c")
      for _ in 0..<4 {
        try Self.nft((0..<5000).map { "add rule ip t c tcp dport \($0 + 1) accept" }.joined(separator: "\n"))
      }
      // Of all this the socket holds only the beginning.
      var takes = 0
      while watcher.take().isChange { takes += 1 }
      #expect((1...200).contains(takes))
      try Self.nft("flush table ip t")
      #expect(watcher.take().isChange)
    }
  }

  @Test(arguments: Backend.allCases) func `what somebody does to real rules is seen, and what he undoes`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent()
      try agent.apply(1, RealFirewallTests.web4, RealFirewallTests.web6)
      #expect(try agent.look(for: []) == (backend == .nft))
      let actor = HostChange.Actor(name: "sh", process: 7)
      _ = try host.run("ip6tables", "-A", "INPUT", "-p", "tcp", "--dport", "8081", "-j", "ACCEPT")
      _ = try agent.look(for: [actor])
      _ = try host.run("ip6tables", "-D", "INPUT", "-p", "tcp", "--dport", "8081", "-j", "ACCEPT")
      _ = try agent.look(for: [actor])
      let entries = agent.changes.entries
      // Legacy rules are announced by nobody: whoever was heard of did something else.
      let actors = backend == .nft ? [actor] : []
      #expect(entries.map(\.cause) == [.others, .others] && entries.map(\.actors) == [actors, actors])
      #expect(entries.allSatisfy { ($0.since == nil) == (backend == .nft) })
      #expect(entries.map(\.families.ipv6.differs) == [true, false])
      #expect(entries.allSatisfy { !$0.families.ipv4.differs })
      #expect(
        entries.map(\.chains)
          == [[HostChange.Chain(family: .ipv6, table: "filter", chain: "INPUT", change: .changed)]]
          .flatMap { [$0, $0] })
    }
  }
}
