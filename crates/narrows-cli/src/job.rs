//! Runs a list of sources into a sink: what `get` and `gdelt` have in common.

use std::{
    io::{self, Write},
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use futures_util::{
    StreamExt,
    future::{Either, select},
};
use narrows::{
    Budget, Client, ClientOptions, Delivery, Failure, FailureKind, Handle, Options, OptionsError, Outcome, Report,
    Source, TokioClock, Window, for_each, unpack,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    Exit, Usage,
    args::{ProgressArg, ReportingArgs, SummaryArg},
    list::Sources,
    memory,
    output::{OutputDirectory, Staged, StagedFile, name_of, unpacked_name},
    progress,
    record::{Ended, Recorder, Summary, millis},
    runtime, spooled, tell,
};

pub(crate) struct Job {
    pub(crate) sources: Sources,
    /// Whether what is left of the list after Ctrl-C is at hand, to be reported as cancelled.
    pub(crate) finite: bool,
    pub(crate) options: Options,
    pub(crate) client: ClientOptions,
    pub(crate) budget: Budget,
    pub(crate) output: Output,
    /// The list, if it is a file.
    pub(crate) list: Option<PathBuf>,
}

/// Where the data is to go.
pub(crate) enum Output {
    Discard,
    Stdout,
    Directory(PathBuf),
}

/// Where the data goes.
pub(crate) enum Sink {
    Discard,
    Stdout,
    Directory(OutputDirectory),
}

impl Output {
    fn open(self) -> Result<Sink, Usage> {
        Ok(match self {
            Self::Discard => Sink::Discard,
            Self::Stdout => Sink::Stdout,
            Self::Directory(path) => {
                let opened = OutputDirectory::open(&path);
                Sink::Directory(opened.map_err(|error| Usage(format!("{}: {error}", path.display())))?)
            }
        })
    }
}

/// What the tasks of a job share.
pub(crate) struct Context {
    pub(crate) sink: Sink,
    pub(crate) options: Options,
    pub(crate) client: Client,
    pub(crate) budget: Budget,
    /// What is set aside for archives that cannot be streamed.
    pub(crate) for_fallback: Option<Budget>,
    pub(crate) clock: TokioClock,
    recorder: Recorder,
    cancelled: watch::Receiver<bool>,
    /// Whether nobody reads stdout any more.
    unread: AtomicBool,
    handle: Handle<TokioClock>,
}

pub(crate) fn run(job: Job, reporting: &ReportingArgs) -> Result<Exit, Usage> {
    let started = Instant::now();
    let runtime = runtime()?;
    // On a worker thread: a task there wakes others without waking another thread.
    let driven = runtime.block_on(runtime.spawn(drive(job, reporting.report.clone(), reporting.progress)));
    let (context, interrupted) = match driven {
        Ok(driven) => driven?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let finished = context.recorder.finish();
    let mut summary = context.recorder.summary();
    summary.peak_charged_bytes = context.budget.peak();
    summary.budget_bytes = context.budget.capacity();
    summary.peak_rss_bytes = memory::peak_rss();
    summary.elapsed_ms = millis(started.elapsed());
    let to_stdout = matches!(context.sink, Sink::Stdout);
    drop(context); // and with it what is left in the staging directory
    runtime.shutdown_background(); // a name that is being looked up is not waited for
    print(&summary, reporting.summary, to_stdout);
    finished.map_err(|error| Usage(format!("the report could not be written: {error}")))?;
    if interrupted {
        return Ok(Exit::Interrupted);
    }
    let peak = summary.peak_rss_bytes.unwrap_or(u64::MAX); // unknown is no proof
    if let Some(limit) = reporting.assert_peak
        && peak > limit
    {
        let (peak, limit) = (memory::human(peak), memory::human(limit));
        tell(format_args!("narrows: the process had {peak} at most, over --assert-peak {limit}"));
        return Ok(Exit::AssertionFailed);
    }
    Ok(if summary.failed + summary.cancelled > 0 { Exit::SomeFailed } else { Exit::Success })
}

fn print(summary: &Summary, how: SummaryArg, stdout_is_data: bool) {
    let text = match how {
        SummaryArg::Text => summary.text(),
        SummaryArg::Json => serde_json::to_string(summary).unwrap_or_default(),
    };
    if stdout_is_data {
        tell(format_args!("{text}"));
    } else {
        // A reader that has gone away is not worth a panic.
        let _ = writeln!(io::stdout(), "{text}");
    }
}

async fn drive(job: Job, report: Option<PathBuf>, how: ProgressArg) -> Result<(Arc<Context>, bool), Usage> {
    let Job { sources, finite, options, client, budget, output, list } = job;
    let mut sources = sources.fuse(); // after an interrupt it is read to its end
    let (client, clock) = (Client::new(client)?, TokioClock::new());
    let (for_window, for_fallback) = spooled::divide(&budget, &options, &client);
    let made = Window::new(&mut sources, client.clone(), clock, &for_window, options.clone());
    let mut window = made.map_err(|error| match error {
        OptionsError::Budget(_) => Usage(format!("{error}; raise --budget")),
        _ => Usage(error.to_string()),
    })?;
    let (cancel, cancelled) = watch::channel(false);
    let handle = window.handle();
    // From here on an interrupt ends the job in order; so nothing is on the disk before.
    tokio::spawn(interrupts(Interrupts::listen()?, cancel, handle.clone()));
    let mut sink = output.open()?;
    let recorder = Recorder::new(report.as_deref(), list.as_deref())?;
    if let Sink::Directory(directory) = &mut sink {
        directory.protect(report.as_deref());
    }
    let sequential = matches!(sink, Sink::Stdout);
    let context = Arc::new(Context {
        sink,
        options,
        client,
        budget,
        for_fallback,
        clock,
        recorder,
        cancelled,
        unread: AtomicBool::new(false),
        handle: handle.clone(),
    });
    let work = async {
        if !sequential {
            return for_each(&mut window, |delivery| consume(context.clone(), delivery)).await;
        }
        while let Some(delivery) = window.next().await {
            let work = pin!(consume(context.clone(), delivery));
            if let Either::Right(((), work)) = select(work, pin!(window.drive())).await {
                work.await;
            }
        }
    };
    select(pin!(work), pin!(progress::show(handle, how))).await;
    progress::clear(how);
    let mut index = window.stats().admitted;
    let mut rest = window.take_not_begun();
    drop(window);
    let interrupted = *context.cancelled.borrow();
    if interrupted || context.unread.load(Relaxed) {
        if rest.is_none() && finite {
            rest = sources.next().await;
        }
        while let Some(source) = rest {
            context.recorder.record(&Ended { report: never_begun(index, &source), lines: 0 });
            index += 1;
            rest = if finite { sources.next().await } else { None };
        }
    }
    Ok((context, interrupted))
}

/// Ctrl-C, and being asked to terminate.
struct Interrupts(Signal, Signal);

impl Interrupts {
    fn listen() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn next(&mut self) {
        select(pin!(self.0.recv()), pin!(self.1.recv())).await;
    }
}

/// The first interrupt ends the job in order, the second at once.
async fn interrupts(mut interrupts: Interrupts, cancel: watch::Sender<bool>, window: Handle<TokioClock>) {
    interrupts.next().await;
    let _ = cancel.send(true);
    window.cancel();
    interrupts.next().await;
    std::process::exit(130);
}

fn never_begun(index: u64, source: &Source) -> Report {
    Report {
        index,
        url: source.url.clone(),
        outcome: Outcome::Cancelled,
        status: None,
        attempts: 0,
        bytes_received: 0,
        bytes_out: 0,
        entries: 0,
        sha256: None,
        elapsed: std::time::Duration::ZERO,
    }
}

async fn consume(context: Arc<Context>, mut delivery: Delivery) {
    let source = delivery.source();
    let mut writer = match Writer::open(&context, &source, delivery.index()) {
        Ok(writer) => writer,
        Err(error) => {
            let report = delivery.fail_storage(&error.to_string());
            return context.recorder.record(&Ended { report, lines: 0 });
        }
    };
    let mut cancelled = context.cancelled.clone();
    let pumped = {
        let (pump, cancelled) = (pin!(pump(&mut delivery, &mut writer)), pin!(cancelled.wait_for(|is| *is)));
        match select(pump, cancelled).await {
            Either::Left((pumped, _)) => Some(pumped),
            Either::Right(_) => None,
        }
    };
    let mut lines = writer.lines;
    let report = match pumped {
        None => {
            drop(writer);
            delivery.cancel()
        }
        Some(Ok(())) => match writer.commit() {
            Ok(()) => delivery.cancel(), // it has ended; this only gives the report
            Err(error) => delivery.fail_storage(&error.to_string()),
        },
        Some(Err(Broken::Source(failure))) if needs_random_access(&failure) => {
            drop(writer);
            let first = delivery.cancel();
            let cancelled = context.cancelled.clone();
            let report;
            // Boxed, for it is rare and large, and every source's task would have room for it.
            (report, lines) = Box::pin(spooled::unpack_unless(cancelled, &context, source, first)).await;
            report
        }
        Some(Err(Broken::Source(_))) => {
            drop(writer);
            delivery.cancel()
        }
        Some(Err(Broken::Output(error))) => {
            drop(writer);
            if error.kind() == io::ErrorKind::BrokenPipe {
                context.unread.store(true, Relaxed);
                context.handle.cancel();
            }
            delivery.fail_storage(&error.to_string())
        }
    };
    context.recorder.record(&Ended { report, lines });
}

fn needs_random_access(failure: &Failure) -> bool {
    match &failure.kind {
        FailureKind::Unpack(unpack::Error { kind: unpack::ErrorKind::Unsupported(what), .. }) => {
            what.needs_random_access()
        }
        _ => false,
    }
}

/// Why a source did not reach its output.
enum Broken {
    Source(Failure),
    Output(io::Error),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Source(failure)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

async fn pump(delivery: &mut Delivery, writer: &mut Writer<'_>) -> Result<(), Broken> {
    while let Some(entry) = delivery.next_entry().await? {
        // A name inside a gzip header is the sender's business: the address names the file.
        if entry.format != unpack::Format::Zip {
            writer.begin(None)?;
        } else if entry.is_directory() {
            if delivery.next_block().await?.is_some() {
                return Err(io::Error::other(format!("the directory {:?} has data", entry.name())).into());
            }
            continue;
        } else {
            let path = entry.safe_path().map_err(|error| io::Error::other(format!("{:?}: {error}", entry.name())))?;
            writer.begin(Some(&path))?;
        }
        while let Some(block) = delivery.next_block().await? {
            writer.write(&block)?;
        }
        writer.end()?;
    }
    Ok(())
}

/// Takes one source's entries to the sink and counts their lines.
pub(crate) struct Writer<'a> {
    target: Target<'a>,
    pub(crate) lines: u64,
    /// Whether the current entry's last byte is not a line feed.
    open_line: bool,
}

enum Target<'a> {
    Discard,
    Stdout,
    Files {
        staged: Staged<'a>,
        file: Option<StagedFile>,
        /// The name for what has none of its own.
        name: String,
    },
}

impl<'a> Writer<'a> {
    pub(crate) fn open(context: &'a Context, source: &Source, index: u64) -> io::Result<Self> {
        let target = match &context.sink {
            Sink::Discard => Target::Discard,
            Sink::Stdout => Target::Stdout,
            Sink::Directory(directory) => {
                let name = name_of(&source.url);
                let name = if context.options.unpack.is_some() { unpacked_name(&name).to_owned() } else { name };
                Target::Files { staged: directory.stage(index)?, file: None, name }
            }
        };
        Ok(Self { target, lines: 0, open_line: false })
    }

    pub(crate) fn begin(&mut self, path: Option<&str>) -> io::Result<()> {
        if let Target::Files { staged, file, name } = &mut self.target {
            *file = Some(staged.create(path.unwrap_or(name))?);
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.open_line = bytes.last().map_or(self.open_line, |last| *last != b'\n');
        match &mut self.target {
            Target::Discard | Target::Files { file: None, .. } => Ok(()),
            // A reader that is slow must not keep an interrupt from being heard.
            Target::Stdout => tokio::task::block_in_place(|| io::stdout().lock().write_all(bytes)),
            Target::Files { file: Some(file), .. } => file.write_all(bytes),
        }
    }

    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.lines += u64::from(std::mem::take(&mut self.open_line));
        match &mut self.target {
            Target::Files { file, .. } => {
                file.take().map_or(Ok(()), |file| tokio::task::block_in_place(|| file.finish()))
            }
            Target::Stdout => io::stdout().lock().flush(),
            Target::Discard => Ok(()),
        }
    }

    pub(crate) fn commit(self) -> io::Result<()> {
        match self.target {
            Target::Files { staged, .. } => tokio::task::block_in_place(|| staged.commit()),
            Target::Discard | Target::Stdout => Ok(()),
        }
    }
}
