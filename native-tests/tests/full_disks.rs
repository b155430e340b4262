//! Disks that are full, read-only, broken or gone: the job ends at once and says why, what is done is kept, and the same
//! command completes it where there is room again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use native_tests::{
    files, get, narrows,
    served::{Served, ok, response},
};

const FILE: usize = 100_000;

fn body(path: &str) -> Vec<u8> {
    path.bytes().cycle().take(FILE).collect()
}

fn server() -> Served {
    Served::start(|asked| {
        thread::sleep(Duration::from_millis(5));
        ok(&body(&asked.path))
    })
}

fn run(command: &str, arguments: &[&str]) -> bool {
    Command::new(command).args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A small file system in memory, if this process may mount one.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(folder: &Path, options: &str) -> Option<Self> {
        fs::create_dir(folder).unwrap();
        let path = folder.to_str().unwrap();
        if !run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", path]) {
            eprintln!("skipped: this process may not mount a tmpfs");
            return None;
        }
        Some(Self(folder.to_owned()))
    }

    fn remount(&self, options: &str) {
        assert!(run("mount", &["-o", &format!("remount,{options}"), self.0.to_str().unwrap()]), "{options}");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

/// Whole and right, or not there; how many.
fn whole(out: &Path) -> usize {
    let names = files(out);
    for name in &names {
        assert!(fs::read(out.join(name)).unwrap() == body(&format!("/{name}")), "{name} is not whole");
    }
    names.len()
}

#[test]
fn a_full_disk_ends_the_job_and_keeps_what_is_done() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(&scratch.path().join("disk"), "size=1m") else { return };
    let served = server();
    let list = scratch.path().join("list");
    let urls: Vec<_> = (0..60).map(|index| served.url(&format!("/{index}"))).collect();
    fs::write(&list, urls.join("\n")).unwrap();
    let out = disk.0.join("out");
    let all = ["--list", list.to_str().unwrap(), "--out", out.to_str().unwrap(), "--limit", "4"];
    let (status, summary, stderr) = get(&all);
    assert_eq!(status, 4, "{stderr}");
    assert_eq!(stderr.matches("No space left").count(), 1, "one message: {stderr}");
    assert!(stderr.contains(out.to_str().unwrap()) && stderr.contains("free"), "{stderr}");
    let (done, requests) = (whole(&out), served.requests().len());
    assert_eq!(summary["done"].as_u64(), Some(done as u64));
    assert!(done >= 4 && requests <= done + 2 * 4, "{requests} requests, {done} done");
    assert_eq!(summary["failed"].as_u64(), Some(1));

    disk.remount("size=20m,ro");
    let (status, _, stderr) = get(&all);
    assert!(status == 4 && stderr.contains("Read-only"), "{status} {stderr}");
    disk.remount("size=20m,rw");
    let (status, summary, stderr) = get(&all);
    assert_eq!((status, summary["already"].as_u64(), whole(&out)), (0, Some(done as u64), 60), "{stderr}");
    assert!(
        served.requests().len() == 60 && fs::read_dir(&out).unwrap().count() == 61,
        "and the journal, nothing else"
    );
}

#[test]
fn stdout_reports_and_floors_have_the_same_end() {
    let served = server();
    let scratch = tempfile::tempdir().unwrap();
    let urls: Vec<_> = (0..60).map(|index| served.url(&format!("/{index}"))).collect();
    let list = scratch.path().join("list");
    fs::write(&list, urls.join("\n")).unwrap();
    let list = list.to_str().unwrap();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let Output { status, stderr, .. } = narrows(&["get", "--list", list, "--stdout"]).stdout(full()).output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.code() == Some(4) && stderr.contains("stdout: No space left"), "{status} {stderr}");
    assert!(served.requests().len() <= 30, "{} requests", served.requests().len());

    let out = scratch.path().join("out");
    let (status, _, stderr) = get(&["--list", list, "--out", out.to_str().unwrap(), "--report", "/dev/full"]);
    assert!(status == 4 && stderr.contains("report could not be written"), "{status} {stderr}");

    let floor = scratch.path().join("floor");
    let (status, summary, stderr) =
        get(&["--list", list, "--out", floor.to_str().unwrap(), "--min-free", "1000TiB", "--limit", "2"]);
    assert!(status == 4 && stderr.contains("--min-free 1000.0 TiB"), "{status} {stderr}");
    assert_eq!((summary["done"].as_u64(), whole(&floor)), (Some(0), 0));
}

