//! The cases every [`Fetch`] adapter must pass, against the origin that `narrows origin` starts.
//!
//! Each case is an address whose query asks the origin for a fault, and the one outcome that is
//! right. What comes out is compared with what the same resource is without the fault.

use std::time::Duration;

use futures_util::StreamExt;
use narrows_core::{Budget, Clock, Fetch, Options, Outcome, RetryPolicy, Source, Window, unpack};

/// A fault, and what it must come to: `done`, `skipped`, or the code of a failure.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What is tried.
    pub name: &'static str,
    /// The path, without faults.
    pub path: &'static str,
    /// The faults, as the origin's query has them.
    pub faults: &'static str,
    /// What it must come to; where the protocol decides how it shows, one of several.
    pub expected: &'static str,
}

const fn case(name: &'static str, path: &'static str, faults: &'static str, expected: &'static str) -> Case {
    Case { name, path, faults, expected }
}

/// All cases.
pub const CASES: &[Case] = &[
    case("a healthy body", "/bytes/300000", "", "done"),
    case("an empty body", "/bytes/0", "", "done"),
    case("one byte", "/bytes/1", "", "done"),
    case("a zip", "/gdeltv2/20260101000000.export.CSV.zip", "", "done"),
    case("gzip", "/ticks/2026-01-01.csv.gz", "mb=1", "done"),
    case("a reset is resumed", "/bytes/300001", "reset=100000&times=1", "done"),
    case("two resets", "/bytes/300002", "reset=50000&times=2", "done"),
    case("a cut is resumed", "/bytes/300003", "cut=100000&times=1", "done"),
    case("a stall is given up", "/bytes/300004", "stall=100000&times=1", "done"),
    case("no ranges: replayed", "/bytes/300005", "reset=100000&times=1&no-ranges", "done"),
    case("no validator: replayed", "/bytes/300006", "reset=100000&times=1&no-etag", "done"),
    case("a weak validator: replayed", "/bytes/300007", "reset=100000&times=1&weak-etag", "done"),
    case("other content after a break", "/bytes/300008", "reset=100000&times=1&change", "changed"),
    case("other content, no validator", "/bytes/300009", "reset=100000&times=1&change&no-etag", "changed"),
    case("a reset for ever", "/bytes/300011", "reset=1000&no-length", "interrupted|cut"),
    case("overload that passes", "/bytes/300012", "status=503&retry-after=1&times=1", "done"),
    case("too many requests that pass", "/bytes/300013", "status=429&times=2", "done"),
    case("overload for ever", "/bytes/300014", "status=503", "overloaded"),
    case("an error of the origin", "/bytes/300015", "status=500", "status"),
    case("not found", "/bytes/300016", "status=404", "not_found"),
    case("gone", "/bytes/300017", "status=410", "not_found"),
    case("forbidden", "/bytes/300018", "status=403", "denied"),
    case("a cut for ever", "/bytes/300010", "cut=1000", "cut|interrupted"),
    case("a cut without a length", "/bytes/300026", "reset=1000&no-length", "interrupted|cut"),
    case("no length", "/bytes/300020", "no-length", "done"),
    case("a wrong range once", "/bytes/300022", "reset=100000&times=2&wrong-range", "done"),
    case("a redirect", "/bytes/300023", "redirect=/bytes/300023&times=1", "done"),
    case("several segments", "/bytes/3000027", "", "done"),
    case("several segments, a reset in each", "/bytes/3000028", "reset=500000&times=3", "done"),
    case("a part wrapped as a whole", "/bytes/3000040", "rewrap", "done"),
    case("a part wrapped as a whole, bare", "/bytes/3000041", "bare", "done"),
    case("a range refused", "/bytes/300042", "deny-range", "done"),
    case("parts shorter than asked for", "/bytes/3000043", "short", "done"),
    case("a break, then a part wrapped as a whole", "/bytes/3000044", "reset=100000&times=1&rewrap", "done"),
    case("a wait longer than allowed", "/bytes/300019", "status=503&retry-after=4000", "overloaded"),
];

