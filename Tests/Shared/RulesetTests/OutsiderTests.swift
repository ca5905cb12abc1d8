import Core
import Ruleset
import Testing

@Suite struct OutsiderTests {
  private static let replies = "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN"

  static let cases: [(rules: [String], isShutOut: Bool)] = [
    ([], true), (["-i lo -j RETURN"], true), (["-s 192.0.2.1/32 -p tcp -m tcp --dport 22 -j RETURN"], true),
    (["-p udp -m udp --dport 80 -j RETURN"], true), (["-p tcp -m tcp --dport 443 -j RETURN"], true),
    (["-p tcp -m tcp --dport 80 -j RETURN"], false), (["-s 198.51.100.0/24 -p tcp -m tcp --dport 80 -j RETURN"], false),
    (["-p tcp -m multiport --dports 22,79:81 -j RETURN"], false), (["-s 198.51.100.0/24 -p tcp -j RETURN"], false),
    // Answers of somebody who was asked, and what only follows a beginning.
    (["-p tcp -m tcp --sport 443 ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN"], true),
    (["-p tcp -m tcp --sport 1:1023 -j RETURN"], true), (["-p tcp -m tcp --sport 1024: -j RETURN"], false),
    // What is not understood may let anybody in.
    (["! -s 203.0.113.1/32 -p tcp -m tcp --dport 80 -j RETURN"], false),
    (["-p tcp -m tcp --dport 80 -m mark --mark 0x1 -j RETURN"], false),
  ]

  @Test(arguments: cases.indices) func `whoever no rule may let in is shut out, as far as that is certain`(
    index: Int
  ) throws {
    let (rules, isShutOut) = Self.cases[index]
    let outsider = try #require(AddressPrefix("198.51.100.66"))
    #expect(try layer(profile(input: rules)).shutsOut(outsider, of: 80) == isShutOut, "\(rules)")
    // Below the line against packets without SYN a connection's state may stand too.
    let later = profile(input: rules, last: "\(Self.replies)\n-A INPUT -j DROP")
    #expect(try layer(Self.stateful(later)).shutsOut(outsider, of: 80) == isShutOut, "\(rules)")
  }

  /// In chain INPUT alone.
  private static func stateful(_ text: String) -> String {
    text.replacing("-A FORWARD \(replies)\n-A INPUT -j DROP", with: "-A FORWARD -j DROP")
      .replacing("-A OUTPUT \(replies)\n-A INPUT -j DROP", with: "-A OUTPUT -j DROP")
  }

  @Test func `a profile that lets connections in shuts nobody out`() throws {
    let outsider = try #require(AddressPrefix("2001:db8::66"))
    #expect(try !layer(profile(last: "-m conntrack --ctdir REPLY -j DROP"), .ipv6).shutsOut(outsider, of: 80))
    #expect(try layer(profile(), .ipv6).shutsOut(outsider, of: 80))
    // Of the other family nothing is known.
    #expect(try !layer(profile(), .ipv4).shutsOut(outsider, of: 80))
  }
}
