//! `narrows tardis` as its users run it: every type, a second run, kills, keys, days without data, files
//! that are not what they should be.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use bytes::Bytes;
use narrows_tables::{read_about, tardis::TYPES};
use native_tests::{Origin, files, narrows};
use serde_json::Value;

/// Runs `narrows tardis ARGUMENTS --summary json`: its exit status, its summary, its stderr.
fn tardis(arguments: &[&str]) -> (i32, Value, String) {
    let output = command(arguments).output().unwrap();
    let summary = output.stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), serde_json::from_slice(summary).unwrap_or(Value::Null), stderr)
}

fn command(arguments: &[&str]) -> Command {
    let mut all = vec!["tardis", "--exchange", "deribit", "--summary", "json"];
    all.extend(arguments);
    let mut command = narrows(&all);
    command.env_remove("TARDIS_API_KEY");
    command
}

fn about(path: &Path) -> Option<(String, u64)> {
    read_about(Bytes::from(fs::read(path).unwrap())).map(|(name, about)| (name, about.rows))
}

const DAYS: [&str; 6] = ["--symbol", "BTC-PERPETUAL,ETH-PERPETUAL", "--from", "2024-01-01", "--to", "2024-01-03"];

#[test]
fn every_type_becomes_a_table_and_a_second_run_takes_nothing() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (out, types) = (scratch.path().to_str().unwrap(), TYPES.join(","));
    let base = origin.url("/with/rows=3000");
    let all = [&["--type", &types, "--base", &base, "--out", out][..], &DAYS].concat();
    let (status, summary, stderr) = tardis(&all);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!((summary["done"].as_u64(), summary["tables"]["rows"].as_u64()), (Some(54), Some(54 * 3000)));
    assert_eq!(summary["tables"]["days"].as_array().unwrap().len(), 27);
    let found = files(scratch.path());
    assert_eq!(found.len(), 54, "{found:?}");
    assert!(found.contains(&"exchange=deribit/data_type=trades/date=2024-01-02/BTC-PERPETUAL.parquet".to_owned()));
    for name in &found {
        let (schema, rows) = about(&scratch.path().join(name)).unwrap();
        assert!(name.contains(&format!("data_type={}/", schema.strip_prefix("tardis.").unwrap())), "{name} {schema}");
        assert_eq!(rows, 3000);
    }
    let (status, summary, _) = tardis(&all);
    assert_eq!(
        (status, summary["bytes_received"].as_u64(), summary["tables"]["already"].as_u64()),
        (0, Some(0), Some(54))
    );
    // One is damaged, one is of another source: they are made again, and only they.
    fs::write(scratch.path().join(&found[0]), "no Parquet").unwrap();
    fs::copy(scratch.path().join(&found[2]), scratch.path().join(&found[1])).unwrap();
    let (status, summary, _) = tardis(&all);
    assert_eq!((status, summary["done"].as_u64()), (0, Some(2)));
    assert!(about(&scratch.path().join(&found[0])).is_some());
}

