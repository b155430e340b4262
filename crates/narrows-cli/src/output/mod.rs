//! The output directory: files appear in it whole, verified and durable, or not at all.
//!
//! What is being written lies in a staging directory beside them, `.narrows-PID-N`, which the
//! process holds a lock on. Once a source is verified its files are synced and renamed into place,
//! and the directory is synced: without the last step a power cut loses renamed files (Pillai et
//! al., "All File Systems Are Not Created Equal", OSDI 2014). Staging directories whose lock is
//! free belong to killed processes and are removed.
//!
//! * `places.rs`: what of a source goes where.
//! * `staged.rs`: the files of one source, until they are in their place.
//! * `publisher.rs`: makes many sources' files durable with few syncs, and names them.

mod places;
mod publisher;
mod staged;

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

pub(crate) use places::Places;
pub(crate) use publisher::Publisher;
pub(crate) use staged::{Staged, StagedFile};

use crate::storage::check_free;

const STAGING: &str = ".narrows-";

pub(crate) struct OutputDirectory {
    root: PathBuf,
    staging: PathBuf,
    started: SystemTime,
    /// The report, the journal, the list: what no source may replace.
    kept: Vec<PathBuf>,
    /// Held until the end.
    lock: File,
    /// Bytes that are to stay free.
    min_free: u64,
}

impl OutputDirectory {
    /// Makes `root` if it is missing, and clears away what killed processes left in it.
    pub(crate) fn open(root: &Path, kept: &[PathBuf], min_free: u64) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        sweep(root)?;
        let id = std::process::id();
        let names = (0..).map(|number: u32| root.join(format!("{STAGING}{id}-{number}")));
        for staging in names {
            match fs::create_dir(&staging) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let path = staging.join("lock");
            let lock = match File::create(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // swept meanwhile
                made => made?,
            };
            lock.lock()?;
            // Another process may have swept it between the last two steps.
            if path.exists() {
                let (root, kept, started) = (root.to_owned(), kept.to_vec(), SystemTime::UNIX_EPOCH);
                let mut own = Self { root, staging, started, kept, lock, min_free };
                own.started = later(&own.lock)?; // if it fails, nothing is left behind
                return Ok(own);
            }
        }
        Err(io::Error::other("no name for a staging directory"))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn staging(&self) -> &Path {
        &self.staging
    }

    /// An error where less is free than is to stay so.
    fn check_free(&self) -> io::Result<()> {
        if self.min_free > 0 { check_free(&self.staging, self.min_free) } else { Ok(()) }
    }

    fn keeps(&self, path: &Path) -> bool {
        let id = file_id(path);
        id.is_some() && self.kept.iter().any(|kept| file_id(kept) == id)
    }

    /// Whether a file may take its place: this run must not have filled it before.
    fn check(&self, relative: &Path) -> io::Result<()> {
        let target = self.root.join(relative);
        // One that claims to be of the future was here before. The time is that of the disk.
        let now = || (&self.lock).write_all(b".").and_then(|()| self.lock.metadata()?.modified());
        let of_this_run = |time: SystemTime| Ok::<_, io::Error>(time >= self.started && time <= now()?);
        let mut above = relative.ancestors().skip(1).map(|above| self.root.join(above));
        let text = match fs::symlink_metadata(&target) {
            Ok(before) if before.is_dir() => format!("{} is a directory", target.display()),
            Ok(_) if self.keeps(&target) => format!("{} is this run's report, journal or list", target.display()),
            Ok(before) if of_this_run(before.modified()?)? => {
                format!("{} was written by another source of this run", target.display())
            }
            Ok(_) => return Ok(()),
            Err(_) => match above.find(|path| path.metadata().is_ok_and(|above| !above.is_dir())) {
                Some(file) => format!("{} is no directory", file.display()),
                None => return Ok(()),
            },
        };
        Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
    }
}

/// A time of the disk's clock after that of all files there are. The clock has ticks of some milliseconds: a
/// file that was written just before has the same time as one that is written now.
fn later(mut file: &File) -> io::Result<SystemTime> {
    const TICK_MAX: Duration = Duration::from_millis(50);
    let before = file.metadata()?.modified()?;
    let asked = Instant::now();
    loop {
        file.write_all(b".")?;
        let now = file.metadata()?.modified()?;
        // Where ticks are longer, as on FAT, a file that is replaced at once may be refused.
        if now > before || asked.elapsed() > TICK_MAX {
            return Ok(now);
        }
        thread::sleep(Duration::from_micros(500));
    }
}

impl Drop for OutputDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.staging);
    }
}

/// Removes the staging directories of dead processes.
fn sweep(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(STAGING) || !entry.file_type()?.is_dir() {
            continue;
        }
        // Without a lock file it is being removed, or was when its process was killed; or it is being made. Whoever does
        // that waits for the lock, and finds the folder gone.
        let Ok(lock) = File::options().create(true).append(true).open(entry.path().join("lock")) else { continue };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path()); // another user's is left to them
        }
    }
    Ok(())
}

