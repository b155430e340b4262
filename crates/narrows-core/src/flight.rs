//! A source in flight: its transfer, its reader, its memory, and what is owed for it.
//!
//! The window drives it until there is something to deliver; from then on the consumer does, and
//! the window too where bodies must be drained. Both may poll it, so whoever is to be woken is
//! noted in [`Wakers`], and the network wakes both.
//!
//! It is over when nothing more will come: then its exchange, its memory but for the blocks in the
//! consumer's hand, and its place in flight are given back. It has ended when the consumer says
//! what became of it, or drops it; only then is there a report.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
};

use futures_util::task::AtomicWaker;
use narrows_unpack::EntryEnd;

use crate::{
    budget::Reservation,
    clock::{Clock, Timestamp},
    failure::{Failure, FailureKind},
    fetch::Fetch,
    hosts::Permit,
    lease::Lease,
    options::{NotFound, Options, Order},
    reader::{Output, Reader},
    report::{Outcome, Proof, Report},
    slots::Slot,
    ticket::{Figures, Ticket},
    transfer::Transfer,
    working_set::WorkingSet,
};

pub(crate) struct Flight<F: Fetch, C: Clock> {
    pub(crate) ticket: Ticket,
    pub(crate) transfer: Transfer<F, C>,
    reader: Reader,
    pub(crate) lease: Lease,
    options: Arc<Options>,
    pub(crate) clock: C,
    /// Its place among those in flight; given back when it is over.
    slot: Option<Slot>,
    entries: u64,
    bytes_out: u64,
    /// It is to go back to the queue until then.
    evicted: Option<Timestamp>,
    /// Why nothing more will come, once that is so.
    over: Option<Over>,
}

/// Why nothing more will come.
#[derive(Clone)]
enum Over {
    /// Everything has come. It is done once the consumer has committed it.
    Proven(Proof),
    NotFound,
    Failed(Box<Failure>),
    Cancelled,
}

/// What the consumer says of a delivery it lets go of.
pub(crate) enum Verdict {
    /// It has committed what came.
    Committed,
    /// It wants no more.
    Dropped,
}

impl<F: Fetch, C: Clock> Flight<F, C> {
    pub(crate) fn new(
        mut ticket: Ticket,
        transfer: Transfer<F, C>,
        lease: Lease,
        options: Arc<Options>,
        clock: C,
        slot: Slot,
    ) -> Self {
        ticket.begin(clock.now());
        let (reader, slot) = (Reader::new(), Some(slot));
        let (entries, bytes_out, evicted, over) = (0, 0, None, None);
        Self { ticket, transfer, reader, lease, options, clock, slot, entries, bytes_out, evicted, over }
    }

