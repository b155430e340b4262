//! Careless users and origins with habits of their own.

use std::{
    fs,
    io::Read,
    process::{Output, Stdio},
};

use narrows_sim::gzip;
use native_tests::{Origin, files, get, narrows, once, report, unstreamable};

/// An answer with `body`, and what `head` has besides.
fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{head}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn a_report_replaces_nothing_that_is_needed() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let list = format!("{}\n", origin.url("/bytes/10"));
    fs::write(path("list"), &list).unwrap();
    let (status, _, stderr) = get(&["--list", &path("list"), "--discard", "--report", &path("list")]);
    assert!(status == 2 && stderr.contains("replace the list"), "{stderr}");
    assert_eq!(fs::read_to_string(path("list")).unwrap(), list);

    fs::write(path("before"), "lines").unwrap();
    let (status, ..) = get(&[&list, "--discard", "--budget", "1MiB", "--unpack", "--report", &path("before")]);
    assert_eq!((status, fs::read_to_string(path("before")).unwrap()), (2, "lines".to_owned()), "nothing was begun");

    let (out, own) = (path("out"), path("out/10"));
    fs::create_dir(&out).unwrap();
    let (status, _, stderr) = get(&[&origin.url("/bytes/10"), "--out", &out, "--report", &own]);
    assert!(status == 1 && stderr.contains("report"), "{stderr}");
    assert_eq!(report(own.as_ref())[0]["outcome"], "failed");

    let (status, _, stderr) = get(&[&origin.url("/bytes/10"), "--discard", "--report", "/dev/stderr"]);
    assert_eq!(status, 0, "a pipe cannot be synced: {stderr}");
}

#[test]
fn nobody_has_to_listen() {
    let scratch = tempfile::tempdir().unwrap();
    let list = scratch.path().join("list");
    fs::write(&list, "http://127.0.0.1:1/x\n".repeat(3) + &"x".repeat(1 << 20)).unwrap();
    let all = ["get", "--list", list.to_str().unwrap(), "--discard", "--retries", "0", "--summary", "json"];
    let mut child = narrows(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(stdout.contains("\"failed\":4"), "three, and the list that breaks off: {stdout}");

    // A reader that has enough ends the job, and the report still has a line for every source.
    let origin = Origin::start(&[]);
    let urls: Vec<String> = (0..200).map(|index| origin.url(&format!("/bytes/300000?{index}"))).collect();
    fs::write(&list, urls.join("\n")).unwrap();
    let lines = scratch.path().join("report");
    let all = ["get", "--list", list.to_str().unwrap(), "--stdout", "--report", lines.to_str().unwrap()];
    let mut child = narrows(&all).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 1000]).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(report(&lines).len(), 200);
}

#[test]
fn a_gzip_file_that_is_served_as_encoded_is_decoded_once_or_not_at_all() {
    let member = gzip(b"rows\n");
    let head = format!("Content-Encoding: gzip\r\nContent-Length: {}", member.len());
    for (unpack, name, content) in [(false, "data.csv.gz", &member[..]), (true, "data.csv", b"rows\n")] {
        let scratch = tempfile::tempdir().unwrap();
        let (base, _) = once(answer(&head, &member));
        let url = format!("{base}/data.csv.gz");
        let mut arguments = vec![url.as_str(), "--out", scratch.path().to_str().unwrap()];
        arguments.extend(unpack.then_some("--unpack"));
        let (status, _, stderr) = get(&arguments);
        assert_eq!((status, files(scratch.path())), (0, vec![name.to_owned()]), "{stderr}");
        assert_eq!(fs::read(scratch.path().join(name)).unwrap(), content);
    }
}

#[test]
fn limits_hold_for_what_an_encoding_hides() {
    let bomb = gzip(&vec![0; 40 << 20]);
    let (base, _) = once(answer("Content-Encoding: gzip", &bomb));
    let (status, _, stderr) = get(&[&base, "--discard", "--max-archive-size", "1MiB"]);
    assert!(status == 1 && stderr.contains("1.0 MiB") | stderr.contains("1048576"), "{stderr}");
}

#[test]
fn only_a_length_or_a_digest_shows_the_end_of_a_gzip() {
    let member = gzip(b"rows\n");
    let length = format!("Content-Length: {}", member.len());
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("report");
    for (head, proof) in [("X: y", "unverified_end"), (&length, "length")] {
        let (base, _) = once(answer(head, &member));
        let (status, _, stderr) =
            get(&[&format!("{base}/a.gz"), "--unpack", "--discard", "--report", path.to_str().unwrap()]);
        assert_eq!((status, report(&path)[0]["kind"].as_str()), (0, Some(proof)), "{stderr}");
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_not_asked_for_again() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("report");
    let (base, _) = once(answer("Content-Length: some", b"x"));
    let (status, ..) = get(&[&base, "--discard", "--report", path.to_str().unwrap()]);
    let line = &report(&path)[0];
    assert_eq!((status, line["kind"].as_str(), line["attempts"].as_u64()), (1, Some("protocol"), Some(1)), "{line}");
}

#[test]
fn a_directory_that_declares_too_much_takes_no_memory() {
    // 4 GiB of a record, and as many entries as there are numbers (APPNOTE 4.3.14, 4.3.15).
    let (mut archive, _) = unstreamable();
    let end = archive.split_off(archive.len() - 22);
    let record = archive.len() as u64;
    archive.extend(b"PK\x06\x06");
    archive.extend((4u64 << 30).to_le_bytes());
    archive.extend([45, 0, 45, 0]);
    archive.extend([0; 8]);
    archive.extend([0xff; 16]);
    archive.extend([0; 16]);
    archive.extend(b"PK\x06\x07\0\0\0\0");
    archive.extend(record.to_le_bytes());
    archive.extend(1u32.to_le_bytes());
    archive.extend(end);
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("odd.zip"), &archive).unwrap();
    let origin = Origin::start(&["--dir", scratch.path().to_str().unwrap()]);
    let all = ["get", &origin.url("/odd.zip"), "--unpack", "--discard", "--assert-peak", "64MiB"];
    let Output { status, stderr, .. } = narrows(&all).output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.code() == Some(1) && stderr.contains("zip64"), "{stderr}");
}
