import Testing

@testable import Operations

/// What the restore programs print when they do not load something, as it was seen of versions 1.8.7 to 1.8.11.
@Suite struct RestoreComplaintTests {
  private static let banner =
    "Try `iptables-nft-restore -h' or 'iptables-nft-restore --help' for more information.\n"
  private static let program = "iptables-nft-restore v1.8.9 (nf_tables): "
  private static let rules = [
    "*filter", ":INPUT ACCEPT [0:0]", "-A INPUT -p tcp -j TARPIT", "-A INPUT -m owner --uid-owner 7 -j ACCEPT",
    "-A INPUT -j MASQUERADE", "COMMIT",
  ]

  private func read(_ errors: String) -> [String] {
    RestoreComplaint.read(errors, of: Self.rules).map { "\($0.verdict) \($0.line ?? 0) \($0.words)" }
  }

  @Test(arguments: [
    ("unknown option \"--dprt\"\nError occurred at line: 3\n", "refused 3 unknown option \"--dprt\""),
    // Ours are made before the rules are loaded.
    (
      "Set PCL-OBSERVE-4 doesn't exist.\n\nError occurred at line: 5\n",
      "refused 5 Set PCL-OBSERVE-4 doesn't exist."
    ),
    (
      "owner: Bad value for \"--uid-owner\" option: \"47x\"\nError occurred at line: 4\n",
      "refused 4 owner: Bad value for \"--uid-owner\" option: \"47x\""
    ),
    (
      "\nline 5: RULE_APPEND failed (Invalid argument): rule in chain INPUT\n",
      "refused 5 the kernel says: Invalid argument"
    ),
  ])
  func whatIsWrongEverywhereIsRefusedAndTheUsageBannerIsNotRepeated(said: String, complaint: String) {
    #expect(read(Self.program + said + Self.banner) == [complaint])
  }

  @Test(arguments: [
    (
      "Couldn't load match `geoip':No such file or directory\n\nError occurred at line: 3\n",
      "missingHere 3 Couldn't load match `geoip'"
    ),
    // It is noticed at COMMIT.
    ("Chain 'TARPIT' does not exist\nError occurred at line: 6\n", "missingHere 3 Couldn't load target `TARPIT'"),
    (
      "\nline 3: RULE_APPEND failed (No such file or directory): rule in chain INPUT\n",
      "missingHere 3 the kernel says: No such file or directory"
    ),
    (
      "\nline 1: TABLE_ADD failed (Operation not supported): table filter\n",
      "missingHere 1 the kernel says: Operation not supported"
    ),
    ("Set nope doesn't exist.\n\nError occurred at line: 5\n", "missingHere 5 Set nope doesn't exist."),
    ("Set PCL-mine doesn't exist.\n\nError occurred at line: 5\n", "missingHere 5 Set PCL-mine doesn't exist."),
    (
      "owner: Bad value for \"--uid-owner\" option: \"appuser\"\nError occurred at line: 4\n",
      "missingHere 4 owner: Bad value for \"--uid-owner\" option: \"appuser\""
    ),
    (
      "owner: Bad value for \"--gid-owner\" option: \"_app\"\nError occurred at line: 4\n",
      "missingHere 4 owner: Bad value for \"--gid-owner\" option: \"_app\""
    ),
    // A user's namespace knows one user only.
    (
      "\nline 4: RULE_APPEND failed (Invalid argument): rule in chain INPUT\n",
      "missingHere 4 the kernel says: Invalid argument"
    ),
    (
      "Could not fetch rule set generation id: Permission denied (you must be root)\n",
      "missingHere 0 Could not fetch rule set generation id: Permission denied (you must be root)"
    ),
    ("", "missingHere 0 it failed without a word"),
  ])
  func whatOnlyThisMachineLacksIsNoMistake(said: String, complaint: String) {
    #expect(read(Self.program + said + Self.banner) == [complaint])
  }

  @Test func anExtensionWithoutItsModuleIsLackingWhateverTheKernelSays() {
    let errors =
      "Warning: Extension recent revision 0 not supported, missing kernel module?\n\(Self.program)\n"
      + "line 5: RULE_APPEND failed (Invalid argument): rule in chain INPUT\n"
    #expect(read(errors) == ["missingHere 5 the kernel says: Invalid argument"])
  }

  @Test func everyLineIsTold() {
    let errors =
      "\(Self.program)\nline 3: RULE_APPEND failed (Too many links): rule in chain INPUT\n"
      + "line 5: RULE_APPEND failed (Invalid argument): rule in chain INPUT\n"
    #expect(
      read(errors) == ["refused 3 the kernel says: Too many links", "refused 5 the kernel says: Invalid argument"])
    #expect(
      read("iptables-nft-restore: line 3 failed: No chain/target/match by that name.\n")
        == ["refused 3 No chain/target/match by that name."])
    #expect(read("iptables-nft-restore: line 1 failed\n") == ["refused 1 it is no rule"])
  }

  @Test func aThousandComplaintsAreCut() {
    let errors = (0..<1000).map { "line \($0): RULE_APPEND failed (Invalid argument): rule in chain X\n" }.joined()
    #expect(RestoreComplaint.read(errors, of: []).count == 50)
  }
}
