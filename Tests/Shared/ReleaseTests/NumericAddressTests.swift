import Core
import Release
import Testing

@Suite struct NumericAddressTests {
  @Test(arguments: [
    "192.0.2.1", "0.0.0.0/0", "10.0.0.0/8", "255.255.255.255", "2001:db8::1", "::", "::/0", "::1", "fe80::/10",
    "2001:db8:0:1:1:1:1:1", "2001:db8::/32", "64:ff9b::/96",
  ])
  func theCanonicalSpellingIsAccepted(_ text: String) {
    #expect(NumericAddress.fault(in: text) == nil)
    #expect(NumericAddress.family(of: text) == (text.contains(":") ? .ipv6 : .ipv4))
  }

  @Test(arguments: [
    ("", "not a numeric"), ("localhost", "not a numeric"), ("192.0.2", "not a numeric"),
    ("192.0.2.256", "not a numeric"),
    ("192.0.2.01", "not a numeric"), ("0x7f.0.0.1", "not a numeric"), ("2130706433", "not a numeric"),
    ("192.0.2.1 ", "not a numeric"), (" 192.0.2.1", "not a numeric"), ("192.0.2.1\0", "not a numeric"),
    ("192.0.2.1\n", "not a numeric"), ("fe80::1%eth0", "not a numeric"), ("[::1]", "not a numeric"),
    ("::1::", "not a numeric"), ("10.0.0.0/8/8", "not a numeric"), ("/8", "not a numeric"), ("", "not a numeric"),
    ("2001:DB8::1", "write 2001:db8::1"), ("2001:0db8::1", "write 2001:db8::1"), ("0:0:0:0:0:0:0:1", "write ::1"),
    ("2001:db8:0:0:1::1", "write 2001:db8::1:0:0:1"), ("::ffff:192.0.2.1", "write it as IPv4"),
    ("::ffff:c000:201", "write it as IPv4"), ("192.0.2.1/32", "without /32"), ("::1/128", "without /128"),
    ("192.0.2.0/33", "outside 0 to 32"), ("192.0.2.0/024", "outside 0 to 32"), ("192.0.2.0/", "outside 0 to 32"),
    ("192.0.2.0/-1", "outside 0 to 32"), ("192.0.2.0/+8", "outside"), ("192.0.2.0/255.255.255.0", "outside"),
    ("::/129", "outside 0 to 128"), ("10.0.0.1/8", "write 10.0.0.0/8"), ("2001:db8::1/32", "write 2001:db8::/32"),
    ("1.0.0.0/0", "write 0.0.0.0/0"), ("128.0.0.0/0", "bits set"),
  ])
  func everyOtherSpellingIsRefusedWithTheRightOne(_ text: String, _ says: String) {
    let fault = NumericAddress.fault(in: text)
    #expect(fault?.contains(says) == true, "\(String(describing: fault))")
    #expect(NumericAddress.family(of: text) == nil)
  }
}
