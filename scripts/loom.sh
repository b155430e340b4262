#!/bin/sh
# Explores all interleavings of threads on budgets and leases (loom). A build of its own, some minutes.
set -eu
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg narrows_loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
cargo test --release -p narrows-core --lib loom_tests
