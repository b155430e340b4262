//! `narrows bars` as its users run it: the oracle's bars, runs that are killed and go on, days that are
//! missing, files that are not as published.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    thread,
    time::Duration,
};

use native_tests::{Origin, files, narrows, report, shared};
use serde_json::Value;

/// Runs `narrows bars ARGUMENTS --summary json`: its exit status, its summary, its stderr.
fn bars(arguments: &[&str]) -> (i32, Value, String) {
    let mut all = vec!["bars", "--summary", "json"];
    all.extend(arguments);
    let output = narrows(&all).output().unwrap();
    let summary = output.stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), serde_json::from_slice(summary).unwrap_or(Value::Null), stderr)
}

/// The arguments of January 2024, to this day, from this origin.
fn january<'a>(base: &'a str, to: &'a str, out: &'a Path) -> Vec<&'a str> {
    let out = out.to_str().unwrap();
    let days = ["--symbol", "BTCUSDT", "--from", "2024-01-01", "--to", to];
    [&["--base", base, "--threshold-dbps", "100,250", "--out", out][..], &days[..]].concat()
}

fn name(day: u32) -> String {
    format!("BTCUSDT-aggTrades-2024-01-{day:02}.zip")
}

#[test]
fn real_trades_become_the_oracles_bars() {
    let (Some(inputs), Some(oracle)) = (shared("aggtrades"), shared("rangebar-oracle")) else { return };
    let origin = Origin::start(&["--dir", inputs.to_str().unwrap()]);
    for input in ["ETHUSDT-aggTrades-2024-08-08.spot.csv", "BTCUSD_PERP-aggTrades-2024-08-08.cm.csv"] {
        for (gate, more) in [("gate1", &[][..]), ("gate0", &["--no-gate"])] {
            let url = origin.url(&format!("/{input}"));
            let arguments = [&["bars", &url, "--threshold-dbps", "10", "--stdout"], more].concat();
            let output = narrows(&arguments).output().unwrap();
            let expected = fs::read(oracle.join(format!("{input}.10dbps.{gate}.bars.csv"))).unwrap();
            assert!(output.stdout == expected, "{input} {gate}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn one_run_many_runs_and_killed_ones_write_the_same_bytes() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    let base = origin.url("/with/trades=5000");
    let (status, summary, stderr) = bars(&january(&base, "2024-01-12", &at("whole-{threshold}.csv")));
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(summary["bars"]["trades"], 60_000);
    assert_eq!(summary["bars"]["gaps"], 0);
    let expected = [100, 250].map(|threshold| fs::read_to_string(at(&format!("whole-{threshold}.csv"))).unwrap());
    assert_eq!(
        summary["bars"]["bars"].as_u64().unwrap() as usize + 2,
        expected.iter().map(|text| text.lines().count()).sum::<usize>()
    );
    assert!(expected[1].lines().count() > 20);

    for to in ["2024-01-03", "2024-01-04", "2024-01-12", "2024-01-12"] {
        let (status, summary, stderr) = bars(&january(&base, to, &at("days-{threshold}.csv")));
        assert_eq!(status, 0, "{stderr}");
        assert_eq!(summary["bars"]["last_file"], name(to[8..].parse().unwrap()));
    }
    let (_, summary, stderr) = bars(&january(&base, "2024-01-12", &at("days-{threshold}.csv")));
    assert_eq!((summary["bars"]["trades"].as_u64(), summary["bytes_received"].as_u64()), (Some(0), Some(0)));
    assert!(stderr.contains("the output has all of these files already"), "{stderr}");

    let slow = origin.url("/with/trades=5000&rate=150000&some=40&reset=20000&times=1");
    let kills: u64 = std::env::var("NARROWS_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(6);
    for moment in 0..kills {
        let out = at("killed-{threshold}.csv");
        let mut all = vec!["bars", "--limit", "3"];
        all.extend(january(&slow, "2024-01-12", &out));
        let mut child = narrows(&all).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(40 + moment * 2654435761 % 1700));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (status, _, stderr) = bars(&january(&base, "2024-01-12", &at("killed-{threshold}.csv")));
    assert_eq!(status, 0, "{stderr}");
    for (threshold, expected) in [(100, &expected[0]), (250, &expected[1])] {
        for run in ["days", "killed"] {
            assert!(
                fs::read_to_string(at(&format!("{run}-{threshold}.csv"))).unwrap() == *expected,
                "{run} {threshold}"
            );
        }
    }
    let left: Vec<String> = files(scratch.path()).into_iter().filter(|name| !name.ends_with(".csv")).collect();
    assert_eq!(left, ["days-100.csv.state", "killed-100.csv.state", "whole-100.csv.state"]);
}

#[test]
fn a_run_killed_between_the_names_and_the_state_goes_on() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (base, at) = (origin.url("/with/trades=2000"), |name: &str| scratch.path().join(name));
    let run = |to: &str, out: &str| bars(&january(&base, to, &at(out)));
    assert_eq!(run("2024-01-04", "whole-{threshold}").0, 0);
    assert_eq!(run("2024-01-03", "cut-{threshold}").0, 0);
    // As it is when the first output has its name, the second has not, and the state is the one before.
    let state = fs::read_to_string(at("cut-100.state")).unwrap().replace("\"complete\":true", "\"complete\":false");
    fs::write(at("cut-100.state"), state).unwrap();
    fs::rename(at("cut-250"), at("cut-250.partial")).unwrap();
    let (status, _, stderr) = run("2024-01-04", "cut-{threshold}");
    assert_eq!(status, 0, "{stderr}");
    for threshold in [100, 250] {
        let text = |name: &str| fs::read_to_string(at(&format!("{name}-{threshold}"))).unwrap();
        assert!(text("cut") == text("whole"), "{threshold}");
    }
}

#[test]
fn an_interrupt_keeps_the_days_that_are_whole() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (out, lines) = (scratch.path().join("{threshold}.csv"), scratch.path().join("report"));
    let slow = origin.url("/with/trades=5000&rate=200000");
    let mut all = vec!["bars", "--limit", "2", "--report", lines.to_str().unwrap()];
    all.extend(january(&slow, "2024-01-20", &out));
    let mut child = narrows(&all).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(1500));
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let lines = report(&lines);
    assert_eq!(lines.len(), 20, "one line for each day");
    let done = lines.iter().filter(|line| line["outcome"] == "done").count();
    assert!((1..20).contains(&done), "{done} done");
    let state: Value = serde_json::from_slice(&fs::read(scratch.path().join("100.csv.state")).unwrap()).unwrap();
    assert_eq!(state["last_file"], name(done as u32));
    let (status, summary, _) = bars(&january(&origin.url("/with/trades=5000"), "2024-01-20", &out));
    assert_eq!((status, summary["done"].as_u64()), (0, Some(20 - done as u64)));
}

#[test]
fn a_wrong_checksum_ends_the_run_where_it_is_unless_it_is_known_to_be_wrong() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("{threshold}.csv");
    let base = origin.url("/with/trades=1000&wrong-checksum&some=25");
    let (status, summary, stderr) = bars(&january(&base, "2024-01-20", &out));
    assert_eq!(status, 1);
    let failed = summary["done"].as_u64().unwrap() as u32 + 1;
    assert!((2..20).contains(&failed), "{failed}: another part of addresses is meant");
    assert!(stderr.contains(&name(failed)) && stderr.contains("sha256 is"), "{stderr}");
    assert_eq!(summary["bars"]["last_file"], name(failed - 1));
    assert!(!scratch.path().join("100.csv").exists() && scratch.path().join("100.csv.partial").exists());
    let known = name(failed);
    let mut all = vec!["--wrong-checksum", &known];
    let to = format!("2024-01-{failed:02}");
    all.extend(january(&base, &to, &out));
    let (status, summary, stderr) = bars(&all);
    assert_eq!((status, summary["done"].as_u64()), (0, Some(1)), "{stderr}");
    assert!(stderr.contains("published is"), "{stderr}");
    assert_eq!(summary["bars"]["unproven_files"].as_array().unwrap().len(), 1);
    let all = [&["--checksum", "warn"], &january(&base, "2024-01-20", &out)[..]].concat();
    let (status, summary, stderr) = bars(&all);
    assert_eq!((status, summary["done"].as_u64()), (0, Some(20 - u64::from(failed))), "{stderr}");
}

