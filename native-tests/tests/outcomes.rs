//! Every kind of end, seen from the command line: exit status, report, files.

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use narrows_sim::{Style, zip};
use native_tests::{Origin, files, get, narrows, once, report, unstreamable};

#[test]
fn faults_end_in_the_right_outcome_and_exit_code() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (list, lines, out) = (scratch.path().join("list"), scratch.path().join("report"), scratch.path().join("out"));
    let sources = [
        (origin.url("/bytes/70001"), "done", "length"),
        (format!("70002 {:032x} {}", 7, origin.url("/bytes/70002")), "failed", "digest_mismatch"),
        (format!("71 {:032x} {}", 7, origin.url("/bytes/70003")), "failed", "size_mismatch"),
        (origin.url("/bytes/70004?cut=1000"), "failed", "cut"),
        (origin.url("/bytes/70005?cut=1000&times=1"), "done", "length"),
        (origin.url("/bytes/70006?status=503&retry-after=1&times=1"), "done", "length"),
        (origin.url("/bytes/70007?reset=1000&times=1"), "done", "length"),
        (origin.url("/bytes/70008?status=404"), "failed", "not_found"),
        ("12 nonsense".into(), "failed", "bad_line"),
        ("ftp://127.0.0.1/x".into(), "failed", "bad_url"),
        ("http://127.0.0.1:1/refused".into(), "failed", "refused"),
    ];
    let text: Vec<&str> = sources.iter().map(|(line, ..)| line.as_str()).collect();
    fs::write(&list, text.join("\n")).unwrap();
    let paths = [&list, &lines, &out].map(|path| path.to_str().unwrap());
    let [list, report_path, out_path] = paths;
    let (status, summary, stderr) =
        get(&["--list", list, "--report", report_path, "--out", out_path, "--retries", "2"]);
    assert_eq!(status, 1, "{stderr}");
    for (line, (source, outcome, kind)) in report(&lines).iter().zip(&sources) {
        assert_eq!(
            (line["outcome"].as_str(), line["kind"].as_str()),
            (Some(*outcome), Some(*kind)),
            "{source}: {line}"
        );
    }
    let done = sources.iter().filter(|(_, outcome, _)| *outcome == "done").count();
    assert_eq!((summary["done"].as_u64(), summary["failed"].as_u64()), (Some(done as u64), Some(7)));
    assert_eq!(files(&out), ["70001", "70005", "70006", "70007"], "what failed leaves nothing");
    for name in ["70001", "70005", "70006", "70007"] {
        // The bytes are those of the origin, whatever happened on the way.
        let whole = narrows(&["get", &origin.url(&format!("/bytes/{name}")), "--stdout"]).output().unwrap().stdout;
        assert!(fs::read(out.join(name)).unwrap() == whole, "{name}");
    }
}

#[test]
fn missing_files_are_skipped_if_told_so() {
    let origin = Origin::start(&[]);
    let url = origin.url("/bytes/5?status=404");
    let there = origin.url("/bytes/5");
    let (status, summary, _) = get(&[&url, &there, "--discard", "--not-found", "skip"]);
    assert_eq!((status, summary["skipped"].as_u64()), (0, Some(1)));
    // Where nothing was there, an address may be wrong.
    let (status, _, stderr) = get(&[&url, "--discard", "--not-found", "skip"]);
    assert!(status == 1 && stderr.contains("nothing was there"), "{stderr}");
    let (status, _, stderr) = get(&[&url, "--discard"]);
    assert!(status == 1 && stderr.contains("404") && stderr.contains("/bytes/5"), "{stderr}");
}

#[test]
fn usage_errors_say_what_to_do() {
    let (status, _, stderr) = get(&[]);
    assert!(status == 2 && stderr.contains("--list"), "{stderr}");
    let (status, _, stderr) = get(&["http://127.0.0.1:1/", "--budget", "1MiB", "--unpack", "--discard"]);
    assert!(status == 2 && stderr.contains("are needed at once") && stderr.contains("--budget"), "{stderr}");
    let origin = Origin::start(&[]);
    let (status, _, stderr) = get(&[&origin.url("/bytes/10"), "--discard", "--assert-peak", "1MiB"]);
    assert!(status == 3 && stderr.contains("--assert-peak"), "{stderr}");
}

#[test]
fn an_archive_that_cannot_be_streamed_is_read_at_random() {
    let (archive, data) = unstreamable();
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("odd.zip"), &archive).unwrap();
    let origin = Origin::start(&["--dir", scratch.path().to_str().unwrap()]);
    let out = scratch.path().join("out");
    let (status, summary, stderr) = get(&[&origin.url("/odd.zip"), "--unpack", "--out", out.to_str().unwrap()]);
    assert_eq!((status, summary["entries"].as_u64()), (0, Some(1)), "{stderr}");
    assert_eq!(fs::read(out.join("odd/a.txt")).unwrap(), data);
    assert_eq!(files(&out), ["odd/a.txt"]);
}

