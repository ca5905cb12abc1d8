import Core
import Foundation
import Release
import Testing
import Wire

extension FleetSuite {
  /// Bundles and byte streams that a host must refuse, sent to real agents over real ssh. After each the host's rules
  /// and the agent's files are, byte for byte, what they were.
  @Suite(.serialized) struct BadBundles {
    private static let host = "h004"

    /// A host that runs a release, and what is to stay.
    private func scene() async throws -> (lab: TestLab, serial: UInt64, before: TestLab.HostState) {
      let lab = try await TestLab.mixed
      if try await lab.serial(of: Self.host) == 0 { try await lab.settle(Self.host) }
      return (lab, try await lab.serial(of: Self.host), try await lab.state(of: Self.host))
    }

    private func expectRefused(
      _ bundle: CraftedBundle, _ code: Refusal.Code, saying words: String..., in scene: TestLab.HostState,
      _ lab: TestLab,
      at location: Testing.SourceLocation = #_sourceLocation
    ) async throws {
      let answer = try await lab.push(bundle, to: Self.host)
      let refusal = try #require(
        answer.refusals.first, "\(answer.messages) \(answer.finished)", sourceLocation: location)
      #expect(refusal.code == code, "\(refusal)", sourceLocation: location)
      for word in words { #expect(refusal.detail.contains(word), "\(refusal.detail)", sourceLocation: location) }
      #expect(answer.outcomes.isEmpty, sourceLocation: location)
      #expect(try await lab.state(of: Self.host) == scene, sourceLocation: location)
    }

    /// The counterpart of all the others: they are refused for what is wrong with them, not for how they are made.
    @Test func aGoodBundleMadeByHandIsCommitted() async throws {
      let (lab, serial, _) = try await scene()
      let answer = try await lab.push(try CraftedBundle(for: Self.host, of: lab, serial: serial + 1), to: Self.host)
      #expect(answer.outcomes.map(\.result) == [.committed], "\(answer.messages) \(answer.finished)")
      #expect(try await lab.serial(of: Self.host) == serial + 1)
      #expect(try await lab.rules(of: Self.host)[0].contains("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"))
      // The next release of the controller is above it, and takes over.
      try await lab.settle(Self.host)
      #expect(try await lab.serial(of: Self.host) > serial + 1)
    }

    @Test func aBundleWithoutASignatureIsRefused() async throws {
      let (lab, serial, before) = try await scene()
      var bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial + 1)
      bundle.key = nil
      try await expectRefused(bundle, .malformed, saying: "release.statement.0.sig", in: before, lab)
    }

