//! A source in flight: its transfer, its reader, its memory, and in the end its report.
//!
//! The window drives it until there is something to deliver; from then on the consumer does, and
//! the window too where bodies must be drained. Both may poll it, so whoever is to be woken is
//! noted in [`Wakers`], and the network wakes both.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
};

use futures_util::task::AtomicWaker;
use narrows_unpack::EntryEnd;

use crate::{
    clock::{Clock, Timestamp},
    failure::{Failure, FailureKind},
    fetch::Fetch,
    lease::Lease,
    options::{NotFound, Options},
    reader::{Output, Reader},
    report::{Outcome, Proof, Report},
    stats::Ledger,
    transfer::Transfer,
};

pub(crate) struct Flight<F: Fetch, C: Clock> {
    pub(crate) index: u64,
    pub(crate) transfer: Transfer<F, C>,
    reader: Reader,
    pub(crate) lease: Lease,
    options: Arc<Options>,
    pub(crate) clock: C,
    ledger: Ledger,
    /// Its place among those in flight; given back when it ends.
    slot: Option<Slot>,
    started: Timestamp,
    entries: u64,
    bytes_out: u64,
    /// How it ended, once it has.
    report: Option<Report>,
}

impl<F: Fetch, C: Clock> Flight<F, C> {
    pub(crate) fn new(
        index: u64,
        transfer: Transfer<F, C>,
        lease: Lease,
        options: Arc<Options>,
        clock: C,
        ledger: Ledger,
        slot: Slot,
    ) -> Self {
        let started = clock.now();
        ledger.lock().began(started, index);
        let (reader, slot) = (Reader::new(), Some(slot));
        let (entries, bytes_out, report) = (0, 0, None);
        Self { index, transfer, reader, lease, options, clock, ledger, slot, started, entries, bytes_out, report }
    }

    /// Ready when there is something to deliver: first bytes, an end, a failure.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.report.is_none()
            && let Err(failure) = ready!(self.transfer.poll_available(cx))
        {
            self.fail(failure);
        }
        Poll::Ready(())
    }

    /// Drives the network while the consumer is busy; ready when there is nothing left to drive.
    pub(crate) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.report.is_some() {
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
        if self.report.is_some() {
            return Poll::Ready(self.ending().map_or(Ok(Output::End), Err));
        }
        let Self { reader, transfer, lease, options, clock, .. } = self;
        let output = match ready!(reader.poll_output(cx, transfer, lease, options, clock)) {
            Ok(output) => output,
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
                self.end(Outcome::Done(proof));
            }
        }
        Poll::Ready(Ok(output))
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        let skip = matches!(failure.kind, FailureKind::Status(404)) && self.options.not_found == NotFound::Skip;
        self.end(if skip { Outcome::Skipped } else { Outcome::Failed(Box::new(failure)) });
    }

    /// The failure it has ended in. To a reader, a cancelled source is no complete one.
    pub(crate) fn ending(&self) -> Option<Failure> {
        match &self.report.as_ref()?.outcome {
            Outcome::Failed(failure) => Some((**failure).clone()),
            Outcome::Cancelled => Some(self.transfer.failure(FailureKind::Cancelled, None)),
            Outcome::Done(_) | Outcome::Skipped => None,
        }
    }

    /// Ends it as failed for a reason on the consumer's side; if it has failed before, that stands.
    pub(crate) fn refuse(&mut self, kind: FailureKind) -> Failure {
        if let Some(failure) = self.ending() {
            return failure;
        }
        let failure = self.transfer.failure(kind, None);
        self.fail(failure.clone());
        failure
    }

    /// As [`refuse`](Self::refuse), and what came whole has failed all the same: it could not be
    /// kept.
    pub(crate) fn refuse_done(&mut self, kind: FailureKind) {
        let failure = Box::new(self.refuse(kind));
        if let Some(report) = &mut self.report
            && matches!(report.outcome, Outcome::Done(_))
        {
            report.outcome = Outcome::Failed(failure);
            self.ledger.lock().done_has_failed();
        }
    }

    /// Ends it: no exchange, no memory but the blocks in the consumer's hand, no place in flight.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if self.report.is_some() {
            return;
        }
        let done = matches!(outcome, Outcome::Done(_));
        let report = Report {
            index: self.index,
            url: self.transfer.source().url.clone(),
            outcome,
            status: self.transfer.status,
            attempts: self.transfer.attempts(),
            bytes_received: self.transfer.bytes_in,
            bytes_out: self.bytes_out,
            entries: self.entries,
            sha256: self.transfer.sha256().filter(|_| done),
            elapsed: self.clock.now().since(self.started),
        };
        self.transfer.abort();
        self.reader.abort(&self.lease);
        self.lease.end();
        self.ledger.lock().ended(self.started, &report);
        self.report = Some(report);
        self.slot = None;
    }

    /// How many bytes will come out, where nothing is unpacked and the origin says so.
    pub(crate) fn declared_output(&self) -> Option<u64> {
        let as_they_come = self.options.unpack.is_none() && self.transfer.encoding().is_none();
        self.transfer.total().filter(|_| as_they_come)
    }

    pub(crate) fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }
}

impl<F: Fetch, C: Clock> Drop for Flight<F, C> {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
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

/// How many may be in flight, and how many are.
#[derive(Clone)]
pub(crate) struct Slots(Arc<Mutex<SlotState>>);

struct SlotState {
    limit: usize,
    taken: usize,
    /// Whether no more are to be taken.
    cancelled: bool,
    /// The window, whatever it waits for.
    window: Option<Waker>,
}

/// A place in flight, given back by drop.
pub(crate) struct Slot(Slots);

impl Slots {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(SlotState { limit, taken: 0, cancelled: false, window: None })))
    }

    pub(crate) fn limit(&self) -> usize {
        self.state().limit
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.state().limit = limit.max(1);
        self.wake();
    }

    pub(crate) fn cancel(&self) {
        self.state().cancelled = true;
        self.wake();
    }

    /// Whether the window is to end; if not, its task is woken when that changes, or a place
    /// comes free.
    pub(crate) fn poll_cancelled(&self, cx: &mut Context<'_>) -> bool {
        let mut state = self.state();
        match &mut state.window {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        state.cancelled
    }

    pub(crate) fn is_free(&self) -> bool {
        let state = self.state();
        state.taken < state.limit
    }

    pub(crate) fn take(&self) -> Slot {
        self.state().taken += 1;
        Slot(self.clone())
    }

    fn wake(&self) {
        let window = self.state().window.take();
        window.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.state().taken -= 1;
        self.0.wake();
    }
}
