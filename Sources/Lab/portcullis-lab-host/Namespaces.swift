/// The CLONE_NEW… flags of <sched.h>, which the C library shows only to GNU programs.
enum Namespaces {
  static let mount: Int32 = 0x0002_0000
  static let hostname: Int32 = 0x0400_0000
  static let ipc: Int32 = 0x0800_0000
  static let processes: Int32 = 0x2000_0000
  static let network: Int32 = 0x4000_0000
}
