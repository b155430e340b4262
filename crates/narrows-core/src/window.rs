//! The sliding window: pulls sources lazily, admits each once its worst case is reserved, and
//! delivers them as they become ready or in the list's order.
//!
//! It spawns nothing: all its work happens when it is polled, so dropping it ends it. Transfers
//! never wait for memory; the window does, before it admits the next one, and holds none then.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use futures_util::stream::{self, FuturesUnordered};

use crate::{
    budget::{Budget, Claim},
    clock::Clock,
    delivery::Delivery,
    fetch::Fetch,
    flight::{Flight, Shared, Slots},
    lease::Lease,
    options::{Options, OptionsError, Order},
    report::Outcome,
    retry::RetryTokens,
    source::Source,
    stats::{Ledger, Stats, TransferStats},
    transfer::{Setup, Transfer},
};

/// Downloads many sources, some at a time, within a budget. A [`Stream`] of [`Delivery`].
///
/// Deliveries belong to the consumer: they live on when the window is dropped, while everything
/// not yet delivered is aborted and counted as cancelled.
///
/// Where windows share a budget, each keeps its place in the queue for memory: one that is kept
/// and no longer polled holds up the others. [`drive`](Self::drive) it, or drop it.
#[must_use = "a window does nothing unless it is polled"]
pub struct Window<F: Fetch, C: Clock, S> {
    sources: S,
    fetch: F,
    clock: C,
    budget: Budget,
    options: Arc<Options>,
    slots: Slots,
    tokens: RetryTokens,
    ledger: Ledger,
    next_index: u64,
    /// The next source, waiting for memory: never more than one is pulled ahead.
    admitting: Option<(Source, Claim)>,
    exhausted: bool,
    /// The source that was waiting for memory when the window was cancelled.
    not_begun: Option<Source>,
    flights: FuturesUnordered<InFlight<F, C>>,
    /// Admitted and not yet ready. `undelivered + ready.len() <= limit`, but for a lowered limit.
    undelivered: usize,
    ready: Ready<F, C>,
}

/// What is ready and not yet taken; unless it has failed, it holds its reservation and its place
/// in flight.
enum Ready<F: Fetch, C: Clock> {
    Queue(VecDeque<Delivery<F, C>>),
    /// By index; `next` is the one to deliver.
    Ordered {
        waiting: BTreeMap<u64, Delivery<F, C>>,
        next: u64,
    },
}

impl<F: Fetch, C: Clock> Ready<F, C> {
    fn push(&mut self, delivery: Delivery<F, C>) {
        match self {
            Self::Queue(queue) => queue.push_back(delivery),
            Self::Ordered { waiting, .. } => drop(waiting.insert(delivery.index(), delivery)),
        }
    }

