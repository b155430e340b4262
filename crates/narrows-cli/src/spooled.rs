//! Archives that cannot be streamed safely: downloaded once more, to a temporary file, and read
//! at random.

use std::{future::poll_fn, pin::pin};

use futures_util::{
    StreamExt,
    future::{Either, select},
};
use narrows::{
    FailureKind, Options, Outcome, Proof, RandomAccessError, Report, Source, TempFile, TempSpool, Window,
    for_each_entry,
};

use tokio::sync::watch;

use crate::job::{Context, Sink, Writer};

/// Memory that reading a central directory may take.
const DIRECTORY_MEMORY: u64 = 8 << 20;

/// Most bytes of such an archive on the disk.
const SPOOL_BYTES_MAX: u64 = 16 << 30;

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
    let mut claim = match context.budget.claim(DIRECTORY_MEMORY) {
        Ok(claim) => claim,
        Err(error) => return (failed(report, error.to_string()), 0),
    };
    let _directory = poll_fn(|cx| claim.poll(cx)).await;
    let limits = context.options.unpack.as_ref().map(|unpack| unpack.limits.clone()).unwrap_or_default();
    let unpacked = tokio::task::block_in_place(|| {
        let mut writer = Writer::open(context, &source, report.index)?;
        let mut buffer = vec![0; 64 << 10];
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
    let window = Window::from_iter([source], context.client.clone(), context.clock, &context.budget, options);
    let Ok(mut window) = window else { return Err(Box::new(first.clone())) };
    let Some(mut delivery) = window.next().await else { return Err(Box::new(first.clone())) };
    match delivery.spool(&spool, bytes_max).await {
        Ok(file) => Ok((file, delivery.cancel())),
        Err(_) => Err(Box::new(Report { index: first.index, ..delivery.cancel() })),
    }
}
