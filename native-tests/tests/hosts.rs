//! What nginx refuses when it has enough: found, kept, and no source lost, with the default options.

use std::{path::Path, time::Instant};

use native_tests::{Nginx, binary, get, report};

struct Ran {
    seconds: f64,
    requests: u64,
    done: u64,
}

fn run(nginx: &Nginx, file: &str, count: usize, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let list: String = (0..count).map(|number| format!("{}/{file}?{number}\n", nginx.base)).collect();
    std::fs::write(path("list"), list).unwrap();
    std::fs::write(path("ca.pem"), &nginx.authority).unwrap();
    let (list, ca, out) = (path("list"), path("ca.pem"), path("report"));
    let mut arguments = vec!["--list", &list, "--discard", "--cacert", &ca, "--report", &out, "--progress", "none"];
    arguments.extend(more);
    binary(); // built before the time counts
    let started = Instant::now();
    let (status, summary, stderr) = get(&arguments);
    let seconds = started.elapsed().as_secs_f64();
    let requests = report(Path::new(&out)).iter().map(|line| line["requests"].as_u64().unwrap()).sum();
    assert_eq!(status, 0, "{summary} {stderr}");
    Ran { seconds, requests, done: summary["done"].as_u64().unwrap_or(0) }
}

#[test]
fn thirty_requests_a_second() {
    let zone = "limit_req_zone $binary_remote_addr zone=a:1m rate=30r/s; limit_req_log_level info;";
    for status in [503, 429] {
        let server = format!("limit_req zone=a; limit_req_status {status};");
        let Some(nginx) = Nginx::with(&[("file", 2000)], zone, &server) else { return };
        let Ran { seconds, requests, done } = run(&nginx, "file", 300, &[]);
        let reached = 300.0 / seconds / 30.0;
        eprintln!("{status}: {reached:.2} of 30 a second, {requests} requests for 300 files");
        assert_eq!(done, 300);
        assert!(requests <= 360, "{requests} requests");
        assert!(reached >= 0.8, "{reached}: far from what is allowed, whatever else this machine does");
    }
}

#[test]
fn two_connections() {
    let zone = "limit_conn_zone $binary_remote_addr zone=a:1m; limit_conn_log_level info;";
    for status in [503, 429] {
        let server = format!("limit_conn a 2; limit_conn_status {status}; limit_rate 2m;");
        let Some(nginx) = Nginx::with(&[("file", 100_000)], zone, &server) else { return };
        let limited = run(&nginx, "file", 300, &[]);
        let best = run(&nginx, "file", 300, &["--limit", "2"]);
        let reached = best.seconds / limited.seconds;
        eprintln!("{status}: {reached:.2} of two at once, {} requests for 300 files", limited.requests);
        assert_eq!((limited.done, best.done), (300, 300));
        assert!(limited.requests <= 360, "{} requests", limited.requests);
        assert!(reached >= 0.8, "{reached}: far from what is allowed, whatever else this machine does");
    }
}
