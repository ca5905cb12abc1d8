import Core
import Foundation
import Release
import Testing
import Wire

@testable import Operations

/// docs/lockdown.md is followed at night: what a host may answer stands in it.
struct RunbookTests {
  @Test func `every reason for which a host refuses an order is explained`() throws {
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { folder.deleteLastPathComponent() }
    let page = String(decoding: try Files.read(folder.path + "/docs/lockdown.md"), as: UTF8.self)
    for kind in OrderProblem.Kind.allCases {
      #expect(page.contains("`\(kind)`") || page.contains(" \(kind)`"), "\(kind)")
    }
    for code in [Refusal.Code.cannotLock, .diskFull, .busy, .internalError, .unsupported] {
      #expect(page.contains(" \(code)`"), "\(code)")
    }
  }
}