#[test]
fn shards_are_disjoint_and_complete() {
    let symbols = (0..40).map(|number| format!("COIN{number}")).collect::<Vec<_>>().join(",");
    let listed = |shard: &[&str]| {
        let fixed =
            ["--type", "trades", "--symbol", &symbols, "--from", "2024-01-01", "--to", "2024-01-02", "--dry-run"];
        let output = command(&[&fixed[..], shard].concat()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let mut parts: Vec<String> = ["0/3", "1/3", "2/3"].iter().flat_map(|shard| listed(&["--shard", shard])).collect();
    let mut all = listed(&[]);
    parts.sort();
    all.sort();
    assert_eq!((parts, all.len()), (all.clone(), 80));
    assert!(all[0].starts_with("https://datasets.tardis.dev/v1/deribit/trades/2024/01/01/COIN"));
}

#[test]
fn a_key_is_sent_and_never_shown() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let base = origin.url("/with/rows=100&key=TD.secret");
    let (out, key, lines) = (scratch.path().join("out"), scratch.path().join("key"), scratch.path().join("report"));
    fs::write(&key, "TD.secret\n").unwrap();
    let [out, key, report] = [&out, &key, &lines].map(|path| path.to_str().unwrap());
    let fixed = ["--type", "trades", "--base", &base, "--out", out, "--report", report];
    let (status, summary, stderr) = tardis(&[&fixed[..], &DAYS].concat());
    assert_eq!(
        (status, summary["done"].as_u64(), summary["failed"].as_u64()),
        (1, Some(2), Some(4)),
        "the first is free"
    );
    assert!(stderr.contains("401"), "{stderr}");
    let (status, summary, stderr) = tardis(&[&fixed[..], &DAYS, &["--key-file", key]].concat());
    assert_eq!((status, summary["done"].as_u64(), summary["tables"]["already"].as_u64()), (0, Some(4), Some(2)));
    let told = format!("{stderr}{summary}{}", fs::read_to_string(&lines).unwrap());
    assert!(!told.contains("Bearer"), "{told}");
    let by_environment = command(&[&fixed[..], &DAYS].concat()).env("TARDIS_API_KEY", "TD.wrong").output().unwrap();
    assert!(!String::from_utf8_lossy(&by_environment.stderr).contains("TD.wrong"));
}

#[test]
fn a_key_that_is_refused_is_not_tried_on_a_thousand_files() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let base = origin.url("/with/rows=100&key=TD.right");
    let symbols = (0..40).map(|number| format!("COIN{number}")).collect::<Vec<_>>().join(",");
    let out = scratch.path().join("out");
    let fixed = ["--type", "trades", "--base", &base, "--out", out.to_str().unwrap(), "--symbol", &symbols];
    let run = |from: &str, key: Option<&str>| {
        let days = ["--from", from, "--to", "2024-01-30"];
        let mut command = command(&[&fixed[..], &days].concat());
        command.envs(key.map(|key| ("TARDIS_API_KEY", key)));
        let output = command.output().unwrap();
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        let count = |name: &str| summary[name].as_u64().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), [count("done"), count("failed"), count("cancelled")], stderr)
    };
    let (status, [done, failed, cancelled], stderr) = run("2024-01-02", Some("TD.wrong"));
    assert_eq!((status, done, failed + cancelled), (Some(1), 0, 29 * 40), "{stderr}");
    assert!((12..40).contains(&failed), "{failed} were asked for: {stderr}");
    assert_eq!(stderr.matches("nothing more is asked for: is the key right").count(), 1, "{stderr}");
    // Where some are given, others are refused for reasons of their own.
    let (status, [done, failed, cancelled], stderr) = run("2024-01-29", None);
    assert_eq!((status, done, failed, cancelled), (Some(1), 0, 2 * 40, 0), "without a key: {stderr}");
    let (status, [done, failed, _], _) = run("2024-01-29", Some("TD.right"));
    assert_eq!((status, done, failed), (Some(0), 2 * 40, 0));
}

#[test]
fn missing_empty_and_failed_are_told_apart() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let run = |wishes: &str, name: &str, more: &[&str]| {
        let (base, out) = (origin.url(&format!("/with/{wishes}")), scratch.path().join(name));
        tardis(&[&["--type", "trades", "--base", &base, "--out", out.to_str().unwrap()], &DAYS[..], more].concat())
    };
    let (status, summary, _) = run("rows=0", "empty", &[]);
    assert_eq!(
        (status, summary["done"].as_u64(), summary["tables"]["days"][0]["empty"].as_u64()),
        (0, Some(6), Some(2))
    );
    assert_eq!(files(&scratch.path().join("empty")).len(), 6, "with their columns");
    let (status, summary, _) = run("rows=10&status=404", "missing", &[]);
    assert_eq!(
        (status, summary["skipped"].as_u64(), summary["tables"]["days"][0]["missing"].as_u64()),
        (1, Some(6), Some(2)),
        "none at all, which may be a wrong symbol"
    );
    assert!(files(&scratch.path().join("missing")).is_empty());
    let (status, summary, stderr) = run("rows=1000&wrong-header", "header", &[]);
    assert_eq!((status, summary["failed"].as_u64()), (1, Some(6)));
    assert!(stderr.contains("not the header exchange,symbol,timestamp"), "{stderr}");
    let (status, _, stderr) = run("rows=1000&bad-row=1000", "bad", &[]);
    assert_eq!(status, 1);
    assert!(stderr.contains("row 1001, price \"free\": not a number; --on-bad-row skip"), "{stderr}");
    assert!(files(&scratch.path().join("bad")).is_empty(), "not even a part of it");
    let rejected = scratch.path().join("rejected");
    let skipping = ["--on-bad-row", "skip", "--rejected", rejected.to_str().unwrap()];
    let (status, summary, _) = run("rows=1000&bad-row=1000", "bad", &skipping);
    assert_eq!(
        (status, summary["tables"]["rows"].as_u64(), summary["tables"]["rejected_rows"].as_u64()),
        (0, Some(5994), Some(6))
    );
    assert_eq!(fs::read_to_string(rejected).unwrap().lines().count(), 6);
    let (status, summary, _) = run("rows=1000&cut=2000", "cut", &["--retries", "0"]);
    assert_eq!((status, summary["failed"].as_u64(), files(&scratch.path().join("cut")).len()), (1, Some(6), 0));
    let (status, summary, _) = run("rows=1000&cut=2000&times=1", "retried", &[]);
    assert_eq!((status, summary["done"].as_u64()), (0, Some(6)), "a cut file is continued");
}

