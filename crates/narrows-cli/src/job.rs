//! Runs a list of sources into a sink: what `get` and `gdelt` have in common.

use std::{
    io::{self, Write},
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::{
    StreamExt,
    future::{Either, join3, select},
};
use narrows::{
    Budget, Client, ClientOptions, DefaultClock, Fetch, Handle, Options, OptionsError, Stats, TempSpool, Window,
    for_each, guard::Guard, memory, respool::Respooler,
};

use crate::{
    args::{ReportingArgs, SummaryArg, TransferArgs},
    consume::{Context, consume},
    descriptors,
    exit::{Exit, Usage},
    interrupts,
    journal::Keeper,
    list::Sources,
    progress,
    record::{Recorder, Told, millis},
    rerun::Rerun,
    sink::{Output, Sink},
    summary::{BarsSummary, Summary},
    tables::{TableRules, Tally},
    terminal::tell,
    units::human,
    watch::Watch,
};

/// Most bytes of an archive in a temporary file.
const SPOOL_BYTES_MAX: u64 = 16 << 30;

/// When a job that runs on learns that its budget is what limits it.
const HINT_AFTER: Duration = Duration::from_secs(3);

pub(crate) struct Job {
    pub(crate) sources: Sources,
    /// Whether what is left of the list after Ctrl-C is at hand, to be reported as cancelled.
    pub(crate) finite: bool,
    pub(crate) options: Options,
    /// Makes it smaller as memory runs short.
    pub(crate) guard: Option<Guard>,
    pub(crate) client: ClientOptions,
    pub(crate) budget: Budget,
    pub(crate) output: Output,
    /// How many sources there are, if that is known.
    pub(crate) total: Option<u64>,
    /// The list, if it is a file.
    pub(crate) list: Option<PathBuf>,
    /// Of the budget, what is set aside for what consumers hold.
    pub(crate) aside: u64,
    pub(crate) tables: Option<Arc<TableRules>>,
    /// What is to stay free on the output's disk.
    pub(crate) min_free: u64,
    /// What need not be fetched.
    pub(crate) rerun: Option<Arc<Rerun>>,
}

impl Job {
    /// A job of no more than sources and an output.
    pub(crate) fn new(
        sources: Sources,
        finite: bool,
        options: Options,
        client: ClientOptions,
        output: Output,
        transfers: &TransferArgs,
    ) -> Self {
        let (guard, budget) = (transfers.memory_limit.guard(), transfers.budget());
        let (min_free, aside) = (transfers.min_free, 0);
        let (total, list, tables, rerun) = (None, None, None, None);
        Self { sources, finite, options, guard, client, budget, output, total, list, aside, tables, min_free, rerun }
    }
}

/// What is left of a job that has ended.
pub(crate) struct Ended {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) guard: Option<Guard>,
    pub(crate) stats: Stats,
    pub(crate) budget: Budget,
    pub(crate) to_stdout: bool,
    pub(crate) interrupted: bool,
    /// It stopped for a reason that no source's outcome shows; this has been told.
    pub(crate) stopped: Option<Exit>,
    pub(crate) bars: Option<BarsSummary>,
    pub(crate) tables: Option<Arc<TableRules>>,
    /// Sources that were not asked for, because they are there.
    pub(crate) already: u64,
    pub(crate) keeper: Option<Arc<Keeper>>,
}

pub(crate) fn run(job: Job, reporting: &ReportingArgs) -> Result<Exit, Usage> {
    let watch = Watch::open(reporting.watch_memory.as_deref())?;
    run_driven(reporting, drive(job, reporting.clone(), watch))
}

