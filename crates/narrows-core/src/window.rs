//! The sliding window: pulls sources lazily, admits each once its worst case is reserved, and
//! delivers them as they become ready or in the list's order.
//!
//! It spawns nothing: all its work happens when it is polled, so dropping it ends it. Transfers
//! never wait for memory; the window does, before it admits the next one, and holds none then.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream;
use futures_util::stream::{self, FuturesUnordered};

use crate::{
    alarm::Alarm,
    budget::{Budget, Claim, Reservation},
    clock::{Clock, Timestamp},
    delivery::Delivery,
    fetch::Fetch,
    flight::{Flight, Shared},
    handle::Handle,
    hosts::Permit,
    lease::Lease,
    ledger::Ledger,
    lookahead::{LookAhead, Picked, Waiting},
    options::{Options, OptionsError, Order},
    ready::Ready,
    report::Observer,
    retry::RetryTokens,
    slots::Slots,
    source::{BadLine, Listed, Source},
    stall::StallWatch,
    stats::Stats,
    steer::Steer,
    ticket::Ticket,
    transfer::{Setup, Transfer},
    working_set::WorkingSet,
};

/// Downloads many sources, some at a time, within a budget. A [`Stream`] of [`Delivery`].
///
/// Deliveries belong to the consumer: they live on when the window is dropped, while everything
/// not yet delivered is aborted and cancelled. Each source that was pulled from the list ends
/// exactly once, and [observers](Self::observed_by) learn how.
///
/// Where windows share a budget, each keeps its place in the queue for memory: one that is kept
/// and no longer polled holds up the others. [`drive`](Self::drive) it, or drop it. Whoever waits
/// so for some seconds tells its observers ([`Observer::stalled`]).
///
/// ```
/// # use futures_util::{FutureExt, StreamExt};
/// use narrows_core::{Budget, Options, Report, Source, Window, testing::{MemoryFetch, SkippingClock}};
///
/// # async {
/// let fetch = MemoryFetch::new().with("mem://a", *b"first").with("mem://b", *b"second");
/// let budget = Budget::new(8 << 20); // bytes, from the socket to your hand
/// let sources = ["mem://a", "mem://b"].map(|url| Source::new(url).key(&url[6..]));
/// let mut window = Window::from_iter(sources, fetch, SkippingClock::new(), &budget, Options::new())?
///     .observed_by(|report: &Report| println!("{:?}: {}", report.key, report.outcome.name()));
/// while let Some(mut file) = window.next().await {
///     let bytes = file.collect(1 << 10).await?;
///     assert!(bytes.len() > 4);
///     drop(bytes);
///     file.finish();
/// }
/// assert_eq!(window.stats().done, 2);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
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
    /// What was pulled and may not begin yet, or backs off.
    look_ahead: LookAhead<F, C>,
    /// The next source to begin, waiting for memory: never more than one.
    admitting: Option<Admission<F, C>>,
    /// Wakes when a host may be asked again.
    alarm: Alarm<C>,
    steer: Steer<C>,
    /// Nothing more is pulled: the list has ended, or the window was cancelled.
    exhausted: bool,
    /// The list has ended; it must not be asked again.
    list_ended: bool,
    /// What was not delivered has been cancelled.
    is_cancelled: bool,
    flights: FuturesUnordered<InFlight<F, C>>,
    /// Admitted and not yet ready. `undelivered + ready.len() <= limit`, but for a lowered limit.
    undelivered: usize,
    ready: Ready<F, C>,
}

/// How long a transfer that was sent back to the queue waits there at least.
const EVICTED_FOR: Duration = Duration::from_secs(1);

/// A source that waits for memory.
struct Admission<F: Fetch, C: Clock> {
    waiting: Waiting<F, C>,
    permit: Permit,
    set: WorkingSet,
    claim: Claim,
    has_waited: bool,
    watch: StallWatch<C>,
}

