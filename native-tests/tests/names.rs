//! Where files go: nothing replaces anything, and the names are the same whoever is first.

use std::{fs, io::Write, process::Stdio, thread, time::Duration};

use narrows_sim::{Style, zip};
use native_tests::{
    files, get, narrows, report,
    served::{Served, ok},
};

/// Serves every path's own text, or a zip of it as `data.csv`, later or sooner.
fn server() -> Served {
    Served::start(|asked| {
        let random = asked.path.bytes().fold(std::process::id(), |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
        thread::sleep(Duration::from_millis(u64::from(random.rotate_left(asked.before as u32 * 5) % 8)));
        let two = [("one".to_owned(), vec![1]), ("two".to_owned(), vec![2])];
        match asked.path.ends_with(".zip") {
            true if asked.path == "/two.zip" => ok(&zip(&two, || Style::Deflated)),
            true => ok(&zip(&[("data.csv".into(), asked.path.clone().into_bytes())], || Style::Deflated)),
            false => ok(asked.path.as_bytes()),
        }
    })
}

#[test]
fn everything_arrives_under_the_same_names_on_every_run() {
    let served = server();
    let long = |end: &str| format!("/long/{}{end}.csv", "x".repeat(300));
    let paths: Vec<String> = (1..=6)
        .map(|month| format!("/2024/{month:02}/data.csv"))
        .chain((0..150).map(|id| format!("/api/items?id={id}")))
        .chain(["/a.zip", "/b.zip", "/case/Name.txt", "/case/name.txt", "/twice", "/twice"].map(String::from))
        .chain([long("1"), long("2"), "/x/file?sig=A".into(), "/x/file?sig=B".into(), "/alone%20here".into()])
        .collect();
    let scratch = tempfile::tempdir().unwrap();
    let list = scratch.path().join("list");
    let text: Vec<_> = paths.iter().map(|path| served.url(path)).collect();
    fs::write(&list, text.join("\n")).unwrap();
    let mut before: Option<Vec<String>> = None;
    for run in 0..10 {
        let (out, lines) = (scratch.path().join(format!("out{run}")), scratch.path().join("report"));
        let all = [out.to_str().unwrap(), lines.to_str().unwrap(), list.to_str().unwrap()];
        let (status, summary, stderr) = get(&["--out", all[0], "--report", all[1], "--list", all[2], "--unpack"]);
        assert_eq!((status, summary["done"].as_u64()), (0, Some(paths.len() as u64)), "{stderr}");
        // Each source's file has its bytes, and the report says which it is.
        for (line, path) in report(&lines).iter().zip(&paths) {
            let place = line["path"].as_str().unwrap();
            let place = if path.ends_with(".zip") { format!("{place}data.csv") } else { place.to_owned() };
            assert_eq!(fs::read_to_string(out.join(&place)).unwrap(), *path, "{place}");
        }
        let found = files(&out);
        assert_eq!(found.len(), paths.len());
        assert!(before.as_ref().is_none_or(|before| *before == found), "other names in run {run}");
        before = Some(found);
    }
    let names = before.unwrap();
    for name in ["2024/03/data.csv", "api/items_id=149", "a/data.csv", "b/data.csv", "alone here"] {
        assert!(names.iter().any(|own| own == name), "{name} is not of {names:?}");
    }
}

#[test]
fn a_layout_puts_files_where_it_says() {
    let served = server();
    let host = served.base.trim_start_matches("http://").replace(':', "_");
    let (one, other) = (served.url("/d/a.csv"), served.url("/e/a.csv"));
    let run = |arguments: &[&str]| {
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("out");
        let all = [arguments, &["--out", out.to_str().unwrap(), &one, &other]].concat();
        let (status, _, stderr) = get(&all);
        (status, if out.exists() { files(&out) } else { Vec::new() }, stderr)
    };
    assert_eq!(run(&["-x"]).1, [format!("{host}/d/a.csv"), format!("{host}/e/a.csv")]);
    assert_eq!(run(&["--layout", "{stem}/{index:3}.{ext}"]).1, ["a/000.csv", "a/001.csv"]);
    let (status, found, stderr) = run(&["--layout", "{name}"]);
    assert!(status == 1 && found.is_empty() && stderr.contains("another source"), "neither is kept: {stderr}");
    let (status, _, stderr) = run(&["--layout", "../{name}"]);
    assert!(status == 2 && stderr.contains("output directory"), "{stderr}");
    let (status, _, stderr) = run(&["--layout", "{nme}"]);
    assert!(status == 2 && stderr.contains("{name}"), "{stderr}");
}

#[test]
fn one_source_can_be_one_file_or_stdout() {
    let served = server();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("deep/er.csv");
    let url = served.url("/x");
    for round in 0..2 {
        let (status, _, stderr) = get(&[&url, "-o", path.to_str().unwrap()]);
        assert_eq!((status, fs::read(&path).unwrap()), (0, b"/x".to_vec()), "{round}: {stderr}");
    }
    assert_eq!(narrows(&["get", &url, "-o", "-"]).output().unwrap().stdout, b"/x");
    assert_eq!(narrows(&[&url, "-o", "-"]).output().unwrap().stdout, b"/x", "get may be left out");
    // An archive's only entry is that file, whatever it is called; several are none.
    let (zipped, several) = (served.url("/a.zip"), served.url("/two.zip"));
    let unpacked = scratch.path().join("unpacked.csv");
    let all = |url| get(&[url, "--unpack", "-o", unpacked.to_str().unwrap()]);
    assert_eq!((all(&zipped).0, fs::read(&unpacked).unwrap()), (0, b"/a.zip".to_vec()));
    let (status, _, stderr) = all(&several);
    assert!(status == 1 && stderr.contains("2 entries") && stderr.contains("--out"), "{stderr}");
    let (status, _, stderr) = get(&[&url, &url, "-o", path.to_str().unwrap()]);
    assert!(status == 2 && stderr.contains("--out"), "{stderr}");
    let (status, _, stderr) = get(&[&url, "-o", scratch.path().to_str().unwrap()]);
    assert!(status == 2 && stderr.contains("--out"), "{stderr}");
}

#[test]
fn of_a_list_from_stdin_the_first_has_the_bare_name() {
    let served = server();
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let mut child = narrows(&["get", "--list", "-", "--out", out.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let list = [served.url("/d/a"), served.url("/e/a"), served.url("/e/b")].join("\n");
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let host = served.base.trim_start_matches("http://").replace(':', "_");
    assert_eq!(files(&out), [format!("{host}/e/a"), "a".into(), "b".into()]);
    assert_eq!(fs::read(out.join("a")).unwrap(), b"/d/a");
}

/// A pipe that is read before the run has nothing left for it.
#[test]
fn a_list_that_can_be_read_once_is_read_once() {
    let served = server();
    let scratch = tempfile::tempdir().unwrap();
    let (pipe, out) = (scratch.path().join("pipe"), scratch.path().join("out"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (layout, expected) in [(&["--layout", "{stem}-{index}"][..], ["a-0", "b-1"]), (&[], ["a", "b"])] {
        let list = [served.url("/a"), served.url("/b")].join("\n");
        let writer = pipe.clone();
        let written = thread::spawn(move || fs::write(writer, list).unwrap());
        let fixed = ["--list", pipe.to_str().unwrap(), "--out", out.to_str().unwrap()];
        let (status, summary, stderr) = get(&[&fixed[..], layout].concat());
        written.join().unwrap();
        assert_eq!((status, summary["done"].as_u64()), (0, Some(2)), "{stderr}");
        assert!(expected.iter().all(|name| out.join(name).exists()), "{:?}", files(&out));
    }
}

#[test]
fn tables_of_one_name_have_places_of_their_own() {
    let rows = "1,1.5,2,3,4,1704067200000,true,true\n";
    let served = Served::start(move |_| ok(rows.as_bytes()));
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().to_str().unwrap();
    let urls = [served.url("/jan/data.csv"), served.url("/feb/data.csv")];
    let (status, _, stderr) = get(&["--schema", "binance.spot.aggTrades", "--out", out, &urls[0], &urls[1]]);
    assert_eq!(
        (status, files(scratch.path())),
        (0, vec!["feb/data.parquet".into(), "jan/data.parquet".into()]),
        "{stderr}"
    );
}

#[test]
fn lists_and_patterns_say_what_is_fetched_and_checked() {
    let served = server();
    let scratch = tempfile::tempdir().unwrap();
    let (list, out) = (scratch.path().join("list"), scratch.path().join("out"));
    let right = "6a50dc8584134c7de537c0052ff6d236bf874355e050c90523e0c5ff2a543a28"; // of "/a"
    let lines = [
        format!("\u{feff}{} name=deep/er.csv", served.url("/x")),
        format!("{{\"url\": \"{}\", \"name\": \"y\"}}", served.url("/y?token=secret")),
        format!("{} sha256={right}", served.url("/b")),
        format!("{} name=../up", served.url("/z")),
        format!("{} # a note", served.url("/w")),
    ];
    fs::write(&list, lines.join("\r\n")).unwrap();
    let (status, summary, stderr) = get(&["-i", list.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!((status, summary["done"].as_u64(), summary["failed"].as_u64()), (1, Some(2), Some(3)), "{stderr}");
    for what in ["sha256 is", "would leave the output directory", "lines of their own"] {
        assert!(stderr.contains(what), "{what}: {stderr}");
    }
    assert_eq!(files(&out), ["deep/er.csv", "y"]);

    // What would be fetched, and nothing is.
    let before = served.requests().len();
    let pattern = served.url("/day[08-11].csv");
    let fixed = ["get", "--glob", &pattern, "--out", out.to_str().unwrap()];
    let dry = narrows(&[&fixed[..], &["--dry-run"]].concat()).output().unwrap();
    let text = String::from_utf8(dry.stdout).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains("/day08.csv -> ") && text.contains("out/day11.csv"), "{text}");
    assert_eq!(served.requests().len(), before);
    assert!(narrows(&fixed).output().unwrap().status.success());
    let dry = narrows(&[&fixed[..], &["--dry-run"]].concat()).output().unwrap();
    assert!(dry.stdout.is_empty() && String::from_utf8(dry.stderr).unwrap().contains("4 are done"));

    // A list of checksums is checked by name.
    let sums = scratch.path().join("SHA256SUMS");
    fs::write(&sums, format!("{right}  a\n{right} *b\n")).unwrap();
    let urls = [served.url("/a"), served.url("/b")];
    let all = ["--checksums", sums.to_str().unwrap(), "--discard", &urls[0], &urls[1]];
    let (status, summary, stderr) = get(&all);
    assert_eq!((status, summary["done"].as_u64(), summary["failed"].as_u64()), (1, Some(1), Some(1)), "{stderr}");
    let quiet = narrows(&["-q", "get", &urls[0], "--discard"]).output().unwrap();
    assert_eq!(quiet.status.code(), Some(2), "options stand behind the command");
    let quiet = narrows(&[&urls[0], "-q", "--discard"]).output().unwrap();
    assert!(quiet.status.success() && quiet.stdout.is_empty() && quiet.stderr.is_empty());
    let told = narrows(&[&urls[0], "-v", "-o", "-"]).output().unwrap();
    assert!(String::from_utf8(told.stderr).unwrap().contains("done http"));
}
