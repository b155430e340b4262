//! The journal of a list beside its output: so that the same command again fetches what is not done.
//!
//! The core's `journal` says what its bytes mean; here they are read, appended and synced. A process that
//! keeps one holds a lock on its file. An intent is appended when files get their names, and not synced. What is done
//! is noted by a thread, a group at a time: at most [`GROUP`] sources or [`GROUP_TIME`], first the report, then the
//! journal.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use narrows::journal::{Evidence, Intent, Journal, JournalError};

use crate::{exit::Usage, output::file_id};

/// Sources of a group.
const GROUP: usize = 64;
/// How long a group waits for more.
const GROUP_TIME: Duration = Duration::from_millis(50);

/// A journal and its file.
pub(crate) struct JournalFile {
    path: PathBuf,
    /// Locked by this process; none where it is only looked at. Whoever needs both takes this one first: it is held
    /// while the disk works, and what is done is asked for meanwhile.
    file: Mutex<Option<File>>,
    journal: Mutex<Journal>,
    /// It was there when it was opened.
    pub(crate) is_continued: bool,
}

impl JournalFile {
    /// Opens a journal, or begins one; `fresh` forgets what it says.
    pub(crate) fn open(path: &Path, job: u64, fresh: bool) -> Result<Self, Usage> {
        let at = |error: io::Error| Usage::at(path, &error);
        let Some(file) = lock(path).map_err(at)? else {
            let text = "another narrows keeps this journal: wait for it, or name another with --journal FILE";
            return Err(Usage::new(format!("{}: {text}", path.display())));
        };
        let log = fs::read(path).map_err(at)?;
        let (journal, is_whole) = match recover(path, &log, job) {
            // Whatever it said; but nothing that is no journal is replaced.
            Err((error, _)) if fresh && error != JournalError::NotAJournal => (Journal::new(job), false),
            Err((_, usage)) => return Err(usage),
            Ok(_) if fresh => (Journal::new(job), false),
            Ok(found) => found,
        };
        let _ = fs::remove_file(beside(path)); // of a process that was killed
        let is_continued = !log.is_empty() && !fresh;
        let own = Self { path: path.into(), file: Mutex::new(Some(file)), journal: Mutex::new(journal), is_continued };
        if !is_whole {
            own.renew(&mut own.file()).map_err(at)?;
        }
        Ok(own)
    }

