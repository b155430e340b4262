//! What the consumer gets for each source: a body to read at its own pace.
//!
//! *Cancel-safe* here means: dropping the returned future loses nothing; calling the method again
//! goes on where it was.

use std::{
    fmt,
    future::poll_fn,
    task::{Context, Poll, ready},
};

use narrows_unpack::Entry;

use crate::{
    clock::Clock,
    failure::{Failure, FailureKind},
    fetch::Fetch,
    flight::{Flight, Shared, Verdict},
    lease::{Block, Collected},
    reader::Output,
    report::{Proof, Report},
    source::Source,
    spool::{Spool, append_all},
};

/// A source whose first bytes are there, or whose end is known. Every source gives one.
///
/// Nothing is downloaded beyond what the transfer may hold until blocks are asked for. Where the
/// data has come to its end, it is *proven*; it is done when the consumer has committed what it
/// made of it and says so with [`finish`](Self::finish). Dropped before that, it is cancelled: its
/// exchange is aborted, its memory freed. Blocks that were handed out stay valid.
///
/// ```
/// # use futures_util::{FutureExt, StreamExt};
/// use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
///
/// # async {
/// let fetch = MemoryFetch::new().with("mem://a", *b"one\ntwo\n");
/// let budget = Budget::new(8 << 20);
/// let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// let mut file = window.next().await.expect("one source");
/// while let Some(block) = file.next_block().await? {
///     assert_eq!(&block[..], b"one\ntwo\n"); // write it somewhere, and sync that
/// }
/// assert_eq!(file.finish().outcome.name(), "done");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
pub struct Delivery<F: Fetch, C: Clock> {
    shared: Shared<F, C>,
    index: u64,
    scope: Scope,
    /// The report has been given to the consumer.
    is_settled: bool,
}

/// What a delivery is made of, in order.
///
/// ```
/// use narrows_core::{Clock, Delivery, Failure, Fetch, read::Piece};
///
/// async fn count_entries<F: Fetch, C: Clock>(file: &mut Delivery<F, C>) -> Result<u64, Failure> {
///     let mut entries = 0;
///     loop {
///         match std::future::poll_fn(|cx| file.poll_piece(cx)).await? {
///             Piece::Entry(_) | Piece::Block(_) => {}
///             Piece::EntryEnd => entries += 1,
///             Piece::End => return Ok(entries),
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub enum Piece {
    /// An entry begins.
    Entry(Box<Entry>),
    /// The next bytes of it.
    Block(Block),
    /// It is complete.
    EntryEnd,
    /// Everything has come.
    End,
}

/// Where `next_block` ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    /// At the end of the source.
    Source,
    /// At the end of the entry that was opened.
    Entry,
    /// At once: the entry has ended, or is being skipped.
    BetweenEntries,
    /// Never: the entry was too big to be collected, and its beginning is lost.
    Lost {
        /// Bytes that could be had.
        available: u64,
    },
}

impl<F: Fetch, C: Clock> Delivery<F, C> {
    pub(crate) fn new(shared: Shared<F, C>, index: u64) -> Self {
        Self { shared, index, scope: Scope::Source, is_settled: false }
    }

    /// Its place in the list, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The source it came from, secrets included.
    pub fn source(&self) -> Source {
        self.shared.lock().ticket.source.clone()
    }