/// Cases for adapters that see everything themselves, as native ones do.
pub const NATIVE_CASES: &[Case] = &[
    case("a content encoding", "/bytes/300021", "gzip", "done"),
    case("a redirect for ever", "/bytes/300024", "redirect=", "redirect"),
    case("a redirect to another scheme", "/bytes/300025", "redirect=file:///etc/passwd", "redirect"),
    case("no length, larger than a segment", "/bytes/3000029", "no-length&no-ranges", "done"),
];

/// Cases for `fetch()` on a page of another origin: it decodes and redirects by itself, shows
/// what CORS lets it show, and says little of why it failed.
pub const BROWSER_CASES: &[Case] = &[
    case("a content encoding", "/bytes/300021", "gzip&no-ranges", "done"),
    case("a redirect for ever", "/bytes/300024", "redirect=", "connect"),
    case("a redirect to another scheme", "/bytes/300025", "redirect=file:///etc/passwd", "connect|blocked"),
    case("hidden headers", "/bytes/300030", "hide", "done"),
    case("hidden headers, several segments", "/bytes/3000031", "hide", "done"),
    case("hidden headers, whole segments", "/bytes/2097152", "hide", "done"),
    case("hidden headers, nothing", "/bytes/0", "hide", "done"),
    case("hidden headers, a reset", "/bytes/300032", "hide&reset=100000&times=1", "done"),
    case("hidden headers, no ranges", "/bytes/300033", "hide&no-ranges&reset=100000&times=1", "done"),
    case("hidden headers, a part wrapped as a whole", "/bytes/3000045", "hide&rewrap", "done"),
    case("hidden headers, a range refused", "/bytes/300046", "hide&deny-range", "done"),
    case("hidden headers, short parts", "/bytes/300047", "hide&short", "done"),
    case("no ranges, larger than the budget", "/bytes/30000034", "no-ranges", "needs_ranges"),
    case("no length, larger than a segment", "/bytes/3000029", "no-length&no-ranges", "needs_ranges"),
    case("no permission to read", "/bytes/300035", "no-cors", "blocked"),
];

/// Runs a case and says what was wrong.
///
/// # Errors
///
/// What was expected and what came.
pub async fn run<F, C>(case: Case, fetch: &F, clock: &C, base: &str) -> Result<(), String>
where
    F: Fetch + Clone,
    C: Clock + Clone,
{
    let Case { name, path, faults, expected } = case;
    let address = format!("{base}{path}?{faults}");
    let (outcome, bytes) = download(fetch, clock, &address).await;
    let code = match &outcome {
        Outcome::Failed(failure) => failure.kind.code(),
        other => other.name(),
    };
    if !expected.split('|').any(|expected| expected == code) {
        return Err(format!("{name}: {code} instead of {expected}: {outcome:?}"));
    }
    if expected == "done" {
        let plain = faults.split('&').find(|fault| fault.starts_with("mb=")).unwrap_or_default();
        let (_, whole) = download(fetch, clock, &format!("{base}{path}?{plain}")).await;
        if bytes != whole {
            return Err(format!("{name}: {} bytes differ from the {} of the resource", bytes.len(), whole.len()));
        }
    }
    Ok(())
}

async fn download<F, C>(fetch: &F, clock: &C, url: &str) -> (Outcome, Vec<u8>)
where
    F: Fetch + Clone,
    C: Clock + Clone,
{
    let (soon, later) = (Duration::from_millis(10), Duration::from_millis(50));
    let options = Options::new()
        .retry(RetryPolicy::new().retries_max(3).backoff_min(soon).backoff_max(later))
        .idle_timeout(Duration::from_secs(2))
        .block_bytes(16 << 10)
        .unpack(unpack::Options::default());
    // Beside a working set, room for a body that can only be had whole.
    let budget = Budget::new(options.working_set(fetch.profile()).total() + (4 << 20));
    let window = Window::from_iter([Source::new(url)], fetch.clone(), clock.clone(), &budget, options);
    let mut window = window.unwrap_or_else(|error| panic!("a whole working set: {error}"));
    let Some(mut delivery) = window.next().await else { panic!("one source, no delivery") };
    let mut bytes = Vec::new();
    while let Ok(Some(block)) = delivery.next_block().await {
        bytes.extend_from_slice(&block);
    }
    let report = delivery.finish();
    drop(window);
    assert_eq!(budget.reserved(), 0, "{url}: something is still reserved");
    (report.outcome, bytes)
}
