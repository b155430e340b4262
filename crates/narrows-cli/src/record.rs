//! What is written down of every source: the report's lines and the summary.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use narrows::{
    Observer, Outcome, Report,
    guard::{GuardStats, Steering},
    report::{Hex, Stall},
};
use serde::Serialize;

use crate::{exit::Usage, terminal::tell, units::human};

/// Failures told on stderr; the report has them all.
const FAILURES_TOLD: u64 = 20;
/// Changes of the window told on stderr; the summary counts them.
const STEERINGS_TOLD: u64 = 6;

pub(crate) struct Recorder(Mutex<State>);

struct State {
    report: Option<BufWriter<File>>,
    /// What consumers have found of sources that have not ended, by index.
    found: HashMap<u64, Found>,
    report_error: Option<io::Error>,
    steerings: u64,
    summary: Summary,
}

#[derive(Default)]
struct Found {
    lines: u64,
    /// Where it is, below the output.
    path: Option<String>,
}

#[derive(Clone, Default, Serialize)]
pub(crate) struct Summary {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) cancelled: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_out: u64,
    pub(crate) entries: u64,
    pub(crate) lines: u64,
    pub(crate) peak_charged_bytes: u64,
    pub(crate) budget_bytes: u64,
    pub(crate) peak_rss_bytes: Option<u64>,
    /// Most transfers at once: allowed at the end, and had at any time.
    pub(crate) limit: u64,
    pub(crate) in_flight_peak: u64,
    /// What a guard has done, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) guard: Option<Guarded>,
    pub(crate) elapsed_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bars: Option<BarsSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tables: Option<TablesSummary>,
}

/// What was made of tables.
#[derive(Clone, Default, Serialize)]
pub(crate) struct TablesSummary {
    /// Rows of this run's files, and those passed over.
    pub(crate) rows: u64,
    pub(crate) rejected_rows: u64,
    /// Files that were there already, and so were not asked for.
    pub(crate) already: u64,
    /// By day and type.
    pub(crate) days: Vec<DaySummary>,
}

/// What became of the files of a day and a type.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct DaySummary {
    pub(crate) date: String,
    pub(crate) data_type: String,
    pub(crate) done: u64,
    /// Of those done, without a row.
    pub(crate) empty: u64,
    pub(crate) already: u64,
    pub(crate) missing: u64,
    pub(crate) failed: u64,
    pub(crate) rows: u64,
}

impl TablesSummary {
    fn text(&self) -> String {
        const SHOWN: usize = 20;
        let mut text = String::new();
        for day in self.days.iter().take(SHOWN) {
            let DaySummary { date, data_type, done, empty, already, missing, failed, rows } = day;
            text += &format!("{date} {data_type}: {done} done with {rows} rows");
            let counts = [(empty, "empty"), (already, "there already"), (missing, "missing"), (failed, "failed")];
            for (count, what) in counts.into_iter().filter(|(count, _)| **count > 0) {
                text += &format!(", {count} {what}");
            }
            text.push('\n');
        }
        if let Some(more) = self.days.len().checked_sub(SHOWN + 1) {
            text += &format!("and {} more days and types (--summary json)\n", more + 1);
        }
        if self.days.is_empty() && self.rows + self.already > 0 {
            text += &format!("{} rows, {} tables there already\n", self.rows, self.already);
        }
        if self.rejected_rows > 0 {
            text += &format!("{} rows passed over\n", self.rejected_rows);
        }
        text
    }
}

/// What was read and made of trades.
#[derive(Clone, Serialize)]
pub(crate) struct BarsSummary {
    /// Trades of this run's files.
    pub(crate) trades: u64,
    /// Bars of all thresholds.
    pub(crate) bars: u64,
    /// Gaps between trades, and the trades missing in them.
    pub(crate) gaps: u64,
    pub(crate) missing_trades: u64,
    /// Rows that were passed over, and trades that were put in order.
    pub(crate) rejected_rows: u64,
    pub(crate) reordered_trades: u64,
    /// Files that are not there.
    pub(crate) missing_files: Vec<String>,
    /// Files whose checksum is wrong, missing or unusable, and why.
    pub(crate) unproven_files: Vec<String>,
    /// The last file that is in the output.
    pub(crate) last_file: Option<String>,
    pub(crate) outputs: Vec<String>,
}

