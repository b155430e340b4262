//! The job: one file after another through the pipeline, while the next ones download.

use std::{fmt, pin::pin};

use futures_core::Stream;
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use narrows_core::{
    Clock, Delivery, Failure, FailureKind, Fetch, Outcome, Report, Window, report::Hex, source::Listed,
};

use super::{
    checksums::{Checksum, Expectations, Expected},
    files::File,
    pipeline::{BarSink, Broken, Done, Pipeline},
};

/// What became of a file.
///
/// No example: [`run`] tells them.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It was read to its end, and what came of it is committed. With the trades it had.
    Done(&'a File, &'a Report, u64),
    /// There is none.
    Missing(&'a File),
    /// Its checksum is wrong, missing or unusable: what of these. The file is read all the same.
    Unproven(&'a File, String),
}

/// Why a run ended before its last file.
///
/// No example: [`run`] gives it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stopped<E> {
    /// A file could not be had whole, or is not as published.
    File(File, Box<Failure>),
    /// What is in a file cannot be made into bars, or its bars could not be kept.
    Broken(File, Broken<E>),
    /// The run was cancelled.
    Cancelled,
}

/// Makes bars of the files of a window of [`sources`](super::sources), in order.
///
/// A file that breaks off is rolled back, and ends the run; `pipeline` then is as it was before it.
///
/// Not cancel-safe: where this future is dropped, roll the sink back and go on from its last state.
///
/// # Errors
///
/// [`Stopped`], and that of the sink's `roll_back` where that fails, too.
///
/// No example: it takes a fetch and a clock, and so a program; see `tests/bars.rs`.
pub async fn run<F, C, S, K>(
    window: &mut Window<F, C, S>,
    expectations: &Expectations,
    pipeline: &mut Pipeline,
    sink: &mut K,
    mut tell: impl FnMut(Event<'_>),
) -> Result<(), Stopped<K::Error>>
where
    F: Fetch + Clone,
    C: Clock + Clone,
    S: Stream + Unpin,
    S::Item: Listed,
    K: BarSink<Error: fmt::Display>,
{
    while let Some(delivery) = window.next().await {
        let Some(expected) = expectations.pop() else { return Err(Stopped::Cancelled) };
        let before = pipeline.clone();
        let ended = {
            let work = pin!(one(delivery, &expected, pipeline, sink, &mut tell));
            match select(work, pin!(window.drive())).await {
                Either::Left((ended, _)) => ended,
                Either::Right(((), work)) => work.await,
            }
        };
        if let Err(stopped) = ended {
            *pipeline = before;
            sink.roll_back().map_err(|error| Stopped::Broken(expected.file, Broken::Sink(error)))?;
            return Err(stopped);
        }
    }
    Ok(())
}

/// One file: all its trades, its proof, then the commit.
async fn one<F: Fetch, C: Clock, K: BarSink<Error: fmt::Display>>(
    mut delivery: Delivery<F, C>,
    expected: &Expected,
    pipeline: &mut Pipeline,
    sink: &mut K,
    tell: &mut impl FnMut(Event<'_>),
) -> Result<(), Stopped<K::Error>> {
    let Expected { file, checksum, is_required } = expected;
    let before = pipeline.counts().trades;
    pipeline.begin();
    if let Err(failed) = read(&mut delivery, pipeline, sink).await {
        return Err(match failed {
            Failed::Source(failure) => {
                delivery.finish();
                match failure.kind {
                    FailureKind::Cancelled => Stopped::Cancelled,
                    _ => Stopped::File(file.clone(), failure),
                }
            }
            Failed::Broken(broken) => {
                delivery.fail(match &broken {
                    Broken::Sink(error) => FailureKind::Storage(error.to_string().into()),
                    broken => FailureKind::Rejected(broken.to_string().into()),
                });
                Stopped::Broken(file.clone(), broken)
            }
        });
    }
    // It has come whole, and a digest that was required holds; one that is missing is known only here,
    // for where there is no file there is none.
    let unproven = match checksum {
        Checksum::Missing => Some("no checksum is published".to_owned()),
        Checksum::Unusable(why) => Some(format!("its checksum: {why}")),
        Checksum::Known(_) | Checksum::Skipped => None,
    };
    let is_missing = delivery.proof().is_none() && delivery.failure().is_none();
    if let (Some(why), true, false) = (&unproven, is_required, is_missing) {
        let report = delivery.fail(FailureKind::Rejected(why.clone().into()));
        return Err(match report.outcome {
            Outcome::Failed(failure) => Stopped::File(file.clone(), failure),
            _ => Stopped::Cancelled,
        });
    }
    if !is_missing {
        let trades = pipeline.counts().trades - before;
        let done = Done { file: &file.name, index: delivery.index(), trades, state: &pipeline.state() };
        sink.commit(&done).map_err(|error| Stopped::Broken(file.clone(), Broken::Sink(error)))?;
    }
    let report = delivery.finish();
    match &report.outcome {
        Outcome::Done(_) => {
            let wrong = match (checksum, report.sha256) {
                (Checksum::Known(expected), Some(actual)) if *expected != actual => {
                    Some(format!("its SHA-256 is {}, published is {}", Hex(&actual), Hex(expected)))
                }
                _ => unproven,
            };
            if let Some(why) = wrong {
                tell(Event::Unproven(file, why));
            }
            tell(Event::Done(file, &report, pipeline.counts().trades - before));
            Ok(())
        }
        Outcome::Skipped => {
            tell(Event::Missing(file));
            Ok(())
        }
        Outcome::Failed(failure) => Err(Stopped::File(file.clone(), failure.clone())),
        Outcome::Cancelled => Err(Stopped::Cancelled),
    }
}

enum Failed<E> {
    Source(Box<Failure>),
    Broken(Broken<E>),
}

impl<E> From<Failure> for Failed<E> {
    fn from(failure: Failure) -> Self {
        Self::Source(Box::new(failure))
    }
}

impl<E> From<Broken<E>> for Failed<E> {
    fn from(broken: Broken<E>) -> Self {
        Self::Broken(broken)
    }
}

async fn read<F: Fetch, C: Clock, K: BarSink>(
    delivery: &mut Delivery<F, C>,
    pipeline: &mut Pipeline,
    sink: &mut K,
) -> Result<(), Failed<K::Error>> {
    while let Some(entry) = delivery.next_entry().await? {
        if entry.is_directory() {
            continue;
        }
        pipeline.begin();
        while let Some(block) = delivery.next_block().await? {
            pipeline.take(&block, sink)?;
        }
        pipeline.end(sink)?;
    }
    Ok(())
}
