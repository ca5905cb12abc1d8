import TestSupport

/// Values of every type, as people write them in YAML, INI and JSON; what they mean is Ansible's to say.
struct GeneratedValues {
  private static let yamlScalars = [
    "1", "0", "-7", "+5", "0644", "0x1F", "0b101", "1_000", "1_0.5", "08", "22:30", "1:59:59", "00:30", "190:20:30.15",
    "1.5", "1.50", "1.", ".5", "-.5", "1e3", "1.0e+3", "1.0e3", "1.5e-7", "12345678901234567890", "-0", "+.inf",
    "-.inf",
    "6.02e+23", "0o17", "yes", "no", "on", "Off", "TRUE", "y", "n", "~", "null", "Null", "", "nULL", "2026-01-31",
    "2026-1-31", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43", "2001-12-14 21:59:43.5 Z", "2026-02-30x",
    "plain text", "a#b", "http://x:80/y", "10.0.0.1", "10.0", "00:11:22:33:44:55", "'quoted'", "'it''s'", "'0644'",
    "\"22:30\"", "\"tab\\there\"", "\"\\u00e9\\n\"", "é ü", "\"{{ other }}\"", "'{% if x %}'", "!!str 22",
    "!!int \"7\"",
    "!!float \"3\"", "!unsafe '{{ x }}'", "!unsafe text", "[]", "{}", "[1, no, 'a', 1.5, ~]", "{a: 1, b: [x, 0644]}",
    "{2: one, yes: two, 1.5: three}", "[[1, 2], {k: {l: m}}]", "'yes'", "-", "\"\"", "1.2.3", "1_", "_1", "0_7",
    "-0644",
    "1 2", "0.1", "123456.789", "1e+3", "100000000000000000000.0", "0.00001", "- 1", "=x", "👍",
  ]

  private static let pythonValues = [
    "1", "0", "-7", "+5", "- 5", "--5", "0644", "00", "0x1F", "0b101", "0o17", "1_000", "1__0", "1.5", "1.50", "1.",
    ".5",
    "1e3", "1E-7", "1e16", "12345678901234567890", "True", "False", "None", "true", "yes", "null", "'text'", "\"text\"",
    "'a' 'b'", "r'\\n'", "u'x'", "b'bytes'", "'\\x41\\u00e9\\n'", "'''three'''", "[1, 'a', None]", "[1, 2,]", "(1, 2)",
    "(1)", "()", "80,443", "80,", "a,b", "{'k': 'v', 1: [2]}", "{}", "{True: 1}", "set()", "{1}",
    "[1, [2, {'a': (3,)}]]",
    "10.0.0.1", "1.2.3", "plain", "two words", "it's", "[unclosed", "{{ other }}", "{'a': '{{ b }}'}", "...",
    "1 # note",
    "word # note", "'x' # note", "é", "'é'", "\\d", "'\\d'", "a=b", "http://x:80/y", "2026-01-31", "22:30", "-", "0_0",
    "5a",
    "'unclosed", "1,a", "'a', 'b'", "0.00001", "123456789.125", "1e999", "not_a_name()", "x.y", "1 + 2", "'\\101'",
  ]

  private static let jsonValues = [
    "1", "-7", "0", "1.5", "1e3", "1E-7", "12345678901234567890", "true", "false", "null", "\"text\"", "\"\\u00e9\\n\"",
    "\"\\ud83d\\udc4d\"", "\"22:30\"", "\"{{ x }}\"", "[]", "{}", "[1, \"a\", null, [2.50]]",
    "{\"k\": {\"l\": [true]}}",
    "{\"__ansible_unsafe\": \"{{ x }}\"}", "\"é\"", "100000000000000000000.0", "\"\"", "-0.0",
  ]

  private static let ports = ["22", "2222", "65535", "1"]
  private static let addresses = ["10.1.2.3", "192.0.2.7", "web.example.net"]
  private static let logins = ["root", "ops", "deploy-1"]
  private static let names = [
    "a", "b", "c", "d_1", "Name", "long_variable_name", "x9", "role_name", "ansible_become",
    "ansible_python_interpreter",
  ]

  var random: Random

  mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
  mutating func chance(_ percent: Int) -> Bool { number(1...100) <= percent }
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[number(0...(elements.count - 1))] }

  /// Variables that we read ourselves get values that we accept.
  mutating func yaml() -> (name: String, value: String) {
    let (name, value, _) = choose(Self.yamlScalars)
    return (name, value)
  }

  mutating func python() -> (name: String, value: String) {
    let (name, value, _) = choose(Self.pythonValues)
    return (name, value)
  }

  mutating func json() -> (name: String, value: String) {
    let (name, value, isOurs) = choose(Self.jsonValues)
    return (name, isOurs && Int(value) == nil ? "\"\(value)\"" : value)
  }

  private mutating func choose(_ values: [String]) -> (String, String, isOurs: Bool) {
    switch number(0...11) {
    case 0: ("ansible_port", pick(Self.ports), true)
    case 1: ("ansible_host", pick(Self.addresses), true)
    case 2: ("ansible_user", pick(Self.logins), true)
    default: (pick(Self.names), pick(values), false)
    }
  }
}
