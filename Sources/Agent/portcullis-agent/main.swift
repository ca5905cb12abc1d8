import ArgumentParser
import Core
import Crypto
import FoundationEssentials

struct A: ParsableCommand {
  mutating func run() throws {
    let d = try JSONDecoder().decode([String: Int].self, from: Data("{\"a\":1}".utf8));
    print(d, Array(SHA256.hash(data: Data([1, 2, 3]))).count)
  }
}
A.main()
