#!/bin/bash
# Orders, lifts, applies, crashes, power cuts and tampering in any order, RUNS times (10,000): after each step the host has to be
# as the orders that it accepted explain. Prints how many there were and the seed; PORTCULLIS_SEED repeats a run. And a crash or
# a fault at every single call while a host is locked, tightened, lifted, or changed beneath.
set -euo pipefail
swift=${1:-swift}
# The test has eight by itself.
export PORTCULLIS_FUZZ=$(((${RUNS:-10000} + 7) / 8))
"$swift" build --build-tests
"$swift" test --skip-build --disable-xctest --filter 'LockInterleavingTests|LockCrashTests' 2>&1 |
  grep -E 'interleavings|seed|✘|Test run'
