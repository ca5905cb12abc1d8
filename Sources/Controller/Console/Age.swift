/// Seconds as people say them: `5s`, `12m`, `3h`, `9d`.
package enum Age {
  package static func text(_ seconds: Int64) -> String {
    switch seconds {
    case ..<0: "0s"
    case ..<120: "\(seconds)s"
    case ..<7200: "\(seconds / 60)m"
    case ..<172_800: "\(seconds / 3600)h"
    default: "\(seconds / 86_400)d"
    }
  }
}
