//! No user, password, query or header of an address in anything that comes out: every kind of
//! failure is provoked with marked secrets, and everything that is shown is searched.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use narrows::{
    Budget, Client, ClientOptions, DefaultClock, Options, Report, RetryPolicy, Source, Window, source::BadLine, unpack,
};
use native_tests::{Origin, get, narrows};

/// Lines of a list that fail in every way there is.
fn failing(origin: &Origin) -> Vec<String> {
    let base = origin.base.replace("http://", "http://us3cret:pS3CRET@");
    let faults = [
        "status=404",
        "status=403",
        "status=500",
        "status=503",
        "cut=1000",
        "reset=1000",
        "stall=1000",
        "rate=10",
        "redirect=",
        "redirect=ftp://x/",
        "redirect=http://u:S3CRET@127.0.0.1:1/?S3CRET",
        "gzip&no-length&cut=50",
        "reset=100000&change&times=1",
    ];
    let mut lines: Vec<String> = faults.map(|faults| format!("{base}/bytes/300000?{faults}&token=S3CRET")).into();
    lines.extend([
        format!("7 {:032x} {base}/bytes/10?token=S3CRET", 7),
        format!("10 {:032x} {base}/bytes/10?token=S3CRET", 7),
        format!("{base}/bytes/100.zip?token=S3CRET"),
        format!("{base}/trades/2026-01-01.zip?mb=1&cut=1000&token=S3CRET"),
        "http://us3cret:pS3CRET@127.0.0.1:1/x?S3CRET".into(),
        "https://us3cret:pS3CRET@127.0.0.1:1/x?S3CRET".into(),
        "http://us3cret:pS3CRET@nowhere.invalid/?S3CRET".into(),
        "http://us3cret:pS3CRET@[/?S3CRET".into(),
        "ftp://us3cret:pS3CRET@127.0.0.1/x?S3CRET".into(),
        "us3cret:pS3CRET@127.0.0.1".into(),
        "12 nonsense http://us3cret:pS3CRET@127.0.0.1/".into(),
        "nonsense\\\\us3cret:pS3CRET@h".into(),
    ]);
    lines
}

fn clean(what: &str, text: &str) {
    let lower = text.to_lowercase();
    if let Some(at) = lower.find("s3cret") {
        panic!("{what} shows a secret: …{}…", &text[at.saturating_sub(80)..(at + 40).min(text.len())]);
    }
}

#[test]
fn the_command_line_shows_none() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (list, lines, out) = (scratch.path().join("list"), scratch.path().join("report"), scratch.path().join("out"));
    // What is too slow is noticed after a minute here; the library's test has a shorter period.
    let all: Vec<String> = failing(&origin).into_iter().filter(|line| !line.contains("rate=10")).collect();
    fs::write(&list, all.join("\n")).unwrap();
    let [list, report, out] = [&list, &lines, &out].map(|path| path.to_str().unwrap());
    let header = "x-api-key: S3CRET";
    let common = ["--list", list, "-H", header, "--retries", "0", "--idle-timeout", "700ms", "--min-rate", "1000"];
    for how in [&["--unpack", "--out", out][..], &["--stdout"], &["--discard", "--progress", "plain"]] {
        let mut arguments = vec!["get", "--report", report];
        arguments.extend(common);
        arguments.extend(how);
        let output = narrows(&arguments).output().unwrap();
        clean("stderr", &String::from_utf8_lossy(&output.stderr));
        let written = fs::read_to_string(report).unwrap();
        clean("the report", &written);
        assert!(written.lines().count() >= all.len() && written.matches("\"failed\"").count() >= all.len() - 3);
    }
    let (_, _, stderr) = get(&["--list", "/nowhere", "-H", "no colon S3CRET"]);
    assert!(!stderr.is_empty());
    let master = origin.base.replace("http://", "http://us3cret:pS3CRET@") + "/nothing?S3CRET";
    let days = ["gdelt", "--from", "2026-01-01", "--to", "2026-01-01", "--master", &master, "--retries", "0"];
    clean("a list that fails", &String::from_utf8_lossy(&narrows(&days).output().unwrap().stderr));
}

#[tokio::test]
async fn the_library_shows_none() {
    let origin = Origin::start(&[]);
    let client = Client::new(ClientOptions::new().connect_timeout(Duration::from_secs(2))).unwrap();
    let options = Options::new()
        .retry(RetryPolicy::new().retries_max(0))
        .idle_timeout(Duration::from_millis(700))
        .min_rate(1000)
        .rate_period(Duration::from_secs(1))
        .unpack(unpack::Options::default());
    let budget = Budget::new(64 << 20);
    let headers = [("x-api-key".to_owned(), "S3CRET".to_owned())];
    let sources: Vec<Result<Source, BadLine>> = failing(&origin)
        .iter()
        .filter_map(|line| Source::from_line(line))
        .map(|listed| listed.map(|source| source.headers(headers.clone())))
        .collect();
    clean("a source's Debug", &format!("{sources:?}"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let observed = told.clone();
    let mut window = Window::from_iter(sources, client, DefaultClock::new(), &budget, options)
        .unwrap()
        .observed_by(move |report: &Report| observed.lock().unwrap().push(format!("{report:?}")));
    let mut codes = std::collections::BTreeSet::new();
    while let Some(mut delivery) = window.next().await {
        clean("a delivery's Debug", &format!("{delivery:?}"));
        while let Ok(Some(_)) = delivery.next_block().await {}
        if let Some(failure) = delivery.failure() {
            codes.insert(failure.kind.code());
            let mut chain = vec![format!("{failure} {failure:?} {}", std::io::Error::from(failure.clone()))];
            let mut source = std::error::Error::source(&failure);
            while let Some(error) = source {
                chain.push(format!("{error} {error:?}"));
                source = error.source();
            }
            clean("a failure", &chain.join("\n"));
        }
        clean("a report", &format!("{:?}", delivery.finish()));
    }
    clean("what observers are told", &told.lock().unwrap().join("\n"));
    clean("a window's Debug", &format!("{window:?} {:?}", window.stats()));
    assert!(codes.len() >= 12, "{codes:?}");
}

#[test]
fn nothing_from_a_list_reaches_a_terminal_as_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    let list = scratch.path().join("list");
    let hostile = "http://127.0.0.1:1/\x1b[2J\x1b]0;title\x07\x1b[31mred\n\x1b[2Jnonsense \x1b[31m\u{202e}x\n";
    fs::write(&list, hostile).unwrap();
    fs::write(scratch.path().join("masterfilelist.txt"), "x".repeat(10) + "\x1b[2J \x1b[31m y\n").unwrap();
    let origin = Origin::start(&["--dir", scratch.path().to_str().unwrap()]);
    let master = origin.url("/masterfilelist.txt?\x1b[2J");
    let days = ["--from", "2026-01-01", "--to", "2026-01-01", "--master"];
    let local = scratch.path().join("masterfilelist.txt");
    let commands: [Vec<&str>; 4] = [
        vec!["get", "--list", list.to_str().unwrap(), "--discard", "--retries", "0"],
        vec!["get", "--list", "/nowhere/\x1b[2J", "--discard"],
        [&["gdelt"][..], &days, &[&master, "--retries", "0"]].concat(),
        [&["gdelt"][..], &days, &[local.to_str().unwrap(), "--retries", "0"]].concat(),
    ];
    for command in commands {
        let output = narrows(&command).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        let obeyed = told.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(obeyed, None, "{command:?}: {told:?}");
        assert!(!told.is_empty());
    }
}
