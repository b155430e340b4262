#!/bin/sh
# Whether the version says what changed in the public interface since the last tag, or since a revision
# that is given: before 1.0, what breaks users needs a new minor version.
set -eu
cd "$(dirname "$0")/.."
command -v cargo-semver-checks >/dev/null || cargo install --quiet --locked cargo-semver-checks
since=${1:-$(git describe --tags --abbrev=0 2>/dev/null || true)}
if [ -z "$since" ]; then
    echo "skipped: no tag to compare with; give a revision"
    exit 0
fi
for crate in narrows-unpack narrows-core narrows-native narrows; do
    echo "-- $crate since $since"
    cargo semver-checks -p "$crate" --baseline-rev "$since"
done
