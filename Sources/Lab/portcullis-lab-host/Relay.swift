internal import CLinux
internal import Glibc

/// The bad line between the controller and the hosts: takes Ethernet frames from one interface, holds them for a while,
/// puts them out of another, and loses some on the way. In userspace, because not every kernel has netem.
///
/// What a line at a distance would not lose is never lost: ARP and neighbour discovery, which stay between neighbours.
struct Relay {
  private let sockets: [Int32]
  /// Of 2^32.
  private let loss: UInt64
  /// Milliseconds, each way.
  private let delay: Int
  private var dice: Dice
  /// What is under way, by the interface it came from; the delay is the same for all, so the first is due first.
  private var queues: [Queue] = [Queue(), Queue()]

  /// More than that in one direction and further frames are lost, as in a router.
  private static let longestQueue = 20_000
  /// `struct virtio_net_hdr` before each frame.
  private static let headerSize = 10

  init(between first: String, and second: String, _ line: Spec.Line) throws {
    sockets = try [first, second].map { name in
      let socket = clinux_frame_socket(name)
      guard socket >= 0 else { throw HostError(call: "listen on", name) }
      return socket
    }
    loss = UInt64(line.loss / 100 * 4_294_967_296)
    delay = line.delay
    dice = Dice(seed: line.seed)
  }

  mutating func run() throws -> Never {
    var buffer = [UInt8](repeating: 0, count: 128 << 10)
    while true {
      let next = queues.compactMap { $0.first?.due }.min()
      let pause = next.map { Int32(clamping: max(0, $0 - now())) } ?? -1
      var looks = sockets.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      guard poll(&looks, 2, pause) >= 0 || errno == EINTR else { throw HostError(call: "poll", "the line") }
      for side in 0...1 where looks[side].revents != 0 { receive(side, &buffer) }
      for side in 0...1 { forward(from: side) }
    }
  }

  private mutating func receive(_ side: Int, _ buffer: inout [UInt8]) {
    while true {
      let count = recv(sockets[side], &buffer, buffer.count, 0)
      guard count > Self.headerSize else { return }
      let frame = buffer[..<count]
      guard queues[side].count < Self.longestQueue, !isLost(frame) else { continue }
      queues[side].append(Frame(due: now() + delay, bytes: Array(frame)))
    }
  }

  private mutating func isLost(_ bytes: ArraySlice<UInt8>) -> Bool {
    let frame = bytes.dropFirst(Self.headerSize)
    guard loss > 0, frame.count >= 34 else { return false }
    let start = frame.startIndex
    switch (frame[start + 12], frame[start + 13]) {
    case (0x08, 0x00): break
    case (0x86, 0xdd):
      // Next header ICMPv6, type 133 to 137: neighbour discovery.
      if frame[start + 20] == 58, frame.count > 54, (133...137).contains(frame[start + 54]) { return false }
    default: return false
    }
    return dice.next() >> 32 < loss
  }

  private mutating func forward(from side: Int) {
    let time = now()
    while let frame = queues[side].first, frame.due <= time {
      queues[side].removeFirst()
      // One that the other interface does not take is lost, which is what lines do.
      _ = frame.bytes.withUnsafeBytes { send(sockets[1 - side], $0.baseAddress, $0.count, 0) }
    }
  }

  private struct Frame {
    let due: Int
    let bytes: [UInt8]
  }

  /// First in, first out, without moving the rest each time.
  private struct Queue {
    private var frames: [Frame] = []
    private var head = 0

    var count: Int { frames.count - head }
    var first: Frame? { head < frames.count ? frames[head] : nil }

    mutating func append(_ frame: Frame) { frames.append(frame) }

    mutating func removeFirst() {
      head += 1
      guard head == frames.count || head > 4096 else { return }
      frames.removeFirst(head)
      head = 0
    }
  }
}

/// SplitMix64: the same seed loses the same frames of the same traffic.
struct Dice {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