impl BarsSummary {
    fn text(&self) -> String {
        let Self { trades, bars, gaps, missing_trades, rejected_rows, reordered_trades, .. } = self;
        let mut text = format!("{trades} trades, {bars} bars");
        for (count, what) in [(rejected_rows, "rows passed over"), (reordered_trades, "trades put in order")] {
            if *count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        if *gaps > 0 {
            text += &format!(", {gaps} gaps with {missing_trades} trades missing");
        }
        for (files, what) in [(&self.missing_files, "missing"), (&self.unproven_files, "not as published")] {
            if let Some(first) = files.first() {
                text += &format!("\n{} files {what}, the first: {first}", files.len());
            }
        }
        if !self.outputs.is_empty() {
            text += &format!("\nin {}", self.outputs.join(", "));
        }
        text + "\n"
    }
}

/// What a guard of memory has seen and done.
#[derive(Clone, Serialize)]
pub(crate) struct Guarded {
    limit_bytes: u64,
    /// The largest part of the limit that was in use, from 0 to 1.
    part_peak: f64,
    level_peak: &'static str,
    shrunk: u64,
    grown: u64,
    paused: u64,
    evicted: u64,
}

impl From<GuardStats> for Guarded {
    fn from(stats: GuardStats) -> Self {
        let GuardStats { reading, part_peak, level_peak, shrunk, grown, paused, evicted, .. } = stats;
        Self { limit_bytes: reading.limit, part_peak, level_peak: level_peak.name(), shrunk, grown, paused, evicted }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    url: &'a str,
    /// Where it is, below the output: a file, or a folder with a slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    outcome: &'a str,
    /// Of a failure, its code; of a success, what proves that it is complete.
    kind: Option<&'a str>,
    error: Option<String>,
    retryable: Option<bool>,
    status: Option<u16>,
    attempts: u32,
    requests: u32,
    bytes_received: u64,
    bytes_accepted: u64,
    bytes_out: u64,
    entries: u64,
    lines: u64,
    sha256: Option<String>,
    elapsed_ms: u64,
}

impl Recorder {
    /// Begins a report. What was in its file is gone, so do this last; it must not be `list`, which
    /// is still being read.
    pub(crate) fn new(report: Option<&Path>, list: Option<&Path>) -> Result<Self, Usage> {
        let open = |path: &Path| {
            if list.is_some_and(|list| list == path || file_id(list).is_some_and(|id| file_id(path) == Some(id))) {
                return Err(Usage(format!("{}: the report would replace the list", path.display())));
            }
            File::create(path).map_err(|error| Usage::at(path, &error))
        };
        let report = report.map(open).transpose()?.map(BufWriter::new);
        let (found, summary) = (HashMap::new(), Summary::default());
        Ok(Self(Mutex::new(State { report, found, report_error: None, steerings: 0, summary })))
    }

    /// Notes what the consumer of a source has found: line feeds, and last lines without one.
    pub(crate) fn found(&self, index: u64, lines: u64) {
        self.state().found.entry(index).or_default().lines = lines;
    }

    /// Notes where a source's files are.
    pub(crate) fn placed(&self, index: u64, path: String) {
        self.state().found.entry(index).or_default().path = Some(path);
    }

