//! What sources become as tables, and what has become of them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use narrows::{DefaultClock, FailureKind, Handle, Observer, Outcome, Report, Source, text::public_url};
use narrows_tables::{BadRow, Form, Schema};

use crate::{
    summary::{DaySummary, TablesSummary},
    terminal::tell,
};

/// The table of a source, given the source's key, which is its path below the output.
pub(crate) type Plan = Box<dyn Fn(&str) -> Option<Schema> + Send + Sync>;

pub(crate) struct TableRules {
    /// The form of the files.
    pub(crate) form: Form,
    plan: Plan,
    /// The columns that are asked for, or all.
    pub(crate) columns: Option<Vec<String>>,
    /// Rows that do not fit are passed over.
    skips_bad_rows: bool,
    /// Where they are written to, each with the reason.
    rejected: Mutex<Option<File>>,
    rejected_rows: AtomicU64,
    rows: AtomicU64,
    already: AtomicU64,
    /// Where one key is for all sources: what to do if it is refused.
    one_key: Option<&'static str>,
    gave_up: AtomicBool,
    looks_no_more: AtomicBool,
    days: Mutex<BTreeMap<(String, String), DaySummary>>,
}

impl TableRules {
    pub(crate) fn new(
        form: Form,
        plan: Plan,
        columns: Option<Vec<String>>,
        skips_bad_rows: bool,
        rejected: Option<&Path>,
        one_key: Option<&'static str>,
    ) -> io::Result<Self> {
        let rejected = Mutex::new(rejected.map(File::create).transpose()?);
        Ok(Self {
            form,
            plan,
            columns,
            skips_bad_rows,
            rejected,
            rejected_rows: AtomicU64::default(),
            rows: AtomicU64::default(),
            already: AtomicU64::default(),
            one_key,
            gave_up: AtomicBool::default(),
            looks_no_more: AtomicBool::default(),
            days: Mutex::default(),
        })
    }

    /// Whether the job was ended because everything was refused.
    pub(crate) fn gave_up(&self) -> bool {
        self.gave_up.load(Relaxed)
    }

    /// What is left of the list is only reported.
    pub(crate) fn look_no_more(&self) {
        self.looks_no_more.store(true, Relaxed);
    }

    /// Where the table of a source goes, below the output.
    pub(crate) fn path_of(&self, source: &Source) -> io::Result<String> {
        source.key.as_deref().map(Into::into).ok_or_else(|| io::Error::other("no table is known for this source"))
    }

    /// The table of a source of this path.
    pub(crate) fn schema_of(&self, path: &str) -> io::Result<Schema> {
        (self.plan)(path).ok_or_else(|| io::Error::other(format!("no table is known for {path:?}")))
    }

    /// A row that does not fit.
    pub(crate) fn reject(&self, source: &str, bad: &BadRow, row: &[u8]) -> io::Result<()> {
        if !self.skips_bad_rows {
            return Err(io::Error::other(format!("{bad}; --on-bad-row skip passes such rows over")));
        }
        self.rejected_rows.fetch_add(1, Relaxed);
        match &mut *self.rejected.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(file) => writeln!(file, "{source}\t{bad}\t{}", row.escape_ascii()),
            None => Ok(()),
        }
    }

    /// Whether the table of this source is there, whole, with the columns that are asked for; it then need
    /// not be made.
    pub(crate) fn is_there(&self, directory: &Path, source: &Source) -> bool {
        if self.looks_no_more.load(Relaxed) {
            return false;
        }
        let Some(path) = source.key.as_deref() else { return false };
        let there = File::open(directory.join(path)).ok().zip((self.plan)(path));
        let url = public_url(&source.url);
        let is =
            there.is_some_and(|(file, schema)| self.form.is_table_of(file, &schema, self.columns.as_deref(), &url));
        if is {
            self.already.fetch_add(1, Relaxed);
            self.count(path, |day| day.already += 1);
        }
        is
    }

    /// A table of so many rows was kept.
    pub(crate) fn kept(&self, path: &str, rows: u64) {
        self.rows.fetch_add(rows, Relaxed);
        self.count(path, |day| {
            day.rows += rows;
            day.empty += u64::from(rows == 0);
        });
    }

    /// Counts by day and type, where a path has them.
    fn count(&self, path: &str, change: impl FnOnce(&mut DaySummary)) {
        let part = |name: &str| path.split('/').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let (Some(date), Some(data_type)) = (part("date"), part("data_type")) else { return };
        let (date, data_type) = (date.to_owned(), data_type.to_owned());
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || DaySummary { date: date.clone(), data_type: data_type.clone(), ..DaySummary::default() };
        change(days.entry((date.clone(), data_type.clone())).or_insert_with(fresh));
    }

    pub(crate) fn summary(&self) -> TablesSummary {
        let days: Vec<_> = self.days.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        TablesSummary {
            rows: self.rows.load(Relaxed),
            rejected_rows: self.rejected_rows.load(Relaxed),
            already: self.already.load(Relaxed),
            days,
        }
    }
}

/// Refusals (401, 403) before anything was done after which nothing more is asked for, where one key is for all.
const REFUSALS_MAX: u64 = 12;

/// Counts how sources end; and ends the job where everything is refused.
pub(crate) struct Tally {
    rules: Arc<TableRules>,
    window: Handle<DefaultClock>,
    refusals: AtomicU64,
    is_any_done: AtomicBool,
}

impl Tally {
    pub(crate) fn new(rules: Arc<TableRules>, window: Handle<DefaultClock>) -> Self {
        Self { rules, window, refusals: AtomicU64::default(), is_any_done: AtomicBool::default() }
    }

    fn refused(&self) {
        let Some(advice) = self.rules.one_key else { return };
        let refusals = self.refusals.fetch_add(1, Relaxed) + 1;
        if refusals != REFUSALS_MAX || self.is_any_done.load(Relaxed) {
            return;
        }
        tell(format_args!("narrows: the first {refusals} files were refused, so nothing more is asked for: {advice}"));
        self.rules.gave_up.store(true, Relaxed);
        // Not from here, where the window is telling.
        let window = self.window.clone();
        tokio::spawn(async move { window.cancel() });
    }
}

impl Observer for Tally {
    fn ended(&self, report: &Report) {
        match &report.outcome {
            Outcome::Done(_) => self.is_any_done.store(true, Relaxed),
            Outcome::Failed(failure) if matches!(failure.kind, FailureKind::Status(401 | 403)) => self.refused(),
            _ => {}
        }
        let Some(path) = &report.key else { return };
        self.rules.count(path, |day| match report.outcome {
            Outcome::Done(_) => day.done += 1,
            Outcome::Skipped => day.missing += 1,
            Outcome::Failed(_) => day.failed += 1,
            Outcome::Cancelled => {}
        });
    }
}
