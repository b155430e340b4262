//! The same command again: what of a list need not be fetched.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use futures_util::StreamExt;
use narrows::{Source, journal::line_id, source::BadLine};

use crate::{
    exit::Usage,
    journal::{JournalFile, Keeper},
    list::{Line, Sources},
    output::Places,
    place_args::Exists,
    record::Recorder,
    terminal::tell,
};

/// Calls what it is given with each source of the list.
pub(crate) type EachSource = Box<dyn Fn(&mut dyn FnMut(&Source)) + Send + Sync>;

/// Where the journal is, and how to read the list for it.
pub(crate) struct JournalPlan {
    pub(crate) path: PathBuf,
    /// Stands for what is made of the sources.
    pub(crate) job: u64,
    pub(crate) each_source: EachSource,
}

/// What of a list need not be fetched.
pub(crate) struct Rerun {
    root: PathBuf,
    places: Arc<Places>,
    exists: Exists,
    /// What comes out of a source need not be at its place: it may be a folder, or an entry's extension be added.
    unpacks: bool,
    plan: Option<JournalPlan>,
    opened: OnceLock<Opened>,
    already: AtomicU64,
    /// What is left of the list is only reported.
    is_cancelled: AtomicBool,
}

/// What there is from the job's beginning on.
struct Opened {
    journal: Arc<JournalFile>,
    /// None of these where only what would be done is asked.
    kept_by: Option<(Arc<Recorder>, Arc<Keeper>)>,
}

impl Rerun {
    pub(crate) fn new(
        root: PathBuf,
        places: Arc<Places>,
        exists: Exists,
        unpacks: bool,
        plan: Option<JournalPlan>,
    ) -> Self {
        Self {
            root,
            places,
            exists,
            unpacks,
            plan,
            opened: OnceLock::new(),
            already: AtomicU64::default(),
            is_cancelled: AtomicBool::default(),
        }
    }

    /// Looks at the journal that a run before has left, if there is one, and leaves it as it is.
    pub(crate) fn look_at_journal(&self) -> Result<(), Usage> {
        if let Some(JournalPlan { path, job, each_source }) = &self.plan
            && path.is_file()
            && self.exists != Exists::Overwrite
        {
            let journal = JournalFile::look_at(path, *job)?;
            journal.verify(|line| each_source(&mut |source| line(line_id(source))))?;
            self.begin(Arc::new(journal), None);
        }
        Ok(())
    }

    /// Opens the journal, if one is kept, and compares the list with it.
    pub(crate) fn journal(&self) -> Result<Option<Arc<JournalFile>>, Usage> {
        let Some(JournalPlan { path, job, each_source }) = &self.plan else { return Ok(None) };
        fs::create_dir_all(&self.root).map_err(|error| Usage::at(&self.root, &error))?;
        let journal = JournalFile::open(path, *job, self.exists == Exists::Overwrite)?;
        let forgotten = journal.verify(|line| each_source(&mut |source| line(line_id(source))));
        match forgotten.map_err(|error| Usage::at(path, &error))? {
            0 => {}
            lines => {
                tell(format_args!("narrows: the list has changed: {lines} lines that were done are looked at anew"));
            }
        }
        Ok(Some(Arc::new(journal)))
    }

    /// From here on sources may be asked for. What a run before has done is told to these.
    pub(crate) fn begin(&self, journal: Arc<JournalFile>, kept_by: Option<(Arc<Recorder>, Arc<Keeper>)>) {
        let _ = self.opened.set(Opened { journal, kept_by });
    }

    /// What is left of the list need not be looked at.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Relaxed);
    }

    /// Sources that were not asked for, because they are there.
    pub(crate) fn already(&self) -> u64 {
        self.already.load(Relaxed)
    }

    /// Passes over what need not be fetched.
    pub(crate) fn of(self: Arc<Self>, sources: Sources) -> Sources {
        Box::pin(sources.filter_map(move |line| {
            let own = self.clone();
            async move { own.keep(line).await }
        }))
    }

    async fn keep(&self, line: Line) -> Option<Line> {
        let Ok(source) = line else { return Some(line) };
        let position = source.position.unwrap_or_default();
        // What is only reported is not read through; but what is done is not said to be cancelled.
        let is_done = self.is_known(position, &source)
            || (!self.is_cancelled.load(Relaxed) && self.is_right(position, &source).await);
        if is_done {
            self.already.fetch_add(1, Relaxed);
            return None;
        }
        Some(match self.exists == Exists::Fail && self.is_there(position, &source) {
            true => Err(BadLine::new(&source.url, "its file is there already (--exists fail)").at(position)),
            false => Ok(source),
        })
    }

    /// Whether a run before has done it, by the journal.
    fn is_known(&self, position: u64, source: &Source) -> bool {
        let Some(Opened { journal, kept_by }) = self.opened.get() else { return false };
        if journal.is_done(position) {
            return self.unpacks || self.is_there(position, source);
        }
        let Some(path) = journal.named_before(position, &self.root) else { return false };
        if let Some((recorder, keeper)) = kept_by {
            // The name may not have been durable yet.
            let named = self.root.join(&path);
            if named.parent().is_none_or(|folder| File::open(folder).and_then(|folder| folder.sync_all()).is_err()) {
                return false;
            }
            recorder.done_before(position, source, &path);
            keeper.note(position, line_id(source));
        }
        true
    }

    /// Whether what is there is kept, by the user's rule.
    async fn is_right(&self, position: u64, source: &Source) -> bool {
        match self.exists {
            Exists::Skip => self.is_there(position, source),
            Exists::Verify if !self.unpacks && source.size.is_some() && (source.md5, source.sha256) != (None, None) => {
                let Ok(place) = self.places.of(position, source) else { return false };
                let (path, source) = (self.root.join(place.path), source.clone());
                if fs::metadata(&path).ok().map(|file| file.len()) != source.size {
                    return false;
                }
                let matches = move || File::open(path).and_then(|file| source.matches(file)).unwrap_or(false);
                tokio::task::spawn_blocking(matches).await.unwrap_or(false)
            }
            Exists::Verify | Exists::Overwrite | Exists::Fail => false,
        }
    }

    /// Whether anything is where its files would be.
    fn is_there(&self, position: u64, source: &Source) -> bool {
        let Ok(place) = self.places.of(position, source) else { return false };
        let path = self.root.join(&place.path);
        fs::symlink_metadata(&path).is_ok() || (self.unpacks && place.alone.is_some() && has_extended(&path))
    }
}

/// Whether there is a file of this path and an extension, as an archive's only entry becomes.
fn has_extended(path: &Path) -> bool {
    // A folder of thousands is seldom read for each of them.
    const USUAL: [&str; 4] = ["csv", "CSV", "json", "txt"];
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return false };
    let with = |extension: &&str| {
        let mut path = path.as_os_str().to_owned();
        path.push(".");
        path.push(extension);
        fs::symlink_metadata(path).is_ok()
    };
    if USUAL.iter().any(with) {
        return true;
    }
    let is_one = |entry: fs::DirEntry| {
        let own = entry.file_name();
        let rest = own.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        rest.is_some_and(|rest| rest.starts_with(b"."))
    };
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_one))
}