    /// Ready when there is something to deliver: first bytes, an end, a failure. Or when it backs
    /// off: until the time given it holds nothing, and is in flight again once it is
    /// [resumed](Self::resume).
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Option<Timestamp>> {
        if self.over.is_some() {
            return Poll::Ready(None);
        }
        if let Some(until) = self.evicted.take() {
            self.transfer.restart();
            return self.park(until);
        }
        match self.transfer.poll_available(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(failure)) => self.fail(failure),
            // In the list's order the others wait for it, so it keeps what it has.
            Poll::Pending if self.options.order == Order::List => return Poll::Pending,
            Poll::Pending => {
                let Some(until) = self.transfer.idle_until() else { return Poll::Pending };
                self.transfer.park();
                return self.park(until);
            }
        }
        Poll::Ready(None)
    }

    /// Gives memory and places back.
    fn park(&mut self, until: Timestamp) -> Poll<Option<Timestamp>> {
        self.lease.suspend();
        self.ticket.park();
        self.slot = None;
        Poll::Ready(Some(until))
    }

    /// Lets it go back to the queue when it is polled next, without an attempt counted. Only for
    /// those that were not delivered.
    pub(crate) fn evict(&mut self, until: Timestamp) {
        if self.options.order == Order::Ready {
            self.evicted = Some(until);
        }
    }

    /// It is in flight again, with memory and places of its own.
    pub(crate) fn resume(&mut self, reservation: Reservation, set: WorkingSet, slot: Slot, permit: Permit) {
        self.ticket.begin(self.clock.now());
        self.lease.resume(reservation, set);
        self.transfer.resume(permit);
        self.slot = Some(slot);
    }

    /// Drives the network while the consumer is busy; ready when there is nothing left to drive.
    pub(crate) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.over.is_some() {
            return Poll::Ready(());
        }
        match self.transfer.poll_available(cx) {
            Poll::Ready(Err(failure)) => self.fail(failure),
            _ if self.transfer.is_over() => {}
            _ => return Poll::Pending,
        }
        Poll::Ready(())
    }

    /// The next thing for the consumer. After the end, the end again.
    pub(crate) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<Output, Failure>> {
        if self.over.is_some() {
            return Poll::Ready(self.failure().map_or(Ok(Output::End), Err));
        }
        let Self { reader, transfer, lease, options, clock, .. } = self;
        let output = match ready!(reader.poll_output(cx, transfer, lease, options, clock)) {
            Ok(output) => output,
            // The consumer's to mend: the source goes on.
            Err(failure) if matches!(failure.kind, FailureKind::BlocksHeld { .. }) => return Poll::Ready(Err(failure)),
            Err(failure) if failure.kind == FailureKind::Restarted => {
                (self.entries, self.bytes_out) = (0, 0);
                return Poll::Ready(Err(failure));
            }
            Err(failure) => {
                self.fail(failure);
                return self.poll_output(cx);
            }
        };
        match &output {
            Output::Block(block) => self.bytes_out += block.len() as u64,
            Output::EntryEnd(EntryEnd { .. }) => self.entries += 1,
            Output::Entry(_) => {}
            Output::End => {
                let proof = match self.transfer.proof() {
                    Proof::Expected => Proof::Expected,
                    _ if self.reader.tells_its_end() => Proof::Structure,
                    other => other,
                };
                self.end(Over::Proven(proof));
            }
        }
        Poll::Ready(Ok(output))
    }

    /// Ready when a block could be filled.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.over.is_some() {
            true => Poll::Ready(()),
            false => self.lease.poll_room(cx, self.reader.is_filling()),
        }
    }

    fn fail(&mut self, failure: Failure) {
        let skip = matches!(failure.kind, FailureKind::Status(404)) && self.options.not_found == NotFound::Skip;
        self.end(if skip { Over::NotFound } else { Over::Failed(Box::new(failure)) });
    }

    pub(crate) fn cancel(&mut self) {
        self.end(Over::Cancelled);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// What shows that everything has come, if it has.
    pub(crate) fn proof(&self) -> Option<Proof> {
        match self.over {
            Some(Over::Proven(proof)) => Some(proof),
            _ => None,
        }
    }

    /// The failure it is over with. To a reader, a cancelled source is no complete one.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self.over.as_ref()? {
            Over::Failed(failure) => Some((**failure).clone()),
            Over::Cancelled => Some(self.transfer.failure(FailureKind::Cancelled, None)),
            Over::Proven(_) | Over::NotFound => None,
        }
    }

    pub(crate) fn explain(&mut self, detail: &str) {
        if let Some(Over::Failed(failure)) = &mut self.over {
            failure.detail = Some(detail.into());
        }
    }

    /// Fails it for a reason on the consumer's side, also where everything has come; if it has
    /// failed before, that stands.
    pub(crate) fn refuse(&mut self, kind: FailureKind) -> Failure {
        if let Some(failure) = self.failure() {
            return failure;
        }
        let failure = self.transfer.failure(kind, None);
        let failed = Over::Failed(Box::new(failure.clone()));
        match &mut self.over {
            Some(over) => *over = failed,
            None => self.end(failed),
        }
        failure
    }

    /// Nothing more comes: no exchange, no memory but the blocks in the consumer's hand, no place
    /// in flight.
    fn end(&mut self, over: Over) {
        if self.over.is_some() {
            return;
        }
        self.over = Some(over);
        self.transfer.abort();
        self.reader.abort(&self.lease);
        self.lease.end();
        self.ticket.over(self.clock.now());
        self.slot = None;
    }

    /// Makes the report, once.
    pub(crate) fn settle(&mut self, verdict: Verdict) -> Option<Report> {
        self.cancel();
        let outcome = match (self.over.clone(), verdict) {
            (Some(Over::Proven(proof)), Verdict::Committed) => Outcome::Done(proof),
            (Some(Over::NotFound), _) => Outcome::Skipped,
            (Some(Over::Failed(failure)), _) => Outcome::Failed(failure),
            (Some(Over::Proven(_) | Over::Cancelled) | None, _) => Outcome::Cancelled,
        };
        let done = matches!(outcome, Outcome::Done(_));
        let figures = self.figures();
        let sha256 = figures.sha256.filter(|_| done);
        self.ticket.settle(outcome, Figures { sha256, ..figures })
    }

    /// Makes the report of a source that was had in another way, which ended as `second` says.
    pub(crate) fn settle_as(&mut self, second: Report) -> Option<Report> {
        self.cancel();
        let first = self.figures();
        let Report { outcome, status, attempts, requests, bytes_received, bytes_accepted, bytes_out, .. } = second;
        let figures = Figures {
            status: status.or(first.status),
            attempts: first.attempts.saturating_add(attempts),
            requests: first.requests.saturating_add(requests),
            bytes_received: first.bytes_received + bytes_received,
            bytes_accepted,
            bytes_out,
            entries: second.entries,
            sha256: second.sha256,
        };
        self.ticket.settle(outcome, figures)
    }

    fn figures(&self) -> Figures {
        Figures { bytes_out: self.bytes_out, entries: self.entries, ..self.transfer.figures() }
    }

    /// How many bytes are still to come out, where nothing is unpacked and the origin says so.
    pub(crate) fn declared_output(&self) -> Option<u64> {
        let as_they_come = self.options.unpack.is_none() && self.transfer.encoding().is_none();
        self.transfer.total().filter(|_| as_they_come).map(|total| total.saturating_sub(self.bytes_out))
    }
}

