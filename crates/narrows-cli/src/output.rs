//! The output directory: files appear in it whole, verified and durable, or not at all.
//!
//! What is being written lies in a staging directory beside them, `.narrows-PID-N`, which the
//! process holds a lock on. Once a source is verified its files are synced and renamed into place,
//! and the directory is synced: without the last step a power cut loses renamed files (Pillai et
//! al., "All File Systems Are Not Created Equal", OSDI 2014). Staging directories whose lock is
//! free belong to killed processes and are removed.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::record::file_id;

const STAGING: &str = ".narrows-";

pub(crate) struct OutputDirectory {
    root: PathBuf,
    staging: PathBuf,
    started: SystemTime,
    /// The report, which no source may replace.
    report: Option<(u64, u64)>,
    /// Held until the end.
    lock: File,
    /// One source at a time looks for its places and takes them.
    publishing: Mutex<()>,
}

impl OutputDirectory {
    /// Makes `root` if it is missing, and clears away what killed processes left in it.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
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
            let lock = File::create(&path)?;
            lock.lock()?;
            // Another process may have swept it between the last two steps.
            if path.exists() {
                let started = later(&lock)?;
                let (root, publishing) = (root.to_owned(), Mutex::new(()));
                return Ok(Self { root, staging, started, report: None, lock, publishing });
            }
        }
        Err(io::Error::other("no name for a staging directory"))
    }

    /// Keeps sources from taking the report's place.
    pub(crate) fn protect(&mut self, report: Option<&Path>) {
        self.report = report.and_then(file_id);
    }

    pub(crate) fn staging(&self) -> &Path {
        &self.staging
    }

    /// A place for the files of source `index`.
    pub(crate) fn stage(&self, index: u64) -> io::Result<Staged<'_>> {
        let path = self.staging.join(index.to_string());
        fs::create_dir(&path)?;
        Ok(Staged { directory: self, path, committed: false })
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
            Ok(_) if self.report.is_some() && file_id(&target) == self.report => {
                format!("{} is this run's report", target.display())
            }
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

    fn publish(&self, staged: &Path, relative: &Path) -> io::Result<()> {
        let target = self.root.join(relative);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(staged, target)
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
        // Without a lock file it is being made, or being removed.
        let Ok(lock) = File::open(entry.path().join("lock")) else { continue };
        if !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            let _ = fs::remove_dir_all(entry.path()); // another user's is left to them
        }
    }
    Ok(())
}

/// The files of one source, not yet in their place. Dropping it removes them.
pub(crate) struct Staged<'a> {
    directory: &'a OutputDirectory,
    path: PathBuf,
    committed: bool,
}

