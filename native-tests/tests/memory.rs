//! What the process really holds, as the kernel counts it, beside what the ledger says.

use std::fs;

use native_tests::{Origin, get};
use serde_json::Value;

const MB: u64 = 1_000_000;

fn field(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap_or_else(|| panic!("no {name} in {summary}"))
}

/// Runs a list and gives its summary; every source must be done.
fn run(urls: impl IntoIterator<Item = String>, arguments: &[&str]) -> Value {
    let scratch = tempfile::tempdir().unwrap();
    let list = scratch.path().join("list");
    let urls: Vec<String> = urls.into_iter().collect();
    fs::write(&list, urls.join("\n")).unwrap();
    let mut all = vec!["--list", list.to_str().unwrap(), "--discard", "--progress", "none"];
    all.extend(arguments);
    let (status, summary, stderr) = get(&all);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(field(&summary, "done"), urls.len() as u64);
    assert!(field(&summary, "peak_charged_bytes") <= field(&summary, "budget_bytes"));
    summary
}

fn slots(origin: &Origin, count: usize) -> impl Iterator<Item = String> {
    let times = (1..=31).flat_map(|day| (0..96).map(move |slot| (day, slot)));
    times.take(count).map(|(day, slot)| {
        origin.url(&format!("/gdeltv2/202601{day:02}{:02}{:02}00.export.CSV.zip", slot / 4, slot % 4 * 15))
    })
}

#[test]
fn a_week_of_slots_and_a_month_hold_the_same_20_mb() {
    let origin = Origin::start(&[]);
    let arguments = ["--unpack", "--limit", "10", "--budget", "64MiB"];
    run(slots(&origin, 2881), &arguments); // the origin generates them
    let peaks = [673, 2881].map(|count| {
        // Which buffers meet is chance, worth about a megabyte.
        let mut peaks: Vec<u64> =
            (0..5).map(|_| field(&run(slots(&origin, count), &arguments), "peak_rss_bytes")).collect();
        peaks.sort_unstable();
        eprintln!("{count} slots: {peaks:?}");
        assert!(peaks.iter().all(|peak| *peak <= 20 * MB), "{peaks:?}");
        peaks[2]
    });
    assert!(peaks[1] <= peaks[0] + MB, "{peaks:?}");
    // Rows counted by the engine and by hand.
    let first = run(slots(&origin, 1), &arguments);
    let out = tempfile::tempdir().unwrap();
    let url = slots(&origin, 1).next().unwrap();
    let (_, _, _) = get(&[&url, "--unpack", "--out", out.path().to_str().unwrap()]);
    let rows = fs::read(out.path().join("20260101000000.export.CSV")).unwrap();
    assert_eq!(field(&first, "lines"), rows.iter().filter(|byte| **byte == b'\n').count() as u64);
}

#[test]
fn ten_large_zips_hold_24_mb() {
    let origin = Origin::start(&[]);
    let urls = (1..=10).map(|day| origin.url(&format!("/trades/2026-01-{day:02}.zip?mb=80")));
    let summary = run(urls, &["--unpack", "--limit", "4"]);
    let peak = field(&summary, "peak_rss_bytes");
    assert!(field(&summary, "bytes_out") >= 800 << 20);
    assert!(peak <= 24 * MB, "{peak}");
}

#[test]
fn a_long_list_costs_no_more_than_a_short_one() {
    let origin = Origin::start(&[]);
    let urls = |count: u64| (0..count).map(|index| origin.url(&format!("/bytes/64?name={index}"))).collect::<Vec<_>>();
    let short = field(&run(urls(2000), &[]), "peak_rss_bytes");
    let long = field(&run(urls(40_000), &[]), "peak_rss_bytes");
    assert!(long <= short + MB, "2,000: {short}, 40,000: {long}");
}

#[test]
fn one_working_set_finishes_files_of_every_size() {
    let origin = Origin::start(&[]);
    let mut urls: Vec<String> = (0..30).map(|power| origin.url(&format!("/bytes/{}", 1u64 << (power % 24)))).collect();
    urls.extend(slots(&origin, 20));
    urls.push(origin.url("/trades/2026-01-01.zip?mb=200"));
    let scratch = tempfile::tempdir().unwrap();
    let list = scratch.path().join("list");
    fs::write(&list, urls.join("\n")).unwrap();
    let with = |budget: &str| get(&["--list", list.to_str().unwrap(), "--discard", "--unpack", "--budget", budget]);
    // The refusal says the number; that number is enough, one less is not.
    let (status, _, stderr) = with("1");
    let needed: u64 = stderr.split(": ").find_map(|part| part.split(' ').next()?.parse().ok()).expect("a number");
    assert_eq!(status, 2, "{stderr}");
    assert_eq!(with(&(needed - 1).to_string()).0, 2);
    let (status, summary, stderr) = with(&needed.to_string());
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(field(&summary, "done"), urls.len() as u64);
    assert!(field(&summary, "peak_charged_bytes") <= needed);
}
