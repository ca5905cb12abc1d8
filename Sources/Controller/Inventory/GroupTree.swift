internal import Core

/// Who is above and below whom.
struct GroupTree {
  /// Hosts of all groups together, groups walked through counted as well: 200,000 hosts are in fifty groups each.
  static let membershipLimit = 12_000_000

  /// 0 for `all`; for others one more than that of their deepest parent.
  let depths: [Int]

  /// Reports groups that contain themselves; what it says is right only when there are none.
  init(_ groups: [InventoryDraft.Group], _ problems: inout Problems) {
    var depths = [Int](repeating: 0, count: groups.count)
    for group in Self.parentsFirst(groups, &problems) {
      depths[group] = (groups[group].parents.map { depths[$0] }.max() ?? -1) + 1
    }
    self.depths = depths
  }

  /// These groups and all above them, least specific first.
  func ancestry(of direct: Set<Int>, _ groups: [InventoryDraft.Group]) -> [Int] {
    var found = direct.union([InventoryDraft.all])
    var queue = Array(direct)
    while let group = queue.popLast() {
      for parent in groups[group].parents where found.insert(parent).inserted { queue.append(parent) }
    }
    return found.sorted { a, b in
      if depths[a] != depths[b] { return depths[a] < depths[b] }
      return groups[a].priority == groups[b].priority
        ? bytewise(groups[a].name, groups[b].name) : groups[a].priority < groups[b].priority
    }
  }

  /// Hosts of the group and of those below it, level by level: where Ansible goes through a level by the addresses of
  /// its objects, we go in the order the groups were named.
  func members(of group: Int, _ groups: [InventoryDraft.Group], _ left: inout Int) -> [Int] {
    var seen: Set<Int> = [group]
    var queue = [group]
    var members: [Int] = []
    var known: Set<Int> = []
    var next = 0
    while next < queue.count, left > 0 {
      let group = groups[queue[next]]
      next += 1
      left -= 1 + group.hosts.count
      for host in group.hosts where known.insert(host).inserted { members.append(host) }
      for child in group.children where seen.insert(child.group).inserted { queue.append(child.group) }
    }
    return members
  }

  /// Reports each cycle once, at the child that closes it.
  private static func parentsFirst(_ groups: [InventoryDraft.Group], _ problems: inout Problems) -> [Int] {
    enum Mark { case open, done }
    var marks = [Mark?](repeating: nil, count: groups.count)
    var order: [Int] = []
    // Its own stack, because a chain of groups may be as long as the file. Starts sorted, so that messages are stable.
    let starts = groups.indices.dropFirst().sorted { bytewise(groups[$0].name, groups[$1].name) }
    for start in [InventoryDraft.all] + starts where marks[start] == nil {
      var stack: [(group: Int, next: Int)] = [(start, 0)]
      marks[start] = .open
      while let (group, next) = stack.last {
        guard next < groups[group].children.count else {
          marks[group] = .done
          order.append(group)
          stack.removeLast()
          continue
        }
        stack[stack.count - 1].next += 1
        let child = groups[group].children[next]
        switch marks[child.group] {
        case .done: break
        case .open:
          let path = stack.map(\.group)
          let loop = (path.firstIndex(of: child.group).map { Array(path[$0...]) } ?? path) + [child.group]
          problems.add(
            child.location,
            "group \(quoted(groups[child.group].name)) contains itself: "
              + loop.map { groups[$0].name }.joined(separator: " > "))
        case nil:
          marks[child.group] = .open
          stack.append((child.group, 0))
        }
      }
    }
    return order.reversed()
  }
}
