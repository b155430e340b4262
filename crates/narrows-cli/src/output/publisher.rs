//! Makes files durable and names them, many sources at a time.
//!
//! To sync a file costs milliseconds, one after another and whoever waits: so a thread of its own takes what has
//! come while it was busy as one round. A round syncs the data of all, a few files one by one and many by one
//! call for the file system; then gives all of them their names; then syncs the folders, each once. Nothing has
//! its name before its data is durable, and nobody hears that a source is done before its name is, too.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use narrows_jobs::names::Place;
use tokio::sync::oneshot;

use super::{OutputDirectory, Staged};
use crate::{journal::JournalFile, storage::same};

/// More files than that are synced by one call, together with whatever else the file system has not written.
const SYNCED_SINGLY: u64 = 3;
/// Most sources of a round.
const ROUND: usize = 256;

/// An output directory and the thread that names files in it.
pub(crate) struct Publisher {
    directory: Arc<OutputDirectory>,
    /// Dropped to end the thread.
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    staged: Staged,
    place: Place,
    /// For the journal: the place in the list, and what it knows the line by.
    line: Option<(u64, u64)>,
    /// Gets the path below the output.
    published: oneshot::Sender<io::Result<String>>,
}

impl Publisher {
    /// A journal is told what is about to be named.
    pub(crate) fn new(directory: OutputDirectory, journal: Option<Arc<JournalFile>>) -> Self {
        let directory = Arc::new(directory);
        let (sender, receiver) = channel();
        let own = directory.clone();
        let thread = thread::spawn(move || rounds(&own, journal.as_deref(), &receiver));
        Self { directory, requests: Some(sender), thread: Some(thread) }
    }

    pub(crate) fn directory(&self) -> &OutputDirectory {
        &self.directory
    }

    /// A place for the files of source `index`.
    pub(crate) fn stage(&self, index: u64) -> Staged {
        Staged::new(self.directory.clone(), index)
    }

    /// Moves files into their places; they are durable there. Whoever stops waiting does not stop that.
    pub(crate) async fn publish(&self, staged: Staged, place: Place, line: Option<(u64, u64)>) -> io::Result<String> {
        let (published, ended) = oneshot::channel();
        let request = Request { staged, place, line, published };
        let is_sent = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
        match ended.await {
            Ok(result) if is_sent => result,
            _ => Err(io::Error::other("files are no longer published")),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn rounds(directory: &OutputDirectory, journal: Option<&JournalFile>, requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let round: Vec<_> = [first].into_iter().chain(requests.try_iter().take(ROUND - 1)).collect();
        publish(directory, journal, round);
    }
}

/// One round.
fn publish(directory: &OutputDirectory, journal: Option<&JournalFile>, round: Vec<Request>) {
    let mut synced = Vec::with_capacity(round.len());
    let mut changed = Vec::new();
    let together = round.iter().map(|request| request.staged.files()).sum::<u64>() > SYNCED_SINGLY;
    let all = if together { sync_all(directory) } else { Ok(()) };
    for Request { mut staged, place, line, published } in round {
        let data = if together { again(&all) } else { staged.sync() };
        let mut announce = |staged: &Path, path: &str| match (journal, line) {
            (Some(journal), Some((position, id))) => journal.intend(position, id, staged, path),
            _ => Ok(()),
        };
        let path = data.and_then(|()| staged.publish(&place, &mut announce, &mut changed));
        synced.push((staged, path, published));
    }
    changed.sort_unstable();
    changed.dedup();
    let folders = sync_folders(directory, &changed);
    for (staged, path, published) in synced {
        drop(staged); // what is left of it is gone before anybody hears
        let _ = published.send(path.and_then(|path| again(&folders).map(|()| path)));
    }
}

fn sync_folders(directory: &OutputDirectory, changed: &[PathBuf]) -> io::Result<()> {
    if changed.len() as u64 > SYNCED_SINGLY {
        return sync_all(directory);
    }
    changed.iter().try_for_each(|folder| File::open(folder)?.sync_all())
}

/// Syncs everything that the output's file system holds.
#[cfg(target_os = "linux")]
fn sync_all(directory: &OutputDirectory) -> io::Result<()> {
    Ok(rustix::fs::syncfs(&directory.lock)?)
}

/// Syncs everything that the output's file system holds.
#[cfg(not(target_os = "linux"))]
fn sync_all(_: &OutputDirectory) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

/// The same result for one more.
fn again(result: &io::Result<()>) -> io::Result<()> {
    result.as_ref().map_or_else(|error| Err(same(error)), |()| Ok(()))
}
