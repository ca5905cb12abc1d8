internal import Apply
internal import Core
internal import Ruleset

/// Loads lockdowns in the namespace that the thread is in, one after the other, above the rules that are there.
struct LayerPlay {
  let programs: PerFamily<FamilyPrograms>
  let calls: FirewallCalls
  let knock: KnockPlay?

  struct Tried {
    /// What is printed of the layer alone, canonical.
    var end: Result<PerFamily<[UInt8]>, FirewallProblem>
    /// Nil where nothing was loaded, or nobody is to knock.
    var round: KnockPlay.Round?
  }

  /// - Parameter saved: what the stack holds; a lockdown in force with it, maybe.
  func play(_ layers: [PerFamily<[UInt8]>], above saved: PerFamily<[UInt8]>) -> [Tried] {
    // All of it at first, later of the layers' table alone.
    var held = saved
    return layers.enumerated().map { index, texts in
      do throws(FirewallProblem) {
        try clear(held)
        for family in Family.allCases {
          try calls.restore(RestoreText(texts[family], keepsOthers: true), by: programs[family])
        }
        held = try save()
        return Tried(
          end: .success(try printed(held)), round: knock?.round(saved: saved.map { $1 + held[$0] }, layer: index))
      } catch {
        // One that fails may have loaded a half of it, which the next one must not find.
        if let now = try? save() { held = now }
        return Tried(end: .failure(error))
      }
    }
  }

  private func save() throws(FirewallProblem) -> PerFamily<[UInt8]> {
    try PerFamily { (family) throws(FirewallProblem) in
      try calls.save(by: programs[family], table: LockLayer.table)
    }
  }

  private func clear(_ held: PerFamily<[UInt8]>) throws(FirewallProblem) {
    for family in Family.allCases {
      guard let removal = LockLayer.removal(try ruleset(held[family], family)) else { continue }
      try calls.restore(RestoreText(removal, keepsOthers: true), by: programs[family])
    }
  }

  private func printed(_ held: PerFamily<[UInt8]>) throws(FirewallProblem) -> PerFamily<[UInt8]> {
    try held.map { (family, text) throws(FirewallProblem) in
      let printed = LockLayer.split(try ruleset(text, family)).layer.canonical()
      guard printed.count <= LayerRehearsed.maximumPrinted else {
        throw FirewallProblem(
          .flooded, program: programs[family].save, family: family,
          words: "it prints \(printed.count) bytes of the profile, more than \(LayerRehearsed.maximumPrinted)")
      }
      return printed
    }
  }

  private func ruleset(_ text: [UInt8], _ family: Family) throws(FirewallProblem) -> Ruleset {
    guard !text.isEmpty else { return Ruleset() }
    do { return try Ruleset.parse(save: text, file: "rehearsed \(family) rules") } catch {
      throw FirewallProblem(
        .refused, program: programs[family].save, family: family, words: SafeText.escape(ErrorChain(error).message))
    }
  }
}
