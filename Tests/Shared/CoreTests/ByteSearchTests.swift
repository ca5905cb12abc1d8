import Core
import Testing

struct ByteSearchTests {
  @Test(arguments: [
    ("", false), ("PC", false), ("PCL", true), ("PPCL", true), ("PCPCL", true), ("xPCLx", true), ("PC L", false),
    ("PCPC", false), ("pcl", false),
  ])
  func `a text is found wherever it begins, and only whole`(example: (text: String, found: Bool)) {
    #expect(Array(example.text.utf8).withUnsafeBufferPointer { $0.holds("PCL") } == example.found)
  }

  @Test func `an empty text is everywhere`() {
    #expect([UInt8]().withUnsafeBufferPointer { $0.holds("") })
  }
}
