//! Where bars go: a file for each threshold, and beside the first of them the state behind it.
//!
//! ```text
//!  FILE.partial   rows; what is behind the last commit is cut off when a run goes on
//!  FILE.state     the last file read, the length of each output, the bars in the making
//!  FILE           the former, renamed once all files are read; as Parquet, made of it, and both are kept
//! ```
//!
//! The state is written when rows are durable, never before; and not after each file, but once a
//! second and at the end: a killed run reads a second's files again.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use narrows_bars::{Bar, BarError, Threshold, csv};
use narrows_jobs::bars::{BarSink, Done, State};
use narrows_tables::Form;
use serde::{Deserialize, Serialize};

use super::convert::to_table;
use crate::{exit::Usage, record::Recorder};

/// Rows are written when so many bytes of them have come together.
const BUFFER_BYTES: usize = 64 << 10;
/// How often the state is written.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// Where bars are to go.
pub(crate) enum Place {
    Nowhere,
    Stdout,
    /// `{threshold}` stands for each.
    Files(PathBuf, Format),
}

/// The form of a file of bars.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    Csv,
    Parquet,
    Arrow,
}

pub(crate) struct BarOutput {
    outputs: Vec<Output>,
    state: Option<StateFile>,
    rejected: Option<File>,
    recorder: Arc<Recorder>,
}

struct Output {
    to: To,
    /// Rows not yet written.
    rows: String,
    /// Bytes written, and of these, those of files that are done.
    written: u64,
    committed: u64,
}

enum To {
    Nowhere,
    Stdout,
    File { file: File, partial: PathBuf, path: PathBuf, format: Format },
}

struct StateFile {
    path: PathBuf,
    kept: Kept,
    /// The state is older than what is committed.
    is_due: bool,
    written: Instant,
}

/// What is kept of a run beside its output.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Kept {
    narrows_bars_run: u32,
    /// What the bars are of.
    of: String,
    /// The last file read.
    pub(crate) last_file: Option<String>,
    /// Bytes of each output.
    bytes: Vec<u64>,
    /// [`State`] as text.
    pub(crate) state: String,
    /// Whether the outputs have their names.
    complete: bool,
}

const VERSION: u32 = 1;

impl Kept {
    /// What an earlier run has left at this place, or what there is before the first. `of` says what the
    /// bars are of: another run's are not added to.
    pub(crate) fn read(place: &Place, thresholds: &[Threshold], of: &str, fresh: &State) -> Result<Self, Usage> {
        let bytes = vec![0; thresholds.len()];
        let (of, state) = (of.to_owned(), fresh.to_string());
        let fresh = Self { narrows_bars_run: VERSION, of, last_file: None, bytes, state, complete: false };
        let paths = place.paths(thresholds)?;
        match paths.first() {
            None => Ok(fresh),
            Some(first) => read_state(&beside(first, ".state"), &fresh, &paths),
        }
    }

    /// Whether the outputs have their names.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }
}

impl BarOutput {
    /// Opens the outputs; where an earlier run left some, they go on behind its last commit.
    pub(crate) fn open(
        place: &Place,
        thresholds: &[Threshold],
        kept: &Kept,
        rejected: Option<&Path>,
        recorder: Arc<Recorder>,
    ) -> Result<Self, Usage> {
        let paths = place.paths(thresholds)?;
        let state = paths.first().map(|first| {
            let (path, kept) = (beside(first, ".state"), kept.clone());
            StateFile { path, kept, is_due: false, written: Instant::now() }
        });
        let mut outputs = Vec::new();
        for (at, bytes) in kept.bytes.iter().enumerate() {
            outputs.push(match (place, paths.get(at)) {
                (Place::Files(_, format), Some(path)) => Output::file(path, *format, *bytes)?,
                (Place::Stdout, _) => Output::new(To::Stdout),
                _ => Output::new(To::Nowhere),
            });
        }
        let rejected = rejected.map(|path| File::create(path).map_err(|error| Usage::at(path, &error))).transpose()?;
        Ok(Self { outputs, state, rejected, recorder })
    }

