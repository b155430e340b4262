#!/bin/sh
# Builds everything that a release consists of, in order, and stops before publishing.
#
#     ./scripts/release.sh           # the long checks, then crates, the npm tarball, the binary
#     ./scripts/release.sh --quick   # without the long checks
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

step() { printf '\n== %s\n' "$*"; }

step "the tree is clean and says which version it is"
git diff --quiet HEAD || { echo "commit first"; exit 1; }
grep -q "^## $version" CHANGELOG.md || echo "CHANGELOG.md has no section for $version yet"
grep -q "\"version\": \"$version\"" npm/package.json || { echo "npm/package.json has another version"; exit 1; }

if [ "${1:-}" != --quick ]; then
    ./scripts/long.sh
fi

mkdir -p "$target/release-files"
out=$(cd "$target/release-files" && pwd)
step "crates, in the order of their dependencies"
for crate in narrows-unpack narrows-core narrows-native narrows-browser narrows; do
    # Without a registry that has the others, packaging can only be listed.
    cargo package --quiet -p "$crate" --list --allow-dirty >"$out/$crate.files"
    echo "$crate: $(wc -l <"$out/$crate.files") files"
done

step "the npm package"
npm ci --no-audit --no-fund --loglevel=error
node scripts/build-npm.mjs
(cd npm && npm pack --silent --pack-destination "$out")

step "the binary"
cargo build --release --quiet -p narrows-cli
host=$(rustc -vV | sed -n 's/^host: //p')
tar -czf "$out/narrows-$version-$host.tar.gz" -C "$target/release" narrows

step "built, not published"
ls -l "$out"
echo "next: cargo publish for each crate in this order, npm publish of the tarball, a tag and the binaries"
