#!/bin/sh
# Whether the library builds with the oldest Rust it promises (`rust-version` in Cargo.toml).
set -eu
cd "$(dirname "$0")/.."
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! rustup toolchain install "$oldest" --profile minimal >/dev/null 2>&1; then
    echo "skipped: Rust $oldest cannot be fetched here"
    exit 0
fi
cargo "+$oldest" check -p narrows-unpack -p narrows-core -p narrows-native -p narrows
