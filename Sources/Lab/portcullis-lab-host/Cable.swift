/// How the controller is wired to the bridge that all hosts hang on.
enum Cable {
  static let relayToController = "relay0"
  static let relayToHosts = "relay1"

  /// The interface that has the controller's addresses.
  static func controller(isBad: Bool) -> String { isBad ? "eth0" : "br0" }

  /// For `ip -batch`. The controller is the bridge itself; with a bad line the relay's two interfaces are between them:
  ///
  ///     controller eth0 ── relay0 (relay) relay1 ── line0 of br0 ── hosts
  static func batch(isBad: Bool) -> String {
    let bridge = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
    let address = "02:77:00:00:00:01"
    guard isBad else {
      return "link add name br0 address \(address) \(bridge)\n" + addresses("br0") + "link set br0 up\n"
    }
    // Whole segments of 64 KB would be lost or delayed as one; and the relay's ends must not answer for the controller.
    return """
      link add name br0 \(bridge)
      link set br0 up
      link add name eth0 address \(address) gso_max_segs 1 type veth peer name \(relayToController)
      link add name line0 type veth peer name \(relayToHosts)
      link set line0 master br0 up
      link set \(relayToController) arp off up
      link set \(relayToHosts) arp off up
      \(addresses("eth0"))link set eth0 up

      """
  }

  private static func addresses(_ name: String) -> String {
    "addr add 10.77.0.1/16 dev \(name)\naddr add fd77::1/64 dev \(name) nodad\n"
  }

  /// They are wires, without addresses of their own. Inside the controller's network.
  static func silenceRelay() {
    for name in [relayToController, relayToHosts] { Files.set("/proc/sys/net/ipv6/conf/\(name)/disable_ipv6", "1") }
  }
}