    @Test func aBrokenSignatureIsRefused() async throws {
      let (lab, serial, before) = try await scene()
      var bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial + 1)
      bundle.damage = { files in
        // A statement other than the one that was signed.
        let text = String(decoding: files[.statement]!, as: UTF8.self)
        files[.statement] = Array(text.replacingOccurrences(of: "reason -", with: "reason +").utf8)
      }
      try await expectRefused(
        bundle, .badSignature, saying: "release.statement.0.sig", "lab@portcullis", in: before, lab)
      bundle.damage = { $0[.signature(0)]![200] ^= 1 }
      try await expectRefused(bundle, .badSignature, saying: "release.statement.0.sig", in: before, lab)
    }

    @Test func rulesOtherThanTheSignedOnesAreRefused() async throws {
      let (lab, serial, before) = try await scene()
      var bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial + 1)
      bundle.damage = { $0[.rules(.ipv6)]![20] ^= 0x20 }
      try await expectRefused(bundle, .badSignature, saying: "ipv6.rules", in: before, lab)
    }

    @Test func aSignatureByAnUnknownKeyIsRefused() async throws {
      let (lab, serial, before) = try await scene()
      var bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial + 1)
      bundle.key = try await CraftedBundle.newKey("stranger").path
      try await expectRefused(bundle, .unknownKey, saying: "SHA256:", "allowed_signers", in: before, lab)
    }

    @Test func aSignatureByAKeyWhoseTimeIsOverIsRefused() async throws {
      let (lab, serial, _) = try await scene()
      let (path, publicKey) = try await CraftedBundle.newKey("retired")
      let line = "old@portcullis namespaces=\"release@portcullis\",valid-before=\"20250101Z\" \(publicKey)"
      try await lab.shell(
        Self.host, "cd /etc/portcullis; cp allowed_signers kept; echo '\(line)' >> allowed_signers")
      let before = try await lab.state(of: Self.host)
      var bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial + 1)
      bundle.key = path
      try await expectRefused(bundle, .expiredKey, saying: "old@portcullis", "2025-01-01", in: before, lab)
      try await lab.shell(Self.host, "cd /etc/portcullis; mv kept allowed_signers")
    }

    @Test func aSignatureForAnotherPurposeIsRefused() async throws {
      let (lab, serial, before) = try await scene()
      var bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial + 1)
      bundle.namespace = "file"
      try await expectRefused(bundle, .otherNamespace, saying: "'file'", "release@portcullis", in: before, lab)
    }

    @Test func aBundleForAnotherHostIsRefused() async throws {
      let (lab, serial, before) = try await scene()
      let bundle = try CraftedBundle(for: "h005", of: lab, serial: serial + 1)
      try await expectRefused(bundle, .otherHost, saying: "h005", Self.host, in: before, lab)
    }

    @Test func aBundleOfAnotherFleetIsRefused() async throws {
      let (lab, serial, before) = try await scene()
      var bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial + 1)
      bundle.fleet = FleetID("other")!
      try await expectRefused(bundle, .otherFleet, saying: "other", "lab", in: before, lab)
    }

    @Test func anOlderSerialIsRefused() async throws {
      let lab = try await TestLab.mixed
      var (_, serial, before) = try await scene()
      if serial < 2 {
        _ = try await lab.push(try CraftedBundle(for: Self.host, of: lab, serial: serial + 5), to: Self.host)
        (serial, before) = (serial + 5, try await lab.state(of: Self.host))
      }
      let bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial - 1)
      try await expectRefused(
        bundle, .olderSerial, saying: "release \(serial - 1)", "release \(serial)", in: before, lab)
    }

    @Test func theSameSerialWithOtherBytesIsRefused() async throws {
      let (lab, serial, before) = try await scene()
      let bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial)
      try await expectRefused(bundle, .equalSerialOtherBytes, saying: "release \(serial)", in: before, lab)
    }

    @Test func theVeryBundleAHostRunsIsNoErrorAndTouchesNoRule() async throws {
      let (lab, serial, _) = try await scene()
      let files = try await CraftedBundle(for: Self.host, of: lab, serial: serial + 1).files()
      #expect(try await lab.push(files, to: Self.host).outcomes.map(\.result) == [.committed])
      let before = try await lab.rules(of: Self.host)
      #expect(try await lab.push(files, to: Self.host).outcomes.map(\.result) == [.unchanged])
      #expect(try await lab.rules(of: Self.host) == before)
      try await lab.settle(Self.host)
    }

    @Test func aSerialTooFarAheadIsRefused() async throws {
      let (lab, serial, before) = try await scene()
      let bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial + Serial.maximumStep + 1)
      try await expectRefused(bundle, .serialTooFarAhead, saying: "1048576", in: before, lab)
    }

    @Test func anExpiredReleaseIsRefused() async throws {
      let (lab, serial, before) = try await scene()
      var bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial + 1)
      bundle.issued = UTCTime("2026-01-01T00:00:00Z")!
      bundle.expires = UTCTime("2026-01-02T00:00:00Z")!
      try await expectRefused(bundle, .releaseExpired, saying: "2026-01-02T00:00:00Z", "clock", in: before, lab)
    }

    @Test func rulesThatASignerShouldNotHaveSignedAreRefusedWithTheirLine() async throws {
      let (lab, serial, before) = try await scene()
      var bundle = try CraftedBundle(for: Self.host, of: lab, serial: serial + 1)
      bundle.rules.ipv4 = Array("*filter\n:INPUT DROP [0:0]\n-A NOWHERE -j ACCEPT\nCOMMIT\n".utf8)
      let answer = try await lab.push(bundle, to: Self.host)
      let refusal = try #require(answer.refusals.first, "\(answer.messages) \(answer.finished)")
      #expect(
        refusal.code == .rulesDoNotParse && refusal.location == RuleLocation(family: .ipv4, line: 3), "\(refusal)")
      #expect(try await lab.state(of: Self.host) == before)
    }

    // MARK: - Streams

    private func expectCutOff(
      _ input: [UInt8], _ code: Refusal.Code?, saying words: String...,
      at location: Testing.SourceLocation = #_sourceLocation
    ) async throws {
      let (lab, _, before) = try await scene()
      let answer = try await lab.say(.bytes(input), to: Self.host)
      if let code {
        let refusal = try #require(
          answer.refusals.first, "\(answer.messages) \(answer.finished)", sourceLocation: location)
        #expect(refusal.code == code, "\(refusal)", sourceLocation: location)
        for word in words { #expect(refusal.detail.contains(word), "\(refusal)", sourceLocation: location) }
      }
      #expect(try await lab.state(of: Self.host) == before, sourceLocation: location)
      // And the agent goes on.
      #expect(try await lab.serial(of: Self.host) > 0, sourceLocation: location)
    }

    private static let hello = ControllerMessage.hello(version: ProtocolVersion.current).encode()

    @Test func aFrameOverTheLimitIsRefusedByItsLength() async throws {
      try await expectCutOff(Self.hello + [0, 0x10, 0, 1, 3], .tooLarge, saying: "1048577", "1048576")
      try await expectCutOff(Self.hello + [0xff, 0xff, 0xff, 0xff], .tooLarge, saying: "4294967295")
    }

    @Test func aTruncatedBundleIsRefused() async throws {
      let (lab, serial, before) = try await scene()
      let files = try await CraftedBundle(for: Self.host, of: lab, serial: serial + 1).files()
      var session = ControllerSession()
      var stream = session.hello().encode()
      for message in session.stage(.random(), files.content) { stream += message.encode() }
      // In the middle of a frame, and between two.
      for cut in [stream.count - 10, Self.hello.count + 3, stream.count / 2] {
        let answer = try await lab.say(.bytes(Array(stream[..<cut])), to: Self.host)
        #expect(answer.outcomes.isEmpty)
        #expect(answer.refusals.map(\.code) == [.malformed], "cut at \(cut): \(answer.messages) \(answer.finished)")
      }
      #expect(try await lab.state(of: Self.host) == before)
    }

    @Test func noiseAndMessagesOutOfTurnAreRefused() async throws {
      try await expectCutOff(Array("GET / HTTP/1.1\r\n\r\n".utf8), .tooLarge)
      try await expectCutOff(Self.hello + [0, 0, 0, 1, 99], .unsupported, saying: "99")
      try await expectCutOff(Self.hello + Self.hello, .malformed, saying: "hello")
      try await expectCutOff(Self.hello + ControllerMessage.data([1]).encode(), .malformed, saying: "data")
    }

    @Test func anotherProtocolVersionIsRefusedByName() async throws {
      try await expectCutOff(
        ControllerMessage.hello(version: 1).encode(), .otherVersion,
        saying: "speaks protocol 1, this one \(ProtocolVersion.current)")
    }

    /// The agent gives a frame 30 s from its first byte to its last.
    @Test func aPeerThatDripsOneByteASecondIsCutOffAndDelaysNobody() async throws {
      let (lab, _, before) = try await scene()
      async let dripping = lab.say(
        .drip(Self.hello + [0, 0, 4, 0, 3] + [UInt8](repeating: 7, count: 200)), to: Self.host, timeout: 60)
      try await Task.sleep(for: .seconds(3))
      let status = try await lab.succeed("status", "--refresh", "-l", Self.host, "-o", "json")
      #expect(status.seconds < 5)
      #expect(try JSON(status).hosts[Self.host]?["contact"].text == "fresh")
      let answer = try await dripping
      #expect((25...50).contains(answer.finished.seconds), "\(answer.finished)")
      #expect(answer.outcomes.isEmpty)
      #expect(try await lab.state(of: Self.host) == before)
    }
  }
}
