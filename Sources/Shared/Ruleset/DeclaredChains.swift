/// The chains of one table, all of which stand before its rules.
struct DeclaredChains {
  let table: String
  /// In the order of the file.
  private(set) var userChains: [String] = []
  private var userKeys: Set<NameKey> = []

  init(table: String) { self.table = table }

  mutating func add(_ name: ArraySlice<UInt8>, isBuiltIn: Bool) {
    guard !isBuiltIn, userKeys.insert(NameKey(name)).inserted else { return }
    userChains.append(String(decoding: name, as: UTF8.self))
  }

  /// A thousand of them: comparing a mistyped name with each takes time.
  var suggestable: [String] { Array(userChains.prefix(1000)) }

  func isUserChain(_ name: ArraySlice<UInt8>) -> Bool { userKeys.contains(NameKey(name)) }
}
