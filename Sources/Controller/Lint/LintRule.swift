package enum LintSeverity: String, Hashable, Sendable, CaseIterable, Comparable {
  case warning, error

  package static func < (a: LintSeverity, b: LintSeverity) -> Bool { a == .warning && b == .error }
}

/// Every mistake that is looked for. The names are stable: people write them into exceptions.
package enum LintRule: String, Hashable, Sendable, CaseIterable {
  case shadowedRule = "shadowed-rule"
  case duplicateRule = "duplicate-rule"
  case acceptAfterCatchAll = "accept-after-catch-all"
  case noSSHFromControllers = "no-ssh-from-controllers"
  case noLoopback = "no-loopback"
  case noEstablished = "no-established"
  case icmpv6Dropped = "icmpv6-dropped"
  case oneFamilyOnly = "one-family-only"
  case logWithoutLimit = "log-without-limit"
  case masqueradeEverything = "masquerade-everything"
  case sourcePortAccept = "source-port-accept"
  case forwardingDisabled = "forwarding-disabled"
  case noDHCPClient = "no-dhcp-client"
  case closedFamily = "closed-family"
  // What only whoever knows all policies and hosts can find.
  case unusedSet = "unused-set"
  case unusedService = "unused-service"
  case unusedSchedule = "unused-schedule"
  case expiredItem = "expired-item"
  case unknownHelper = "unknown-helper"
  case policyWithoutHosts = "policy-without-hosts"
  case hostWithoutPolicy = "host-without-policy"
  case sameRank = "same-rank"
  case higherRankOpens = "higher-rank-opens"
  case lockdownWithoutDNS = "lockdown-without-dns"
  case lockdownWithoutTime = "lockdown-without-time"
  case lockdownLosesJumps = "lockdown-loses-jumps"
  case sshPortDisagrees = "ssh-port-disagrees"
  /// What the inventory's own reader has to say.
  case inventoryWarning = "inventory-warning"
  // What only whoever loads the rules can find.
  case doesNotLoad = "does-not-load"
  case notTriedHere = "not-tried-here"
  /// What is said of files that cannot be read or compiled at all.
  case invalidFile = "invalid-file"

  /// How bad it is when it is certain.
  package var severity: LintSeverity {
    switch self {
    case .noSSHFromControllers, .noLoopback, .noEstablished, .icmpv6Dropped, .doesNotLoad, .invalidFile: .error
    case .shadowedRule, .duplicateRule, .acceptAfterCatchAll, .oneFamilyOnly, .logWithoutLimit, .masqueradeEverything,
      .sourcePortAccept, .forwardingDisabled, .noDHCPClient, .closedFamily, .unusedSet, .unusedService, .unusedSchedule,
      .expiredItem, .unknownHelper, .policyWithoutHosts, .hostWithoutPolicy, .sameRank, .higherRankOpens,
      .lockdownWithoutDNS, .lockdownWithoutTime, .lockdownLosesJumps, .sshPortDisagrees, .inventoryWarning,
      .notTriedHere:
      .warning
    }
  }

  /// What is looked for, in a few words.
  package var title: String {
    switch self {
    case .shadowedRule: "a rule that can never match"
    case .duplicateRule: "the same rule twice"
    case .acceptAfterCatchAll: "an accept after a rule that takes everything"
    case .noSSHFromControllers: "no way in for SSH from the controllers"
    case .noLoopback: "the host cannot talk to itself"
    case .noEstablished: "answers are dropped"
    case .icmpv6Dropped: "ICMPv6 that IPv6 cannot live without is dropped"
    case .oneFamilyOnly: "a service that is open in one family only"
    case .logWithoutLimit: "a log rule without a limit"
    case .masqueradeEverything: "masquerading of everything"
    case .sourcePortAccept: "an accept that trusts the sender's port"
    case .forwardingDisabled: "a gateway that does not forward"
    case .noDHCPClient: "no answer from the DHCP server gets in"
    case .closedFamily: "a rule for IPv6 alone beside `ipv6: drop-all`"
    case .unusedSet: "a set that no rule uses"
    case .unusedService: "a service that no rule uses"
    case .unusedSchedule: "a schedule that no item uses"
    case .expiredItem: "an item whose last day is over"
    case .unknownHelper: "a connection tracking helper that Linux does not have"
    case .policyWithoutHosts: "a policy that applies to no host"
    case .hostWithoutPolicy: "a host that no policy applies to"
    case .sameRank: "two lockdown profiles of one rank"
    case .higherRankOpens: "a lockdown profile that leaves open what one of a lower rank drops"
    case .lockdownWithoutDNS: "a lockdown that serves on without DNS"
    case .lockdownWithoutTime: "a lockdown without a way to the time"
    case .lockdownLosesJumps: "a lockdown of a jump host that finds those behind it by name"
    case .sshPortDisagrees: "a port of SSH that sshd does not listen on"
    case .inventoryWarning: "something of the inventory that is not understood"
    case .doesNotLoad: "a rule that no Linux takes"
    case .notTriedHere: "a rule that this machine cannot try"
    case .invalidFile: "a file that cannot be used"
    }
  }

  /// Why it matters, in one sentence.
  package var why: String {
    switch self {
    case .shadowedRule: "Whoever wrote it believes that it does something, and it does not."
    case .duplicateRule: "Whoever changes one of the two will wonder why nothing changes."
    case .acceptAfterCatchAll: "What it means to let in is dropped before it is reached."
    case .noSSHFromControllers: "The next policy could not be pushed, and nobody could log in to mend it."
    case .noLoopback: "Programs on a host speak with each other over the loopback: resolvers, databases, monitoring."
    case .noEstablished: "The host hears no answer to what it asks, and its clients hear none from it."
    case .icmpv6Dropped:
      "Without neighbour discovery a host has no neighbours and no router; without packet-too-big transfers hang."
    case .oneFamilyOnly: "Clients prefer IPv6 where they have it: one half of them would find the service closed."
    case .logWithoutLimit: "Whoever sends enough packets fills the disk and keeps the kernel busy writing."
    case .masqueradeEverything: "Every forwarded packet gets this host's address, also those that come in from outside."
    case .sourcePortAccept: "The sender chooses its port, so that anybody gets in by choosing that one."
    case .forwardingDisabled: "The kernel drops what it would have to forward, whatever the rules say."
    case .noDHCPClient: "The lease ends without having been renewed, and the host loses its address."
    case .closedFamily: "Whoever wrote it believes that it lets somebody in, and the family is shut."
    case .unusedSet: "It may be mistyped where it was meant to be used."
    case .unusedService, .unusedSchedule: "It may be mistyped where it was meant to be used."
    case .expiredItem: "The kernel has ended it: whoever reads the policy believes that it still lets somebody in."
    case .unknownHelper: "A host without it refuses the whole ruleset, and keeps what it has."
    case .policyWithoutHosts: "The group may be mistyped, and its hosts go without these rules."
    case .hostWithoutPolicy: "Nothing filters it."
    case .sameRank: "While a host is locked by one of them, an order for the other replaces it."
    case .higherRankOpens: "A host that is locked by the lower one refuses it: a lockdown order opens nothing."
    case .lockdownWithoutDNS: "What the host still serves may wait for names with each request."
    case .lockdownWithoutTime: "Its clock runs away, by which it judges orders and keys."
    case .lockdownLosesJumps: "Locked, it can look nothing up, and the hosts behind it cannot be reached."
    case .sshPortDisagrees: "Rules for ssh open a port where nobody listens, and not the one that is needed."
    case .inventoryWarning: "Rules are made of what was read, and of nothing else."
    case .doesNotLoad: "Every host would refuse the whole ruleset, and keep what it has."
    case .notTriedHere: "A host that lacks the same refuses the whole ruleset, and keeps what it has."
    case .invalidFile: "Nothing is sent before it is mended."
    }
  }

  /// What to do about it.
  package var help: String {
    switch self {
    case .shadowedRule: "Delete the rule, or move it before the one that takes its packets."
    case .duplicateRule: "Delete one of the two."
    case .acceptAfterCatchAll: "Move the accept before the rule that takes everything."
    case .noSSHFromControllers: "Accept the service ssh from controllers."
    case .noLoopback: "Accept what comes in by lo, and what goes out by it."
    case .noEstablished: "Accept established and related connections first."
    case .icmpv6Dropped: "Accept icmp-essential."
    case .oneFamilyOnly: "Open the port in both families, or restrict it by address."
    case .logWithoutLimit: "Give the log a limit, such as 5/minute."
    case .masqueradeEverything: "Say whose packets, or by which interface they leave."
    case .sourcePortAccept: "Accept established connections instead: answers belong to one."
    case .forwardingDisabled: "Set net.ipv4.ip_forward or net.ipv6.conf.all.forwarding to 1 in `sysctl`."
    case .noDHCPClient: "Accept dhcp-client."
    case .closedFamily: "Delete it, or leave `ipv6: drop-all` out."
    case .unusedSet, .unusedService, .unusedSchedule: "Delete it, or use it."
    case .expiredItem: "Delete it, or name a later day."
    case .unknownHelper: "Correct its name, or see that the hosts have its module."
    case .policyWithoutHosts: "Correct `applies_to`, or delete the policy."
    case .hostWithoutPolicy: "Put the host into a group that has a policy."
    case .sameRank: "Give the stricter one a higher rank."
    case .higherRankOpens: "Lift first, or order one that drops both."
    case .lockdownWithoutDNS: "Keep the way to the DNS servers."
    case .lockdownWithoutTime: "Keep the way to the time servers."
    case .lockdownLosesJumps: "Give the hosts behind it numeric addresses."
    case .sshPortDisagrees: "Correct `portcullis_ssh_port`, or leave it out."
    case .inventoryWarning: "See the message."
    case .doesNotLoad: "Correct the rule: the message has the words of iptables or of the kernel."
    case .notTriedHere: "See that the hosts have the extension; where this machine has it too, it is tried."
    case .invalidFile: "See the message."
    }
  }
}