#[test]
fn days_that_are_not_there_are_missing_and_leave_a_gap() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("{threshold}.csv");
    let base = origin.url("/with/trades=1000&status=404&some=25");
    let mut all = vec!["--checksum", "skip"];
    all.extend(january(&base, "2024-01-20", &out));
    let (status, summary, stderr) = bars(&all);
    assert_eq!(status, 0, "{stderr}");
    let missing = summary["bars"]["missing_files"].as_array().unwrap().len() as u64;
    assert!((1..15).contains(&missing), "{missing}");
    assert_eq!(
        (summary["skipped"].as_u64(), summary["bars"]["trades"].as_u64()),
        (Some(missing), Some((20 - missing) * 1000))
    );
    let lost = summary["bars"]["missing_trades"].as_u64().unwrap();
    assert!(lost > 0 && lost % 1000 == 0 && lost <= missing * 1000, "{lost}");
    let again = scratch.path().join("fail-{threshold}.csv");
    let mut all = vec!["--checksum", "skip", "--not-found", "fail"];
    all.extend(january(&base, "2024-01-20", &again));
    assert_eq!(bars(&all).0, 1);
}

#[test]
fn gaps_disorder_and_rows_that_are_none_are_heeded_as_asked() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let run = |wishes: &str, name: &str, more: &[&str]| {
        let (base, out) = (origin.url(&format!("/with/trades=1000&{wishes}")), scratch.path().join(name));
        bars(&[more, &january(&base, "2024-01-02", &out)[..]].concat())
    };
    let (status, summary, _) = run("gap=50", "a{threshold}", &[]);
    assert_eq!(
        (status, summary["bars"]["gaps"].as_u64(), summary["bars"]["missing_trades"].as_u64()),
        (0, Some(2), Some(100))
    );
    let (status, more, _) = run("gap=50", "b{threshold}", &["--on-gap", "end-bar"]);
    assert!(status == 0 && more["bars"]["bars"].as_u64() > summary["bars"]["bars"].as_u64());
    let (status, _, stderr) = run("gap=50", "c{threshold}", &["--on-gap", "fail"]);
    assert!(
        status == 1 && stderr.contains("a gap of 50 aggregate trades") && stderr.contains("--on-gap report"),
        "{stderr}"
    );
    let (status, summary, stderr) = run("disorder=100", "d{threshold}", &[]);
    assert_eq!(status, 0, "{stderr}");
    assert!(summary["bars"]["reordered_trades"].as_u64() > Some(50), "{summary}");
    let (status, _, stderr) = run("disorder=100", "e{threshold}", &["--reorder", "0"]);
    assert!(status == 1 && stderr.contains("is not after") && stderr.contains("--reorder N"), "{stderr}");
    let (status, _, stderr) = run("bad-row=7", "f{threshold}", &[]);
    assert!(status == 1 && stderr.contains("row 7, price \"free\": not a decimal number"), "{stderr}");
    let rejected = scratch.path().join("rejected");
    let skipping = ["--on-bad-row", "skip", "--rejected", rejected.to_str().unwrap()];
    let (status, summary, stderr) = run("bad-row=7", "g{threshold}", &skipping);
    assert_eq!((status, summary["bars"]["rejected_rows"].as_u64()), (0, Some(2)), "{stderr}");
    assert_eq!(fs::read_to_string(rejected).unwrap().lines().count(), 2);
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_downloaded() {
    let scratch = tempfile::tempdir().unwrap();
    let base = "http://127.0.0.1:9"; // nobody is there
    let out = |name: &str| scratch.path().join(name);
    let refused = |arguments: &[&str]| {
        let (status, _, stderr) = bars(arguments);
        assert_eq!(status, 2, "{stderr}");
        stderr
    };
    assert!(refused(&january(base, "2024-01-02", &out("one.csv"))).contains("needs {threshold}"));
    assert!(refused(&january(base, "2023-01-02", &out("{threshold}"))).contains("--to is before --from"));
    assert!(refused(&["--threshold-dbps", "250"]).contains("say which trades"));
    assert!(
        refused(&["--threshold-dbps", "9", "http://h/a/x.csv", "http://h/b/x.csv"])
            .contains("two files are called x.csv")
    );
    assert!(refused(&["--threshold-dbps", "0", "http://h/"]).contains("not from 1 to 100000"));
    assert!(refused(&["--threshold-dbps", "1", "--symbol", "../x"]).contains("is no symbol"));
    File::create(out("100")).unwrap();
    assert!(refused(&january(base, "2024-01-02", &out("{threshold}"))).contains("remove it, or name another"));
    for (state, expected) in [
        ("{}", "no state of such a run"),
        (
            r#"{"narrows_bars_run":9,"of":"","last_file":null,"bytes":[0,0],"state":"none","complete":false}"#,
            "its version is 9",
        ),
        (
            r#"{"narrows_bars_run":1,"of":"x","last_file":null,"bytes":[0,0],"state":"none","complete":false}"#,
            "it is of x, not of spot BTCUSDT",
        ),
    ] {
        fs::write(out("100.state"), state).unwrap();
        let told = refused(&january(base, "2024-01-02", &out("{threshold}")));
        assert!(told.contains(expected), "{told}");
    }
    let listed = narrows(&[
        "bars",
        "--dry-run",
        "--symbol",
        "ethusdt",
        "--market",
        "um",
        "--from",
        "2024-02-28",
        "--to",
        "2024-03-01",
        "--threshold-dbps",
        "1",
    ]);
    let output = {
        let mut listed = listed;
        listed.output().unwrap()
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.starts_with(
        "https://data.binance.vision/data/futures/um/daily/aggTrades/ETHUSDT/ETHUSDT-aggTrades-2024-02-28.zip\n"
    ));
}

