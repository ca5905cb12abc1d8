import Core
import Foundation
import Glibc
import Operations
import Testing

final class FilesTests {
  let folder = "/tmp/pf-\(UUID().uuidString)"

  init() throws { try Files.makeDirectory(folder) }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  @Test func `a written file replaces the old one and leaves nothing beside it`() throws {
    let path = folder + "/file"
    try Files.write(Array("one".utf8), to: path)
    try Files.write(Array("two".utf8), to: path, mode: 0o600)
    #expect(try Files.read(path) == Array("two".utf8))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"])
    var facts = stat()
    #expect(stat(path, &facts) == 0 && facts.st_mode & 0o7777 == 0o600)
  }

  @Test func `a link in the way is replaced, not followed`() throws {
    let target = folder + "/target"
    try Files.write(Array("precious".utf8), to: target)
    try #require(symlink(target, folder + "/link") == 0)
    try Files.write(Array("new".utf8), to: folder + "/link")
    #expect(try Files.read(target) == Array("precious".utf8))
  }

  @Test func `a new file takes no name that is taken, by a link to nowhere either`() throws {
    try Files.create(Array("new".utf8), at: folder + "/new")
    try #require(symlink(folder + "/nowhere", folder + "/link") == 0)
    for name in ["/new", "/link"] {
      let error = #expect(throws: SystemCallError.self) { try Files.create(Array("other".utf8), at: folder + name) }
      #expect(error?.errno == EEXIST)
    }
    #expect(try Files.read(folder + "/new") == Array("new".utf8))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["link", "new"])
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/link") == folder + "/nowhere")
  }

  @Test func `a write that fails leaves the old content, and nothing beside it`() throws {
    let path = folder + "/taken"
    try Files.makeDirectory(path + "/full")
    #expect(throws: SystemCallError.self) { try Files.write([1], to: path) }
    #expect(throws: SystemCallError.self) { try Files.write([1], to: folder + "/missing/file") }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["taken"])
  }

  @Test func `many writers at once leave one whole content, and none of them fails`() async throws {
    let path = folder + "/contested"
    let contents = (0..<8).map { [UInt8](repeating: UInt8($0), count: 1 << 20) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for content in contents {
        group.addTask { for _ in 0..<6 { try Files.write(content, to: path) } }
      }
      for _ in 0..<200 {
        if Files.exists(path) { #expect(contents.contains(try Files.read(path))) }
      }
      try await group.waitForAll()
    }
    #expect(contents.contains(try Files.read(path)))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["contested"])
  }

  @Test func `more than the limit is not read`() throws {
    try Files.write([1, 2, 3], to: folder + "/three")
    #expect(throws: Failure.self) { try Files.read(folder + "/three", atMost: 2) }
    #expect(try Files.read(folder + "/three", atMost: 3) == [1, 2, 3])
  }
}
