//! The same command again, after an end, a kill, a change of the list: what is not done is fetched, nothing else.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use native_tests::{
    files, get, journals, narrows, report,
    served::{Served, ok, response},
};
use serde_json::Value;

/// A number by chance, of a path: FNV-1a.
fn chance(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)) >> 20
}

/// What a path's file has in it: a few kilobytes, other ones for each path.
fn content(path: &str) -> Vec<u8> {
    format!("{path} ").repeat(1 + (chance(path) >> 8) as usize % 400).into_bytes()
}

struct Place {
    scratch: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { scratch: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).to_str().unwrap().to_owned()
    }

    fn list(&self, urls: &[String]) {
        fs::write(self.path("list"), urls.join("\n")).unwrap();
    }

    fn run(&self, more: &[&str]) -> (i32, Value, String) {
        let paths = ["list", "out", "report"].map(|name| self.path(name));
        let [list, out, report] = paths.each_ref().map(String::as_str);
        get(&[&["--list", list, "--out", out, "--report", report][..], more].concat())
    }
}

#[test]
fn what_is_done_is_not_asked_for_again() {
    let served = Served::start(|asked| match asked.path.as_str() {
        "/7" if asked.before == 0 => response("404 Not Found", "Content-Length: 0\r\n", b""),
        path => ok(&content(path)),
    });
    let place = Place::new();
    let mut urls: Vec<String> = (0..40).map(|index| served.url(&format!("/{index}"))).collect();
    place.list(&urls);
    let (status, summary, stderr) = place.run(&[]);
    assert_eq!((status, summary["done"].as_u64(), summary["failed"].as_u64()), (1, Some(39), Some(1)), "{stderr}");
    let (status, summary, stderr) = place.run(&[]);
    assert_eq!((status, summary["done"].as_u64(), summary["already"].as_u64()), (0, Some(1), Some(39)), "{stderr}");
    let (status, summary, _) = place.run(&[]);
    assert_eq!((status, summary["already"].as_u64()), (0, Some(40)));
    let total = |served: &Served| served.requests().values().sum::<usize>();
    assert_eq!(total(&served), 41);
    // The report goes on: one line for each end.
    let lines = report(place.path("report").as_ref());
    assert_eq!(
        (lines.len(), lines[7]["outcome"].as_str(), lines[8]["outcome"].as_str()),
        (41, Some("failed"), Some("done"))
    );

    // A line at the end, a file that was removed, a line that was changed.
    urls.push(served.url("/new"));
    place.list(&urls);
    fs::remove_file(Path::new(&place.path("out")).join("3")).unwrap();
    let (status, summary, stderr) = place.run(&[]);
    assert_eq!((status, summary["done"].as_u64(), summary["already"].as_u64()), (0, Some(2), Some(39)), "{stderr}");
    urls[5] = served.url("/changed");
    place.list(&urls);
    let (status, _, stderr) = place.run(&[]);
    assert!(status == 0 && stderr.contains("the list has changed"), "{stderr}");
    assert_eq!(fs::read(Path::new(&place.path("out")).join("changed")).unwrap(), content("/changed"));
    let before = total(&served);
    let (status, summary, _) = place.run(&["--exists", "overwrite"]);
    assert_eq!((status, summary["done"].as_u64(), total(&served)), (0, Some(41), before + 41));
    let (found, kept) = (files(place.path("out").as_ref()), journals(place.path("out").as_ref()));
    assert_eq!((found.len(), kept.len()), (42, 1));
    assert!(fs::metadata(&kept[0]).unwrap().len() < 4096);
}

