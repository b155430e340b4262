//! Reports, entries and counters as plain objects.

use narrows_core::{Outcome, Report, Stats, report::Hex, stats::TransferStats, unpack};
use serde::Serialize;
use wasm_bindgen::JsValue;

fn to_js(value: &impl Serialize) -> JsValue {
    // Structs of strings and numbers always become objects.
    serde_wasm_bindgen::to_value(value).unwrap_or(JsValue::UNDEFINED)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportObject<'a> {
    index: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    url: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    attempts: u32,
    requests: u32,
    bytes_received: f64,
    bytes_accepted: f64,
    bytes_out: f64,
    entries: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    elapsed: f64,
}

pub(crate) fn report(report: &Report) -> JsValue {
    let (proof, failure) = match &report.outcome {
        Outcome::Done(proof) => (Some(proof.name()), None),
        Outcome::Failed(failure) => (None, Some(failure)),
        Outcome::Skipped | Outcome::Cancelled => (None, None),
    };
    to_js(&ReportObject {
        index: report.index as f64,
        key: report.key.as_deref(),
        url: &report.url,
        outcome: report.outcome.name(),
        proof,
        code: failure.map(|failure| failure.kind.code()),
        message: failure.map(ToString::to_string),
        retryable: failure.map(|failure| failure.retryable()),
        status: report.status,
        attempts: report.attempts,
        requests: report.requests,
        bytes_received: report.bytes_received as f64,
        bytes_accepted: report.bytes_accepted as f64,
        bytes_out: report.bytes_out as f64,
        entries: report.entries as f64,
        sha256: report.sha256.map(|digest| Hex(&digest).to_string()),
        elapsed: report.elapsed.as_secs_f64() * 1000.0,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryObject {
    index: f64,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    is_directory: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    declared_size: Option<f64>,
}

pub(crate) fn entry(entry: &unpack::Entry) -> JsValue {
    to_js(&EntryObject {
        index: entry.index as f64,
        name: entry.name(),
        path: entry.safe_path().ok(),
        is_directory: entry.is_directory(),
        declared_size: entry.declared_size.map(|size| size as f64),
    })
}

#[derive(Serialize)]
struct TransferObject {
    index: f64,
    phase: &'static str,
    reserved: f64,
}

pub(crate) fn transfers(transfers: &[TransferStats]) -> JsValue {
    let object = |&TransferStats { index, phase, reserved, .. }: &TransferStats| TransferObject {
        index: index as f64,
        phase: phase.name(),
        reserved: reserved as f64,
    };
    to_js(&transfers.iter().map(object).collect::<Vec<_>>())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatsObject<'a> {
    reserved: f64,
    reserved_peak: f64,
    capacity: f64,
    in_flight: f64,
    limit: f64,
    pulled: f64,
    queued: f64,
    uncommitted: f64,
    requesting: f64,
    receiving: f64,
    waiting: f64,
    backing_off: f64,
    received: f64,
    bytes_in: f64,
    bytes_refetched: f64,
    bytes_out: f64,
    requests: f64,
    retries: f64,
    refusals: f64,
    done: f64,
    skipped: f64,
    failed: f64,
    cancelled: f64,
    held: f64,
    held_for: f64,
    oldest: f64,
    /// Who waits for whom, where nothing has moved for some seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    stalled: Option<&'a str>,
}

pub(crate) fn stats(stats: &Stats, stalled: Option<&str>) -> JsValue {
    let [requesting, receiving, waiting, backing_off, received] = stats.transfers_by_phase.map(|count| count as f64);
    to_js(&StatsObject {
        reserved: stats.reserved as f64,
        reserved_peak: stats.reserved_peak as f64,
        capacity: stats.capacity as f64,
        in_flight: stats.in_flight as f64,
        limit: stats.limit as f64,
        pulled: stats.pulled as f64,
        queued: stats.queued as f64,
        uncommitted: stats.uncommitted as f64,
        requesting,
        receiving,
        waiting,
        backing_off,
        received,
        bytes_in: stats.bytes_in as f64,
        bytes_refetched: stats.bytes_refetched as f64,
        bytes_out: stats.bytes_out as f64,
        requests: stats.requests as f64,
        retries: stats.retries as f64,
        refusals: stats.refusals as f64,
        done: stats.done as f64,
        skipped: stats.skipped as f64,
        failed: stats.failed as f64,
        cancelled: stats.cancelled as f64,
        held: stats.held as f64,
        held_for: stats.held_for.as_secs_f64() * 1000.0,
        oldest: stats.oldest.as_secs_f64() * 1000.0,
        stalled,
    })
}
