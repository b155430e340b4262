#!/bin/sh
# Passes all tests, installing what they need: the wasm32 target, nginx and browsers where it can,
# wasm-bindgen and geckodriver, npm packages. What cannot be installed is said, and the tests that
# want it say that they were skipped.
set -eu
cd "$(dirname "$0")/.."

# Nothing here is compiled twice, and the caches for that are gigabytes.
export CARGO_INCREMENTAL=0

step() { printf '\n== %s\n' "$*"; }

step "tools"
rustup target add wasm32-unknown-unknown
rustup component add clippy rustfmt 2>/dev/null || true
if ! command -v nginx >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update -qq && apt-get install -y -qq nginx-light openssl; } >/dev/null ||
            echo "nginx could not be installed; the tests with it will be skipped"
    else
        echo "nginx is not installed; the tests with it will be skipped"
    fi
fi
node --version || echo "Node is not installed; the test of the wasm32 module needs it"

step "format"
cargo fmt --all --check

step "clippy"
cargo clippy --workspace --all-targets --quiet -- -D warnings
cargo clippy --target wasm32-unknown-unknown --quiet \
    -p narrows-unpack -p narrows-core -p narrows-sim -p narrows-browser -p narrows-wasm -p narrows-wasm-batches \
    -p narrows-wasm-bars -p narrows-wasm-tables -p wasm-tests \
    -p narrows-bars -p narrows-jobs -p narrows-numbers -p narrows-tables \
    --all-targets -- -D warnings
cargo clippy --target wasm32-unknown-unknown --quiet -p narrows --lib -- -D warnings

step "clippy without features"
for features in "" http2 ring,zstd; do
    cargo clippy --quiet -p narrows --no-default-features --features "$features" -- -D warnings
done

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet -p narrows -p narrows-browser --target wasm32-unknown-unknown

step "licences and sources of dependencies"
if command -v cargo-deny >/dev/null; then
    cargo deny --log-level error check bans licenses sources
else
    echo "skipped: cargo-deny is not installed (scripts/long.sh installs it)"
fi

step "the release binary, which the tests with whole processes run"
cargo build --release --quiet -p narrows-cli

step "tests with every feature"
cargo test --quiet -p narrows-core --features tracing --test tracing
step "tests without zstd"
cargo test --quiet -p narrows-unpack --no-default-features --test without_zstd

step "tests"
cargo test --workspace

./scripts/test-browsers.sh

step "everything passed"
