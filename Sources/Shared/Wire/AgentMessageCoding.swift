internal import Core

extension AgentMessage {
  package var type: MessageType {
    switch self {
    case .hello: .agentHello
    case .staged: .staged
    case .outcome: .outcome
    case .report: .report
    case .text: .text
    case .refused: .refused
    case .applied: .applied
    case .done: .done
    case .observations: .observations
    case .changes: .changes
    case .obeyed: .obeyed
    }
  }

  /// The whole frame.
  package func encode() -> [UInt8] {
    Frame.encode(type) { out in
      switch self {
      case .hello(let hello):
        out.uint16(hello.version)
        out.clipped(hello.agentVersion, to: WireLimit.version)
        out.text(hello.host.description)
        out.text(hello.fleet.description)
      case .staged(let transaction, let manifest):
        out.raw(transaction.bytes)
        out.digest(manifest)
      case .outcome(let outcome):
        out.raw(outcome.transaction.bytes)
        out.uint8(outcome.result.rawValue)
        out.serial(outcome.serial)
        out.digest(outcome.manifest)
        out.clipped(outcome.detail, to: WireLimit.detail)
      case .report(let report): report.write(to: &out)
      case .text(let request, let piece, let last):
        out.family(request.family)
        out.uint8(request.side.rawValue)
        out.bool(last)
        out.raw(piece)
      case .refused(let refusal):
        out.uint8(refusal.code.rawValue)
        out.clipped(refusal.detail, to: WireLimit.detail)
        out.optional(refusal.location) { out, location in
          out.family(location.family)
          out.clamped(max(1, location.line))
        }
      case .applied(let change):
        out.raw(change.transaction.bytes)
        out.digest(change.manifest)
        out.raw(change.nonce.bytes)
        out.uint32(change.millisecondsLeft)
        let warnings = change.warnings.prefix(WireLimit.warnings)
        out.clamped(warnings.count)
        for warning in warnings { out.clipped(warning, to: WireLimit.warning) }
      case .done(let words): out.clipped(words, to: WireLimit.detail)
      case .observations(let observations): observations.write(to: &out)
      case .changes(let changes): changes.write(to: &out)
      case .obeyed(let nonce, let obeyed):
        out.raw(nonce.bytes)
        obeyed.write(to: &out)
      }
    }
  }

  package init(frame: Frame) throws(WireProblem) {
    guard let type = MessageType(rawValue: frame.type) else { throw .unknownType(frame.type) }
    var reader = ByteReader(frame.payload)
    var theirs = ProtocolVersion.current
    do throws(ByteReader.Problem) {
      switch type {
      case .agentHello:
        theirs = try reader.uint16("version")
        // What else another version's hello holds is not ours to judge.
        guard theirs == ProtocolVersion.current else { throw .malformed(field: "version") }
        self = .hello(
          AgentHello(
            version: theirs, agentVersion: try reader.text("agent version", atMost: WireLimit.version),
            host: try reader.host(), fleet: try reader.fleet()))
      case .staged: self = .staged(try reader.transaction(), manifest: try reader.digest("manifest"))
      case .outcome: self = .outcome(try Outcome(&reader))
      case .report: self = .report(try Report(&reader))
      case .text: self = try Self.textPiece(&reader)
      case .refused: self = .refused(try Refusal(&reader))
      case .applied: self = .applied(try AppliedChange(&reader))
      case .done: self = .done(try reader.text("words", atMost: WireLimit.detail))
      case .observations: self = .observations(try Observations(&reader))
      case .changes: self = .changes(try Changes(&reader))
      case .obeyed: self = .obeyed(try reader.nonce(), try Obeyed(&reader))
      case .controllerHello, .stage, .data, .apply, .reportRequest, .textRequest, .observe, .watch, .goodbye,
        .confirm, .cancel, .local, .order:
        throw .malformed(field: "type")
      }
      try reader.end()
    } catch {
      if type.rawValue < MessageType.agentHello.rawValue { throw .wrongDirection(type) }
      if theirs != ProtocolVersion.current { throw .otherVersion(theirs) }
      throw .malformed(type, error)
    }
  }

  private static func textPiece(_ reader: inout ByteReader) throws(ByteReader.Problem) -> AgentMessage {
    let request = TextRequest(family: try reader.family(), side: try reader.one(of: TextRequest.Side.self, "side"))
    let last = try reader.bool("last")
    let length = reader.remaining
    guard length <= WireLimit.piece else { throw .tooLong(field: "piece", length: length, limit: WireLimit.piece) }
    // Empty pieces that end nothing could keep us busy for ever.
    guard last || length > 0 else { throw .truncated(field: "piece") }
    return .text(request, piece: Array(try reader.raw(length, field: "piece")), last: last)
  }
}

extension AppliedChange {
  fileprivate init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let transaction = try reader.transaction()
    let manifest = try reader.digest("manifest")
    let nonce = try reader.nonce()
    let left = try reader.uint32("milliseconds left")
    var warnings: [String] = []
    for _ in 0..<(try reader.count("number of warnings", atMost: WireLimit.warnings)) {
      warnings.append(try reader.text("warning", atMost: WireLimit.warning))
    }
    self.init(transaction: transaction, manifest: manifest, nonce: nonce, millisecondsLeft: left, warnings: warnings)
  }
}

extension Outcome {
  fileprivate init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    self.init(
      transaction: try reader.transaction(), result: try reader.one(of: Result.self, "result"),
      serial: try reader.serial(), manifest: try reader.digest("manifest"),
      detail: try reader.text("detail", atMost: WireLimit.detail))
  }
}

extension Refusal {
  fileprivate init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let code = try reader.one(of: Code.self, "code")
    let detail = try reader.text("detail", atMost: WireLimit.detail)
    let location = try reader.optional("location") { (reader) throws(ByteReader.Problem) in
      let family = try reader.family()
      let line = try reader.uint32("line")
      guard line > 0 else { throw .malformed(field: "line") }
      return RuleLocation(family: family, line: Int(line))
    }
    self.init(code: code, detail: detail, location: location)
  }
}
