//! One body of tests for every place where WebAssembly runs: each file beside this folder runs it
//! in another.
//!
//! The origin is started by the script that runs the tests; its address is fixed, for a page has
//! no environment.

use std::{future::poll_fn, pin::Pin, time::Duration};

use futures_util::{FutureExt, StreamExt, stream};
use narrows_bars::{AggTrades, BarError, RangeBars, Row, Threshold, csv};
use narrows_browser::{BrowserClock, BrowserFetch, BrowserOptions, MemorySpool, OpfsSpool, SpoolError};
use narrows_core::{
    Budget, Clock, Fetch,
    spool::{Spool, SpoolFile},
};
use narrows_sim::conformance::{BROWSER_CASES, CASES, Case, run};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
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

include!("../../bars.rs");
include!(concat!(env!("OUT_DIR"), "/oracle.rs"));

#[wasm_bindgen_test]
fn bars_are_the_same_as_where_they_were_built() {
    assert_eq!(bars_digest(env!("TRADES").parse().unwrap()).to_string(), env!("NATIVE_BARS"));
}

#[wasm_bindgen_test]
fn bars_are_those_of_the_oracle_byte_for_byte() {
    for (trades, expected, dbps, gate) in ORACLE {
        let mut bars = RangeBars::new(Threshold::new(*dbps).unwrap(), *gate);
        let mut text = csv::HEADER.to_owned();
        let mut take = |row: Row<'_>| {
            let Row::Trade(trade) = row else { panic!("{row:?}") };
            if let Some(bar) = bars.push(&trade)? {
                csv::write(&mut text, &bar).unwrap();
            }
            Ok::<_, BarError>(())
        };
        let mut rows = AggTrades::new();
        rows.read(trades, &mut take).unwrap();
        rows.finish(&mut take).unwrap();
        assert!(text == *expected, "{dbps} {gate}");
    }
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
    // All share one timer: whoever leaves takes it from nobody.
    let mut sleeps = [20, 40, 60].map(|ms| BrowserClock.sleep_until(BrowserClock.now() + Duration::from_millis(ms)));
    for sleep in &mut sleeps {
        assert!(sleep.now_or_never().is_none());
    }
    let [early, middle, late] = sleeps;
    drop(early);
    late.await;
    assert!(middle.now_or_never().is_some());
}

#[wasm_bindgen_test]
fn bodies_are_drained_here() {
    assert!(!BrowserFetch::new(BrowserOptions::default()).profile().holds_back);
}

#[wasm_bindgen_test]
async fn a_spool_gives_back_what_was_written_and_leaves_nothing() {
    let budget = Budget::new(100);
    let memory = MemorySpool::new(&budget);
    spools(&memory, 100).await;
    assert_eq!(budget.reserved(), 0);
    let both = (memory.create(60).await, memory.create(60).await);
    assert_eq!(both.1.unwrap_err(), SpoolError::Full { needed: 60, available: 40 });

    // Files are for dedicated workers, and not for every engine's.
    let files = match OpfsSpool::open().await {
        Err(SpoolError::Unavailable) => return,
        opened => opened.unwrap(),
    };
    spools(&files, 3_000_000).await;
    assert!(matches!(files.create(1 << 60).await, Err(SpoolError::Full { .. })));
    let kept = files.create(10).await.unwrap();
    // Another spool lets it be: its lock is held.
    let other = OpfsSpool::open().await.unwrap();
    assert_eq!(left().await, 2);
    drop((kept, files, other));
    for _ in 0..100 {
        if left().await == 0 {
            return;
        }
        BrowserClock.sleep_until(BrowserClock.now() + Duration::from_millis(20)).await;
    }
    panic!("{} directories are left", left().await);
}

/// Writes as much as a spool's file may hold, and reads it back from here and there.
async fn spools<S: Spool>(spool: &S, length: usize) {
    let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
    let mut file = spool.create(length as u64).await.unwrap();
    for part in bytes.chunks(length / 3) {
        let written = poll_fn(|cx| Pin::new(&mut file).poll_append(cx, part)).await;
        assert_eq!(written.ok(), Some(part.len()));
    }
    let full = poll_fn(|cx| Pin::new(&mut file).poll_append(cx, b"more")).await;
    assert!(full.is_err(), "beyond its length");
    let mut buffer = [0; 50];
    for offset in [0, length / 2, length - 50] {
        let read = poll_fn(|cx| Pin::new(&mut file).poll_read_at(cx, offset as u64, &mut buffer)).await;
        assert_eq!(read.ok(), Some(50));
        assert_eq!(buffer, bytes[offset..offset + 50]);
    }
    assert_eq!(poll_fn(|cx| Pin::new(&mut file).poll_read_at(cx, length as u64, &mut buffer)).await.ok(), Some(0));
}

/// How many spools' directories there are.
async fn left() -> usize {
    let script = "navigator.storage.getDirectory().then((top) => top.getDirectoryHandle('narrows-spool')).then(async \
                  (root) => { let count = 0; for await (const name of root.keys()) count++; return count; })";
    let counted = js_sys::eval(script).unwrap().dyn_into::<js_sys::Promise>().unwrap();
    JsFuture::from(counted).await.unwrap().as_f64().unwrap() as usize
}