impl<F: Fetch, C: Clock> Drop for Flight<F, C> {
    fn drop(&mut self) {
        let _ = self.settle(Verdict::Dropped);
    }
}

/// A flight that the window and the consumer share.
pub(crate) struct Shared<F: Fetch, C: Clock> {
    flight: Arc<Mutex<Flight<F, C>>>,
    pub(crate) wakers: Arc<Wakers>,
}

impl<F: Fetch, C: Clock> Clone for Shared<F, C> {
    fn clone(&self) -> Self {
        Self { flight: self.flight.clone(), wakers: self.wakers.clone() }
    }
}

impl<F: Fetch, C: Clock> Shared<F, C> {
    pub(crate) fn new(flight: Flight<F, C>) -> Self {
        Self { flight: Arc::new(Mutex::new(flight)), wakers: Arc::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Flight<F, C>> {
        // Adapters' code runs under the lock; where it panicked, the flight is no worse than cut.
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it where it is, and wakes whoever waits for it.
    pub(crate) fn stop(&self) {
        self.lock().cancel();
        self.wakers.wake_by_ref();
    }

    /// Polls for the window.
    pub(crate) fn poll_for_window<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Flight<F, C>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.wakers.window.register(cx.waker());
        self.poll_with(poll)
    }

    /// Polls for the consumer.
    pub(crate) fn poll_for_consumer<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Flight<F, C>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.wakers.consumer.register(cx.waker());
        self.poll_with(poll)
    }

    fn poll_with<T>(&self, poll: impl FnOnce(&mut Flight<F, C>, &mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let both = Waker::from(self.wakers.clone());
        poll(&mut self.lock(), &mut Context::from_waker(&both))
    }
}

/// Who waits for a flight. One network event may concern both.
#[derive(Default)]
pub(crate) struct Wakers {
    pub(crate) window: AtomicWaker,
    pub(crate) consumer: AtomicWaker,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.window.wake();
        self.consumer.wake();
    }
}