#[test]
fn parquet_has_the_same_bars_and_goes_on() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (base, at) = (origin.url("/with/trades=5000"), |name: &str| scratch.path().join(name));
    let rows = |name: &str| {
        let bytes = bytes::Bytes::from(fs::read(at(name)).unwrap());
        let (schema, about) = narrows_tables::read_about(bytes).unwrap();
        assert_eq!((&*schema, &*about.source), ("narrows.bars", "spot BTCUSDT from 2024-01-01"));
        about.rows as usize
    };
    let text = |name: &str| fs::read_to_string(at(name)).unwrap().lines().count() - 1;
    for to in ["2024-01-02", "2024-01-05", "2024-01-05"] {
        let parquet = ["--format", "parquet"];
        let (status, _, stderr) = bars(&[&parquet, &january(&base, to, &at("{threshold}.parquet"))[..]].concat());
        assert_eq!(status, 0, "{stderr}");
        let (status, ..) = bars(&january(&base, to, &at("{threshold}.csv")));
        assert_eq!(status, 0);
        for threshold in [100, 250] {
            assert_eq!(rows(&format!("{threshold}.parquet")), text(&format!("{threshold}.csv")));
        }
    }
    assert!(text("100.csv") > 10);
}

#[test]
fn an_output_that_takes_nothing_ends_the_run_with_the_reason() {
    let origin = Origin::start(&[]);
    let base = origin.url("/with/trades=5000");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let arguments = [
        "bars",
        "--symbol",
        "S",
        "--from",
        "2024-01-01",
        "--to",
        "2024-01-03",
        "--threshold-dbps",
        "10",
        "--stdout",
        "--base",
        &base,
    ];
    let output = narrows(&arguments).stdout(full).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
}
