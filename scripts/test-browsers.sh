#!/bin/sh
# What runs as WebAssembly: the simulator and the conformance suite in Node and three browsers,
# the npm package in all of them, through the usual tools, and the page. Called by test.sh.
#
# Installs what is missing where it can, and says what it skips.
set -eu
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }
have() { command -v "$1" >/dev/null; }

step "browsers and their tools"
if ! { have chromium && have chromedriver && have firefox-esr && have WebKitWebDriver && have Xvfb; }; then
    if [ "$(id -u)" = 0 ] && have apt-get; then
        echo "installing Chromium, Firefox and WebKit"
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver \
            firefox-esr webkit2gtk-driver xvfb xauth; } >/dev/null || echo "not all browsers could be installed"
    else
        echo "not all browsers are installed (Debian: chromium chromium-driver firefox-esr webkit2gtk-driver xvfb xauth)"
    fi
fi
PATH="$HOME/.cargo/bin:$PATH"
bindgen=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
if [ "$(wasm-bindgen --version 2>/dev/null)" != "wasm-bindgen $bindgen" ]; then
    echo "installing wasm-bindgen $bindgen"
    cargo install --quiet wasm-bindgen-cli --version "$bindgen"
fi
if have firefox-esr && ! have geckodriver; then
    echo "installing geckodriver"
    cargo install --quiet geckodriver --locked || echo "geckodriver could not be installed"
fi
npm ci --no-audit --no-fund --loglevel=error

step "the npm package"
node scripts/build-npm.mjs
npm run --silent test:types

step "the simulator and the conformance suite as WebAssembly"
target=${CARGO_TARGET_DIR:-target}
"$target/release/narrows" origin --port 18437 >/dev/null &
origin=$!
xvfb=
trap 'kill $origin $xvfb 2>/dev/null || true' EXIT
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=wasm-bindgen-test-runner WASM_BINDGEN_TEST_TIMEOUT=120
suite() {
    echo "-- $1"
    shift
    env "$@"
}
wasm_tests="cargo test --package wasm-tests --target wasm32-unknown-unknown"
suite "Node" $wasm_tests --test here
both="$wasm_tests --test here --test worker"
if have chromedriver; then
    suite "Chromium" WASM_BINDGEN_USE_BROWSER=1 CHROMEDRIVER="$(command -v chromedriver)" $both
fi
if have firefox-esr && have geckodriver; then
    suite "Firefox" WASM_BINDGEN_USE_BROWSER=1 GECKODRIVER="$(command -v geckodriver)" $both
fi
if have WebKitWebDriver && have Xvfb; then
    if [ -z "${DISPLAY:-}" ]; then
        Xvfb :97 -screen 0 1280x800x24 >/dev/null 2>&1 &
        xvfb=$!
        export DISPLAY=:97
        sleep 2
    fi
    suite "WebKit" WASM_BINDGEN_USE_BROWSER=1 SAFARIDRIVER="$(command -v WebKitWebDriver)" $both
fi

step "the package in Node and in browsers, its packaging, its memory, and the page"
node --test --test-concurrency=1 --test-reporter=spec npm/test/*.test.mjs www/test/*.test.mjs
