import Core
import Ruleset
import Testing

/// Rules that every profile has in every chain.
let nonSYN =
  "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"

/// A profile with these rules above the line against packets without SYN, and drops below it.
func profile(input: [String] = [], output: [String] = [], forward: [String] = [], last: String = "-j DROP") -> String {
  let chains = [("INPUT", input), ("FORWARD", forward), ("OUTPUT", output)]
  let lines =
    chains.map { ":\($0.0) ACCEPT [0:0]" }
    + chains.flatMap { name, rules in (rules + [nonSYN, last]).map { "-A \(name) \($0)" } }
  return "*mangle\n\(lines.joined(separator: "\n"))\nCOMMIT\n"
}

func layer(_ text: String, _ family: Family = .ipv4) throws -> LockLayer {
  try LockLayer(try policy(text, family), family)
}

/// What the save program would print of a layer that was just loaded on an empty host.
func saved(_ layer: LockLayer) -> Ruleset { Ruleset(tables: [layer.table(in: nil)]) }

func lines(_ text: [UInt8]?) -> [String] {
  String(decoding: text ?? [], as: UTF8.self).split(separator: "\n").map(String.init)
}

/// Other people's rules on a host that is locked.
let beneathLock = """
  *mangle
  :PREROUTING ACCEPT [0:0]
  :INPUT ACCEPT [0:0]
  :FORWARD ACCEPT [0:0]
  :OUTPUT ACCEPT [0:0]
  :POSTROUTING ACCEPT [0:0]
  :MINE - [0:0]
  -A INPUT -p udp -j MARK --set-xmark 0x1/0xffffffff
  -A MINE -j MARK --set-xmark 0x2/0xffffffff
  COMMIT
  *filter
  :INPUT DROP [0:0]
  :FORWARD DROP [0:0]
  :OUTPUT ACCEPT [0:0]
  -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
  COMMIT

  """
