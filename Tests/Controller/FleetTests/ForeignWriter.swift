import Foundation
import Testing

/// Somebody else on a host who goes on changing rules of his own, in both families, and keeps a book of what must be
/// there. Runs in the host until it is stopped; ends by itself after ten minutes, or when the lab goes.
struct ForeignWriter: Sendable {
  enum Pace: Sendable {
    /// Adds one rule and deletes his oldest, ten times a second.
    case tenTimesASecond
    /// Changes something without any pause, so that a program which needs a quiet moment never gets one.
    case withoutPause
  }

  private let lab: TestLab
  private let host: String
  private let folder: String

  /// How many of his rules are there at a time, in each of his two places.
  private static let kept = 12

  static func start(_ pace: Pace, on host: String, of lab: TestLab) async throws -> ForeignWriter {
    let writer = ForeignWriter(lab: lab, host: host, folder: "/run/writer-\(UInt32.random(in: .min ... .max))")
    let script: String
    switch pace {
    case .tenTimesASecond: script = writer.steady
    case .withoutPause: script = writer.restless
    }
    // In a session of its own, with nothing of ours open, so that it outlives the command that started it.
    try await lab.shell(
      host,
      """
      mkdir \(writer.folder)
      cat > \(writer.folder)/script <<'END_OF_SCRIPT'
      \(script)
      END_OF_SCRIPT
      setsid /bin/sh \(writer.folder)/script </dev/null >\(writer.folder)/log 2>&1 &
      for i in $(seq 100); do [ -s \(writer.folder)/book ] && exit 0; sleep 0.05; done
      cat \(writer.folder)/log >&2; exit 1
      """)
    return writer
  }

  /// Stops it and waits until its last change is done.
  func stop(at location: Testing.SourceLocation = #_sourceLocation) async throws {
    try await lab.shell(
      host, "touch \(folder)/stop; for i in $(seq 200); do [ -e \(folder)/done ] && exit 0; sleep 0.05; done; exit 1",
      at: location)
  }

  /// What his book says should be there and is not, what is there twice, and what should not be. Empty when all is well.
  /// After `stop`.
  func wrongs() async throws -> [String] {
    let book = try await lab.shell(host, "cat \(folder)/book").split(separator: "\n").map(String.init)
    let saved = try await lab.shell(host, "iptables-save; echo =====; ip6tables-save").components(
      separatedBy: "=====\n")
    var wrongs: [String] = []
    for (family, text) in zip(["iptables", "ip6tables"], saved) {
      var there: [String: Int] = [:]
      for line in text.split(separator: "\n") where line.hasPrefix("-A ") {
        // -A CHAIN … --comment writer-N
        let words = line.split(separator: " ").map(String.init)
        guard let comment = words.first(where: { $0.hasPrefix("writer-") }) else { continue }
        there["\(family) \(words[1]) \(comment)", default: 0] += 1
      }
      let wanted = Set(book.filter { $0.hasPrefix(family + " ") })
      wrongs += wanted.subtracting(there.keys).map { "lost: \($0)" }
      wrongs += Set(there.keys).subtracting(wanted).map { "came back: \($0)" }
      wrongs += there.filter { $0.value > 1 }.map { "doubled: \($0.key)" }
    }
    return wrongs.sorted()
  }

  /// How many changes it made, and how many its programs refused.
  func changes() async throws -> (made: Int, refused: Int) {
    let words = try await lab.shell(
      host, "cat \(folder)/made 2>/dev/null || echo 0; grep -c refused \(folder)/log || true")
    let numbers = words.split(separator: "\n").compactMap { Int($0) }
    try #require(numbers.count == 2)
    return (numbers[0], numbers[1])
  }

  /// In a chain of his own, which INPUT calls last, and directly at the end of INPUT, as scripts of administrators do.
  /// The book is replaced as a whole. A change that a program refused is not in it, and is counted.
  private var steady: String {
    """
    cd \(folder)
    for p in iptables ip6tables; do $p -w 30 -N FOREIGN-BOOK; $p -w 30 -A INPUT -j FOREIGN-BOOK; done
    change() { # PROGRAM A|D CHAIN NUMBER
      "$1" -w 30 "-$2" "$3" -p tcp -m tcp --dport 9 -m comment --comment "writer-$4" -j DROP && return
      echo "refused: $*"
      return 1
    }
    i=0
    : > live
    while [ ! -e stop ] && [ $i -lt 6000 ]; do
      i=$((i + 1))
      for p in iptables ip6tables; do for chain in FOREIGN-BOOK INPUT; do
        change $p A $chain $i && echo "$p $chain writer-$i" >> live
        old=$((i - \(Self.kept)))
        [ $old -lt 1 ] || ! grep -qx "$p $chain writer-$old" live && continue
        change $p D $chain $old && { grep -vx "$p $chain writer-$old" live > next; mv next live; }
      done; done
      cp live next; mv next book; echo $i > next; mv next made
      sleep 0.1
    done
    cp live next; mv next book
    touch done
    """
  }

  /// On nft one process that commits a transaction for every line it reads; on legacy several that take the lock in turn.
  private var restless: String {
    """
    cd \(folder)
    for p in iptables ip6tables; do $p -w 30 -N FOREIGN-BUSY; done
    echo "# nothing of this one has to stay" > book
    if iptables --version | grep -q nf_tables; then
      for f in ip ip6; do
        ( i=0
          while [ ! -e stop ] && [ $i -lt 60000 ]; do
            i=$((i + 1))
            for j in 1 2 3 4 5 6 7 8 9 10; do
              echo "add rule $f filter FOREIGN-BUSY counter drop"
              echo "flush chain $f filter FOREIGN-BUSY"
            done
          done ) | timeout 600 nft -i >/dev/null 2>&1 &
      done
    else
      for p in iptables ip6tables; do for worker in 1 2 3; do
        ( n=0
          while [ ! -e stop ] && [ $n -lt 60000 ]; do
            n=$((n + 1))
            $p -w 30 -A FOREIGN-BUSY -m comment --comment "busy $worker" -j DROP
            $p -w 30 -D FOREIGN-BUSY -m comment --comment "busy $worker" -j DROP
          done ) >/dev/null 2>&1 &
      done; done
    fi
    wait
    touch done
    """
  }
}
