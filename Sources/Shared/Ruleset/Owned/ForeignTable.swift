/// The changes to chains that are not ours, in one table: our hooks in them, and rules that are taken over, given back
/// or replaced. Every other rule stays as it is, and in its order.
struct ForeignTable {
  private let request: OwnedChange.Request
  private let name: String
  private let saved: RuleTable
  private var verdicts: ForeignVerdicts
  private(set) var lines: [[UInt8]] = []
  private(set) var madeChains: [String] = []
  private(set) var deletedChains: [String] = []
  private(set) var findings: [ForeignAccept] = []
  private(set) var taken: [TakenRule] = []

  init(_ request: OwnedChange.Request, name: String, saved: RuleTable) {
    self.request = request
    self.name = name
    self.saved = saved
    verdicts = ForeignVerdicts(saved)
  }

  mutating func edit() {
    var chains = saved.chains.filter { !OwnedNames.isOurs($0.name) }
    let hooks = request.wanted.hooks.filter { $0.table == name }
    for hook in hooks where saved[chain: hook.chain] == nil {
      if !hook.isForeign {
        chains.append(RuleChain(name: hook.chain, policy: "ACCEPT"))
      } else if request.preparesForeignChains {
        chains.append(RuleChain(name: hook.chain, policy: nil))
        madeChains.append(hook.chain)
      }
    }
    chains.sort { bytewise($0.name, $1.name) }
    var edited: [ChainEditor] = []
    for chain in chains {
      var editor = ChainEditor(chain)
      deleteReplaced(in: &editor)
      place(hooks.first { $0.chain == chain.name }, in: &editor)
      edited.append(editor)
      lines += editor.lines
    }
    deleteReplacedChains(among: edited)
    deletePreparedChain(among: edited, hooks)
  }

  /// The chain that we made for Docker, which did not start since: nobody calls it, and it held nothing but our hook.
  private mutating func deletePreparedChain(among edited: [ChainEditor], _ hooks: [OwnedRules.Hook]) {
    let name = OwnedRules.containersHook
    guard saved.isOnlyPrepared(name), !hooks.contains(where: { $0.chain == name }), !deletedChains.contains(name),
      edited.contains(where: { $0.chain == name && $0.rules.isEmpty })
    else { return }
    deletedChains.append(name)
  }

  // MARK: Rules of a bundle that owned whole tables

  private func deleteReplaced(in editor: inout ChainEditor) {
    guard let replaced = request.replacing?[table: name]?[chain: editor.chain] else { return }
    var present: [Rule: Int] = [:]
    for rule in editor.rules { present[rule, default: 0] += 1 }
    for rule in replaced.rules {
      guard let count = present[rule], count > 0, rule.canBeFedBack else { continue }
      present[rule] = count - 1
      editor.delete(rule)
    }
  }

  /// The chains that came with that bundle, unless somebody else keeps rules in them or calls them.
  private mutating func deleteReplacedChains(among edited: [ChainEditor]) {
    guard let replacing = request.replacing?[table: name] else { return }
    var called: Set<String> = []
    for rule in edited.flatMap(\.rules) {
      switch RuleShape(rule).target {
      case .jump(let chain), .goTo(let chain): called.insert(chain)
      case .none, .unclear: break
      }
    }
    for editor in edited where editor.rules.isEmpty && saved[chain: editor.chain]?.policy == nil {
      let isBuiltIn = BuiltInChains.chains(of: name)?.contains(editor.chain) ?? false
      guard !isBuiltIn, replacing[chain: editor.chain] != nil, !called.contains(editor.chain) else { continue }
      deletedChains.append(editor.chain)
    }
  }

  // MARK: Hooks