    /// Its address without user, password, query and fragment.
    pub fn public_url(&self) -> String {
        self.shared.lock().ticket.source.public_url()
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
    /// The [`Failure`] of the source, again on every later call. A skipped source has no error and no
    /// blocks. [`FailureKind::BlocksHeld`] is no end: drop a block and ask again.
    ///
    /// Cancel-safe.
    pub async fn next_block(&mut self) -> Result<Option<Block>, Failure> {
        let wanting = Wanting(self);
        poll_fn(|cx| wanting.0.poll_block(cx)).await
    }

    /// Waits until a block could be filled, for consumers that hand blocks to others: while those
    /// have as many as [`Options::blocks`](crate::Options::blocks), asking for another is an error.
    ///
    /// Cancel-safe.
    pub async fn room(&mut self) {
        poll_fn(|cx| {
            let mut flight = self.shared.lock();
            let room = flight.poll_room(cx);
            flight.transfer.pause(); // no bytes are wanted meanwhile
            room
        })
        .await;
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

    /// Everything that is left, as one slice of at most `max` bytes, charged until dropped: of the
    /// entry that is open, or of the source, less the blocks that were taken before.
    ///
    /// Memory for it is taken before the first byte: the declared length where nothing is
    /// unpacked, `max` otherwise, out of [`Options::collect_max`](crate::Options::collect_max)
    /// first, the rest if the budget has it free.
    ///
    /// # Errors
    ///
    /// As [`next_block`](Self::next_block), and [`FailureKind::TooBigToCollect`], which says how much
    /// there is. Where that is known beforehand, nothing is lost, and blocks can be read instead; an
    /// entry that turns out to be too big is lost, and a source fails.
    ///
    /// Not cancel-safe: blocks collected so far are lost.
    pub async fn collect(&mut self, max: u64) -> Result<Collected, Failure> {
        let mut collected = self.begin_collection(max)?;
        let capacity = collected.bytes.capacity();
        while let Some(block) = self.next_block().await? {
            if block.len() > capacity - collected.bytes.len() {
                return Err(self.too_big_inside(capacity as u64));
            }
            collected.bytes.extend_from_slice(&block);
        }
        collected.fit();
        Ok(collected)
    }

    fn begin_collection(&self, max: u64) -> Result<Collected, Failure> {
        self.check_scope()?;
        let flight = self.shared.lock();
        if let Some(failure) = flight.failure() {
            return Err(failure);
        }
        let is_over = flight.is_over();
        let needed = if is_over { 0 } else { flight.declared_output().unwrap_or(max) };
        let taken = if needed <= max { flight.lease.collection(needed) } else { Err(max) };
        // Nothing was taken, so nothing is lost: blocks can still be read.
        taken.map_err(|available| {
            let available = max.min(available);
            flight.transfer.failure(FailureKind::TooBigToCollect { needed: Some(needed), available }, None)
        })
    }

    /// What was collected is lost: of an entry that is all, the next can be opened; of a source it
    /// is the end.
    fn too_big_inside(&mut self, available: u64) -> Failure {
        let kind = FailureKind::TooBigToCollect { needed: None, available };
        if self.scope == Scope::Source {
            return self.refuse(kind);
        }
        self.scope = Scope::Lost { available };
        self.shared.lock().transfer.failure(kind, None)
    }

    /// Whether there is something to read: what is left of an entry whose beginning is lost is not.
    pub(crate) fn check_scope(&self) -> Result<(), Failure> {
        match self.scope {
            Scope::Lost { available } => {
                let kind = FailureKind::TooBigToCollect { needed: None, available };
                Err(self.shared.lock().transfer.failure(kind, None))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn refuse(&self, kind: FailureKind) -> Failure {
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
        // No more than will come, where that is known: a spool may have room for many.
        let bytes_max = self.shared.lock().declared_output().map_or(bytes_max, |declared| declared.min(bytes_max));
        let mut file = spool.create(bytes_max).await.map_err(|error| self.refuse(storage(error)))?;
        let mut room = bytes_max;
        while let Some(block) = self.next_block().await? {
            if block.len() as u64 > room {
                return Err(self.refuse(FailureKind::TooLarge { max: bytes_max }));
            }
            room -= block.len() as u64;
            append_all(&mut file, &block).await.map_err(|error| self.refuse(storage(error)))?;
        }
        Ok(file)
    }

    /// What shows that everything has come, once it has.
    pub fn proof(&self) -> Option<Proof> {
        self.shared.lock().proof()
    }

    /// SHA-256 of what was accepted, once everything has come, where that was asked for.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        self.shared.lock().transfer.figures().sha256
    }

    /// The failure it is over with, if it is.
    pub fn failure(&self) -> Option<Failure> {
        self.shared.lock().failure()
    }

    /// Adds words of the consumer's own to the failure it is over with, if it is.
    pub fn explain(&mut self, detail: &str) {
        self.shared.lock().explain(detail);
    }

    /// Says that the consumer has committed what came, and gives the report: done if everything
    /// has come, skipped or failed if that is how it ended, cancelled if there was more to come.
    pub fn finish(mut self) -> Report {
        self.settle(|flight| flight.settle(Verdict::Committed))
    }

    /// Says that the consumer could not keep what came, and gives the report: failed for this
    /// reason, or as it had failed before.
    ///
    /// ```
    /// # use narrows_core::{Delivery, Fetch, Clock, Report};
    /// # fn store<F: Fetch, C: Clock>(delivery: Delivery<F, C>) -> Report {
    /// # let written: std::io::Result<()> = Ok(());
    /// match written {
    ///     Ok(()) => delivery.finish(),
    ///     Err(error) => delivery.fail(error),
    /// }
    /// # }
    /// ```
    pub fn fail(mut self, reason: impl Into<FailureKind>) -> Report {
        let reason = reason.into();
        self.settle(|flight| {
            let _ = flight.refuse(reason);
            flight.settle(Verdict::Dropped)
        })
    }

    /// Ends its transfer where it is: nothing more comes, and who reads on learns that it was
    /// cancelled. What has ended stays as it is.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Ends it where it is, and gives the report: cancelled, unless it is skipped or has failed.
    /// Dropping it does the same.
    pub fn cancel(mut self) -> Report {
        self.settle(|flight| flight.settle(Verdict::Dropped))
    }

    /// Ends it as `second` ended, which was another way to the same source. The report has the
    /// outcome and the output of the second, and what both together received.
    pub fn finish_as(mut self, second: Report) -> Report {
        self.settle(|flight| flight.settle_as(second))
    }

    fn settle(&mut self, settle: impl FnOnce(&mut Flight<F, C>) -> Option<Report>) -> Report {
        self.is_settled = true;
        let report = settle(&mut self.shared.lock());
        self.shared.wakers.window.wake();
        // A delivery is taken by what settles it.
        report.unwrap_or_else(|| unreachable!("settled twice"))
    }

    /// Room for what a reader keeps between blocks: of what is set aside for collecting, then of
    /// what the budget has free.
    pub(crate) fn room_for(&self, bytes: u64) -> Result<Collected, Failure> {
        let mut flight = self.shared.lock();
        let taken = flight.lease.collection(bytes);
        taken.map_err(|available| flight.refuse(FailureKind::TooBigToCollect { needed: Some(bytes), available }))
    }

    /// [`next_block`](Self::next_block) as a poll function. A caller that stops polling before it
    /// is ready should not leave it so for long: idle time counts meanwhile.
    pub fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Block>, Failure>> {
        self.check_scope()?;
        loop {
            if self.scope == Scope::BetweenEntries {
                return Poll::Ready(Ok(None));
            }
            let output = ready!(self.poll_output(cx));
            self.notice_restart(&output);
            match output? {
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
            match &output {
                Ok(Output::Block(_) | Output::EntryEnd(_)) => {
                    // What is left of the entry before is none of the next one's, also where
                    // nobody waits for that.
                    self.scope = Scope::BetweenEntries;
                    continue;
                }
                Ok(Output::Entry(_)) => self.scope = Scope::Entry,
                Err(failure) if matches!(failure.kind, FailureKind::BlocksHeld { .. }) => {}
                // Behind the last entry, and after a failure, blocks are asked of the source.
                Ok(Output::End) | Err(_) => self.scope = Scope::Source,
            }
            return Poll::Ready(output.map(|output| match output {
                Output::Entry(entry) => Some(entry),
                _ => None,
            }));
        }
    }

    /// What comes next, whatever it is: for readers that want to know where entries begin and end.
    /// A caller that stops polling before it is ready should not leave it so for long.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Failure>> {
        self.check_scope()?;
        let output = ready!(self.poll_output(cx));
        self.notice_restart(&output);
        Poll::Ready(output).map_ok(|output| match output {
            Output::Entry(entry) => Piece::Entry(entry),
            Output::Block(block) => Piece::Block(block),
            Output::EntryEnd(_) => Piece::EntryEnd,
            Output::End => Piece::End,
        })
    }

    /// Where the source begins anew, no entry has begun.
    fn notice_restart(&mut self, output: &Result<Output, Failure>) {
        if output.as_ref().is_err_and(|failure| failure.kind == FailureKind::Restarted) {
            self.scope = Scope::Source;
        }
    }

    pub(crate) fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Failure>> {
        let output = self.shared.poll_for_consumer(cx, |flight, cx| {
            let output = flight.poll_output(cx);
            if output.is_ready() {
                flight.transfer.pause(); // nothing is wanted until the consumer asks again
            }
            output
        });
        if output.is_ready() {
            // Room may have come free for the window to go on with.
            self.shared.wakers.window.wake();
        }
        output
    }
}

impl<F: Fetch, C: Clock> Drop for Delivery<F, C> {
    fn drop(&mut self) {
        if !self.is_settled {
            let _ = self.shared.lock().settle(Verdict::Dropped);
            self.shared.wakers.window.wake();
        }
    }
}

impl<F: Fetch, C: Clock> fmt::Debug for Delivery<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("index", &self.index).field("url", &self.public_url()).finish_non_exhaustive()
    }
}

/// While it lives, bytes are wanted; idle time counts no longer.
struct Wanting<'a, F: Fetch, C: Clock>(&'a mut Delivery<F, C>);

impl<F: Fetch, C: Clock> Drop for Wanting<'_, F, C> {
    fn drop(&mut self) {
        self.0.shared.lock().transfer.pause();
    }
}
