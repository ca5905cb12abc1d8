#!/bin/bash
# Damaged policies, rules and inventories: PORTCULLIS_FUZZ times as many as `make test` tries. Prints how many there were,
# how many were accepted, how long the slowest took, and the seeds. PORTCULLIS_SEED repeats a run.
set -euo pipefail
swift=${1:-swift}
export PORTCULLIS_FUZZ=${PORTCULLIS_FUZZ:-50}
# Optimised; tests reach into modules, which needs the flag.
build=(-c release -Xswiftc -enable-testing)
"$swift" build --build-tests "${build[@]}"
"$swift" test --skip-build --disable-xctest --no-parallel "${build[@]}" --filter 'FuzzTests' 2>&1 |
  grep -E 'inputs|seed|✘|Test run'
