//! A control group with 64 MB of memory: jobs whose budget comes from it are not killed, become smaller
//! where something else takes memory meanwhile, and end right.
//!
//! `NARROWS_RUNS=20` runs each more often than the twice of a usual test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use native_tests::{Origin, binary};
use serde_json::Value;

const LIMIT: u64 = 64 << 20;

/// A group of its own, gone when it is dropped.
struct Group(PathBuf);

impl Group {
    /// `None`, and said so, where none may be made.
    fn new(name: &str) -> Option<Self> {
        let name = format!("narrows-{name}-{}", std::process::id());
        let first = (Path::new("/sys/fs/cgroup/memory"), "memory.limit_in_bytes");
        let second = (Path::new("/sys/fs/cgroup"), "memory.max");
        for (root, limit) in [first, second] {
            let folder = root.join(&name);
            if root.join("cgroup.procs").exists() && fs::create_dir(&folder).is_ok() {
                let group = Self(folder);
                let swap = ["memory.memsw.limit_in_bytes", "memory.swap.max"];
                if fs::write(group.0.join(limit), LIMIT.to_string()).is_ok() {
                    swap.iter().for_each(|swap| drop(fs::write(group.0.join(swap), "0")));
                    return Some(group);
                }
            }
        }
        eprintln!("skipped: no control group with a limit of memory may be made here");
        None
    }

    /// A command that runs in it.
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        let enter = format!("echo $$ > {} && exec \"$@\"", self.0.join("cgroup.procs").display());
        command.args(["-c", &enter, "sh"]).arg(program).args(arguments).stdin(Stdio::null());
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn runs() -> u32 {
    env::var("NARROWS_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(2)
}

fn summary(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Runs a list in the group, and without it; says how they compare.
fn run(group: &Group, what: &str, urls: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list").display().to_string();
    fs::write(&list, urls.join("\n")).unwrap();
    let common =
        ["get", "--list", &list, "--discard", "--unpack", "--summary", "json", "--progress", "none", "--budget"];
    let arguments = [&common, ["auto"].as_slice()].concat();
    let free = || Command::new(binary()).args(common).arg("64MiB").output().unwrap();
    free(); // the origin generates its files
    let free = free();
    let free = summary(&free);
    let mut slowest = 0;
    for _ in 0..runs() {
        let output = group.command(binary(), &arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{what}: {output:?}");
        let summary = summary(&output);
        assert_eq!((summary["done"].as_u64(), &summary["lines"]), (Some(urls.len() as u64), &free["lines"]), "{what}");
        assert_eq!(summary["budget_bytes"], LIMIT / 2, "half of the container");
        assert_eq!(summary["guard"]["limit_bytes"], LIMIT);
        slowest = slowest.max(summary["elapsed_ms"].as_u64().unwrap());
    }
    let free = free["elapsed_ms"].as_u64().unwrap();
    eprintln!("{what}: {slowest} ms at most in {} runs, {free} ms without the group", runs());
}

#[test]
fn a_week_of_slots_and_ten_large_entries_fit_a_container_of_64_mb() {
    let Some(group) = Group::new("fits") else { return };
    let origin = Origin::start(&[]);
    let slots: Vec<String> = (1..=7)
        .flat_map(|day| (0..96).map(move |slot| (day, slot)))
        .map(|(day, slot)| {
            let time = format!("202601{day:02}{:02}{:02}00", slot / 4, slot % 4 * 15);
            origin.url(&format!("/gdeltv2/{time}.export.CSV.zip"))
        })
        .collect();
    run(&group, "672 slots", &slots);
    let large: Vec<String> = (1..=10).map(|day| origin.url(&format!("/trades/2026-01-{day:02}.zip?mb=80"))).collect();
    run(&group, "ten entries of 80 MB", &large);
}

#[test]
fn a_job_becomes_smaller_while_another_process_takes_memory() {
    let Some(group) = Group::new("shares") else { return };
    let origin = Origin::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list").display().to_string();
    // Slow enough to see it: each file takes half a second and more.
    let urls: Vec<String> = (0..60).map(|name| origin.url(&format!("/bytes/200000?rate=400000&name={name}"))).collect();
    fs::write(&list, urls.join("\n")).unwrap();
    let greedy = "import time; taken = bytearray(48 << 20); time.sleep(2.5)";
    let mut other = group.command(Path::new("python3"), &["-c", greedy]).spawn().expect("Python runs");
    let started = Instant::now();
    let arguments =
        ["get", "--list", &list, "--discard", "--budget", "auto", "--summary", "json", "--progress", "none"];
    let output = group.command(binary(), &arguments).output().unwrap();
    other.wait().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let summary = summary(&output);
    eprintln!("{} in {:?}; {}", summary["guard"], started.elapsed(), String::from_utf8_lossy(&output.stderr));
    assert_eq!((&summary["done"], &summary["failed"]), (&60.into(), &0.into()));
    let guard = &summary["guard"];
    let count = |name: &str| guard[name].as_u64().unwrap();
    assert!(count("shrunk") > 0 && count("grown") > 0, "it neither shrank nor recovered: {guard}");
}

#[test]
fn a_month_of_tables_and_of_bars_with_faults_fits_a_container_of_64_mb() {
    let Some(group) = Group::new("jobs") else { return };
    let origin = Origin::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let [ticks, bars] = ["ticks", "bars.csv"].map(|name| folder.path().join(name).display().to_string());
    let common =
        ["--from", "2024-01-01", "--to", "2024-01-30", "--budget", "auto", "--summary", "json", "--progress", "none"];
    let base = origin.url("/with/rows=20000&some=5&reset=30000&times=1");
    let symbols = ["--exchange", "deribit", "--symbol", "A,B,C,D,E,F", "--type", "trades,quotes,incremental_book_L2"];
    let arguments = [&["tardis", "--base", &base, "--out", &ticks], &symbols[..], &common].concat();
    let output = group.command(binary(), &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = summary(&output);
    assert_eq!((told["done"].as_u64(), told["tables"]["rows"].as_u64()), (Some(540), Some(540 * 20_000)));
    assert_eq!(told["tables"]["days"].as_array().unwrap().len(), 90);
    eprintln!("540 tables: {} ms, {} bytes at most", told["elapsed_ms"], told["peak_rss_bytes"]);

    let base = origin.url("/with/trades=100000&some=5&reset=30000&times=1");
    let arguments =
        [&["bars", "--base", &base, "--out", &bars, "--symbol", "S", "--threshold-dbps", "100"], &common[..]].concat();
    let output = group.command(binary(), &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = summary(&output);
    assert_eq!((told["done"].as_u64(), told["bars"]["trades"].as_u64()), (Some(30), Some(3_000_000)));
    eprintln!("30 days of trades: {} ms, {} bytes at most", told["elapsed_ms"], told["peak_rss_bytes"]);
}
