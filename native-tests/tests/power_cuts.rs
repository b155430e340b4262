//! Power cuts, simulated: an ext4 on a loop device is shut down without writing its log, as a machine is whose
//! plug is pulled, and mounted again. What was said to be done must be there. It needs root, loop devices and
//! python3 (for the ioctl), and says so where it is skipped. `NARROWS_CUTS` is how many, 3 by default.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use native_tests::{
    binary, files, narrows,
    served::{Served, ok},
};

fn run(command: &str, arguments: &[&str]) -> bool {
    Command::new(command)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A disk whose power can be cut.
struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    fn new(folder: &Path) -> Option<Self> {
        let own = Self { image: folder.join("image"), mount: folder.join("mount") };
        fs::File::create(&own.image).unwrap().set_len(96 << 20).unwrap();
        fs::create_dir(&own.mount).unwrap();
        let is_there = run("mkfs.ext4", &["-q", "-F", own.image.to_str().unwrap()]) && own.mount() && {
            let out = own.mount.join("probe");
            fs::write(&out, "x").is_ok() && own.cut() && own.unmount() && own.mount() && !out.exists()
        };
        if !is_there {
            eprintln!("skipped: no ext4 that can be shut down may be mounted here");
        }
        is_there.then_some(own)
    }

    fn mount(&self) -> bool {
        run("mount", &["-o", "loop", self.image.to_str().unwrap(), self.mount.to_str().unwrap()])
    }

    /// EXT4_IOC_SHUTDOWN with NOLOGFLUSH.
    fn cut(&self) -> bool {
        let program = "import fcntl, os, struct, sys\n\
                       fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
        run("python3", &["-c", program, self.mount.to_str().unwrap()])
    }

    fn unmount(&self) -> bool {
        (0..100).any(|_| {
            thread::sleep(Duration::from_millis(20));
            run("umount", &[self.mount.to_str().unwrap()])
        })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l", self.mount.to_str().unwrap()]);
    }
}

fn body(path: &str) -> Vec<u8> {
    path.bytes().cycle().take(2000 + path.len() * 700).collect()
}

/// Runs the job, cuts the power, and gives the sources that were said to be done and are not there.
fn lost(disk: &Disk, list: &Path, after: Duration, with_syncs: bool) -> (usize, usize) {
    let out = disk.mount.join("out");
    let mut command = match with_syncs {
        true => Command::new(binary()),
        false => {
            let mut strace = Command::new("strace");
            strace
                .args(["-f", "-qqq", "-o", "/dev/null", "-e", "inject=fsync,fdatasync,syncfs:retval=0"])
                .arg(binary());
            strace
        }
    };
    let mut child = command
        .args(["get", "-v", "-i", list.to_str().unwrap(), "--out", out.to_str().unwrap(), "--progress", "none"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let (stderr, own) = (child.stderr.take().unwrap(), told.clone());
    let reader = thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some((_, place)) = line.strip_prefix("done ").and_then(|line| line.split_once(" -> ")) {
                own.lock().unwrap().insert(place.to_owned());
            }
        }
    });
    thread::sleep(after);
    // What is told from here on was told before the cut or after it, so it proves nothing.
    let told = told.lock().unwrap().clone();
    assert!(disk.cut());
    let _ = child.kill();
    run("pkill", &["-KILL", "-f", &format!("get -v -i {}", list.display())]);
    let _ = child.wait();
    reader.join().unwrap();
    assert!(disk.unmount() && disk.mount());
    let is_right = |place: &&String| fs::read(out.join(place)).is_ok_and(|bytes| bytes == body(&format!("/{place}")));
    (told.len(), told.iter().filter(|place| !is_right(place)).count())
}

#[test]
fn what_was_said_to_be_done_outlives_a_power_cut() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::new(scratch.path()) else { return };
    let served = Served::start(|asked| {
        thread::sleep(Duration::from_millis(2));
        ok(&body(&asked.path))
    });
    let cuts = std::env::var("NARROWS_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let list = scratch.path().join("list");
    let mut told = 0;
    for cut in 0..cuts {
        let urls: Vec<_> = (0..600).map(|index| served.url(&format!("/{cut}-{index}"))).collect();
        fs::write(&list, urls.join("\n")).unwrap();
        let after = Duration::from_millis(60 + cut as u64 * 37 % 400);
        let (done, lost) = lost(&disk, &list, after, true);
        assert_eq!(lost, 0, "cut {cut}: {lost} of {done} that were said to be done are not there");
        told += done;
        // The same command completes it, with the journal as the cut has left it.
        let out = disk.mount.join("out");
        let again = narrows(&["get", "-i", list.to_str().unwrap(), "--out", out.to_str().unwrap()]).output().unwrap();
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        let prefix = format!("{cut}-");
        let found: Vec<_> = files(&out).into_iter().filter(|name| name.starts_with(&prefix)).collect();
        assert_eq!(found.len(), 600);
        assert!(found.iter().all(|name| fs::read(out.join(name)).unwrap() == body(&format!("/{name}"))));
        fs::remove_dir_all(&out).unwrap();
    }
    eprintln!("{cuts} cuts, {told} said to be done before them, none lost");
    assert!(told > 0);

    // Without syncs the test must see what is lost.
    if !run("strace", &["-V"]) {
        return eprintln!("skipped: strace is not installed, so syncs cannot be left out");
    }
    let urls: Vec<_> = (0..600).map(|index| served.url(&format!("/x-{index}"))).collect();
    fs::write(&list, urls.join("\n")).unwrap();
    let (done, lost) = lost(&disk, &list, Duration::from_millis(1500), false);
    eprintln!("without syncs {lost} of {done} are lost");
    assert!(lost > 0, "none of {done} are lost without a sync: this test proves nothing");
}
