//! `narrows bars`: aggregate trades to range bars, over any number of days.

pub(crate) mod args;
mod convert;
mod output;

use std::{collections::HashSet, pin::pin, sync::Arc};

use futures_util::{
    StreamExt,
    future::{Either, join, select},
};
use narrows::{Client, DefaultClock, NotFound, Options, OptionsError, Order, Window};
use narrows_jobs::bars::{
    Broken, ChecksumPolicy, Event, File, Files, Period, Pipeline, Rules, State, Stopped, run as run_job, sources,
};

use self::{
    args::{BarsArgs, PeriodArg},
    output::{BarOutput, Kept, Place},
};
use crate::{
    exit::{Exit, Usage},
    interrupts,
    job::{Ended, run_driven},
    limits::Limit,
    list, progress,
    record::{Recorder, Told},
    storage::is_of_storage,
    summary::BarsSummary,
    terminal::tell,
    watch::Watch,
};

/// Transfers at once where nothing is said: files are read one after another, so more would only wait.
const LIMIT: u32 = 4;

pub(crate) fn run(mut bars: BarsArgs) -> Result<Exit, Usage> {
    bars.transfers.limit.get_or_insert(Limit { most: LIMIT, adapts: false });
    let (of, files) = files(&bars)?;
    if bars.dry_run {
        list::print(files.into_iter().map(|file| file.url));
        return Ok(Exit::Success);
    }
    let reporting = bars.reporting.clone();
    run_driven(&reporting, drive(bars, of, files))
}

/// What the bars are of, and the files, in order.
fn files(bars: &BarsArgs) -> Result<(String, Vec<File>), Usage> {
    match (&bars.symbol, bars.from, bars.to) {
        (Some(_), Some(from), Some(to)) if to < from => Err(Usage::new("--to is before --from".into())),
        (Some(symbol), Some(from), Some(to)) => {
            let (base, symbol) = (bars.base.clone(), symbol.clone());
            let period = if bars.period == PeriodArg::Month { Period::Month } else { Period::Day };
            let files = Files { base, market: bars.market, symbol, from, to, period };
            Ok((format!("{} {} from {}", files.market, files.symbol, files.from), files.iter().collect()))
        }
        _ if bars.urls.is_empty() && bars.list.is_none() => {
            Err(Usage::new("say which trades: --symbol with --from and --to, addresses, or --list".into()))
        }
        _ => {
            let urls = match &bars.list {
                None => bars.urls.clone(),
                Some(path) => addresses(path)?,
            };
            let files: Vec<File> = urls.into_iter().map(File::new).collect();
            // A run that goes on finds its place by the last file's name.
            let mut names = HashSet::new();
            if let Some(twice) = files.iter().find(|file| !names.insert(&file.name)) {
                return Err(Usage::new(format!("two files are called {}; give each a name of its own", twice.name)));
            }
            let first = files.first().map_or(String::new(), |file| file.name.clone());
            Ok((format!("files from {first}"), files))
        }
    }
}

