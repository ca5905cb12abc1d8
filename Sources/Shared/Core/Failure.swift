/// An error that names the operation and the object, keeps its cause, and never prints itself: the edge prints the
/// whole chain once.
package struct Failure: Error, Sendable {
  /// Which exit code the edge uses for it (docs/cli.md). Everything else is 1.
  package enum Kind: Sendable, Hashable {
    case error
    /// Refused by a guard: confirmation, approval, stale plan, lockout proof.
    case refused
    /// Usage: an unknown host, a pattern that matches nothing.
    case usage
  }

  /// What was being done to what: "verify signature of release 12".
  package let operation: String
  package let cause: (any Error)?
  /// What to do about it, without the word "hint".
  package let hint: String?
  package let kind: Kind

  package init(_ operation: String, because cause: (any Error)? = nil, hint: String? = nil, kind: Kind = .error) {
    self.operation = operation
    self.cause = cause
    self.hint = hint
    self.kind = kind
  }
}

/// A reason in plain words, the innermost cause of a `Failure`.
package struct Reason: Error, Hashable, Sendable, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

/// A system call that failed, with the object it was about.
package struct SystemCallError: Error, Hashable, Sendable, CustomStringConvertible {
  package let call: String
  package let object: String
  package let errno: Int32
  package let description: String

  package init(_ call: String, _ object: String, errno: Int32, meaning: String) {
    self.call = call
    self.object = object
    self.errno = errno
    description = "\(call) \(object): \(meaning)"
  }
}

/// The chain of an error as the edge prints it: `verify release 12: signature by an unknown key`, and its hints.
package struct ErrorChain: Sendable {
  /// One thing to tell, and what to do about it.
  package struct Part: Sendable {
    package let text: String
    package fileprivate(set) var hints: [String]
    /// Nil for what has no place in a file.
    package let diagnostic: Diagnostic?
  }

  package let message: String
  package let hints: [String]
  package let kind: Failure.Kind
  /// Each mistake of many files is one. A hint that follows again for the next part is left to that.
  package let parts: [Part]

  package init(_ error: any Error) {
    var words: [String] = []
    var hints: [String] = []
    var kind: Failure.Kind?
    var mistakes: [Diagnostic] = []
    var next: (any Error)? = error
    while let current = next {
      next = nil
      switch current {
      case let failure as Failure:
        words.append(failure.operation)
        if let hint = failure.hint { hints.append(hint) }
        if kind == nil || kind == .error { kind = failure.kind }
        next = failure.cause
      case let diagnostics as Diagnostics: mistakes = diagnostics.all
      case let diagnostic as Diagnostic: mistakes = [diagnostic]
      default:
        words.append("\(current)")
        if let hint = (current as? any Hinted)?.hint { hints.append(hint) }
      }
    }
    let operation = words.joined(separator: ": ")
    var seen = Set<String>()
    hints = hints.filter { seen.insert($0).inserted }
    var parts = mistakes.map { mistake in
      Part(
        text: (words + [mistake.description]).joined(separator: ": "), hints: [mistake.hint].compactMap(\.self),
        diagnostic: mistake)
    }
    if parts.isEmpty {
      parts = [Part(text: operation, hints: hints, diagnostic: nil)]
    } else {
      parts[parts.count - 1].hints += hints
    }
    for index in parts.indices.dropLast() where parts[index].hints == parts[index + 1].hints {
      parts[index].hints = []
    }
    self.parts = parts
    let told = mistakes.map(\.description).joined(separator: "\n")
    message = mistakes.isEmpty ? operation : (words + [told]).joined(separator: ": ")
    self.hints = hints + mistakes.compactMap(\.hint).filter { seen.insert($0).inserted }
    self.kind = kind ?? .error
  }
}

/// An error that is no `Failure` and knows what to do about it all the same.
package protocol Hinted: Error {
  var hint: String? { get }
}

extension ErrorChain {
  /// For places that have one line per host.
  package var line: String { message + (hints.first.map { " (\($0))" } ?? "") }
}