#[test]
fn killed_runs_leave_whole_files_and_go_on() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let slow = origin.url("/with/rows=2000&rate=200000&some=30&reset=9000&times=1");
    let days = ["--symbol", "A,B,C,D,E,F", "--from", "2024-01-01", "--to", "2024-01-05"];
    let fixed = ["--type", "trades,quotes", "--base", &slow, "--out", out.to_str().unwrap()];
    let all = [&fixed[..], &days].concat();
    let kills: u64 = std::env::var("NARROWS_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(5);
    for moment in 0..kills {
        let mut child = command(&all).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(100 + moment * 2_654_435_761 % 1300));
        child.kill().unwrap();
        child.wait().unwrap();
        let whole = files(&out).into_iter().filter(|name| name.starts_with("exchange="));
        whole.for_each(|name| assert_eq!(about(&out.join(&name)).unwrap().1, 2000, "{name}"));
    }
    let (status, summary, stderr) = tardis(&all);
    assert_eq!(status, 0, "{stderr}");
    let (done, already) = (summary["done"].as_u64().unwrap(), summary["tables"]["already"].as_u64().unwrap());
    assert_eq!(done + already, 60);
    assert!(already > 0 || kills == 0, "nothing was kept of {kills} runs");
    let found = files(&out);
    assert_eq!(found.len(), 60, "{found:?}");
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_downloaded() {
    let refused = |arguments: &[&str]| {
        let (status, _, stderr) = tardis(arguments);
        assert_eq!(status, 2, "{stderr}");
        stderr
    };
    assert!(refused(&[&["--type", "colours"], &DAYS[..]].concat()).contains("is none of trades"));
    assert!(
        refused(&[&["--type", "trades", "--columns", "price,colour"], &DAYS[..]].concat())
            .contains("no column \"colour\"")
    );
    assert!(
        refused(&["--type", "trades", "--symbol", "../x", "--from", "2024-01-01", "--to", "2024-01-01"])
            .contains("is no name of")
    );
    assert!(refused(&[&["--type", "trades", "--shard", "3/3"], &DAYS[..]].concat()).contains("from 0 to 29"));
    assert!(refused(&["--type", "trades", "--from", "2024-01-01", "--to", "2024-01-01"]).contains("say which symbols"));
    assert!(
        refused(&[&["--type", "book_snapshot_25", "--limit", "50"], &DAYS[..]].concat())
            .contains("MiB would do, or a smaller --limit")
    );
}

/// A file system of so many kilobytes, unmounted when it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    /// `None`, and said so, where none may be mounted.
    fn mount(kilobytes: u32) -> Option<Self> {
        let folder = Self(tempfile::tempdir().unwrap());
        if folder.resize("size", kilobytes) {
            return Some(folder);
        }
        eprintln!("skipped: no file system may be mounted here");
        None
    }

    fn resize(&self, how: &str, kilobytes: u32) -> bool {
        let options = format!("{how}={kilobytes}k");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(self.0.path()).output();
        mount.is_ok_and(|mount| mount.status.success())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_fails_what_does_not_fit_and_a_second_run_with_room_completes() {
    let Some(small) = Small::mount(250) else { return };
    let origin = Origin::start(&[]);
    let (base, out) = (origin.url("/with/rows=5000"), small.0.path().join("out"));
    let all = [&["--type", "trades", "--base", &base, "--out", out.to_str().unwrap()], &DAYS[..]].concat();
    let (status, summary, stderr) = tardis(&all);
    assert_eq!(status, 1, "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
    let done = summary["done"].as_u64().unwrap();
    let whole: Vec<String> = files(&out).into_iter().filter(|name| name.ends_with(".parquet")).collect();
    assert_eq!(whole.len() as u64, done);
    whole.iter().for_each(|name| assert_eq!(about(&out.join(name)).unwrap().1, 5000, "{name}"));
    assert!(small.resize("remount,size", 20_000), "it grows");
    let (status, summary, stderr) = tardis(&all);
    assert_eq!((status, summary["tables"]["already"].as_u64()), (0, Some(done)), "{stderr}");
    assert_eq!(files(&out).len(), 6);
}