#[test]
fn many_of_those_wait_for_each_other_and_not_for_ever() {
    let (archive, _) = unstreamable();
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("odd"), &archive).unwrap();
    let origin = Origin::start(&["--dir", scratch.path().to_str().unwrap()]);
    let list = scratch.path().join("list");
    let urls: Vec<String> = (0..40).map(|index| origin.url(&format!("/odd?latency-ms=50&name={index}"))).collect();
    fs::write(&list, urls.join("\n")).unwrap();
    for budget in ["64MiB", "12MiB"] {
        for output in ["--discard", "--stdout"] {
            let mut command = narrows(&["get", "--list", list.to_str().unwrap(), "--unpack", output]);
            let mut child =
                command.args(["--budget", budget]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let start = Instant::now();
            let status = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break status;
                }
                assert!(start.elapsed() < Duration::from_secs(60), "it hangs: {budget} {output}");
                thread::sleep(Duration::from_millis(20));
            };
            assert_eq!(status.code(), Some(0), "{budget} {output}");
        }
    }
    // With room for nothing but the stream, they fail and say why.
    let (status, _, stderr) = get(&[&urls[0], "--unpack", "--discard", "--budget", "7MiB"]);
    assert!(status == 1 && stderr.contains("--budget"), "{stderr}");
}

#[test]
fn a_name_in_a_gzip_header_names_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let mut member = narrows_sim::gzip(b"rows\n");
    member[3] = 8;
    member.splice(10..10, *b".bashrc/\0");
    fs::write(scratch.path().join("data.csv.gz"), member).unwrap();
    let origin = Origin::start(&["--dir", scratch.path().to_str().unwrap()]);
    let out = scratch.path().join("out");
    let (status, _, stderr) = get(&[&origin.url("/data.csv.gz"), "--unpack", "--out", out.to_str().unwrap()]);
    assert_eq!((status, files(&out)), (0, vec!["data.csv".to_owned()]), "{stderr}");
}

#[test]
fn no_name_leaves_the_directory() {
    let names = ["../up.txt", "/abs.txt", "a/../../up.txt", "C:\\x.txt", ".narrows-1-0/lock"];
    let scratch = tempfile::tempdir().unwrap();
    for (index, name) in names.iter().enumerate() {
        let archive = zip(&[((*name).to_owned(), b"evil".to_vec())], || Style::Deflated);
        fs::write(scratch.path().join(format!("{index}.zip")), archive).unwrap();
    }
    let origin = Origin::start(&["--dir", scratch.path().to_str().unwrap()]);
    let out = scratch.path().join("deep/out");
    let before = files(scratch.path());
    for (index, name) in names.iter().enumerate() {
        let (status, _, stderr) =
            get(&[&origin.url(&format!("/{index}.zip")), "--unpack", "--out", out.to_str().unwrap()]);
        assert_eq!(status, 1, "{name}: {stderr}");
    }
    assert_eq!(files(scratch.path()), before);
}

#[test]
fn credentials_stay_with_their_origin_and_out_of_texts() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let (other, at_other) = once(ok);
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: {other}/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let (own, at_own) = once(moved);
    let url = format!("{}/a?token=s3cret", own.replace("http://", "http://user:passw0rd@"));
    let (status, _, stderr) = get(&[&url, "--discard", "-H", "X-Api-Key: k3y", "-H", "Authorization: Bearer b34rer"]);
    assert_eq!(status, 0, "{stderr}");
    let (own, other) = (at_own.join().unwrap(), at_other.join().unwrap());
    // user:passw0rd, as Basic has it, beside the header that was asked for.
    assert!(
        own.contains("x-api-key: k3y") && own.contains("authorization: ") && own.contains("accept-encoding: identity"),
        "{own}"
    );
    for secret in ["k3y", "b34rer", "s3cret", "authorization", "passw0rd", "referer"] {
        assert!(!other.contains(secret), "{secret} was sent to another origin: {other}");
    }
    let refused = "http://user:passw0rd@127.0.0.1:1/a?token=s3cret";
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("report");
    let (status, _, stderr) = get(&[refused, "--discard", "--retries", "0", "--report", path.to_str().unwrap()]);
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(status, 1);
    for secret in ["s3cret", "passw0rd"] {
        assert!(!stderr.contains(secret) && !written.contains(secret), "{stderr} {written}");
    }
}