/// Which file a path leads to: device and number, if there is one.
pub(crate) fn file_id(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use narrows_jobs::names::Place;

    use super::*;

    #[test]
    fn a_file_of_a_moment_ago_is_none_of_this_run() {
        let root = tempfile::tempdir().unwrap();
        for _ in 0..50 {
            fs::write(root.path().join("a"), "before").unwrap();
            let directory = OutputDirectory::open(root.path(), &[], 0).unwrap();
            directory.check(Path::new("a")).unwrap();
            fs::write(root.path().join("a"), "by this run").unwrap();
            assert!(directory.check(Path::new("a")).is_err());
        }
    }

    fn publisher(root: &Path, kept: &[PathBuf]) -> Publisher {
        Publisher::new(OutputDirectory::open(root, kept, 0).unwrap(), None)
    }

    /// Publishes a source of these entries, or of one file where their names are empty.
    async fn publish(output: &Publisher, index: u64, place: &str, entries: &[&str]) -> Result<String, String> {
        let mut staged = output.stage(index);
        for name in entries {
            let file = if name.is_empty() { staged.file() } else { staged.entry(name) };
            file.map_err(|error| error.to_string())?.write_all(index.to_string().as_bytes()).unwrap();
        }
        let place = Place { path: place.into(), folder: place.into(), alone: Some(place.into()) };
        output.publish(staged, place, None).await.map_err(|error| error.to_string())
    }

    fn found(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut pending = vec![root.to_owned()];
        while let Some(next) = pending.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => pending.push(path),
                    false => found.push(path.strip_prefix(root).unwrap().display().to_string()),
                }
            }
        }
        found.sort();
        found
    }

    #[tokio::test]
    async fn files_appear_when_published_and_never_twice() {
        let root = tempfile::tempdir().unwrap();
        let output = publisher(root.path(), &[]);
        assert_eq!(publish(&output, 0, "deep/a.csv", &[""]).await.as_deref(), Ok("deep/a.csv"));
        drop(output.stage(1).file().unwrap());
        assert!(publish(&output, 2, "deep/a.csv", &[""]).await.is_err_and(|text| text.contains("another source")));
        for name in ["../x", "/x", "a/../../x", "", ".narrows-1-0/x"] {
            let mut staged = output.stage(9);
            assert!(name.is_empty() || staged.entry(name).is_err(), "{name}");
            staged.file().unwrap();
            let place = Place { path: name.into(), folder: name.into(), alone: None };
            assert!(output.publish(staged, place, None).await.is_err(), "{name}");
        }
        drop(output);
        assert_eq!(fs::read(root.path().join("deep/a.csv")).unwrap(), b"0");
        assert_eq!(found(root.path()), ["deep/a.csv"], "only what was published");
    }

    #[tokio::test]
    async fn archives_become_folders_and_their_only_entry_a_file() {
        let root = tempfile::tempdir().unwrap();
        let output = publisher(root.path(), &[]);
        assert_eq!(publish(&output, 0, "a", &["x/1", "y"]).await.as_deref(), Ok("a/"));
        assert_eq!(publish(&output, 1, "b", &["b.csv"]).await.as_deref(), Ok("b.csv"));
        assert_eq!(publish(&output, 2, "c", &["other.csv"]).await.as_deref(), Ok("c/"));
        let many: Vec<String> = (0..50).map(|index| format!("e{index:02}/f")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(publish(&output, 3, "d", &many).await.as_deref(), Ok("d/"));
        assert_eq!(publish(&output, 4, "e", &[]).await.as_deref(), Ok("e/"), "an archive of nothing");
        drop(output);
        let files = found(root.path());
        assert_eq!((&files[..4], files.len()), (&["a/x/1", "a/y", "b.csv", "c/other.csv"].map(String::from)[..], 54));

        // A second run takes the place of what is there, file by file.
        let output = publisher(root.path(), &[]);
        assert_eq!(publish(&output, 7, "a", &["x/1", "z"]).await.as_deref(), Ok("a/"));
        drop(output);
        assert_eq!((fs::read(root.path().join("a/x/1")).unwrap(), found(root.path()).len()), (b"7".to_vec(), 55));
    }

    #[tokio::test]
    async fn nothing_is_published_where_one_file_has_no_place() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        fs::write(root.path().join("a/data"), "before").unwrap();
        fs::write(root.path().join("a/report"), "lines").unwrap();
        let output = publisher(root.path(), &[root.path().join("a/report")]);
        let text = publish(&output, 0, "a", &["a.txt", "data/x"]).await.unwrap_err();
        assert!(text.contains("data is no directory"), "{text}");
        assert!(publish(&output, 1, "a", &["b.txt", "report"]).await.is_err_and(|text| text.contains("report")));
        // A clock that was set back makes no file one of this run.
        let future = SystemTime::now() + Duration::from_secs(3600);
        File::options().write(true).open(root.path().join("a/data")).unwrap().set_modified(future).unwrap();
        assert_eq!(publish(&output, 2, "a", &["data", "c.txt"]).await.as_deref(), Ok("a/"));
        drop(output);
        assert_eq!(found(root.path()), ["a/c.txt", "a/data", "a/report"]);
    }

    #[test]
    fn leftovers_of_the_dead_are_swept_and_the_living_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let living = OutputDirectory::open(root.path(), &[], 0).unwrap();
        let dead = root.path().join(".narrows-999999-0");
        fs::create_dir(&dead).unwrap();
        File::create(dead.join("lock")).unwrap();
        fs::create_dir_all(root.path().join(".narrows-999999-1/03")).unwrap(); // killed while it was removed
        let second = OutputDirectory::open(root.path(), &[], 0).unwrap();
        assert!(fs::read_dir(root.path()).unwrap().count() == 2 && living.staging().exists());
        drop((second, living));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
