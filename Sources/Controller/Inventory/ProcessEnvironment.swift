internal import Glibc

enum ProcessEnvironment {
  static var home: String? { getenv("HOME").map { String(cString: $0) } }
}
