//! From a delivery to the sink: writes its entries, commits them, and says what became of it.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use futures_util::future::{Either, select};
use narrows::{
    Client, Clock, DefaultClock, Delivery, Failure, FailureKind, Fetch, Handle, Source, TempSpool, respool::Respooler,
    unpack,
};
use tokio::sync::watch;

use crate::{
    record::Recorder,
    sink::{Sink, Writer},
    storage::{self, is_of_storage_at},
};

/// What the tasks of a job share.
pub(crate) struct Context {
    pub(crate) sink: Sink,
    /// For archives that cannot be streamed, if there is memory for them.
    pub(crate) respooler: Option<Respooler<Client, DefaultClock, TempSpool>>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) cancelled: watch::Receiver<bool>,
    /// Whether nobody reads stdout any more.
    pub(crate) unread: AtomicBool,
    /// Whether the output can take no more; this has been told.
    pub(crate) is_full: AtomicBool,
    pub(crate) handle: Handle<DefaultClock>,
}

impl Context {
    /// What `work` comes to, or `None` if the job is cancelled first.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut cancelled = self.cancelled.clone();
        match select(pin!(work), pin!(cancelled.wait_for(|is| *is))).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    /// What a source fails with whose output could not be written. Where the next one's could not be either, the
    /// job ends: the first fails and tells, and those that were in flight with it are cancelled, which is none.
    fn refused(&self, error: io::Error, source: &Source, declared: Option<u64>) -> Option<io::Error> {
        let root = self.sink.root();
        if !is_of_storage_at(root, &error) {
            return Some(error);
        }
        if self.is_full.swap(true, Relaxed) {
            return None;
        }
        self.handle.cancel();
        Some(io::Error::new(error.kind(), storage::explain(root, &error, source, declared)))
    }
}

pub(crate) async fn consume(context: Arc<Context>, mut delivery: Delivery) {
    let (source, index) = (delivery.source(), delivery.index());
    let written = write(&context, &mut delivery, &source, index).await;
    let _ = match written {
        Ok(()) => delivery.finish(),
        Err(Broken::Source(failure)) if failure.needs_random_access() => {
            // Boxed, for it is rare and large, and every source's task would have room for it.
            return Box::pin(consume_spooled(&context, delivery, source)).await;
        }
        Err(Broken::Source(_) | Broken::Cancelled) => delivery.cancel(),
        Err(Broken::Output(error)) => match context.refused(error, &source, delivery.declared_length()) {
            Some(error) => delivery.fail(error),
            None => delivery.cancel(),
        },
    };
}

/// An archive that cannot be streamed: from a temporary file.
async fn consume_spooled(context: &Context, mut delivery: Delivery, source: Source) {
    let index = delivery.index();
    let Some(respooler) = &context.respooler else {
        delivery.explain("--budget has no room for reading it from a temporary file");
        return drop(delivery);
    };
    if matches!(context.sink, Sink::Stdout) && context.recorder.has_written(index) {
        // What has gone to stdout cannot be taken back and must not come twice.
        delivery.explain("the beginning has been written to stdout; use --out");
        return drop(delivery);
    }
    let Some(opened) = context.unless_cancelled(respooler.open(source.clone())).await else {
        delivery.explain("interrupted while it was read from a temporary file");
        return drop(delivery);
    };
    let report = match opened {
        Err(report) => *report,
        Ok(mut second) => match write(context, &mut second, &source, index).await {
            Ok(()) => second.finish(),
            Err(Broken::Source(_) | Broken::Cancelled) => second.cancel(),
            Err(Broken::Output(error)) => match context.refused(error, &source, second.declared_length()) {
                Some(error) => second.fail(error),
                None => second.cancel(),
            },
        },
    };
    delivery.finish_as(report);
}

/// Writes a delivery to the sink and commits it.
async fn write<F: Fetch, C: Clock>(
    context: &Context,
    delivery: &mut Delivery<F, C>,
    source: &Source,
    index: u64,
) -> Result<(), Broken> {
    let (writer, pumped) = loop {
        let mut writer = context.sink.writer(source, index)?;
        let pumped = context.unless_cancelled(pump(context, delivery, &mut writer)).await;
        let pumped = pumped.unwrap_or(Err(Broken::Cancelled));
        // What was staged is thrown away, and the new content takes its place.
        let begins_anew = matches!(&pumped, Err(Broken::Source(failure)) if failure.kind == FailureKind::Restarted);
        if !begins_anew {
            break (writer, pumped);
        }
    };
    context.recorder.found(index, writer.lines);
    if let Err(Broken::Output(error)) = &pumped
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        context.unread.store(true, Relaxed);
        context.handle.cancel();
    }
    if pumped.is_err() {
        context.unless_cancelled(writer.give_up()).await;
        return pumped;
    }
    // Where nothing came, there is nothing to keep either.
    if delivery.proof().is_none() {
        return Ok(());
    }
    if let Some(placed) = writer.commit(delivery.sha256()).await? {
        context.recorder.placed(index, placed);
    }
    Ok(())
}

/// Why a source did not reach its output.
enum Broken {
    Source(Failure),
    Output(io::Error),
    Cancelled,
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

async fn pump<F: Fetch, C: Clock>(
    context: &Context,
    delivery: &mut Delivery<F, C>,
    writer: &mut Writer<'_>,
) -> Result<(), Broken> {
    while let Some(entry) = delivery.next_entry().await? {
        // Entries that are at hand are never waited for, and an interrupt is not heard by that.
        if *context.cancelled.borrow() {
            return Err(Broken::Cancelled);
        }
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
            writer.write(block).await?;
        }
        writer.end().await?;
    }
    Ok(())
}
