//! Ctrl-C, kill and drop: nothing is left behind, whenever they come.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use narrows::{Budget, Client, ClientOptions, DefaultClock, Options, Protocol, Source, Window};
use native_tests::{Origin, files, narrows, report};

fn signal(name: &str, id: u32) {
    assert!(Command::new("kill").args([name, &id.to_string()]).status().unwrap().success());
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_interrupt_leaves_whole_files_and_a_whole_report() {
    let origin = Origin::start(&[]);
    for moment in [0, 30, 80, 150, 300, 600] {
        let scratch = tempfile::tempdir().unwrap();
        let (list, lines, out) =
            (scratch.path().join("list"), scratch.path().join("report"), scratch.path().join("out"));
        let urls: Vec<String> = (0..200)
            .map(|index| origin.url(&format!("/bytes/{}?rate=2000000&name={index}", 40_000 + index)))
            .chain([origin.url("/gdeltv2/20260101000000.export.CSV.zip?rate=50000")])
            .collect();
        fs::write(&list, urls.join("\n")).unwrap();
        let paths = [&list, &lines, &out].map(|path| path.to_str().unwrap());
        let mut child = narrows(&["get", "--unpack", "--list", paths[0], "--report", paths[1], "--out", paths[2]])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("it starts", || out.exists());
        thread::sleep(Duration::from_millis(50 + moment)); // its signal handler is there by then
        signal("-INT", child.id());
        assert_eq!(child.wait().unwrap().code(), Some(130), "after {moment} ms");
        let lines = report(&lines);
        assert_eq!(lines.len(), urls.len(), "one line for each source, after {moment} ms");
        let done: Vec<_> = lines.iter().filter(|line| line["outcome"] == "done").collect();
        assert!(lines.iter().all(|line| line["outcome"] == "done" || line["outcome"] == "cancelled"));
        let found = files(&out);
        assert_eq!(found.len(), done.len(), "after {moment} ms: {found:?}");
        for name in found {
            assert_eq!(fs::metadata(out.join(&name)).unwrap().len().to_string(), name, "a partial file");
        }
        eventually("connections are closed", || origin.connections() == 0);
    }
}

#[test]
fn a_killed_run_leaves_no_partial_file_and_is_swept_up_after() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    // Other bytes of the same length at every request, without a validator to tell them apart.
    let url = origin.url("/bytes/3000000?change&no-etag&rate=4000000");
    let arguments = ["get", &url, "--out", out.to_str().unwrap()];
    let mut child = narrows(&arguments).stdout(Stdio::null()).spawn().unwrap();
    eventually("some of it is written", || {
        out.exists()
            && files(&out).iter().any(|name| fs::metadata(out.join(name)).is_ok_and(|file| file.len() > 500_000))
    });
    signal("-KILL", child.id());
    child.wait().unwrap();
    assert!(!out.join("3000000").exists());
    assert!(!files(&out).is_empty(), "what was staged lies about");
    let output = narrows(&arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(files(&out), ["3000000"]);
    // It is the second version from its first byte to its last.
    let halves = [narrows(&["get", &url, "--stdout"]).output().unwrap().stdout, fs::read(out.join("3000000")).unwrap()];
    assert_eq!(halves.each_ref().map(Vec::len), [3_000_000; 2]);
    assert_ne!(halves[0][..1000], halves[1][..1000], "the origin serves another version each time");
}

/// Ends within this time, as one that was interrupted.
fn ends_soon(child: &mut std::process::Child, what: &str) {
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{what} is not heard");
        thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(130), "{what}");
    eprintln!("{what} answered within {} ms", start.elapsed().as_millis());
}

#[test]
fn whatever_would_end_the_process_ends_it_in_order() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let url = origin.url("/bytes/9000000?rate=1000000");
    for name in ["-HUP", "-QUIT", "-USR1", "-ALRM", "-XFSZ", "-TERM", "-INT"] {
        let out = scratch.path().join(name);
        let mut child = narrows(&["get", &url, "--out", out.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("it starts", || out.exists() && fs::read_dir(&out).unwrap().count() > 1);
        thread::sleep(Duration::from_millis(50));
        // A second one at once is no wish to skip the clean-up.
        signal(name, child.id());
        let _ = Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status();
        ends_soon(&mut child, name);
        assert!(files(&out).is_empty(), "{name} leaves {:?}", files(&out));
    }
    // What nohup ignores stays ignored.
    let out = scratch.path().join("nohup");
    let all = ["get", &url, "--out", out.to_str().unwrap()];
    let mut child = Command::new("nohup")
        .arg(native_tests::binary())
        .args(all)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("it starts", || out.exists() && fs::read_dir(&out).unwrap().count() > 1);
    thread::sleep(Duration::from_millis(50));
    signal("-HUP", child.id());
    thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "nohup was not heeded");
    signal("-TERM", child.id());
    ends_soon(&mut child, "-TERM under nohup");
}

#[test]
fn an_interrupt_is_heard_whatever_is_being_done() {
    let scratch = tempfile::tempdir().unwrap();
    let entries: Vec<_> = (0..20_000).map(|index| (format!("d{}/{index}", index % 50), vec![b'x'; 100])).collect();
    fs::write(scratch.path().join("many.zip"), narrows_sim::zip(&entries, || narrows_sim::Style::Deflated)).unwrap();
    let origin = Origin::start(&["--dir", scratch.path().to_str().unwrap()]);
    let out = scratch.path().join("out");
    let mut child = narrows(&["get", &origin.url("/many.zip"), "--unpack", "--out", out.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("entries are written", || out.exists() && files(&out).len() > 200);
    signal("-TERM", child.id());
    ends_soon(&mut child, "SIGTERM in a zip of 20,000 entries");
    assert!(files(&out).is_empty());

    // A reader of stdout that stands still.
    let mut child =
        narrows(&["get", &origin.url("/bytes/90000000"), "--stdout"]).stdout(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(400));
    signal("-TERM", child.id());
    ends_soon(&mut child, "SIGTERM while stdout stands still");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_everything_closes_every_connection() {
    let origin = Origin::start(&[]);
    for (polls, http2) in [(0, false), (3, false), (3, true), (8, true)] {
        let protocol = if http2 { Protocol::Http2PriorKnowledge } else { Protocol::Http1 };
        let client = Client::new(ClientOptions::new().protocol(protocol)).unwrap();
        let budget = Budget::new(64 << 20);
        let urls = (0..10).map(|index| Source::new(origin.url(&format!("/bytes/50000000?name={index}"))));
        let mut window = Window::from_iter(urls, client, DefaultClock::new(), &budget, Options::new()).unwrap();
        let mut deliveries = Vec::new();
        let mut blocks = Vec::new();
        for _ in 0..polls {
            let mut delivery = window.next().await.unwrap();
            blocks.push(delivery.next_block().await.unwrap().unwrap());
            deliveries.push(delivery);
        }
        drop((window, deliveries));
        assert_eq!(budget.reserved(), blocks.iter().map(narrows::Block::charged).sum::<u64>());
        drop(blocks);
        assert_eq!(budget.reserved(), 0);
        let start = Instant::now();
        while origin.connections() > 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "{} connections are open", origin.connections());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