  private mutating func place(_ hook: OwnedRules.Hook?, in editor: inout ChainEditor) {
    let givingBack = request.givingBack.filter { $0.table == name && $0.chain == editor.chain }
    let calls = editor.rules.filter(\.callsOurs)
    guard let hook else {
      for call in calls { editor.delete(call) }
      giveBack(givingBack, in: &editor, hook: nil)
      return
    }
    let rule = Rule(text: Array("-A \(hook.chain) -j \(hook.target)".utf8))
    var present = editor.rules.firstIndex(of: rule)
    if calls != [rule] || request.refills {
      // Deleting finds the first that says so, so all go, and one comes back where the first was.
      present = present.map { index in editor.rules[..<index].count { !$0.callsOurs } }
      for call in calls { editor.delete(call) }
    }
    let isPlaced = editor.rules.contains(rule)
    if let moved = giveBack(givingBack, in: &editor, hook: isPlaced ? rule : nil) { present = moved }

    let foreign = editor.rules.filter { $0 != rule }
    var judge = BypassJudge(hook, in: request.wanted, allowed: request.allowed)
    var verdicts = self.verdicts
    let place = HookPlace(
      foreign, present: present, isFirst: request.isFirst, mayTakeOver: { mayTakeOver($0, in: hook.chain) },
      isBan: { verdicts.isBan($0) },
      isForbidden: { judge.forbids($0, &verdicts) })
    self.verdicts = verdicts

    let movable = place.inTheWay.filter { mayTakeOver(foreign[$0], in: hook.chain) && foreign[$0].canBeFedBack }
    for index in place.inTheWay where !movable.contains(index) {
      findings.append(ForeignAccept(table: name, chain: hook.chain, rule: foreign[index].text))
    }
    for index in movable {
      editor.delete(foreign[index])
      taken.append(
        TakenRule(table: name, chain: hook.chain, rule: foreign[index].text, position: index + 1))
    }
    let target = place.position - movable.count
    if !(isPlaced && present == place.position) {
      if isPlaced { editor.delete(rule) }
      editor.insert(rule, at: target)
    }
    for (offset, index) in movable.enumerated() { editor.insert(foreign[index], at: target + 1 + offset) }
  }

  private func mayTakeOver(_ rule: Rule, in chain: String) -> Bool {
    guard !request.takesOver else { return true }
    let before = request.takenBefore.filter { $0.table == name && $0.chain == chain }
    return !before.isEmpty && before.contains { PlacedMeaning(Rule(text: $0.rule)) == PlacedMeaning(rule) }
  }

  /// Moves rules that were taken over back to where they stood, counted without our hook; those that are gone stay gone.
  ///
  /// - Returns: how many foreign rules then stand above the hook, when it is there.
  @discardableResult
  private func giveBack(_ rules: [TakenRule], in editor: inout ChainEditor, hook: Rule?) -> Int? {
    func above() -> Int? { hook.flatMap { editor.rules.firstIndex(of: $0) } }
    let before = editor.rules.filter { $0 != hook }
    var after = before
    var moved: [(rule: Rule, position: Int)] = []
    for taken in rules.sorted(by: { $0.position < $1.position }) {
      guard let index = after.place(of: taken), after[index].canBeFedBack else { continue }
      moved.append((after.remove(at: index), max(0, taken.position - 1)))
    }
    for move in moved { after.insert(move.rule, at: min(move.position, after.count)) }
    guard after != before else { return above() }
    for move in moved { editor.delete(move.rule) }
    for move in moved {
      let hookIndex = above()
      let count = editor.rules.count - (hookIndex == nil ? 0 : 1)
      let position = min(move.position, count)
      editor.insert(move.rule, at: hookIndex.map { position > $0 ? position + 1 : position } ?? position)
    }
    return above()
  }
}

extension [Rule] {
  /// Of a chain: where a rule that was taken over stands, as it was printed then or as other programs print it.
  package func place(of taken: TakenRule) -> Int? {
    let rule = Rule(text: taken.rule)
    if let place = firstIndex(of: rule) { return place }
    let meaning = PlacedMeaning(rule)
    return firstIndex { PlacedMeaning($0) == meaning }
  }
}