#[test]
fn a_journal_is_of_one_job_and_one_process() {
    let served = Served::start(|asked| {
        thread::sleep(Duration::from_millis(if asked.path == "/slow" { 2000 } else { 0 }));
        ok(&content(&asked.path))
    });
    let place = Place::new();
    place.list(&[served.url("/a")]);
    let journal = place.path("journal");
    assert_eq!(place.run(&["--journal", &journal]).0, 0);
    let (status, _, stderr) = place.run(&["--journal", &journal, "-x"]);
    assert!(status == 2 && stderr.contains("another job") && stderr.contains("--journal"), "{stderr}");
    fs::write(&journal, "{}").unwrap();
    let (status, _, stderr) = place.run(&["--journal", &journal]);
    assert!(status == 2 && stderr.contains("no journal of narrows"), "{stderr}");

    place.list(&[served.url("/slow")]);
    let (list, out) = (place.path("list"), place.path("out"));
    let mut first = narrows(&["get", "--list", &list, "--out", &out]).stdout(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    let (status, _, stderr) = get(&["--list", &list, "--out", &out]);
    assert!(status == 2 && stderr.contains("another narrows"), "{stderr}");
    // Another list has a journal of its own.
    assert_eq!(get(&[&served.url("/b"), "--out", &out]).0, 0);
    assert!(first.wait().unwrap().success());
}

#[test]
fn what_is_there_is_treated_as_the_user_says() {
    let served = Served::start(|asked| ok(&content(&asked.path)));
    let place = Place::new();
    let (url, out) = (served.url("/a"), place.path("out"));
    let file = Path::new(&out).join("a");
    fs::create_dir(&out).unwrap();
    fs::write(&file, "mine").unwrap();
    let run = |how: &str| get(&[&url, "--out", &out, "--exists", how, "--no-journal"]);
    let (status, summary, _) = run("skip");
    assert_eq!((status, summary["already"].as_u64(), fs::read(&file).unwrap()), (0, Some(1), b"mine".to_vec()));
    let (status, _, stderr) = run("fail");
    assert!(status == 1 && stderr.contains("there already"), "{stderr}");
    assert_eq!((fs::read(&file).unwrap(), served.requests().len()), (b"mine".to_vec(), 0), "nothing was asked for");
    assert_eq!((run("verify").0, fs::read(&file).unwrap()), (0, content("/a")));

    // With a digest in the list a file is known by what is in it.
    let digest = format!("{:x}", md5_of(&content("/a")));
    place.list(&[format!("{} {digest} {url}", content("/a").len())]);
    let (status, summary, stderr) = place.run(&[]);
    assert_eq!((status, summary["already"].as_u64()), (0, Some(1)), "{stderr}");
    fs::write(&file, vec![b'x'; content("/a").len()]).unwrap();
    let (status, summary, _) = place.run(&["--no-journal"]);
    assert_eq!((status, summary["done"].as_u64(), fs::read(&file).unwrap()), (0, Some(1), content("/a")));
}

fn md5_of(bytes: &[u8]) -> u128 {
    use md5::Digest;
    u128::from_be_bytes(md5::Md5::digest(bytes).into())
}

/// Kills of a run over files of a few kilobytes, of which one in twenty is refused at first and one in twenty breaks off. `NARROWS_KILLS` of them,
/// `NARROWS_FILES` files.
#[test]
fn killed_at_any_moment_everything_is_fetched_once() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (kills, count) = (number("NARROWS_KILLS", 12), number("NARROWS_FILES", 600));
    let served = Served::start(|asked| match (chance(&asked.path) % 20, asked.before) {
        (0, 0) => response("503 Service Unavailable", "Content-Length: 0\r\n", b""),
        (1, 0) => response("200 OK", "Content-Length: 9999\r\n", b"cut off"),
        _ => ok(&content(&asked.path)),
    });
    let place = Place::new();
    let paths: Vec<String> = (0..count).map(|index| format!("/{}/{index}.csv", index % 7)).collect();
    place.list(&paths.iter().map(|path| served.url(path)).collect::<Vec<_>>());
    let names = ["list", "out", "report"].map(|name| place.path(name));
    let [list, out, lines] = names.each_ref().map(String::as_str);
    let all = ["get", "--list", list, "--out", out, "--report", lines];
    let mut random = 1_u64;
    let mut killed = 0;
    for kill in 0..kills {
        let mut child = narrows(&all).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        thread::sleep(Duration::from_millis(5 + (random >> 33) % 120));
        let signal = if kill % 10 == 9 { "-HUP" } else { "-KILL" };
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
        killed += usize::from(sent.success() && !child.wait().unwrap().success());
        let bytes = journals(out.as_ref()).iter().map(|path| fs::metadata(path).unwrap().len()).max();
        assert!(bytes.unwrap_or(0) <= (64 << 10) + 64 * 10, "a journal of {bytes:?} bytes");
    }
    let (status, summary, stderr) = place.run(&[]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(
        (files(out.as_ref()).len(), journals(out.as_ref()).len()),
        (count, 1),
        "a stray file, or one is missing"
    );
    for path in &paths {
        let name = path.rsplit('/').next().unwrap();
        assert!(fs::read(Path::new(out).join(name)).unwrap() == content(path), "{path}");
    }
    let requests = served.requests().values().sum::<usize>();
    let twice = served.requests().iter().filter(|(path, count)| **count > 1 && chance(path) % 20 > 1).count();
    eprintln!("{killed} kills, {requests} requests for {count} files, {twice} asked for twice, {summary}");
    assert!(requests as f64 <= 1.3 * count as f64, "{requests} requests for {count} files");
    // The report has one line that says that it is done, for each source.
    let mut done: Vec<u64> = report(lines.as_ref())
        .iter()
        .filter(|line| line["outcome"] == "done")
        .map(|line| line["index"].as_u64().unwrap())
        .collect();
    done.sort_unstable();
    let twice: Vec<_> = done.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert!(twice.is_empty(), "said to be done twice: {twice:?}");
    assert_eq!(done, (0..count as u64).collect::<Vec<_>>());
}
