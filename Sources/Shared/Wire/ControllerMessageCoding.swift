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
    case .goodbye: .goodbye
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
      case .apply(let transaction, let manifest):
        out.raw(transaction.bytes)
        out.digest(manifest)
      case .report(let nonce): out.raw(nonce.bytes)
      case .text(let request):
        out.family(request.family)
        out.uint8(request.side.rawValue)
      case .goodbye: break
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
      case .apply: self = .apply(try reader.transaction(), manifest: try reader.digest("manifest"))
      case .reportRequest: self = .report(try reader.nonce())
      case .textRequest:
        self = .text(TextRequest(family: try reader.family(), side: try reader.one(of: TextRequest.Side.self, "side")))
      case .goodbye: self = .goodbye
      case .agentHello, .staged, .outcome, .report, .text, .refused: throw .malformed(field: "type")
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
