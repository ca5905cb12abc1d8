import Testing

/// The real executables on real lab hosts: one test at a time, since they share the hosts.
@Suite(
  .serialized, .timeLimit(.minutes(Safety.isMeasuring ? 240 : 5)),
  .enabled(if: Machine.obstacle == nil, "end-to-end tests are skipped: lab hosts need root, sshd and iptables"))
struct FleetSuite {}

/// In CI nothing is skipped in silence.
@Test func inContinuousIntegrationTheEndToEndTestsRun() {
  if Machine.isContinuousIntegration { #expect(Machine.obstacle == nil) }
}
