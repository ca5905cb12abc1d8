internal import Core

extension ControllerMessage {
  package var type: MessageType {
    switch self {
    case .hello: .controllerHello
    case .stage: .stage
    case .data: .data
    case .apply: .apply
    case .report: .reportRequest
    case .text: .textRequest
    case .observe: .observe
    case .watch: .watch
    case .goodbye: .goodbye
    case .confirm: .confirm
    case .cancel: .cancel
    case .local: .local
    case .order: .order
    }
  }

  /// The whole frame.
  package func encode() -> [UInt8] {
    Frame.encode(type) { out in
      switch self {
      case .hello(let version): out.uint16(version)
      case .stage(let transaction, let files):
        out.raw(transaction.bytes)
        out.uint8(UInt8(clamping: files.count))
        for staged in files {
          out.bundleFile(staged.file)
          out.clamped(staged.size)
        }
      case .data(let piece): out.raw(piece)
      case .apply(let transaction, let manifest, let terms):
        out.raw(transaction.bytes)
        out.digest(manifest)
        out.uint16(terms.seconds)
        out.bool(terms.isManual)
      case .confirm(let confirmation):
        out.raw(confirmation.transaction.bytes)
        out.digest(confirmation.manifest)
        out.raw(confirmation.nonce.bytes)
      case .cancel(let transaction): out.raw(transaction.bytes)
      case .local(let order):
        out.uint8(order.deed.rawValue)
        out.clipped(order.reason, to: WireLimit.reason)
      case .report(let nonce): out.raw(nonce.bytes)
      case .text(let request):
        out.family(request.family)
        out.uint8(request.side.rawValue)
      case .watch(let after, let seconds):
        out.uint64(after)
        out.uint16(seconds)
      case .order(let order): order.write(to: &out)
      case .observe, .goodbye: break
      }
    }
  }

  package init(frame: Frame) throws(WireProblem) {
    guard let type = MessageType(rawValue: frame.type) else { throw .unknownType(frame.type) }
    var reader = ByteReader(frame.payload)
    do throws(ByteReader.Problem) {
      switch type {
      case .controllerHello:
        let version = try reader.uint16("version")
        self = .hello(version: version)
        // What else another version's hello holds is not ours to judge.
        guard version == ProtocolVersion.current else { return }
      case .stage: self = .stage(try reader.transaction(), try Self.stagedFiles(&reader))
      case .data:
        guard !frame.payload.isEmpty else { throw .truncated(field: "piece") }
        guard frame.payload.count <= WireLimit.piece else {
          throw .tooLong(field: "piece", length: frame.payload.count, limit: WireLimit.piece)
        }
        self = .data(frame.payload)
        return
      case .apply:
        let transaction = try reader.transaction()
        let manifest = try reader.digest("manifest")
        let seconds = try reader.uint16("confirmation seconds")
        guard ConfirmationTerms.allowed.contains(seconds) else { throw .malformed(field: "confirmation seconds") }
        let terms = ConfirmationTerms(seconds: seconds, isManual: try reader.bool("manual confirmation"))
        self = .apply(transaction, manifest: manifest, terms)
      case .confirm:
        let transaction = try reader.transaction()
        let manifest = try reader.digest("manifest")
        self = .confirm(ChangeConfirmation(transaction: transaction, manifest: manifest, nonce: try reader.nonce()))
      case .cancel: self = .cancel(try reader.transaction())
      case .local:
        let deed = try reader.one(of: LocalOrder.Deed.self, "deed")
        self = .local(LocalOrder(deed: deed, reason: try reader.text("reason", atMost: WireLimit.reason)))
      case .reportRequest: self = .report(try reader.nonce())
      case .textRequest:
        self = .text(TextRequest(family: try reader.family(), side: try reader.one(of: TextRequest.Side.self, "side")))
      case .observe: self = .observe
      case .watch:
        let after = try reader.uint64("number of the change")
        let seconds = try reader.uint16("seconds")
        guard seconds <= WireLimit.watchSeconds else { throw .malformed(field: "seconds") }
        self = .watch(after: after, seconds: seconds)
      case .order: self = .order(try OrderDelivery(&reader))
      case .goodbye: self = .goodbye
      case .agentHello, .staged, .outcome, .report, .text, .refused, .applied, .done, .observations,
        .changes, .obeyed:
        throw .malformed(field: "type")
      }
      try reader.end()
    } catch {
      if type.rawValue >= MessageType.agentHello.rawValue { throw .wrongDirection(type) }
      throw .malformed(type, error)
    }
  }

  /// Each file at most once, none empty, none over its own limit, all of them within the limit of a bundle.
  private static func stagedFiles(_ reader: inout ByteReader) throws(ByteReader.Problem) -> [StagedFile] {
    let count = Int(try reader.uint8("number of files"))
    guard (1...WireLimit.stagedFiles).contains(count) else {
      throw .tooLong(field: "number of files", length: count, limit: WireLimit.stagedFiles)
    }
    var files: [StagedFile] = []
    var total = 0
    for _ in 0..<count {
      let file = try reader.bundleFile()
      let size = try reader.count("size of \(file.fileName)", atMost: file.maximumSize)
      guard size > 0, !files.contains(where: { $0.file == file }) else {
        throw .malformed(field: size > 0 ? "\(file.fileName), which is there twice," : "size of \(file.fileName)")
      }
      total += size
      guard total <= WireLimit.stagedBytes else {
        throw .tooLong(field: "bundle", length: total, limit: WireLimit.stagedBytes)
      }
      files.append(StagedFile(file: file, size: size))
    }
    return files
  }
}
