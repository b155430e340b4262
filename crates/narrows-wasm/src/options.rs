//! Options as JavaScript gives them.

use std::cell::Cell;

use js_sys::{Object, Reflect};
use narrows_browser::{BrowserFetch, BrowserOptions, Given};
use narrows_core::{
    Fetch, NotFound, Options, Order,
    hosts::{Hosts, Politeness},
    rate::Rate,
    unpack,
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::{RequestCache, RequestCredentials};

use crate::errors;

/// What a stream is made of.
pub(crate) struct Checked {
    pub(crate) options: Options,
    pub(crate) fetch: BrowserFetch,
}

/// Bytes that every file may keep for collecting: most tables and documents that are read whole.
const COLLECT_BYTES: u64 = 1 << 20;

/// Bytes that may come at once where their rate is bounded: a chunk.
const BYTES_BURST: u32 = 64 << 10;

/// Reads the options of a stream. What is left out has the core's default.
pub(crate) fn read(value: &JsValue) -> Result<Checked, JsValue> {
    read_all(value).map_err(errors::invalid)
}

fn read_all(value: &JsValue) -> Result<Checked, String> {
    let given = Given::new(value, "")?;
    let defaults = Options::default();
    let retry = defaults
        .retry
        .retries_max(given.u32("retries", defaults.retry.retries_max)?)
        .retry_after_max(given.millis("maxRetryAfter", defaults.retry.retry_after_max)?);
    let host_burst = given.u32("hostBurst", 1)?;
    let rate = |per_second: Option<f64>, burst: u32| per_second.map(|rate| Rate::new(rate).burst(burst));
    let politeness = Politeness::new()
        .host_requests(rate(given.positive("hostRate")?, host_burst))
        .requests(rate(given.positive("totalRate")?, 1))
        .bytes(rate(given.positive("bytesPerSecond")?, BYTES_BURST));
    let options = Options::new()
        .name(given.text("name")?.unwrap_or_else(next_name))
        .limit(given.usize("limit", defaults.limit)?)
        .adapts_limit(given.boolean("adaptLimit", defaults.adapts_limit)?)
        .order(given.word("order", &[("ready", Order::Ready), ("list", Order::List)])?)
        .look_ahead(given.usize("lookAhead", defaults.look_ahead)?)
        .hosts(Hosts::new(politeness))
        .retry(retry)
        .idle_timeout(given.millis("idleTimeout", defaults.idle_timeout)?)
        .min_rate(given.u64("minRate", defaults.min_rate)?)
        .rate_period(given.millis("ratePeriod", defaults.rate_period)?)
        .file_size_max(given.u64("maxFileSize", defaults.file_size_max)?)
        .not_found(given.word("notFound", &[("fail", NotFound::Fail), ("skip", NotFound::Skip)])?)
        .unpack(read_unpack(given.get("unpack"))?)
        .block_bytes(given.usize("blockBytes", defaults.block_bytes)?)
        .segment_bytes(given.u64("segmentBytes", defaults.segment_bytes)?)
        .segments_ahead(given.u32("segmentsAhead", defaults.segments_ahead)?)
        .collect_max(given.u64("collect", COLLECT_BYTES)?)
        .sha256(given.boolean("sha256", defaults.sha256)?)
        .seed(random());
    // What makes files done; kept by the interface.
    given.word("commit", &[("read", ()), ("explicit", ())])?;
    let fetch = BrowserFetch::new(BrowserOptions {
        bodies_per_host: given.usize("bodiesPerHost", BrowserOptions::default().bodies_per_host)?,
        credentials: given.word(
            "credentials",
            &[
                ("same-origin", RequestCredentials::SameOrigin),
                ("omit", RequestCredentials::Omit),
                ("include", RequestCredentials::Include),
            ],
        )?,
        cache: given.word(
            "cache",
            &[
                ("no-store", RequestCache::NoStore),
                ("default", RequestCache::Default),
                ("reload", RequestCache::Reload),
                ("no-cache", RequestCache::NoCache),
                ("force-cache", RequestCache::ForceCache),
            ],
        )?,
        // A segment on its way, and the copy of a block that JavaScript holds.
        outside_bytes: options.segment_bytes.saturating_add(options.block_bytes as u64),
    });
    given.end()?;
    Ok(Checked { options, fetch })
}

/// `true` is all defaults, `false` and nothing are no unpacking.
fn read_unpack(value: Option<JsValue>) -> Result<Option<unpack::Options>, String> {
    let value = match value.as_ref().map(JsValue::as_bool) {
        None | Some(Some(false)) => return Ok(None),
        Some(Some(true)) => JsValue::UNDEFINED,
        Some(None) => value.unwrap_or_default(),
    };
    let given = Given::new(&value, "unpack.")?;
    let allow = Given::new(&given.get("allow").unwrap_or_default(), "unpack.allow.")?;
    let defaults = unpack::Limits::default();
    let format = given.word(
        "format",
        &[
            ("", None),
            ("plain", Some(unpack::Format::Plain)),
            ("zip", Some(unpack::Format::Zip)),
            ("gzip", Some(unpack::Format::Gzip)),
            ("zstd", Some(unpack::Format::Zstd)),
        ],
    )?;
    let options = unpack::Options {
        format,
        limits: unpack::Limits {
            entry_bytes_max: given.u64("maxEntrySize", defaults.entry_bytes_max)?,
            archive_bytes_max: given.u64("maxArchiveSize", defaults.archive_bytes_max)?,
            entries_max: given.u32("maxEntries", defaults.entries_max)?,
            ratio_max: given.u32("maxRatio", defaults.ratio_max)?,
            name_bytes_max: given.u32("maxNameBytes", defaults.name_bytes_max.into())?.try_into().unwrap_or(u16::MAX),
            zstd_window_max: given.u64("maxZstdWindow", defaults.zstd_window_max)?,
            ..defaults
        },
        allow: unpack::Allow {
            prefixed_data: allow.boolean("prefixedData", false)?,
            trailing_data: allow.boolean("trailingData", false)?,
            duplicate_names: allow.boolean("duplicateNames", false)?,
            descriptor_flag_mismatch: allow.boolean("descriptorFlagMismatch", false)?,
            suspicious_comment: allow.boolean("suspiciousComment", false)?,
        },
        seed: random(),
        ..unpack::Options::default()
    };
    allow.end()?;
    given.end()?;
    Ok(Some(options))
}

/// What a stream is called in messages of who waits for whom.
fn next_name() -> String {
    thread_local!(static LAST: Cell<u32> = const { Cell::new(0) });
    LAST.set(LAST.get().wrapping_add(1));
    format!("stream {}", LAST.get())
}

fn random() -> u64 {
    (js_sys::Math::random() * 2f64.powi(53)) as u64
}

/// The memory that a stream with these options will need at most: of one file's transfer, term by
/// term and together (`workingSet`), and of as many as the limit and the budget allow (`peak`).
#[wasm_bindgen]
pub fn plan(options: &JsValue, budget: f64) -> Result<JsValue, JsValue> {
    let Checked { options, fetch } = read(options)?;
    let set = options.working_set(fetch.profile());
    let plan = Object::new();
    let peak = set.total().saturating_mul(options.limit as u64).min(budget as u64);
    let terms = set.iter().map(|(term, bytes)| (camel_case(term.name()), bytes));
    for (name, bytes) in terms.chain([("workingSet".into(), set.total()), ("peak".into(), peak)]) {
        let _ = Reflect::set(&plan, &name.into(), &(bytes as f64).into());
    }
    Ok(plan.into())
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_ascii_uppercase() + &word[1..])
}