#[test]
fn an_output_that_goes_away_ends_the_job() {
    let served = Served::start(|asked| {
        thread::sleep(Duration::from_millis(60));
        match asked.path.as_str() {
            "/0" => ok(&body("/0")),
            _ => response("200 OK", "", &body(&asked.path)),
        }
    });
    let scratch = tempfile::tempdir().unwrap();
    let (list, out) = (scratch.path().join("list"), scratch.path().join("out"));
    let urls: Vec<_> = (0..200).map(|index| served.url(&format!("/{index}"))).collect();
    fs::write(&list, urls.join("\n")).unwrap();
    let all = ["get", "--list", list.to_str().unwrap(), "--out", out.to_str().unwrap(), "--limit", "2"];
    let child = narrows(&all).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !out.join("0").exists() {
        thread::sleep(Duration::from_millis(5));
    }
    fs::rename(&out, scratch.path().join("elsewhere")).unwrap();
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.code() == Some(4) && stderr.contains(out.to_str().unwrap()), "{status} {stderr}");
    assert!(served.requests().len() < 20, "{} requests", served.requests().len());
}

/// Every call that writes below the output, or gives a name there, fails once in its turn.
#[test]
fn a_disk_that_fails_at_any_call_leaves_whole_files_and_is_gone_on_with() {
    const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static atomic_int calls;
static int fails(const char *path) {
    const char *at = getenv("FAIL_AT");
    if (!at || !path || !strstr(path, "/out") || atomic_fetch_add(&calls, 1) + 1 != atoi(at)) return 0;
    const char *fired = getenv("FIRED");
    FILE *file = fired ? fopen(fired, "w") : 0;
    if (file) fclose(file);
    errno = EIO;
    return 1;
}
static int fails_of(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fails(path);
}
#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))
ssize_t write(int fd, const void *bytes, size_t count) {
    return fails_of(fd) ? -1 : REAL(ssize_t (*)(int, const void *, size_t), "write")(fd, bytes, count);
}
int fsync(int fd) { return fails_of(fd) ? -1 : REAL(int (*)(int), "fsync")(fd); }
int fdatasync(int fd) { return fails_of(fd) ? -1 : REAL(int (*)(int), "fdatasync")(fd); }
int rename(const char *from, const char *to) {
    return fails(to) ? -1 : REAL(int (*)(const char *, const char *), "rename")(from, to);
}
"#;
    let scratch = tempfile::tempdir().unwrap();
    let (source, shim) = (scratch.path().join("shim.c"), scratch.path().join("shim.so"));
    fs::write(&source, SHIM).unwrap();
    if !run("gcc", &["-shared", "-fPIC", "-o", shim.to_str().unwrap(), source.to_str().unwrap()]) {
        eprintln!("skipped: gcc is not installed");
        return;
    }
    let served = server();
    let list = scratch.path().join("list");
    let urls: Vec<_> = (0..6).map(|index| served.url(&format!("/{index}"))).collect();
    fs::write(&list, urls.join("\n")).unwrap();
    let fired = scratch.path().join("fired");
    let mut faults = 0;
    for call in 1.. {
        let out = scratch.path().join(format!("{call}/out"));
        let all = ["get", "--list", list.to_str().unwrap(), "--out", out.to_str().unwrap(), "--limit", "2"];
        let _ = fs::remove_file(&fired);
        let failing = narrows(&all)
            .envs([
                ("LD_PRELOAD", shim.as_os_str()),
                ("FAIL_AT", call.to_string().as_ref()),
                ("FIRED", fired.as_os_str()),
            ])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&failing.stderr).into_owned();
        if !fired.exists() {
            assert!(failing.status.success(), "{stderr}");
            break;
        }
        faults += 1;
        // A file of the journal's or the staging's own may fail without a loss.
        assert!(matches!(failing.status.code(), Some(0 | 4)), "call {call}: {} {stderr}", failing.status);
        assert!(failing.status.success() || stderr.matches("nput/output error").count() == 1, "call {call}: {stderr}");
        if out.exists() {
            whole(&out);
        }
        let (status, _, stderr) = get(&all[1..]);
        assert_eq!((status, whole(&out)), (0, 6), "after call {call}: {stderr}");
    }
    eprintln!("{faults} calls failed in their turn");
    assert!(faults > 20, "{faults}");
}