impl Staged<'_> {
    /// A new file that is to be `relative` to the output directory.
    pub(crate) fn create(&self, relative: &str) -> io::Result<StagedFile> {
        let relative = Path::new(relative);
        let inside = relative.components().all(|component| matches!(component, Component::Normal(_)));
        if !inside || relative.as_os_str().is_empty() {
            return Err(io::Error::other(format!("the name {relative:?} would leave the output directory")));
        }
        if relative.components().next().is_some_and(|first| first.as_os_str().to_string_lossy().starts_with(STAGING)) {
            return Err(io::Error::other(format!("the name {relative:?} is kept for unfinished files")));
        }
        let path = self.path.join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(StagedFile(File::create_new(path)?))
    }

    /// Moves all files into their places.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        let result = self.publish();
        self.committed = true;
        let _ = fs::remove_dir_all(&self.path);
        result
    }

    /// All or nothing, but for errors of the disk: every place is looked at before one is taken.
    fn publish(&self) -> io::Result<()> {
        let directory = self.directory;
        let guard = directory.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        self.walk(Path::new(""), &mut |_, relative| directory.check(relative), &mut |_| Ok(()))?;
        self.walk(Path::new(""), &mut |staged, relative| directory.publish(staged, relative), &mut |_| Ok(()))?;
        drop(guard);
        let sync = &mut |relative: &Path| File::open(directory.root.join(relative))?.sync_all();
        self.walk(Path::new(""), &mut |_, _| Ok(()), sync)
    }

    /// Calls `file` for each file, staged and relative, and `folder` for each directory after it.
    fn walk(
        &self,
        relative: &Path,
        file: &mut dyn FnMut(&Path, &Path) -> io::Result<()>,
        folder: &mut dyn FnMut(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        for entry in fs::read_dir(self.path.join(relative))? {
            let entry = entry?;
            let relative = relative.join(entry.file_name());
            match entry.file_type()?.is_dir() {
                true => self.walk(&relative, file, folder)?,
                false => file(&entry.path(), &relative)?,
            }
        }
        folder(relative)
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// A file being written. Blocks come large, so nothing is buffered.
pub(crate) struct StagedFile(File);

impl StagedFile {
    /// Its bytes are on the disk after this.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file name for what an address serves: its last segment, made harmless.
pub(crate) fn name_of(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let after_host = path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let segment = after_host.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let harmless = |c: char| if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c };
    let mut name: String = percent_decode(segment).chars().map(harmless).collect();
    while name.len() > 200 {
        name.pop();
    }
    let dots = name.chars().all(|c| c == '.');
    if dots || name.starts_with(STAGING) { format!("download_{name}") } else { name }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let decoded = (*first == b'%').then(|| text_of(tail.get(..2)?)).flatten();
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn text_of(digits: &[u8]) -> Option<u8> {
    narrows::source::parse_hex::<1>(std::str::from_utf8(digits).ok()?).map(|[byte]| byte)
}

/// The name without the ending of a compressed stream.
pub(crate) fn unpacked_name(name: &str) -> &str {
    [".gz", ".zst", ".zstd"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_moment_ago_is_none_of_this_run() {
        let root = tempfile::tempdir().unwrap();
        for _ in 0..50 {
            fs::write(root.path().join("a"), "before").unwrap();
            let directory = OutputDirectory::open(root.path()).unwrap();
            directory.check(Path::new("a")).unwrap();
            fs::write(root.path().join("a"), "by this run").unwrap();
            assert!(directory.check(Path::new("a")).is_err());
        }
    }

    #[test]
    fn names_are_harmless() {
        assert_eq!(name_of("http://host/a/b.zip?secret=1#x"), "b.zip");
        assert_eq!(name_of("http://host/a%20b%2F..%2Fc"), "a b_.._c");
        assert_eq!(name_of("http://host/.."), "download_..");
        assert_eq!(name_of("http://host"), "download_");
        assert_eq!(name_of("http://host/.narrows-1-0"), "download_.narrows-1-0");
        assert_eq!(name_of("http://host/%00%zz"), "_%zz");
        assert_eq!(unpacked_name("a.csv.gz"), "a.csv");
    }

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("narrows-output-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn files_appear_when_committed_and_never_twice() {
        let root = scratch("commit");
        let output = OutputDirectory::open(&root).unwrap();
        for (index, kept) in [(0, true), (1, false), (2, true)] {
            let staged = output.stage(index).unwrap();
            let mut file = staged.create("deep/a.csv").unwrap();
            file.write_all(format!("{index}").as_bytes()).unwrap();
            file.finish().unwrap();
            if kept {
                // The second of the same name is refused: it would replace the first.
                assert_eq!(staged.commit().is_ok(), index == 0);
            }
        }
        for name in ["../x", "/x", "a/../../x", "", ".narrows-1-0/x"] {
            assert!(output.stage(9).unwrap().create(name).is_err(), "{name}");
        }
        drop(output);
        assert_eq!(fs::read(root.join("deep/a.csv")).unwrap(), b"0");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1, "only what was committed");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn nothing_is_published_where_one_file_has_no_place() {
        let root = scratch("places");
        let mut output = OutputDirectory::open(&root).unwrap();
        fs::write(root.join("data"), "before").unwrap();
        fs::write(root.join("report"), "lines").unwrap();
        output.protect(Some(&root.join("report")));
        let commit = |index, names: [&str; 2]| {
            let staged = output.stage(index).unwrap();
            for name in names {
                staged.create(name).unwrap().finish().unwrap();
            }
            staged.commit().map_err(|error| error.to_string())
        };
        assert!(commit(0, ["a.txt", "data/x"]).is_err_and(|text| text.contains("data is no directory")));
        assert!(commit(1, ["b.txt", "report"]).is_err_and(|text| text.contains("report")));
        // A clock that was set back makes no file one of this run.
        let future = SystemTime::now() + Duration::from_secs(3600);
        File::options().write(true).open(root.join("data")).unwrap().set_modified(future).unwrap();
        assert_eq!(commit(2, ["data", "c.txt"]), Ok(()));
        drop(output);
        let mut names: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["c.txt", "data", "report"]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn leftovers_of_the_dead_are_swept_and_the_living_left_alone() {
        let root = scratch("sweep");
        let living = OutputDirectory::open(&root).unwrap();
        let dead = root.join(".narrows-999999-0");
        fs::create_dir(&dead).unwrap();
        File::create(dead.join("lock")).unwrap();
        let second = OutputDirectory::open(&root).unwrap();
        assert!(!dead.exists() && living.staging().exists());
        drop((second, living));
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
        fs::remove_dir_all(root).unwrap();
    }
}