    /// The files' names.
    pub(crate) fn names(&self) -> Vec<String> {
        let files = self.outputs.iter().filter_map(|output| match &output.to {
            To::File { path, .. } => Some(path.display().to_string()),
            To::Nowhere | To::Stdout => None,
        });
        files.collect()
    }

    /// The last file in the output.
    pub(crate) fn last_file(&self) -> Option<String> {
        self.state.as_ref().and_then(|state| state.kept.last_file.clone())
    }

    /// Makes everything durable that is committed. Where the run is complete, outputs get their names.
    /// Killed between these and the state, the next run takes the names back and reads the last files again.
    pub(crate) fn finish(&mut self, is_complete: bool) -> io::Result<()> {
        self.outputs.iter_mut().try_for_each(Output::flush)?;
        if !is_complete {
            return self.keep(true);
        }
        self.sync()?;
        for output in &self.outputs {
            match &output.to {
                To::File { partial, path, format, .. } => {
                    let form = match format {
                        Format::Csv => {
                            fs::rename(partial, path)?;
                            continue;
                        }
                        Format::Parquet => Form::Parquet,
                        Format::Arrow => Form::Arrow,
                    };
                    let whole = beside(path, ".new");
                    let of = self.state.as_ref().map_or("", |state| &state.kept.of);
                    tokio::task::block_in_place(|| to_table(form, partial, &whole, of))?;
                    fs::rename(whole, path)?;
                }
                To::Nowhere | To::Stdout => {}
            }
        }
        if let Some(state) = &mut self.state {
            state.kept.complete = true;
            state.write()?;
        }
        Ok(())
    }

    /// Writes the state, if it is due.
    fn keep(&mut self, now: bool) -> io::Result<()> {
        let Some(state) = &self.state else { return Ok(()) };
        if !state.is_due || !(now || state.written.elapsed() >= COMMIT_EVERY) {
            return Ok(());
        }
        self.sync()?;
        self.state.as_mut().map_or(Ok(()), StateFile::write)
    }

    /// Rows that are written are on the disk after this.
    fn sync(&self) -> io::Result<()> {
        let mut files = self.outputs.iter().filter_map(|output| match &output.to {
            To::File { file, .. } => Some(file),
            To::Nowhere | To::Stdout => None,
        });
        tokio::task::block_in_place(|| files.try_for_each(File::sync_data))
    }
}

impl BarSink for BarOutput {
    type Error = io::Error;

    fn bar(&mut self, threshold: usize, bar: &Bar) -> io::Result<()> {
        let output = &mut self.outputs[threshold];
        if matches!(output.to, To::Nowhere) {
            return Ok(());
        }
        let _ = csv::write(&mut output.rows, bar); // a string takes everything
        if output.rows.len() >= BUFFER_BYTES { output.flush() } else { Ok(()) }
    }

    fn rejected(&mut self, why: &BarError, row: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.rejected else { return Ok(()) };
        writeln!(file, "{why}\t{}", row.escape_ascii())
    }

    fn commit(&mut self, done: &Done<'_>) -> io::Result<()> {
        self.recorder.found(done.index, done.trades);
        for output in &mut self.outputs {
            output.flush()?;
            output.committed = output.written;
        }
        if let Some(state) = &mut self.state {
            state.kept.last_file = Some(done.file.to_owned());
            state.kept.bytes = self.outputs.iter().map(|output| output.committed).collect();
            state.kept.state = done.state.to_string();
            (state.kept.complete, state.is_due) = (false, true);
        }
        self.keep(false)
    }

    fn roll_back(&mut self) -> io::Result<()> {
        for output in &mut self.outputs {
            output.rows.clear();
            if let To::File { file, .. } = &mut output.to {
                file.set_len(output.committed)?;
                file.seek(SeekFrom::Start(output.committed))?;
                output.written = output.committed;
            }
        }
        Ok(())
    }
}

impl Output {
    fn new(to: To) -> Self {
        Self { to, rows: csv::HEADER.to_owned(), written: 0, committed: 0 }
    }

