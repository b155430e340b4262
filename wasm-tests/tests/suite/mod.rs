//! One body of tests for every place where WebAssembly runs: each file beside this folder runs it
//! in another.
//!
//! The origin is started by the script that runs the tests; its address is fixed, for a page has
//! no environment.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use narrows_browser::{BrowserClock, BrowserFetch, BrowserOptions};
use narrows_core::{Clock, Fetch};
use narrows_sim::conformance::{BROWSER_CASES, CASES, Case, run};
use wasm_bindgen_test::wasm_bindgen_test;

/// Whether there is an origin of the script's own, so that CORS has something to guard.
fn is_page() -> bool {
    js_sys::Reflect::has(&js_sys::global(), &"location".into()).unwrap()
}

/// Where `narrows origin --port 18437` serves.
const ORIGIN: &str = "http://127.0.0.1:18437";

async fn conforms(cases: impl Iterator<Item = Case>) {
    let fetch = BrowserFetch::new(BrowserOptions::default());
    let results =
        stream::iter(cases).map(|case| {
            let fetch = fetch.clone();
            // Every place counts the origin's faults for itself.
            let name = format!("{}&run={}", case.faults, BrowserClock.now().0.as_nanos());
            async move {
                run(Case { faults: Box::leak(name.into_boxed_str()), ..case }, &fetch, &BrowserClock, ORIGIN).await
            }
        });
    let failed: Vec<String> = results.buffer_unordered(8).filter_map(|result| async { result.err() }).collect().await;
    assert!(failed.is_empty(), "{failed:#?}");
}

#[wasm_bindgen_test]
async fn the_adapter_conforms() {
    conforms(CASES.iter().copied()).await;
}

#[wasm_bindgen_test]
async fn what_the_platform_hides_is_told_apart_as_far_as_it_can_be() {
    // Node knows no CORS: it shows everything.
    let is_node = !is_page();
    let cases = BROWSER_CASES.iter().filter(|case| !is_node || !case.expected.contains("blocked"));
    conforms(cases.copied()).await;
}

#[wasm_bindgen_test]
fn the_simulator_does_the_same_as_where_it_was_built() {
    let seeds = env!("SEEDS").parse().unwrap();
    let digest = narrows_sim::digest(0..seeds).unwrap();
    assert_eq!(digest.to_string(), env!("NATIVE_DIGEST"));
}

#[wasm_bindgen_test]
async fn timers_wait_and_are_not_early() {
    let before = BrowserClock.now();
    BrowserClock.sleep_until(before + Duration::from_millis(50)).await;
    assert!(BrowserClock.now() >= before + Duration::from_millis(50));
    // One that does not fit into a timer must not fire at once.
    let mut distant = BrowserClock.sleep_until(before + Duration::from_secs(1 << 40));
    let nearer = BrowserClock.sleep_until(BrowserClock.now() + Duration::from_millis(50));
    let first = futures_util::future::select(&mut distant, nearer).await;
    assert!(matches!(first, futures_util::future::Either::Right(_)));
}

#[wasm_bindgen_test]
fn bodies_are_drained_here() {
    assert!(!BrowserFetch::new(BrowserOptions::default()).profile().holds_back);
}
