//! What the consumer gets for each source: a body to read at its own pace.
//!
//! *Cancel-safe* here means: dropping the returned future loses nothing; calling the method again
//! goes on where it was.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use narrows_unpack::Entry;

use crate::{
    clock::Clock,
    failure::{Failure, FailureKind},
    fetch::Fetch,
    flight::Shared,
    lease::{Block, Collected},
    reader::Output,
    report::{Outcome, Report},
    source::Source,
    spool::{Spool, SpoolFile},
};

/// A source whose first bytes are there, or whose end is known. Every source gives one.
///
/// Nothing is downloaded beyond what the transfer may hold until blocks are asked for. Dropping
/// a delivery before its end aborts the exchange, frees its memory, and counts it as cancelled;
/// blocks that were handed out stay valid.
pub struct Delivery<F: Fetch, C: Clock> {
    shared: Shared<F, C>,
    index: u64,
    scope: Scope,
}

/// Where `next_block` ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    /// At the end of the source.
    Source,
    /// At the end of the entry that was opened.
    Entry,
    /// At once: the entry has ended.
    BetweenEntries,
}

impl<F: Fetch, C: Clock> Delivery<F, C> {
    pub(crate) fn new(shared: Shared<F, C>, index: u64) -> Self {
        Self { shared, index, scope: Scope::Source }
    }

    /// Its place in the list, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The source it came from.
    pub fn source(&self) -> Source {
        self.shared.lock().transfer.source().clone()
    }

    /// Length on the wire, as far as it is known.
    pub fn declared_length(&self) -> Option<u64> {
        self.shared.lock().transfer.total()
    }

    /// The next block of the current entry, or, where no entry was opened by
    /// [`next_entry`](Self::next_entry), of all entries one after another. `None` at the end.
    ///
    /// Bytes are right only after the end was reached: see [`narrows_unpack`].
    ///
    /// # Errors
    ///
    /// The [`Failure`] in which the source ended, again on every later call. A skipped source has
    /// no error and no blocks.
    ///
    /// Cancel-safe.
    pub async fn next_block(&mut self) -> Result<Option<Block>, Failure> {
        let wanting = Wanting(self);
        poll_fn(|cx| wanting.0.poll_block(cx)).await
    }

    /// Skips what is left of the current entry and opens the next one; `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`next_block`](Self::next_block).
    ///
    /// Cancel-safe.
    pub async fn next_entry(&mut self) -> Result<Option<Box<Entry>>, Failure> {
        let wanting = Wanting(self);
        poll_fn(|cx| wanting.0.poll_entry(cx)).await
    }

    /// Everything, as one slice of at most `max` bytes, charged until dropped.
    ///
    /// Memory for it is taken before the first byte: the declared length where nothing is
    /// unpacked, `max` otherwise, out of [`Options::collect_max`](crate::Options::collect_max)
    /// first, the rest if the budget has it free.
    ///
    /// # Errors
    ///
    /// As [`next_block`](Self::next_block), and [`FailureKind::TooBigToCollect`].
    ///
    /// Not cancel-safe: blocks collected so far are lost.
    pub async fn collect(&mut self, max: u64) -> Result<Collected, Failure> {
        let mut collected = self.begin_collection(max)?;
        let capacity = collected.bytes.capacity();
        while let Some(block) = self.next_block().await? {
            if block.len() > capacity - collected.bytes.len() {
                return Err(self.refuse(FailureKind::TooBigToCollect { needed: None, available: capacity as u64 }));
            }
            collected.bytes.extend_from_slice(&block);
        }
        collected.fit();
        Ok(collected)
    }

    fn begin_collection(&self, max: u64) -> Result<Collected, Failure> {
        let mut flight = self.shared.lock();
        if let Some(failure) = flight.ending() {
            return Err(failure);
        }
        let is_over = flight.report().is_some();
        let needed = if is_over { 0 } else { flight.declared_output().unwrap_or(max) };
        let taken = if needed <= max { flight.lease.collection(needed) } else { Err(max) };
        taken.map_err(|available| {
            flight.refuse(FailureKind::TooBigToCollect { needed: Some(needed), available: max.min(available) })
        })
    }