    fn pop(&mut self) -> Option<Delivery<F, C>> {
        match self {
            Self::Queue(queue) => queue.pop_front(),
            Self::Ordered { waiting, next } => {
                let delivery = waiting.remove(next)?;
                *next += 1;
                Some(delivery)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Queue(queue) => queue.len(),
            Self::Ordered { waiting, .. } => waiting.len(),
        }
    }
}

// Nothing is pinned in place: flights are pinned inside `FuturesUnordered`.
impl<F: Fetch, C: Clock, S> Unpin for Window<F, C, S> {}

impl<F, C, I> Window<F, C, stream::Iter<I>>
where
    F: Fetch + Clone,
    C: Clock + Clone,
    I: Iterator<Item = Source>,
{
    /// A window over the sources of an iterator, which is advanced only as places come free.
    ///
    /// # Errors
    ///
    /// [`OptionsError`], among others if the budget is below one transfer's working set.
    pub fn from_iter(
        sources: impl IntoIterator<IntoIter = I>,
        fetch: F,
        clock: C,
        budget: &Budget,
        options: Options,
    ) -> Result<Self, OptionsError> {
        Self::new(stream::iter(sources), fetch, clock, budget, options)
    }
}

impl<F, C, S> Window<F, C, S>
where
    F: Fetch + Clone,
    C: Clock + Clone,
    S: Stream<Item = Source> + Unpin,
{
    /// A window over the sources of a stream, which is polled only as places come free.
    ///
    /// # Errors
    ///
    /// [`OptionsError`], among others if the budget is below one transfer's working set.
    pub fn new(sources: S, fetch: F, clock: C, budget: &Budget, options: Options) -> Result<Self, OptionsError> {
        options.check(fetch.profile(), budget)?;
        let ready = match options.order {
            Order::Ready => Ready::Queue(VecDeque::new()),
            Order::List => Ready::Ordered { waiting: BTreeMap::new(), next: 0 },
        };
        Ok(Self {
            sources,
            fetch,
            clock,
            budget: budget.clone(),
            slots: Slots::new(options.limit),
            tokens: RetryTokens::new(&options.retry),
            ledger: Ledger::default(),
            next_index: 0,
            admitting: None,
            exhausted: false,
            not_begun: None,
            flights: FuturesUnordered::new(),
            undelivered: 0,
            ready,
            options: Arc::new(options),
        })
    }

    /// A handle to watch and steer the window from elsewhere.
    pub fn handle(&self) -> Handle<C> {
        let (slots, ledger) = (self.slots.clone(), self.ledger.clone());
        Handle { slots, ledger, budget: self.budget.clone(), clock: self.clock.clone() }
    }

    /// Most transfers that may be in flight.
    pub fn limit(&self) -> usize {
        self.slots.limit()
    }

    /// The source that had been pulled from the list and not begun when the window was cancelled:
    /// the next in line, ahead of what is left of the list.
    pub fn take_not_begun(&mut self) -> Option<Source> {
        self.not_begun.take()
    }

    /// A snapshot of its counters.
    pub fn stats(&self) -> Stats {
        self.handle().stats()
    }

    /// Goes on with downloads and delivers nothing; ready when everything is done but to take
    /// deliveries. Poll it beside slow work on a delivery:
    /// `select(work, window.drive())`.
    ///
    /// Cancel-safe.
    pub async fn drive(&mut self) {
        poll_fn(|cx| self.poll_drive(cx)).await;
    }

    fn cancel(&mut self) {
        self.exhausted = true;
        if let Some((source, _)) = self.admitting.take() {
            self.not_begun = Some(source); // this runs at every poll from here on
        }
        for flight in self.flights.iter().filter(|flight| !flight.delivered) {
            if let Some(shared) = &flight.shared {
                shared.lock().end(Outcome::Cancelled);
                shared.wakers.window.wake();
            }
        }
    }

    /// [`drive`](Self::drive) as a poll function.
    pub fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.slots.poll_cancelled(cx) && !(self.exhausted && self.admitting.is_none() && self.flights.is_empty()) {
            self.cancel();
        }
        let admitted = self.poll_admit(cx);
        loop {
            match Pin::new(&mut self.flights).poll_next(cx) {
                Poll::Ready(Some(Some(delivery))) => {
                    self.undelivered -= 1;
                    if !self.fetch.profile().holds_back {
                        self.flights.push(InFlight { shared: Some(delivery.1.clone()), delivered: true });
                    }
                    self.ready.push(Delivery::new(delivery.1, delivery.0));
                }
                Poll::Ready(Some(None)) => {} // a delivered one is over
                Poll::Ready(None) if admitted.is_ready() => return Poll::Ready(()),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Admits sources while there are places and memory; ready when the list is exhausted.
    fn poll_admit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some((_, claim)) = &mut self.admitting else {
                if self.exhausted {
                    return Poll::Ready(());
                }
                // A failed one has left its place already, and is held until somebody takes it.
                let waiting = self.undelivered + self.ready.len();
                if !self.slots.is_free() || waiting >= self.slots.limit() {
                    return Poll::Pending;
                }
                let Some(source) = ready!(Pin::new(&mut self.sources).poll_next(cx)) else {
                    self.exhausted = true;
                    continue;
                };
                let needed = self.options.working_set_of(self.fetch.profile(), &source).total();
                match self.budget.claim(needed) {
                    Ok(claim) => self.admitting = Some((source, claim)),
                    Err(_) => unreachable!("the largest working set was checked against the budget"),
                }
                continue;
            };
            let reservation = ready!(claim.poll(cx));
            if let Some((source, _)) = self.admitting.take() {
                let lease = Lease::new(
                    self.next_index,
                    reservation,
                    self.options.blocks,
                    self.options.block_bytes,
                    self.options.collect_max,
                    self.ledger.clone(),
                );
                self.admit(source, lease);
            }
        }
    }

    fn admit(&mut self, source: Source, lease: Lease) {
        let index = self.next_index;
        self.next_index += 1;
        let setup = Setup {
            fetch: self.fetch.clone(),
            clock: self.clock.clone(),
            options: self.options.clone(),
            tokens: self.tokens.clone(),
            ledger: self.ledger.clone(),
            lease: lease.clone(),
            index,
        };
        let transfer = Transfer::new(source, setup);
        let (clock, ledger) = (self.clock.clone(), self.ledger.clone());
        let flight = Flight::new(index, transfer, lease, self.options.clone(), clock, ledger, self.slots.take());
        self.flights.push(InFlight { shared: Some(Shared::new(flight)), delivered: false });
        self.undelivered += 1;
    }
}

impl<F, C, S> Stream for Window<F, C, S>
where
    F: Fetch + Clone,
    C: Clock + Clone,
    S: Stream<Item = Source> + Unpin,
{
    type Item = Delivery<F, C>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let _ = self.poll_drive(cx);
        if let Some(delivery) = self.ready.pop() {
            return Poll::Ready(Some(delivery));
        }
        let over = self.exhausted && self.admitting.is_none() && self.undelivered == 0 && self.ready.len() == 0;
        if over { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// One flight as the window polls it: until it is ready to deliver, then, if its body must be
/// drained, until it is over.
struct InFlight<F: Fetch, C: Clock> {
    shared: Option<Shared<F, C>>,
    delivered: bool,
}

impl<F: Fetch, C: Clock> Unpin for InFlight<F, C> {}

impl<F: Fetch, C: Clock> Future for InFlight<F, C> {
    /// What is to be delivered, with its index; nothing if it was delivered before.
    type Output = Option<(u64, Shared<F, C>)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let delivered = self.delivered;
        let Some(shared) = &self.shared else { return Poll::Ready(None) };
        if delivered {
            ready!(shared.poll_for_window(cx, Flight::poll_ahead));
            self.shared = None;
            return Poll::Ready(None);
        }
        ready!(shared.poll_for_window(cx, Flight::poll_ready));
        // From here on events concern the consumer.
        shared.wakers.window.take();
        let index = shared.lock().index;
        Poll::Ready(self.shared.take().map(|shared| (index, shared)))
    }
}

/// Watches and steers a window from elsewhere.
#[derive(Clone)]
pub struct Handle<C> {
    slots: Slots,
    ledger: Ledger,
    budget: Budget,
    clock: C,
}

impl<C: Clock> Handle<C> {
    /// Changes how many transfers may be in flight, at least 1. A lower limit lets those in
    /// flight finish.
    pub fn set_limit(&self, limit: usize) {
        self.slots.set_limit(limit);
    }

    /// Ends the window early and in order: nothing more is pulled from the list; what is in flight
    /// and not yet delivered is cancelled, and delivered so for its report.
    pub fn cancel(&self) {
        self.slots.cancel();
    }

    /// What each transfer is at, in the list's order: those in flight, and those that have ended
    /// while their consumer still holds blocks.
    pub fn transfers(&self) -> Vec<TransferStats> {
        self.ledger.transfers()
    }

    /// A snapshot of the window's counters.
    pub fn stats(&self) -> Stats {
        self.ledger.snapshot(self.clock.now(), &self.budget, self.slots.limit())
    }
}
