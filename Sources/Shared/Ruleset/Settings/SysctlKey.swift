package import Core

/// A kernel setting next to the packet filter. There is a closed list of them: whoever may sign rules may not thereby
/// change anything else of a host.
package struct SysctlKey: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// `net.ipv4.ip_forward`
  package let description: String
  /// What a policy may set it to.
  package let allowed: ClosedRange<Int>
  /// Below /proc/sys.
  package let path: String
  private let place: Place

  private enum Place: Hashable {
    case host
    /// `all`, `default`, or an interface, in `conf`.
    case interface(Family, String, leaf: String)
  }

  private static let threshold = 1...16_777_216
  private static let host: [String: ClosedRange<Int>] = [
    "net.ipv4.ip_forward": 0...1, "net.ipv4.tcp_syncookies": 0...2,
    "net.ipv4.neigh.default.gc_thresh1": threshold, "net.ipv4.neigh.default.gc_thresh2": threshold,
    "net.ipv4.neigh.default.gc_thresh3": threshold, "net.ipv6.neigh.default.gc_thresh1": threshold,
    "net.ipv6.neigh.default.gc_thresh2": threshold, "net.ipv6.neigh.default.gc_thresh3": threshold,
    "net.netfilter.nf_conntrack_max": 1024...268_435_456, "net.netfilter.nf_conntrack_buckets": 8192...67_108_864,
    "net.netfilter.nf_conntrack_tcp_timeout_established": 60...2_147_483, "net.netfilter.nf_conntrack_helper": 0...1,
  ]
  private static let interface: PerFamily<[String: ClosedRange<Int>]> = PerFamily(
    ipv4: [
      "forwarding": 0...1, "rp_filter": 0...2, "src_valid_mark": 0...1, "accept_redirects": 0...1,
      "send_redirects": 0...1, "secure_redirects": 0...1,
    ],
    ipv6: ["forwarding": 0...1, "accept_redirects": 0...1, "accept_ra": 0...2])

  /// Every key that there is, those of interfaces for `all` and `default`: for messages and editors. In ASCII order.
  package static var examples: [String] {
    let ofInterfaces = Family.allCases.flatMap { family in
      interface[family].keys.flatMap { leaf in
        ["all", "default"].map { "net.\(family).conf.\($0).\(leaf)" }
      }
    }
    return (Array(host.keys) + ofInterfaces).sorted(by: bytewise)
  }

  /// Nil for a key that is not on the list. Of two names for one setting the shorter is kept.
  package init?(_ text: String) {
    let text = text == "net.ipv4.conf.all.forwarding" ? "net.ipv4.ip_forward" : text
    if let allowed = Self.host[text] {
      self.allowed = allowed
      path = String(text.map { $0 == "." ? "/" : $0 })
      place = .host
    } else {
      guard let family = Family.allCases.first(where: { text.hasPrefix("net.\($0).conf.") }),
        let dot = text.lastIndex(of: ".")
      else { return nil }
      let prefix = "net.\(family).conf."
      guard text.utf8.count > prefix.utf8.count, dot > text.index(text.startIndex, offsetBy: prefix.count) else {
        return nil
      }
      let leaf = String(text[text.index(after: dot)...])
      // An interface's name may have dots in it: `eth0.100`.
      let name = String(text[text.index(text.startIndex, offsetBy: prefix.count)..<dot])
      guard let allowed = Self.interface[family][leaf], Self.isInterface(name) else { return nil }
      self.allowed = allowed
      path = "net/\(family)/conf/\(name)/\(leaf)"
      place = .interface(family, name, leaf: leaf)
    }
    description = text
  }

  package func allows(_ value: Int) -> Bool { allowed.contains(value) && value % step == 0 }

  /// The kernel fills whole pages with buckets, 8192 to a page of 64 KiB, and shows what it has: another number would never
  /// be the one asked for.
  private var step: Int { description == "net.netfilter.nf_conntrack_buckets" ? 8192 : 1 }

  package var allowedWords: String {
    "\(allowed.lowerBound) to \(allowed.upperBound)" + (step == 1 ? "" : " in steps of \(step)")
  }

  /// Whether interfaces take routes from routers.
  var isRouterListening: Bool { description.hasSuffix(".accept_ra") }

  /// Whose rules it stands beside.
  package var family: Family { description.hasPrefix("net.ipv6.") ? .ipv6 : .ipv4 }

  /// Nil unless the key is of one interface, which may come and go.
  package var interface: String? {
    guard case .interface(_, let name, _) = place, name != "all", name != "default" else { return nil }
    return name
  }

  /// Writing it writes others too: `companions`.
  package var isForwardingSwitch: Bool {
    switch place {
    case .host: description == "net.ipv4.ip_forward"
    case .interface(_, let name, let leaf): name == "all" && leaf == "forwarding"
    }
  }

  /// What the kernel sets along with a forwarding switch (Documentation/networking/ip-sysctl.rst): every interface's
  /// own, and in IPv4 whether redirects are accepted.
  ///
  /// - Parameter interfaces: those the host has, `all` and `default` among them.
  package func companions(interfaces: [String]) -> [SysctlKey] {
    guard isForwardingSwitch else { return [] }
    var names = interfaces.filter { $0 != "all" }.map { "net.\(family).conf.\($0).forwarding" }
    if family == .ipv4 { names.append("net.ipv4.conf.all.accept_redirects") }
    return names.compactMap(SysctlKey.init)
  }

  /// Whether the kernel sets this key along with that switch.
  package func isCompanion(of other: SysctlKey) -> Bool {
    guard other.isForwardingSwitch, self != other, family == other.family,
      case .interface(_, let name, let leaf) = place
    else { return false }
    return leaf == "forwarding" && name != "all" || leaf == "accept_redirects" && name == "all" && family == .ipv4
  }

  /// The same setting of each of these interfaces, which had what is for `default` copied when it came, in both families,
  /// and does not follow it any more; empty for all other keys.
  package func heirs(interfaces: [String]) -> [SysctlKey] {
    guard isDefault, case .interface(_, _, let leaf) = place else { return [] }
    return interfaces.compactMap { SysctlKey("net.\(family).conf.\($0).\(leaf)") }.filter { $0.interface != nil }
  }

  /// Whether an interface's own is copied from that one when it comes.
  package func isHeir(of other: SysctlKey) -> Bool {
    guard other.isDefault, interface != nil, case .interface(_, _, let leaf) = place,
      case .interface(_, _, let otherLeaf) = other.place
    else { return false }
    return family == other.family && leaf == otherLeaf
  }

  /// What the kernel makes of it when its switch changes to this.
  package func value(underSwitch value: Int) -> Int { description.hasSuffix(".forwarding") ? value : 1 - value }

  /// What changes others comes before them: switches, then what is for `default`, which in IPv4 every interface takes over
  /// that was never set itself. Then by name.
  package static func < (a: SysctlKey, b: SysctlKey) -> Bool {
    func rank(_ key: SysctlKey) -> Int { key.isForwardingSwitch ? 0 : key.isDefault ? 1 : 2 }
    return rank(a) == rank(b) ? bytewise(a.description, b.description) : rank(a) < rank(b)
  }

  /// What interfaces that are still to come start with.
  package var isDefault: Bool {
    if case .interface(_, "default", _) = place { true } else { false }
  }

  /// Whether this value lets fewer packets through, or believes fewer of them, than any other.
  package func isTightest(_ value: Int) -> Bool {
    switch place {
    case .host: isForwardingSwitch && value == 0
    case .interface(_, _, "forwarding"), .interface(_, _, "accept_redirects"), .interface(_, _, "send_redirects"):
      value == 0
    case .interface(_, _, "rp_filter"), .interface(_, _, "secure_redirects"): value == 1
    case .interface: false
    }
  }

  /// As the kernel takes them: at most 15 bytes, no slash, not a path's dots. Only printable ASCII here.
  private static func isInterface(_ name: String) -> Bool {
    (1...15).contains(name.utf8.count) && name != "." && name != ".."
      && name.utf8.allSatisfy { isDigit($0) || isLetter($0) || "._-@+".utf8.contains($0) }
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }
}
