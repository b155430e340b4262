#!/bin/sh
# What takes too long for each change, and must hold before a release: all tests, 100,000 seeds,
# mutants, fuzzing, the interface against the last release, benchmarks beside peers.
set -eu
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

./scripts/test.sh
step "the oldest Rust that is promised"
./scripts/msrv.sh
step "dependencies: licences, advisories, sources"
command -v cargo-deny >/dev/null || cargo install --quiet --locked cargo-deny
cargo deny check
step "the public interface beside the last release"
./scripts/semver.sh
step "interleavings of threads"
./scripts/loom.sh
step "containers, and an endpoint that is away for a minute"
NARROWS_RUNS=20 cargo test -p native-tests --test containers
NARROWS_DOWN_SECONDS=60 cargo test -p native-tests --test batches
step "jobs that are killed a hundred times"
NARROWS_KILLS=100 cargo test -p native-tests --test bars --test tardis kill
step "a list that is killed two hundred times, and a disk whose power is cut fifty times"
NARROWS_KILLS=200 NARROWS_FILES=5000 cargo test -p native-tests --test reruns killed
NARROWS_CUTS=50 cargo test -p native-tests --test power_cuts
step "100,000 seeds"
cargo run --profile sim -p narrows-sim -- 0..100000
step "mutants"
python3 scripts/mutants.py
step "fuzzing, ten minutes each"
if cargo +nightly fuzz --version >/dev/null 2>&1; then
    for format in zip gzip zstd rows; do
        cargo +nightly fuzz run "$format" -- -max_total_time=600
    done
else
    echo "skipped: fuzzing needs a nightly toolchain and cargo-fuzz"
fi
step "benchmarks beside peers, and over distance"
python3 benches/run.py
python3 benches/distance.py
python3 benches/limits.py
python3 benches/disk.py --shim --rounds 5
python3 benches/jobs.py