// Nothing is pinned in place: flights are pinned inside `FuturesUnordered`.
impl<F: Fetch, C: Clock, S> Unpin for Window<F, C, S> {}

impl<F, C, I> Window<F, C, stream::Iter<I>>
where
    F: Fetch + Clone,
    C: Clock + Clone,
    I: Iterator,
    I::Item: Listed,
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
    S: Stream + Unpin,
    S::Item: Listed,
{
    /// A window over the sources of a stream, which is polled only as places come free.
    ///
    /// # Errors
    ///
    /// [`OptionsError`], among others if the budget is below one transfer's working set.
    pub fn new(sources: S, fetch: F, clock: C, budget: &Budget, options: Options) -> Result<Self, OptionsError> {
        options.check(fetch.profile(), budget)?;
        let ledger = Ledger::new(options.name.clone());
        ledger.register(budget);
        Ok(Self {
            sources,
            fetch,
            clock,
            budget: budget.clone(),
            slots: Slots::new(options.limit),
            tokens: RetryTokens::new(&options.retry),
            ready: Ready::new(options.order, ledger.clone()),
            ledger,
            next_index: 0,
            look_ahead: LookAhead::new(if options.order == Order::List { 1 } else { options.look_ahead }),
            admitting: None,
            alarm: Alarm::default(),
            steer: Steer::new(&options),
            exhausted: false,
            list_ended: false,
            is_cancelled: false,
            flights: FuturesUnordered::new(),
            undelivered: 0,
            options: Arc::new(options),
        })
    }

    /// Tells `observer` how sources end, from now on; several may be told.
    pub fn observed_by(mut self, observer: impl Observer + Send + Sync + 'static) -> Self {
        self.observe(observer);
        self
    }

    /// [`observed_by`](Self::observed_by) for a window in its place.
    pub fn observe(&mut self, observer: impl Observer + Send + Sync + 'static) {
        self.ledger.observe(Arc::new(observer));
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

    /// Pulls what is left of the list and ends each source as cancelled, for observers that must
    /// know of every source of a list. The window must have been cancelled or be at its end.
    ///
    /// Cancel-safe.
    pub async fn cancel_list(&mut self) {
        self.exhausted = true;
        self.admitting = None;
        self.look_ahead.clear();
        while !self.list_ended {
            match poll_fn(|cx| Pin::new(&mut self.sources).poll_next(cx)).await {
                Some(listed) => drop(self.pull(listed)),
                None => self.list_ended = true,
            }
        }
    }

    /// A source is pulled: from here on it owes a report.
    fn pull(&mut self, listed: S::Item) -> (Ticket, Option<BadLine>) {
        let (source, invalid) = match listed.listed() {
            Ok(source) => (source, None),
            Err(bad) => (Source { position: bad.position(), ..Source::new(bad.line()) }, Some(bad)),
        };
        let index = self.next_index;
        self.next_index += 1;
        (Ticket::new(index, source, self.ledger.clone()), invalid)
    }

    fn cancel(&mut self) {
        self.exhausted = true;
        self.admitting = None; // its ticket tells that it is cancelled
        self.look_ahead.clear();
        self.ready.iter().for_each(Delivery::stop);
        for flight in self.flights.iter().filter(|flight| !flight.delivered) {
            if let Some(shared) = &flight.shared {
                shared.stop();
            }
        }
    }

    /// Sends the youngest transfer that nobody has taken back to the queue, unless it is the last.
    fn evict(&mut self) {
        let undelivered = self.flights.iter().filter(|flight| !flight.delivered);
        let youngest =
            undelivered.filter_map(|flight| flight.shared.as_ref()).max_by_key(|shared| shared.lock().ticket.index);
        if let Some(youngest) = youngest.filter(|_| self.slots.taken() > 1) {
            youngest.lock().evict(self.clock.now() + EVICTED_FOR);
            youngest.wakers.window.wake();
        }
    }

    /// [`drive`](Self::drive) as a poll function.
    pub fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.slots.poll_cancelled(cx) && !std::mem::replace(&mut self.is_cancelled, true) {
            self.cancel();
        }
        let evicted = self.steer.poll(cx, &self.clock, &self.budget, &self.slots, &self.ledger);
        (0..evicted).for_each(|_| self.evict());
        let mut admitted = self.poll_admit(cx);
        loop {
            match Pin::new(&mut self.flights).poll_next(cx) {
                Poll::Ready(Some(Landed::Ready(index, shared))) => {
                    self.undelivered -= 1;
                    if !self.fetch.profile().holds_back {
                        self.flights.push(InFlight { shared: Some(shared.clone()), delivered: true });
                    }
                    self.ready.push(Delivery::new(shared, index));
                }
                Poll::Ready(Some(Landed::Parked(until, index, shared))) => {
                    self.undelivered -= 1;
                    let source = shared.lock().ticket.source.clone();
                    self.look_ahead.push(Waiting::Parked(index, shared, source), until);
                    admitted = self.poll_admit(cx); // its place is free
                }
                Poll::Ready(Some(Landed::Over)) => {}
                Poll::Ready(None) if admitted.is_ready() => return Poll::Ready(()),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Admits sources while there are places and memory; ready when the list is exhausted.
    fn poll_admit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The list has nothing more for now.
        let mut list_waits = false;
        loop {
            if self.admitting.is_some() {
                let reservation = ready!(self.poll_claim(cx));
                if let Some(Admission { waiting, mut permit, set, .. }) = self.admitting.take() {
                    // Its host may have been asked meanwhile, by another window.
                    match permit.grant(self.clock.now()) {
                        Ok(()) => self.admit(waiting, permit, set, reservation),
                        Err(until) => self.look_ahead.push(waiting, until),
                    }
                }
                continue;
            }
            // A failed one has left its place already, and is held until somebody takes it.
            let waiting = self.undelivered + self.ready.len();
            let is_full =
                !self.slots.is_free() || waiting >= self.slots.open() || !self.steer.admits(self.slots.taken());
            if is_full && !(self.exhausted && self.look_ahead.is_empty()) {
                return Poll::Pending;
            }
            let more = !self.exhausted && !list_waits && self.look_ahead.has_room();
            let (hosts, now) = (&self.options.hosts, self.clock.now());
            let until = match self.look_ahead.pick(hosts, now, more, cx) {
                Picked::Take(waiting, permit) => {
                    let set = self.options.working_set_of(self.fetch.profile(), waiting.source());
                    let waiting = *waiting;
                    let claim = match self.budget.claim(set.total()) {
                        Ok(claim) => claim,
                        Err(_) => unreachable!("the largest working set was checked against the budget"),
                    };
                    let watch = StallWatch::default();
                    self.admitting = Some(Admission { waiting, permit, set, claim, has_waited: false, watch });
                    continue;
                }
                Picked::LookOn => None,
                Picked::Wait(until) => until,
            };
            if more {
                list_waits = self.poll_pull(cx).is_pending();
                continue;
            }
            if self.exhausted && self.look_ahead.is_empty() {
                return Poll::Ready(());
            }
            match until {
                Some(until) => ready!(self.alarm.poll(&self.clock, cx, until)),
                None => return Poll::Pending,
            }
        }
    }

    /// Waits for the memory of what is being admitted.
    fn poll_claim(&mut self, cx: &mut Context<'_>) -> Poll<Reservation> {
        let Some(admission) = &mut self.admitting else { return Poll::Pending };
        if let Poll::Ready(reservation) = Pin::new(&mut admission.claim).poll(cx) {
            return Poll::Ready(reservation);
        }
        let needed = admission.claim.bytes();
        if !std::mem::replace(&mut admission.has_waited, true) {
            self.ledger.lock().stats.memory_waits += 1;
        }
        admission.watch.poll(cx, &self.clock, &self.budget, &self.ledger, needed);
        Poll::Pending
    }

    /// Pulls one source from the list.
    fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(Pin::new(&mut self.sources).poll_next(cx)) {
            Some(listed) => {
                let (ticket, invalid) = self.pull(listed);
                self.look_ahead.push(Waiting::Fresh(ticket, invalid), Timestamp::default());
            }
            None => (self.exhausted, self.list_ended) = (true, true),
        }
        Poll::Ready(())
    }

    fn admit(&mut self, waiting: Waiting<F, C>, permit: Permit, set: WorkingSet, reservation: Reservation) {
        self.undelivered += 1;
        self.steer.admitted();
        let (ticket, invalid) = match waiting {
            Waiting::Fresh(ticket, invalid) => (ticket, invalid),
            Waiting::Parked(_, shared, _) => {
                shared.lock().resume(reservation, set, self.slots.take(), permit);
                return self.flights.push(InFlight { shared: Some(shared), delivered: false });
            }
        };
        let Options { blocks, block_bytes, .. } = *self.options;
        let lease = Lease::new(ticket.index, reservation, set, blocks, block_bytes, self.ledger.clone());
        let setup = Setup {
            fetch: self.fetch.clone(),
            clock: self.clock.clone(),
            options: self.options.clone(),
            tokens: self.tokens.clone(),
            ledger: self.ledger.clone(),
            lease: lease.clone(),
            index: ticket.index,
            invalid,
            permit,
        };
        let transfer = Transfer::new(ticket.source.clone(), setup);
        let clock = self.clock.clone();
        let flight = Flight::new(ticket, transfer, lease, self.options.clone(), clock, self.slots.take());
        self.flights.push(InFlight { shared: Some(Shared::new(flight)), delivered: false });
    }
}

impl<F, C, S> Stream for Window<F, C, S>
where
    F: Fetch + Clone,
    C: Clock + Clone,
    S: Stream + Unpin,
    S::Item: Listed,
{
    type Item = Delivery<F, C>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let _ = self.poll_drive(cx);
        if let Some(delivery) = self.ready.pop() {
            return Poll::Ready(Some(delivery));
        }
        let is_admitted = self.exhausted && self.admitting.is_none() && self.look_ahead.is_empty();
        let over = is_admitted && self.undelivered == 0 && self.ready.len() == 0;
        if over { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// What a flight comes to for the window.
enum Landed<F: Fetch, C: Clock> {
    /// It is to be delivered.
    Ready(u64, Shared<F, C>),
    /// It backs off until then, and holds nothing.
    Parked(Timestamp, u64, Shared<F, C>),
    /// It was delivered before, and is over.
    Over,
}

/// One flight as the window polls it: until it is ready to deliver, then, if its body must be
/// drained, until it is over.
struct InFlight<F: Fetch, C: Clock> {
    shared: Option<Shared<F, C>>,
    delivered: bool,
}

impl<F: Fetch, C: Clock> Unpin for InFlight<F, C> {}

impl<F: Fetch, C: Clock> Future for InFlight<F, C> {
    type Output = Landed<F, C>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let delivered = self.delivered;
        let Some(shared) = &self.shared else { return Poll::Ready(Landed::Over) };
        if delivered {
            ready!(shared.poll_for_window(cx, Flight::poll_ahead));
            self.shared = None;
            return Poll::Ready(Landed::Over);
        }
        let parked = ready!(shared.poll_for_window(cx, Flight::poll_ready));
        // From here on events concern the consumer, or nobody.
        shared.wakers.window.take();
        let index = shared.lock().ticket.index;
        Poll::Ready(match (self.shared.take(), parked) {
            (Some(shared), Some(until)) => Landed::Parked(until, index, shared),
            (Some(shared), None) => Landed::Ready(index, shared),
            (None, _) => Landed::Over,
        })
    }
}

impl<F: Fetch, C: Clock, S> fmt::Debug for Window<F, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("options", &self.options)
            .field("pulled", &self.next_index)
            .finish_non_exhaustive()
    }
}