/// Runs what drives a job, prints the summary, and says how the command ends.
pub(crate) fn run_driven(
    reporting: &ReportingArgs,
    driven: impl Future<Output = Result<Ended, Usage>> + Send + 'static,
) -> Result<Exit, Usage> {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // On a worker thread: a task there wakes others without waking another thread.
    let driven = runtime.block_on(runtime.spawn(driven));
    let Ended { recorder, guard, stats, budget, to_stdout, interrupted, stopped, bars, tables, already, keeper } =
        match driven {
            Ok(driven) => driven?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
    runtime.shutdown_background(); // a name that is being looked up is not waited for
    // The report before the journal, whose thread syncs it.
    let kept = keeper.map_or(Ok(()), |keeper| keeper.finish());
    let written = recorder.sync();
    let summary = Summary {
        peak_charged_bytes: budget.peak(),
        budget_bytes: budget.capacity(),
        peak_rss_bytes: memory::peak_resident(),
        limit: stats.limit,
        in_flight_peak: stats.in_flight_peak,
        guard: guard.map(|guard| guard.stats().into()),
        bars,
        tables: tables.map(|tables| tables.summary()),
        already,
        elapsed_ms: millis(started.elapsed()),
        ..recorder.summary()
    };
    if !reporting.quiet {
        print(&summary, reporting.summary, to_stdout);
    }
    for (what, result) in [("report", written), ("journal", kept)] {
        if let Err(error) = result {
            tell(format_args!("narrows: the {what} could not be written, so nothing more was begun: {error}"));
            return Ok(Exit::StorageFailed);
        }
    }
    if stopped == Some(Exit::StorageFailed) {
        return Ok(Exit::StorageFailed); // also where a signal said so, as for a file that is too large
    }
    if interrupted {
        return Ok(Exit::Interrupted);
    }
    let peak = summary.peak_rss_bytes.unwrap_or(u64::MAX); // unknown is no proof
    if let Some(limit) = reporting.assert_peak
        && peak > limit
    {
        let (peak, limit) = (human(peak), human(limit));
        tell(format_args!("narrows: the process had {peak} at most, over --assert-peak {limit}"));
        return Ok(Exit::AssertionFailed);
    }
    let tables_there = summary.tables.as_ref().map_or(0, |tables| tables.already);
    let ended = summary.done + summary.failed + summary.cancelled + summary.already + tables_there;
    if ended == 0 && summary.bars.is_none() {
        match summary.skipped {
            0 => tell(format_args!("narrows: there was nothing to do: the list has no sources")),
            all => tell(format_args!("narrows: nothing was there: all {all} answered 404; is the address right?")),
        }
        return Ok(Exit::SomeFailed);
    }
    let some_failed = summary.failed + summary.cancelled > 0;
    Ok(stopped.unwrap_or(if some_failed { Exit::SomeFailed } else { Exit::Success }))
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

async fn drive(job: Job, reporting: ReportingArgs, watch: Watch) -> Result<Ended, Usage> {
    let Job { sources, finite, options, guard, client, budget, output, total, list, aside, tables, min_free, rerun } =
        job;
    // What has gone to stdout cannot be taken back.
    let options = options.guard(guard.clone()).restarts(!matches!(output, Output::Stdout));
    descriptors::check(options.limit);
    let (client, clock) = (Client::new(client)?, DefaultClock::new());
    let (spare, _held) = match aside {
        0 => (budget.clone(), None),
        aside => {
            let (rest, held) =
                budget.set_aside(aside).map_err(|error| Usage::new(format!("{error}; raise --budget")))?;
            (rest, Some(held))
        }
    };
    let (for_window, for_spooled) = divide(&spare, &options, &client);
    let made = Window::new(sources, client.clone(), clock, &for_window, options.clone());
    let mut window = made.map_err(|error| match error {
        OptionsError::Budget(_) => Usage::new(format!("{error}; raise --budget")),
        _ => Usage::new(error.to_string()),
    })?;
    let handle = window.handle();
    // From here on an interrupt ends the job in order; so nothing is on the disk before.
    let cancelled = interrupts::heed(handle.clone())?;
    let journal = rerun.as_ref().map_or(Ok(None), |rerun| tokio::task::block_in_place(|| rerun.journal()))?;
    let continues = journal.as_ref().is_some_and(|journal| journal.is_continued);
    // What no source may replace.
    let mut kept: Vec<PathBuf> = [reporting.report.clone(), list.clone()].into_iter().flatten().collect();
    kept.extend(journal.as_ref().map(|journal| journal.path().to_owned()));
    let recorder = Arc::new(Recorder::new(&reporting, list.as_deref(), continues)?);
    let sink = output.open(&kept, journal.clone(), min_free)?;
    let keeper = journal.zip(rerun.clone()).map(|(journal, rerun)| {
        let (window, report) = (handle.clone(), recorder.clone());
        let keeper = Arc::new(Keeper::start(journal.clone(), move || report.sync(), move || window.cancel()));
        rerun.begin(journal, Some((recorder.clone(), keeper.clone())));
        keeper
    });
    window = window.observed_by(Told { recorder: recorder.clone(), window: handle.clone(), keeper: keeper.clone() });
    if let Some(tables) = &tables {
        window.observe(Tally::new(tables.clone(), handle.clone()));
    }
    let bytes_max = options.file_size_max.min(SPOOL_BYTES_MAX);
    let respooler = for_spooled.and_then(|budget| {
        let spool = TempSpool::new(sink.temporary(), bytes_max);
        Respooler::new(client.clone(), clock, spool, budget, options.clone(), bytes_max).ok()
    });
    let to_stdout = matches!(sink, Sink::Stdout);
    let context = Arc::new(Context {
        sink,
        respooler,
        recorder: recorder.clone(),
        cancelled,
        unread: AtomicBool::new(false),
        is_full: AtomicBool::new(false),
        handle: handle.clone(),
    });
    let work = async {
        if !to_stdout {
            return for_each(&mut window, |delivery| consume(context.clone(), delivery)).await;
        }
        while let Some(delivery) = window.next().await {
            let work = pin!(consume(context.clone(), delivery));
            if let Either::Right(((), work)) = select(work, pin!(window.drive())).await {
                work.await;
            }
        }
    };
    let needed = options.working_set(client.profile()).total().saturating_mul(options.limit as u64);
    let mut hinted = false;
    let early = async {
        tokio::time::sleep(HINT_AFTER).await;
        hinted = hint(&handle, needed);
    };
    let how = reporting.progress();
    let already = || rerun.as_ref().map_or(0, |rerun| rerun.already());
    // Progress is shown until the work is done.
    let shown = join3(progress::show(handle.clone(), how, total, already), watch.run(handle.clone()), early);
    select(pin!(work), pin!(shown)).await;
    progress::clear(how);
    if !hinted {
        hint(&handle, needed);
    }
    let interrupted = *context.cancelled.borrow();
    let gave_up = tables.as_ref().is_some_and(|tables| tables.gave_up());
    let is_full = context.is_full.load(Relaxed);
    if let Some(rerun) = &rerun {
        rerun.cancel();
    }
    if let Some(tables) = &tables {
        tables.look_no_more();
    }
    if finite && (interrupted || gave_up || is_full || context.unread.load(Relaxed)) {
        window.cancel_list().await;
    }
    let stats = window.stats();
    drop((window, context)); // and with it what is left in the staging directory
    let already = already();
    let (stopped, bars) = (is_full.then_some(Exit::StorageFailed), None);
    Ok(Ended { recorder, guard, stats, budget, to_stdout, interrupted, stopped, bars, tables, already, keeper })
}

/// Divides a budget: most is the window's; a part is set aside for archives that cannot be
/// streamed. Where there is no room for both, such archives fail.
fn divide(budget: &Budget, options: &Options, client: &Client) -> (Budget, Option<Budget>) {
    type Spooled = Respooler<Client, DefaultClock, TempSpool>;
    let profile = client.profile();
    let spare = budget.capacity().saturating_sub(options.working_set(profile).total());
    let aside = Spooled::needed_at_most(options, profile).min(spare);
    match budget.set_aside(aside) {
        Ok((rest, aside)) if options.unpack.is_some() && aside.capacity() >= Spooled::needed(options, profile) => {
            (rest, Some(aside))
        }
        _ => (budget.clone(), None),
    }
}

/// Says that the budget, and not the limit, decides how many transfers there are, if that is so.
fn hint(window: &Handle<DefaultClock>, needed: u64) -> bool {
    let stats = window.stats();
    let applies = stats.memory_waits > 0 && stats.in_flight_peak < stats.limit;
    if applies {
        tell(format_args!(
            "narrows: --budget has memory for {} transfers at once of the {} of --limit; --budget {}MiB would do for all",
            stats.in_flight_peak,
            stats.limit,
            needed.div_ceil(1 << 20) + 8
        ));
    }
    applies
}
