//! What is written down of every source: the report's lines and the counts of the summary.

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use narrows::{
    DefaultClock, Handle, Observer, Outcome, Report, Source,
    guard::Steering,
    report::{Hex, Stall},
};

use crate::{
    args::ReportingArgs,
    exit::Usage,
    journal::Keeper,
    report_file::{Line, ReportFile, sync},
    sink::Placed,
    storage::same,
    summary::Summary,
    terminal::tell,
};

/// Failures told on stderr; the report has them all.
const FAILURES_TOLD: u64 = 20;
/// Changes of the window told on stderr; the summary counts them.
const STEERINGS_TOLD: u64 = 6;

pub(crate) struct Recorder(Mutex<State>);

struct State {
    report: Option<ReportFile>,
    /// What consumers have found of sources that have not ended, by index.
    found: HashMap<u64, Found>,
    report_error: Option<io::Error>,
    steerings: u64,
    summary: Summary,
    /// Each end is told.
    is_verbose: bool,
}

#[derive(Default)]
struct Found {
    lines: u64,
    placed: Option<Placed>,
}

impl Recorder {
    /// Begins a report, or goes on with that of a run before: `continues`.
    pub(crate) fn new(how: &ReportingArgs, list: Option<&Path>, continues: bool) -> Result<Self, Usage> {
        let report = how.report.as_deref().map(|report| ReportFile::open(report, list, continues)).transpose()?;
        let (found, summary, is_verbose) = (HashMap::new(), Summary::default(), how.verbose);
        Ok(Self(Mutex::new(State { report, found, report_error: None, steerings: 0, summary, is_verbose })))
    }

    /// Notes what the consumer of a source has found: line feeds, and last lines without one.
    pub(crate) fn found(&self, index: u64, lines: u64) {
        self.state().found.entry(index).or_default().lines = lines;
    }

    /// Notes where a source's files are.
    pub(crate) fn placed(&self, index: u64, placed: Placed) {
        self.state().found.entry(index).or_default().placed = Some(placed);
    }

    /// Whether a consumer of this source has found lines in it.
    pub(crate) fn has_written(&self, index: u64) -> bool {
        self.state().found.get(&index).is_some_and(|found| found.lines > 0)
    }

    /// A source was done by a run that was killed before it could say so, or after.
    pub(crate) fn done_before(&self, position: u64, source: &Source, path: &str) {
        let mut state = self.state();
        let url = source.public_url();
        let line = Line { index: position, url: &url, path: Some(path), outcome: "done", ..Line::default() };
        state.write(&line, |report| !report.has_done(position));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the place in the list and what the journal knows it by, of a source whose files are in their place.
    fn record(&self, report: &Report) -> Option<(u64, u64)> {
        let mut state = self.state();
        let found = state.found.remove(&report.index).filter(|_| report.outcome.is_ok());
        let Found { lines, placed } = found.unwrap_or_default();
        let (path, line) = placed.map_or((None, None), |Placed { path, line }| (Some(path), line));
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
        if state.is_verbose && error.is_none() {
            let place = path.as_ref().map_or(String::new(), |path| format!(" -> {path}"));
            tell(format_args!("{} {}{place}", report.outcome.name(), report.url));
        }
        if state.report.is_some() {
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
            state.write(&line, |_| true);
        }
        line.filter(|_| matches!(report.outcome, Outcome::Done(_)))
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

    /// Makes durable what the report has so far.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let flushed = {
            let mut state = self.state();
            // Not taken: whoever asks later hears it, too, and it is the report's, not the journal's.
            if let Some(error) = &state.report_error {
                return Err(same(error));
            }
            state.report.as_mut().map(ReportFile::flush).transpose()?
        };
        // The window must not wait for a disk whenever a source ends.
        flushed.map_or(Ok(()), |file| sync(&file))
    }

    /// Whether the report could not be written.
    fn has_failed(&self) -> bool {
        self.state().report_error.is_some()
    }
}

impl State {
    fn write(&mut self, line: &Line<'_>, applies: impl FnOnce(&ReportFile) -> bool) {
        if let Some(report) = &mut self.report
            && applies(report)
            && let Err(error) = report.write(line)
        {
            self.report_error.get_or_insert(error);
        }
    }
}

/// A recorder that the window tells how its sources end.
pub(crate) struct Told {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) window: Handle<DefaultClock>,
    /// Notes what is done.
    pub(crate) keeper: Option<Arc<Keeper>>,
}

impl Observer for Told {
    fn ended(&self, report: &Report) {
        let done = self.recorder.record(report);
        if let (Some(keeper), Some((position, id))) = (&self.keeper, done) {
            keeper.note(position, id);
        }
        if self.recorder.has_failed() {
            // A report that cannot be written ends the job. Not from here, where the window is telling.
            let window = self.window.clone();
            tokio::spawn(async move { window.cancel() });
        }
    }

    fn stalled(&self, stall: &Stall) {
        tell(format_args!("narrows: {stall}"));
    }

    fn steered(&self, steering: &Steering) {
        let told = self.recorder.steered();
        if told < STEERINGS_TOLD {
            tell(format_args!("narrows: {steering}"));
        } else if told == STEERINGS_TOLD {
            tell(format_args!("narrows: further changes of that kind are counted in the summary (--summary json)"));
        }
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
