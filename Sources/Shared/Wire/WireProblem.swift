package import Core

/// Why a connection cannot go on. Every one of them ends it.
package enum WireProblem: Error, Hashable, Sendable {
  /// A frame of length 0, which has not even a type.
  case emptyFrame
  case frameTooLong(length: Int)
  /// The stream ended inside a frame.
  case truncatedFrame(have: Int)
  case unknownType(UInt8)
  /// A message that only the other side sends.
  case wrongDirection(MessageType)
  case malformed(MessageType, ByteReader.Problem)
  /// A stored report's bytes.
  case malformedReport(ByteReader.Problem)
  case otherVersion(UInt16)
  case outOfPhase(MessageType, phase: String)
  /// An answer to another question than the one that was asked.
  case otherAnswer(MessageType, detail: String)
}

extension WireProblem: CustomStringConvertible {
  package var description: String {
    switch self {
    case .emptyFrame: "a frame of length 0"
    case .frameTooLong(let length): "a frame of \(length) bytes, more than the \(WireLimit.frame) allowed"
    case .truncatedFrame(let have): "the stream ended \(have) bytes into a frame"
    case .unknownType(let type): "message type \(type) is unknown"
    case .wrongDirection(let type): "message \(type.name) (type \(type.rawValue)) came from the wrong side"
    case .malformed(let type, let problem): "message \(type.name): \(problem)"
    case .malformedReport(let problem): "stored report: \(problem)"
    case .otherVersion(let theirs): "the other side speaks protocol \(theirs), this one \(ProtocolVersion.current)"
    case .outOfPhase(let type, let phase): "message \(type.name) is not allowed \(phase)"
    case .otherAnswer(let type, let detail): "message \(type.name) does not answer what was asked: \(detail)"
    }
  }

  /// How the agent says it to the controller before it closes.
  package var refusal: Refusal {
    let code: Refusal.Code =
      switch self {
      case .otherVersion: .otherVersion
      case .frameTooLong, .malformed(_, .tooLong): .tooLarge
      case .unknownType: .unsupported
      case .emptyFrame, .truncatedFrame, .wrongDirection, .malformed, .malformedReport, .outOfPhase, .otherAnswer:
        .malformed
      }
    return Refusal(code: code, detail: description)
  }
}