/// The addresses of a list: all of them, for they are few and their order is that of trades.
fn addresses(path: &std::path::Path) -> Result<Vec<String>, Usage> {
    let sources = list::from_file(path, &[], |_| true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let lines: Vec<_> = runtime.block_on(sources.collect());
    let addresses = lines.into_iter().map(|line| line.map(|source| source.url.to_string()));
    addresses
        .collect::<Result<_, _>>()
        .map_err(|bad| Usage::new(format!("{}: {bad} in {:?}", path.display(), bad.line())))
}

fn rules(bars: &BarsArgs) -> Rules {
    let mut thresholds = bars.threshold_dbps.clone();
    thresholds.sort_unstable();
    thresholds.dedup();
    let mut rules = Rules::new(thresholds);
    rules.gate = !bars.no_gate;
    rules.reorder = bars.reorder as usize;
    rules.silence_max_us = bars.max_silence.map(|time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
    rules.on_bad_row = bars.rows.on_bad_row.into();
    rules.on_gap = bars.on_gap.into();
    rules
}

fn options(bars: &BarsArgs) -> Options {
    let options = bars.transfers.options(true).order(Order::List).sha256(true);
    match bars.transfers.not_found {
        Some(_) => options,
        None => options.not_found(NotFound::Skip), // days that were never published
    }
}

/// What an earlier run has left, and what is to be read behind it.
struct Resumed {
    kept: Kept,
    files: Vec<File>,
    pipeline: Pipeline,
}

fn resume(place: &Place, rules: &Rules, of: &str, mut files: Vec<File>) -> Result<Resumed, Usage> {
    let fresh = Pipeline::new(rules.clone()).state();
    let kept = Kept::read(place, &rules.thresholds, of, &fresh)?;
    if let Some(last) = &kept.last_file {
        let Some(at) = files.iter().position(|file| file.name == *last) else {
            return Err(Usage::new(format!("the output ends with {last}, which is not among the files asked for")));
        };
        files.drain(..=at);
    }
    let state = kept.state.parse::<State>().map_err(|error| Usage::new(format!("the output's state: {error}")))?;
    let pipeline = Pipeline::resume(rules.clone(), &state).ok_or_else(|| {
        Usage::new("the output's bars are of other thresholds, or of another --no-gate; name another output".into())
    })?;
    if files.is_empty() && kept.is_complete() {
        tell(format_args!("narrows: the output has all of these files already"));
    }
    Ok(Resumed { kept, files, pipeline })
}

async fn drive(bars: BarsArgs, of: String, files: Vec<File>) -> Result<Ended, Usage> {
    let (options, rules, total) = (options(&bars), rules(&bars), Some(files.len() as u64));
    let policy = match bars.checksum {
        Some(policy) => policy,
        None if bars.symbol.is_some() => ChecksumPolicy::Require,
        None => ChecksumPolicy::Skip,
    };
    let place = match &bars.out {
        Some(path) => Place::Files(path.clone(), bars.format),
        None if bars.stdout => Place::Stdout,
        None => Place::Nowhere,
    };
    let to_stdout = matches!(place, Place::Stdout);
    if to_stdout && rules.thresholds.len() > 1 {
        return Err(Usage::new("--stdout takes one threshold; write several with --out 'bars-{threshold}.csv'".into()));
    }
    let Resumed { kept, files, mut pipeline } = resume(&place, &rules, &of, files)?;

    let guard = bars.transfers.memory_limit.guard();
    let options = options.guard(guard.clone());
    let (client, clock) = (Client::new(bars.transfers.client(usize::MAX, &options)?)?, DefaultClock::new());
    let budget = bars.transfers.budget();
    let small = |error: OptionsError| match error {
        OptionsError::Budget(_) => Usage::new(format!("{error}; raise --budget")),
        _ => Usage::new(error.to_string()),
    };
    let given = (client.clone(), clock, &budget, &options);
    let overrides = bars.wrong_checksum.clone();
    let (rest, listed, expected) =
        sources(files.into_iter(), policy, overrides, &bars.transfers.header, given).map_err(small)?;
    let mut window = Window::new(listed, client, clock, &rest, options).map_err(small)?;
    let handle = window.handle();
    // From here on an interrupt ends the job in order; so nothing is on the disk before.
    let cancelled = interrupts::heed(handle.clone())?;
    let recorder = Arc::new(Recorder::new(&bars.reporting, bars.list.as_deref(), false)?);
    window.observe(Told { recorder: recorder.clone(), window: handle.clone(), keeper: None });
    let rejected = bars.rows.rejected.as_deref();
    let mut output = BarOutput::open(&place, &rules.thresholds, &kept, rejected, recorder.clone())?;

    let watch = Watch::open(bars.reporting.watch_memory.as_deref())?;
    let (mut missing_files, mut unproven_files) = (Vec::new(), Vec::new());
    let ended = {
        let tell_of = |event: Event<'_>| match event {
            Event::Missing(file) => missing_files.push(file.name.clone()),
            Event::Unproven(file, why) => {
                tell(format_args!("narrows: {}: {why}", file.name));
                unproven_files.push(format!("{}: {why}", file.name));
            }
            _ => {}
        };
        let work = pin!(run_job(&mut window, &expected, &mut pipeline, &mut output, tell_of));
        let shown = progress::show(handle.clone(), bars.reporting.progress(), total, || 0);
        match select(work, pin!(join(shown, watch.run(handle.clone())))).await {
            Either::Left((ended, _)) => ended,
            Either::Right((_, work)) => work.await,
        }
    };
    progress::clear(bars.reporting.progress());
    let stopped = match &ended {
        Ok(()) | Err(Stopped::Cancelled) => None,
        Err(Stopped::File(..)) => Some(Exit::SomeFailed), // told by its outcome
        Err(Stopped::Broken(file, broken)) => {
            tell(format_args!("narrows: {}: {}", file.name, explain(broken)));
            let is_full = matches!(broken, Broken::Sink(error) if is_of_storage(error));
            Some(if is_full { Exit::StorageFailed } else { Exit::SomeFailed })
        }
        Err(_) => Some(Exit::SomeFailed),
    };
    if ended.is_ok() && bars.unfinished {
        pipeline.end_bars(&mut output).map_err(|error| Usage::new(error.to_string()))?;
    }
    let interrupted = *cancelled.borrow();
    if ended.is_err() {
        handle.cancel();
        window.cancel_list().await;
    }
    output.finish(ended.is_ok())?;
    let counts = pipeline.counts();
    let summary = BarsSummary {
        trades: counts.trades,
        bars: counts.bars,
        gaps: counts.gaps,
        missing_trades: counts.missing_trades,
        rejected_rows: counts.rejected,
        reordered_trades: counts.reordered,
        missing_files,
        unproven_files,
        last_file: output.last_file(),
        outputs: output.names(),
    };
    let stats = window.stats();
    drop(window);
    Ok(Ended {
        recorder,
        guard,
        stats,
        budget,
        to_stdout,
        interrupted,
        stopped,
        bars: Some(summary),
        tables: None,
        already: 0,
        keeper: None,
    })
}

/// What ended the run, and the option that would let it go on.
fn explain(broken: &Broken<std::io::Error>) -> String {
    let option = match broken {
        Broken::Trades(narrows_bars::BarError::Order(_)) => "; --reorder N puts rows in order that are N late",
        Broken::Trades(_) => "; --on-bad-row skip passes such rows over",
        Broken::Gap(_) => "; --on-gap report or end-bar goes on",
        _ => "",
    };
    format!("{broken}{option}")
}