    fn refuse(&self, kind: FailureKind) -> Failure {
        self.shared.lock().refuse(kind)
    }

    /// Writes everything to a temporary file of at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// As [`next_block`](Self::next_block), and [`FailureKind::Storage`].
    ///
    /// Not cancel-safe: the file is gone.
    pub async fn spool<S: Spool>(&mut self, spool: &S, bytes_max: u64) -> Result<S::File, Failure> {
        let storage = |error: S::Error| FailureKind::Storage(error.to_string().into());
        let mut file = spool.create(bytes_max).await.map_err(|error| self.refuse(storage(error)))?;
        let mut room = bytes_max;
        while let Some(block) = self.next_block().await? {
            if block.len() as u64 > room {
                return Err(self.refuse(FailureKind::TooLarge { max: bytes_max }));
            }
            room -= block.len() as u64;
            let mut rest = &block[..];
            while !rest.is_empty() {
                let appended = poll_fn(|cx| Pin::new(&mut file).poll_append(cx, rest)).await;
                rest = &rest[appended.map_err(|error| self.refuse(storage(error)))?..];
            }
        }
        Ok(file)
    }

    /// How it ended, once it has.
    pub fn report(&self) -> Option<Report> {
        self.shared.lock().report().cloned()
    }

    /// Ends it where it is, and says how: cancelled, unless it had ended before.
    pub fn cancel(self) -> Report {
        let mut flight = self.shared.lock();
        flight.end(Outcome::Cancelled);
        flight.report().cloned().unwrap_or_else(|| unreachable!("it has ended"))
    }

    /// Ends it as failed because the consumer could not store it, and says so. What came whole
    /// counts as failed, too.
    pub fn fail_storage(self, reason: &str) -> Report {
        self.shared.lock().refuse_done(FailureKind::Storage(reason.into()));
        self.cancel()
    }

    /// [`next_block`](Self::next_block) as a poll function. A caller that stops polling before it
    /// is ready should not leave it so for long: idle time counts meanwhile.
    pub fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Block>, Failure>> {
        loop {
            if self.scope == Scope::BetweenEntries {
                return Poll::Ready(Ok(None));
            }
            match ready!(self.poll_output(cx))? {
                Output::Block(block) => return Poll::Ready(Ok(Some(block))),
                Output::End => return Poll::Ready(Ok(None)),
                Output::EntryEnd(_) if self.scope == Scope::Entry => self.scope = Scope::BetweenEntries,
                Output::EntryEnd(_) | Output::Entry(_) => {}
            }
        }
    }

    /// [`next_entry`](Self::next_entry) as a poll function.
    pub fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Box<Entry>>, Failure>> {
        loop {
            let output = ready!(self.poll_output(cx));
            if let Ok(Output::Block(_) | Output::EntryEnd(_)) = output {
                continue; // what is left of the entry before
            }
            // Behind the last entry, and after a failure, blocks are asked of the source.
            self.scope = if let Ok(Output::Entry(_)) = output { Scope::Entry } else { Scope::Source };
            return Poll::Ready(output.map(|output| match output {
                Output::Entry(entry) => Some(entry),
                _ => None,
            }));
        }
    }

    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Failure>> {
        let output = self.shared.poll_for_consumer(cx, |flight, cx| flight.poll_output(cx));
        if output.is_ready() {
            // Room may have come free for the window to go on with.
            self.shared.wakers.window.wake();
        }
        output
    }
}

impl<F: Fetch, C: Clock> Drop for Delivery<F, C> {
    fn drop(&mut self) {
        self.shared.lock().end(Outcome::Cancelled);
        self.shared.wakers.window.wake();
    }
}

/// While it lives, bytes are wanted; idle time counts no longer.
struct Wanting<'a, F: Fetch, C: Clock>(&'a mut Delivery<F, C>);

impl<F: Fetch, C: Clock> Drop for Wanting<'_, F, C> {
    fn drop(&mut self) {
        self.0.shared.lock().transfer.pause();
    }
}
