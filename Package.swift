// swift-tools-version: 6.2
import PackageDescription

// Dependencies point one way: Shared ← Agent, Shared ← Controller, Shared ← Lab ← portcullis. Controller and agent meet
// only in Shared.

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
]

// What the agent's tests run at thousands of places of a fault, in debug builds too: without optimisation three quarters of
// their time go to generic code of the standard library. Elsewhere compiling would take longer than it saves.
// PORTCULLIS_PLAIN=1 is for a debugger.
let fast: [SwiftSetting] =
  Context.environment["PORTCULLIS_PLAIN"] == "1" ? [] : [.unsafeFlags(["-O"], .when(configuration: .debug))]

func room(
  _ name: String, in folder: String, uses dependencies: [Target.Dependency] = [], isHot: Bool = false
) -> Target {
  .target(
    name: name, dependencies: dependencies, path: "Sources/\(folder)/\(name)",
    swiftSettings: strict + (isHot ? fast : []))
}

func tests(
  of room: String, in folder: String, uses dependencies: [Target.Dependency] = [], resources: [Resource] = [],
  excluding excluded: [String] = []
) -> Target {
  .testTarget(
    name: "\(room)Tests", dependencies: dependencies + ["TestSupport"], path: "Tests/\(folder)/\(room)Tests",
    exclude: excluded,
    resources: resources, swiftSettings: strict)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

// One static file that runs on any Linux of its architecture, whatever its libc (docs/adr/0001-static-agent.md).
let staticExecutable: [LinkerSetting] = [
  .unsafeFlags(["-static-executable"]),
  .linkedLibrary("FoundationEssentials"), .linkedLibrary("_FoundationCShims"), .linkedLibrary("_FoundationCollections"),
  .linkedLibrary("swiftSynchronization"),
]

// Swift's own libraries are linked in: the controller starts in half the time and runs where Swift is not installed.
let staticRuntime: [LinkerSetting] = [
  .unsafeFlags(["-static-stdlib"]),
  .linkedLibrary("Foundation"), .linkedLibrary("CoreFoundation"), .linkedLibrary("FoundationInternationalization"),
  .linkedLibrary("FoundationEssentials"), .linkedLibrary("_FoundationICU"), .linkedLibrary("_FoundationCShims"),
  .linkedLibrary("_FoundationCollections"), .linkedLibrary("swiftSynchronization"),
]

let shared: [Target] = [
  room("Core", in: "Shared", uses: [crypto], isHot: true),
  room("Ruleset", in: "Shared", uses: ["Core"], isHot: true),
  room("Release", in: "Shared", uses: ["Core", crypto], isHot: true),
  room("Wire", in: "Shared", uses: ["Core"], isHot: true),
]

let agent: [Target] = [
  room("Apply", in: "Agent", uses: ["Core", "Ruleset", "Release", "Wire", "CLinux"], isHot: true),
  room("Netfilter", in: "Agent", uses: ["Core", "Ruleset", "Wire", "Apply", "CLinux"]),
  room("Daemon", in: "Agent", uses: ["Core", "Wire", "Apply", "CLinux"]),
  room("Installation", in: "Agent", uses: ["Core", "Wire", "CLinux"]),
  room("Arguments", in: "Agent"),
  .executableTarget(
    name: "portcullis-agent",
    dependencies: [
      "Arguments", "Installation", "Core", "Daemon", "Netfilter", "Apply", "Wire", "Release", "Ruleset",
    ],
    path: "Sources/Agent/portcullis-agent",
    swiftSettings: strict, linkerSettings: staticExecutable),
]

let controller: [Target] = [
  room("Inventory", in: "Controller", uses: ["Core", yams]),
  room("Policy", in: "Controller", uses: ["Core", "Ruleset", "Inventory", "Lint"]),
  room("Lint", in: "Controller", uses: ["Core", "Ruleset"]),
  room("Import", in: "Controller", uses: ["Core", "Ruleset", "Lint", "Policy"]),
  room("Rollout", in: "Controller", uses: ["Core", "Ruleset", "Wire"]),
  room("Audit", in: "Controller", uses: ["Core", "Ruleset", "Wire"]),
  room("Transport", in: "Controller", uses: ["Core", "CLibSSH", "CLinux", crypto]),
  room("Store", in: "Controller", uses: ["Core", "Wire", "Audit", "CLinux", grdb]),
  room(
    "Operations", in: "Controller",
    uses: [
      "Core", "Ruleset", "Release", "Wire", "Inventory", "Policy", "Lint", "Import", "Rollout", "Audit", "Transport",
      "Store", "CLinux",
      subprocess, system,
    ]),
  room(
    "Console", in: "Controller",
    uses: [
      "Store", "Core", "Ruleset", "Wire", "Audit", "Rollout", "Operations", "Inventory", "Policy", "Lint", "Import",
    ]),
  .executableTarget(
    name: "portcullis",
    dependencies: [
      "Core", "Ruleset", "Release", "Wire", "Inventory", "Policy", "Lint", "Import", "Rollout", "Audit", "Transport",
      "Store",
      "Operations", "Console", "Lab", argumentParser,
    ],
    path: "Sources/Controller/portcullis", swiftSettings: strict, linkerSettings: staticRuntime),
]

let lab: [Target] = [
  room("Lab", in: "Lab", uses: ["Core", "CLinux", crypto, subprocess, system]),
  // The first process of a lab host: small, because a lab may hold hundreds of hosts.
  .executableTarget(
    name: "portcullis-lab-host", dependencies: ["CLinux"], path: "Sources/Lab/portcullis-lab-host",
    swiftSettings: strict, linkerSettings: [.unsafeFlags(["-static-executable"])]),
]

let systemLibraries: [Target] = [
  .systemLibrary(
    name: "CLibSSH", path: "Sources/System/CLibSSH", pkgConfig: "libssh", providers: [.apt(["libssh-dev"])]),
  .target(name: "CLinux", path: "Sources/System/CLinux"),
]

let testTargets: [Target] = [
  .target(name: "TestSupport", dependencies: ["Core"], path: "Tests/TestSupport", swiftSettings: strict),
  // Bundles as the agent takes them.
  .target(
    name: "AgentTestSupport", dependencies: ["Core", "Netfilter", "Release", "Wire", crypto],
    path: "Tests/Agent/AgentTestSupport", swiftSettings: strict),
  tests(of: "Core", in: "Shared", uses: ["Core"]),
  tests(of: "Transport", in: "Controller", uses: ["Transport", "Core", "CLibSSH"]),
  tests(of: "Ruleset", in: "Shared", uses: ["Ruleset", "Core"]),
  tests(
    of: "Release", in: "Shared", uses: ["Release", "Core", crypto], excluding: ["fetch-openssh-vectors.sh"]),
  tests(of: "Wire", in: "Shared", uses: ["Wire", "Core"]),
  tests(of: "Daemon", in: "Agent", uses: ["Daemon", "Apply", "Wire", "Core", "CLinux"]),
  tests(
    of: "Apply", in: "Agent", uses: ["AgentTestSupport", "Apply", "Netfilter", "Core", "Ruleset", "Release", "Wire"]),
  tests(
    of: "Netfilter", in: "Agent",
    uses: ["AgentTestSupport", "Netfilter", "Apply", "Core", "Ruleset", "Release", "Wire", "CLinux"]),
  tests(of: "Arguments", in: "Agent", uses: ["Arguments"]),
  tests(of: "Installation", in: "Agent", uses: ["Installation", "Core", "Wire"]),
  tests(of: "Inventory", in: "Controller", uses: ["Inventory", "Core"], excluding: ["ansible-oracle.py"]),
  tests(
    of: "Policy", in: "Controller", uses: ["Policy", "Lint", "Inventory", "Ruleset", "Core"],
    excluding: ["validate-schema.py"]),
  tests(of: "Lint", in: "Controller", uses: ["Lint", "Ruleset", "Core"]),
  tests(of: "Import", in: "Controller", uses: ["Import", "Inventory", "Policy", "Lint", "Ruleset", "Core"]),
  tests(of: "Audit", in: "Controller", uses: ["Audit", "Core", "Wire", "Ruleset"]),
  tests(of: "Rollout", in: "Controller", uses: ["Rollout", "Core", "Wire", "Ruleset"]),
  tests(of: "Store", in: "Controller", uses: ["Store", "Audit", "Core", "Wire", grdb]),
  tests(
    of: "Operations", in: "Controller",
    uses: [
      "Operations", "Ruleset", "Inventory", "Policy", "Lint", "Release", "Wire", "Transport", "Rollout", "Audit",
      "Store",
      "Core",
    ]),
  tests(
    of: "Console", in: "Controller",
    uses: [
      "Console", "Operations", "Inventory", "Import", "Rollout", "Audit", "Store", "Release", "Ruleset", "Wire", "Core",
    ], excluding: ["Golden"]),
  tests(of: "Lab", in: "Lab", uses: ["Lab", "Core", "CLinux", subprocess, system]),
  // Runs the executables built beside it.
  tests(
    of: "Fleet", in: "Controller", uses: ["Core", "Ruleset", "Release", "Wire"], excluding: ["Fixtures"]),
]

let package = Package(
  name: "portcullis",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
  ],
  targets: shared + agent + controller + lab + systemLibraries + testTargets
)
