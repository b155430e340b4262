//! Archives that cannot be streamed safely: downloaded once more, to a temporary file, and read
//! at random.

use std::{future::poll_fn, pin::pin};

use futures_util::{
    StreamExt,
    future::{Either, select},
};
use narrows::{
    Budget, Client, FailureKind, Fetch, Options, Outcome, Proof, RANDOM_ACCESS_BYTES, RandomAccessError, Report,
    Source, TempFile, TempSpool, Window, for_each_entry,
};

use tokio::sync::watch;

use crate::job::{Context, Sink, Writer};

/// Most bytes of such an archive on the disk.
const SPOOL_BYTES_MAX: u64 = 16 << 30;

/// Memory for reading an entry.
const BUFFER_BYTES: usize = 64 << 10;

/// What one archive needs: its download, the zip crate's directory, a buffer.
fn needed(options: &Options, client: &Client) -> u64 {
    let download = Options { unpack: None, ..options.clone() };
    download.working_set(client.profile()).total() + RANDOM_ACCESS_BYTES + BUFFER_BYTES as u64
}

/// Divides a budget: most is the window's; a part is set aside for one archive at a time that has
/// to be read at random. A task that waited for memory the window holds, while the window waits
/// for the task, would wait for ever. Where there is no room for both, such archives fail.
pub(crate) fn divide(budget: &Budget, options: &Options, client: &Client) -> (Budget, Option<Budget>) {
    let aside = needed(options, client);
    let left = budget.capacity().saturating_sub(aside);
    match options.unpack.is_some() && left >= options.working_set(client.profile()).total() {
        true => (budget.nested(left), Some(budget.nested(aside))),
        false => (budget.clone(), None),
    }
}

/// As [`unpack`], until `cancelled`.
pub(crate) async fn unpack_unless(
    mut cancelled: watch::Receiver<bool>,
    context: &Context,
    source: Source,
    first: Report,
) -> (Report, u64) {
    let (unpacked, cancelled) = (pin!(unpack(context, source, first.clone())), pin!(cancelled.wait_for(|is| *is)));
    match select(unpacked, cancelled).await {
        Either::Left((unpacked, _)) => unpacked,
        Either::Right(_) => (Report { outcome: Outcome::Cancelled, ..first }, 0),
    }
}

/// Unpacks `source`, whose first try ended as `first` says; gives its report and lines.
async fn unpack(context: &Context, source: Source, first: Report) -> (Report, u64) {
    let Outcome::Failed(refusal) = first.outcome.clone() else { return (first, 0) };
    // What has gone to stdout cannot be taken back and must not come twice.
    let written = matches!(context.sink, Sink::Stdout) && first.bytes_out > 0;
    let Some(budget) = context.for_fallback.as_ref().filter(|_| !written) else {
        let why = match written {
            true => "the beginning has been written to stdout; use --out",
            false => "--budget has no room for reading it at random",
        };
        let failure = narrows::Failure { detail: Some(why.into()), ..*refusal };
        return (Report { outcome: Outcome::Failed(Box::new(failure)), ..first }, 0);
    };
    let Ok(mut claim) = budget.claim(budget.capacity()) else { return (first, 0) };
    let _memory = poll_fn(|cx| claim.poll(cx)).await;
    let (file, mut report) = match download(context, source.clone(), &first).await {
        Ok(downloaded) => downloaded,
        Err(report) => return (*report, 0),
    };
    report.index = first.index;
    report.attempts += first.attempts;
    report.bytes_received += first.bytes_received;
    report.elapsed += first.elapsed;
    report.bytes_out = 0;
    let failed = |mut report: Report, what: String| {
        let kind = FailureKind::Storage(format!("{}: reading it at random failed: {what}", refusal.kind).into());
        report.outcome = Outcome::Failed(Box::new(narrows::Failure { kind, ..(*refusal).clone() }));
        report
    };
    let limits = context.options.unpack.as_ref().map(|unpack| unpack.limits.clone()).unwrap_or_default();
    let unpacked = tokio::task::block_in_place(|| {
        let mut writer = Writer::open(context, &source, report.index)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut bytes_out = 0;
        let entries = for_each_entry(file.file(), &limits, |path, entry| {
            writer.begin(Some(path))?;
            loop {
                let length = entry.read(&mut buffer)?;
                if length == 0 {
                    break writer.end();
                }
                bytes_out += length as u64;
                writer.write(&buffer[..length])?;
            }
        })?;
        let lines = writer.lines;
        writer.commit()?;
        Ok::<_, RandomAccessError>((entries, bytes_out, lines))
    });
    match unpacked {
        Ok((entries, bytes_out, lines)) => {
            (report.entries, report.bytes_out) = (entries, bytes_out);
            report.outcome = Outcome::Done(Proof::Structure);
            (report, lines)
        }
        Err(error) => (failed(report, error.to_string()), 0),
    }
}

async fn download(context: &Context, source: Source, first: &Report) -> Result<(TempFile, Report), Box<Report>> {
    let directory = match &context.sink {
        Sink::Directory(directory) => directory.staging().to_owned(),
        Sink::Discard | Sink::Stdout => std::env::temp_dir(),
    };
    let bytes_max = context.options.file_size_max.min(SPOOL_BYTES_MAX);
    let spool = TempSpool::new(directory, bytes_max);
    let options = Options { unpack: None, limit: 1, ..context.options.clone() };
    // Its memory is part of what has been claimed.
    let budget = Budget::new(options.working_set(context.client.profile()).total());
    let window = Window::from_iter([source], context.client.clone(), context.clock, &budget, options);
    let Ok(mut window) = window else { return Err(Box::new(first.clone())) };
    let Some(mut delivery) = window.next().await else { return Err(Box::new(first.clone())) };
    match delivery.spool(&spool, bytes_max).await {
        Ok(file) => Ok((file, delivery.cancel())),
        Err(_) => Err(Box::new(Report { index: first.index, ..delivery.cancel() })),
    }
}