    /// Whether a consumer of this source has found lines in it.
    pub(crate) fn has_written(&self, index: u64) -> bool {
        self.state().found.get(&index).is_some_and(|found| found.lines > 0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, report: &Report) {
        let mut state = self.state();
        let found = state.found.remove(&report.index).filter(|_| report.outcome.is_ok());
        let Found { lines, path } = found.unwrap_or_default();
        let summary = &mut state.summary;
        let (kind, error, retryable) = match &report.outcome {
            Outcome::Done(proof) => {
                summary.done += 1;
                (Some(proof.name()), None, None)
            }
            Outcome::Skipped => {
                summary.skipped += 1;
                (None, None, None)
            }
            Outcome::Cancelled => {
                summary.cancelled += 1;
                (None, None, None)
            }
            Outcome::Failed(failure) => {
                summary.failed += 1;
                if summary.failed <= FAILURES_TOLD {
                    tell(format_args!("narrows: {failure}"));
                } else if summary.failed == FAILURES_TOLD + 1 {
                    tell(format_args!("narrows: further failures are in the report only (--report FILE)"));
                }
                (Some(failure.kind.code()), Some(failure), Some(failure.retryable()))
            }
        };
        summary.bytes_received += report.bytes_received;
        summary.bytes_out += report.bytes_out;
        summary.entries += report.entries;
        summary.lines += lines;
        let Some(file) = &mut state.report else { return };
        let line = Line {
            index: report.position.unwrap_or(report.index),
            key: report.key.as_deref(),
            url: &report.url,
            path: path.as_deref(),
            outcome: report.outcome.name(),
            kind,
            error: error.map(ToString::to_string),
            retryable,
            status: report.status,
            attempts: report.attempts,
            requests: report.requests,
            bytes_received: report.bytes_received,
            bytes_accepted: report.bytes_accepted,
            bytes_out: report.bytes_out,
            entries: report.entries,
            lines,
            sha256: report.sha256.map(|digest| Hex(&digest).to_string()),
            elapsed_ms: millis(report.elapsed),
        };
        let written = serde_json::to_writer(&mut *file, &line).map_err(io::Error::from);
        if let Err(error) = written.and_then(|()| file.write_all(b"\n")) {
            state.report_error.get_or_insert(error);
        }
    }

    /// One more change of the window; how many there were before.
    fn steered(&self) -> u64 {
        let mut state = self.state();
        state.steerings += 1;
        state.steerings - 1
    }

    /// The counts so far.
    pub(crate) fn summary(&self) -> Summary {
        self.state().summary.clone()
    }

    /// Completes the report.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let mut state = self.state();
        if let Some(error) = state.report_error.take() {
            return Err(error);
        }
        match &mut state.report {
            Some(file) => file.flush().and_then(|()| match file.get_ref().sync_all() {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()), // a pipe
                synced => synced,
            }),
            None => Ok(()),
        }
    }
}

/// A recorder that the window tells how its sources end.
pub(crate) struct Told(pub(crate) Arc<Recorder>);

impl Observer for Told {
    fn ended(&self, report: &Report) {
        self.0.record(report);
    }

    fn stalled(&self, stall: &Stall) {
        tell(format_args!("narrows: {stall}"));
    }

    fn steered(&self, steering: &Steering) {
        let told = self.0.steered();
        if told < STEERINGS_TOLD {
            tell(format_args!("narrows: {steering}"));
        } else if told == STEERINGS_TOLD {
            tell(format_args!("narrows: further changes of that kind are counted in the summary (--summary json)"));
        }
    }
}

/// Which file a path leads to: device and number, if there is one.
pub(crate) fn file_id(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|file| (file.dev(), file.ino()))
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Summary {
    pub(crate) fn text(&self) -> String {
        let Self { done, failed, skipped, cancelled, entries, lines, .. } = self;
        let seconds = self.elapsed_ms as f64 / 1000.0;
        let rate = human((self.bytes_received as f64 / seconds.max(0.001)) as u64);
        let rss = self.peak_rss_bytes.map_or(String::new(), |rss| format!("; the process had {} at most", human(rss)));
        let guard = match &self.guard {
            Some(guard) if guard.shrunk + guard.paused > 0 => format!(
                "\nmemory ran short ({:.0} % of {} in use at most): smaller {} times, larger again {}, paused {}, {} sent back",
                guard.part_peak * 100.0,
                human(guard.limit_bytes),
                guard.shrunk,
                guard.grown,
                guard.paused,
                guard.evicted,
            ),
            _ => String::new(),
        };
        let bars = self.bars.as_ref().map_or(String::new(), BarsSummary::text);
        let tables = self.tables.as_ref().map_or(String::new(), TablesSummary::text);
        format!(
            "{bars}{tables}{done} done, {failed} failed, {skipped} skipped, {cancelled} cancelled\n\
             {} received, {} out, {entries} entries, {lines} lines, in {seconds:.1} s ({rate}/s)\n\
             {} of the budget's {} charged at most{rss}{guard}",
            human(self.bytes_received),
            human(self.bytes_out),
            human(self.peak_charged_bytes),
            human(self.budget_bytes),
        )
    }
}