    /// The output of this name behind its first `bytes`. If it has its name already, it goes back to what
    /// it is called in the making.
    fn file(path: &Path, format: Format, bytes: u64) -> Result<Self, Usage> {
        let partial = beside(path, ".partial");
        if bytes > 0 && format == Format::Csv && path.exists() && !partial.exists() {
            fs::rename(path, &partial).map_err(|error| Usage::at(path, &error))?;
        }
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&partial)?;
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            Ok(file)
        };
        let length = partial.metadata().map_or(0, |file| file.len());
        if length < bytes {
            let partial = partial.display();
            return Err(Usage::new(format!(
                "{partial} has {length} bytes, its state says {bytes}: remove both to begin anew"
            )));
        }
        let file = open().map_err(|error| Usage::at(&partial, &error))?;
        let rows = if bytes == 0 { csv::HEADER.to_owned() } else { String::new() };
        let to = To::File { file, partial, path: path.to_owned(), format };
        Ok(Self { to, rows, written: bytes, committed: bytes })
    }

    fn flush(&mut self) -> io::Result<()> {
        let rows = self.rows.as_bytes();
        match &mut self.to {
            To::Nowhere => {}
            // A reader that is slow must not keep an interrupt from being heard.
            To::Stdout => tokio::task::block_in_place(|| {
                let mut stdout = io::stdout().lock();
                stdout.write_all(rows).and_then(|()| stdout.flush())
            })?,
            To::File { file, .. } => file.write_all(rows)?,
        }
        self.written += rows.len() as u64;
        self.rows.clear();
        Ok(())
    }
}

impl StateFile {
    /// Writes it durably: whole, or as it was before.
    fn write(&mut self) -> io::Result<()> {
        let text = serde_json::to_string(&self.kept)?;
        tokio::task::block_in_place(|| {
            let temporary = beside(&self.path, ".new");
            let mut file = File::create(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        })?;
        (self.is_due, self.written) = (false, Instant::now());
        Ok(())
    }
}

impl Place {
    /// The file of each threshold.
    fn paths(&self, thresholds: &[Threshold]) -> Result<Vec<PathBuf>, Usage> {
        let Self::Files(pattern, _) = self else { return Ok(Vec::new()) };
        let text = pattern.to_str().ok_or_else(|| Usage::new(format!("{}: not UTF-8", pattern.display())))?;
        if thresholds.len() > 1 && !text.contains("{threshold}") {
            return Err(Usage::new(format!("--out {text}: with several thresholds the name needs {{threshold}}")));
        }
        let path = |threshold: &Threshold| PathBuf::from(text.replace("{threshold}", &threshold.dbps().to_string()));
        Ok(thresholds.iter().map(path).collect())
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The state of an earlier run, if there is one of the same bars.
fn read_state(path: &Path, fresh: &Kept, outputs: &[PathBuf]) -> Result<Kept, Usage> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match outputs.iter().find(|output| output.exists()) {
                Some(output) => {
                    let output = output.display();
                    Err(Usage::new(format!(
                        "{output} exists, and no {} to go on from: remove it, or name another",
                        path.display()
                    )))
                }
                None => Ok(fresh.clone()),
            };
        }
        Err(error) => return Err(Usage::at(path, &error)),
    };
    let mut refusal = String::new();
    let anew = "remove it to begin anew, or name another output";
    let kept = serde_json::from_str::<Kept>(&text).ok().filter(|kept| {
        let Kept { narrows_bars_run: version, of, .. } = kept;
        if *version != VERSION {
            let _ = write!(refusal, "its version is {version}, this program writes {VERSION}");
        } else if *of != fresh.of {
            let _ = write!(refusal, "it is of {of}, not of {}", fresh.of);
        }
        refusal.is_empty() && kept.bytes.len() == fresh.bytes.len()
    });
    let refusal = if refusal.is_empty() { "it is no state of such a run" } else { &refusal };
    kept.ok_or_else(|| Usage::new(format!("{}: {refusal}; {anew}", path.display())))
}