    /// Looks at a journal and leaves it as it is.
    pub(crate) fn look_at(path: &Path, job: u64) -> Result<Self, Usage> {
        let log = fs::read(path).map_err(|error| Usage::at(path, &error))?;
        let (journal, _) = recover(path, &log, job).map_err(|(_, usage)| usage)?;
        Ok(Self { path: path.into(), file: Mutex::default(), journal: Mutex::new(journal), is_continued: true })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is no longer true of the list; see [`Journal::verify`].
    pub(crate) fn verify(&self, each_line: impl FnOnce(&mut dyn FnMut(u64))) -> io::Result<u64> {
        let mut file = self.file();
        let forgotten = self.journal().verify(each_line);
        self.renew_if_long(&mut file)?;
        Ok(forgotten)
    }

    pub(crate) fn is_done(&self, position: u64) -> bool {
        self.journal().is_done(position)
    }

    /// Where the files of this source are, if a run that was killed has named them and not said so.
    pub(crate) fn named_before(&self, position: u64, root: &Path) -> Option<String> {
        let journal = self.journal();
        let Intent { evidence, path, .. } = journal.intent(position)?;
        (evidence_of(&root.join(path)).ok()? == *evidence).then(|| path.clone())
    }

    /// Files are about to get their names.
    pub(crate) fn intend(&self, position: u64, id: u64, staged: &Path, path: &str) -> io::Result<()> {
        let evidence = evidence_of(staged)?;
        let mut file = self.file();
        let log = self.journal().intend(position, Intent { id, evidence, path: path.into() });
        file.as_mut().map_or(Ok(()), |file| file.write_all(&log))
    }

    /// Sources are done, and all that they stand for is durable.
    fn done(&self, group: &[(u64, u64)]) -> io::Result<()> {
        let mut file = self.file();
        let log: Vec<u8> = {
            let mut journal = self.journal();
            group.iter().flat_map(|(position, id)| journal.done(*position, *id)).collect()
        };
        if let Some(file) = &mut *file {
            file.write_all(&log)?;
            file.sync_data()?;
        }
        self.renew_if_long(&mut file)
    }

    /// One that says nothing is not left behind.
    fn remove_if_empty(&self) -> io::Result<()> {
        let file = self.file();
        if file.is_some() && self.journal().is_empty() { fs::remove_file(&self.path) } else { Ok(()) }
    }

    fn renew_if_long(&self, file: &mut Option<File>) -> io::Result<()> {
        let is_long = self.journal().is_long();
        if is_long && file.is_some() { self.renew(file) } else { Ok(()) }
    }

    /// Writes it anew: beside the old one, synced, and renamed over it.
    fn renew(&self, file: &mut Option<File>) -> io::Result<()> {
        let log = self.journal().snapshot();
        let beside = beside(&self.path);
        let mut new = File::create(&beside)?;
        new.lock()?;
        new.write_all(&log)?;
        new.sync_all()?;
        fs::rename(&beside, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        *file = Some(new);
        Ok(())
    }
}

/// What a log says, and whether it is whole. An empty one is to be begun.
fn recover(path: &Path, log: &[u8], job: u64) -> Result<(Journal, bool), (JournalError, Usage)> {
    if log.is_empty() {
        return Ok((Journal::new(job), false));
    }
    match Journal::recover(log, job) {
        Ok((journal, torn)) => Ok((journal, torn == 0)),
        Err(error) => {
            let advice = "remove it to begin anew, or name another with --journal FILE";
            Err((error, Usage::new(format!("{}: {error}; {advice}", path.display()))))
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// The file, locked; none if another process has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = File::options().create(true).append(true).open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        // Whoever had it may have put another file in its place between the last two steps.
        if file.metadata().ok().map(|file| (file.dev(), file.ino())) == file_id(path) {
            return Ok(Some(file));
        }
    }
}

fn evidence_of(path: &Path) -> io::Result<Evidence> {
    let file = fs::symlink_metadata(path)?;
    if file.is_dir() {
        return Ok(Evidence { inode: file.ino(), ..Evidence::default() });
    }
    let modified = (file.mtime() as u64).wrapping_mul(1_000_000_000).wrapping_add(file.mtime_nsec() as u64);
    Ok(Evidence { inode: file.ino(), bytes: file.len(), modified })
}

/// Notes what is done, on a thread of its own.
pub(crate) struct Keeper {
    journal: Arc<JournalFile>,
    /// Dropped to end the thread.
    done: Mutex<Option<Sender<(u64, u64)>>>,
    thread: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

impl Keeper {
    /// `sync_report` makes the report durable. `failed` is called once, if something can't be written.
    pub(crate) fn start(
        journal: Arc<JournalFile>,
        sync_report: impl Fn() -> io::Result<()> + Send + 'static,
        failed: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (sender, receiver) = channel();
        let own = journal.clone();
        let thread = thread::spawn(move || {
            keep(&journal, &sync_report, &receiver).map_err(|error| {
                failed();
                io::Error::new(error.kind(), format!("{}: {error}", journal.path.display()))
            })
        });
        Self { journal: own, done: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) }
    }

    /// A source is done.
    pub(crate) fn note(&self, position: u64, id: u64) {
        if let Some(done) = &*self.done.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = done.send((position, id)); // one that has failed tells at the end
        }
    }

    /// Everything that was noted is durable after this.
    pub(crate) fn finish(&self) -> io::Result<()> {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread.map(JoinHandle::join) {
            Some(Ok(result)) => result.and_then(|()| self.journal.remove_if_empty()),
            Some(Err(_)) => Err(io::Error::other("the thread that keeps the journal broke off")),
            None => Ok(()),
        }
    }
}

fn keep(
    journal: &JournalFile,
    sync_report: &impl Fn() -> io::Result<()>,
    receiver: &Receiver<(u64, u64)>,
) -> io::Result<()> {
    let mut group = Vec::with_capacity(GROUP);
    while let Ok(first) = receiver.recv() {
        group.push(first);
        let until = Instant::now() + GROUP_TIME;
        while group.len() < GROUP {
            match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(next) => group.push(next),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        sync_report()?;
        journal.done(&group)?;
        group.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_keeps_a_journal_and_the_next_goes_on_with_it() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("journal");
        let journal = JournalFile::open(&path, 7, false).ok().unwrap();
        assert!(JournalFile::open(&path, 7, false).is_err_and(|usage| usage.text.contains("another narrows")));
        for position in 0..5000 {
            fs::write(scratch.path().join("file"), "x").unwrap();
            journal.intend(position, position, &scratch.path().join("file"), "file").unwrap();
            journal.done(&[(position, position)]).unwrap();
        }
        journal.intend(6000, 1, &scratch.path().join("file"), "file").unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 64 << 10);
        assert!(JournalFile::open(&path, 7, false).is_err(), "it is still locked, after it was written anew");
        drop(journal);
        let journal = JournalFile::open(&path, 7, false).ok().unwrap();
        assert!(journal.is_continued && journal.is_done(4999) && !journal.is_done(5000));
        assert_eq!(journal.named_before(6000, scratch.path()).as_deref(), Some("file"));
        fs::write(scratch.path().join("file"), "another").unwrap();
        assert_eq!(journal.named_before(6000, scratch.path()), None);
        drop(journal);
        assert!(JournalFile::open(&path, 8, false).is_err_and(|usage| usage.text.contains("another job")));
        assert!(JournalFile::open(&path, 8, true).is_ok_and(|fresh| !fresh.is_done(0)));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2, "nothing lies about");
    }
}
