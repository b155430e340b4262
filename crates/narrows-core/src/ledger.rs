//! What a window and its transfers count together, and whom they tell.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt, mem,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, PoisonError},
    time::Duration,
};

use crate::{
    budget::{Budget, User},
    clock::Timestamp,
    guard::Steering,
    report::{Holder, Observer, Outcome, Report, Stall},
    stats::{Phase, Stats, TransferStats},
    sync::{Mutex, MutexGuard},
};

/// What a window and its transfers count together. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    counters: Mutex<Counters>,
    outbox: Mutex<Outbox>,
}

/// What is to be told, and to whom. Observers are called with nothing locked here, for they may end
/// other sources of the window: what that comes to is told by whoever is telling already.
#[derive(Default)]
struct Outbox {
    observers: Vec<Arc<dyn Observer + Send + Sync>>,
    reports: VecDeque<Report>,
    is_telling: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) stats: Stats,
    /// When each transfer in flight began, with its index. At most the limit.
    started: BTreeSet<(Timestamp, u64)>,
    /// When each block in the consumer's hand was handed out, with a number of its own. At most
    /// as many as the budget has room for.
    handed: BTreeSet<(Timestamp, u64)>,
    next_block: u64,
    /// Sources that are ready and that the consumer has not taken.
    pub(crate) ready: u64,
    /// What each transfer with a reservation is at. At most as many as the budget has room for.
    transfers: BTreeMap<u64, (Phase, u64)>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("name", &self.name).field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Ledger {
    pub(crate) fn new(name: Arc<str>) -> Self {
        let (counters, outbox) = (Mutex::new(Counters::default()), Mutex::new(Outbox::default()));
        Self(Arc::new(Inner { name, counters, outbox }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Counters> {
        // No code that can panic runs under the lock.
        self.0.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn observe(&self, observer: Arc<dyn Observer + Send + Sync>) {
        self.outbox().observers.push(observer);
    }

    /// Tells of an end: each observer once, one report at a time, in the order they were made.
    pub(crate) fn tell_ended(&self, report: Report) {
        {
            let mut outbox = self.outbox();
            outbox.reports.push_back(report);
            if mem::replace(&mut outbox.is_telling, true) {
                return; // on another thread, or further up on this one
            }
        }
        loop {
            let (report, observers) = {
                let mut outbox = self.outbox();
                let Some(report) = outbox.reports.pop_front() else {
                    outbox.is_telling = false;
                    return;
                };
                (report, outbox.observers.clone())
            };
            for observer in observers {
                // One that panics keeps no other from learning of it. Its panic has been shown, and
                // goes no further: this may run while another one unwinds.
                let _ = panic::catch_unwind(AssertUnwindSafe(|| observer.ended(&report)));
            }
        }
    }

    /// Tells that the window waits for memory while nothing moves.
    pub(crate) fn tell_stalled(&self, needed: u64, waited: Duration, budget: &Budget) {
        let own = Arc::as_ptr(&self.0).cast::<()>();
        let others = budget.users(own);
        let stall = Stall {
            waiting: self.0.name.clone(),
            needed,
            reserved: budget.reserved(),
            capacity: budget.capacity(),
            waited,
            holders: others,
        };
        let observers = self.outbox().observers.clone();
        observers.iter().for_each(|observer| observer.stalled(&stall));
    }

    /// Tells that the window has become smaller or larger.
    pub(crate) fn tell_steered(&self, steering: &Steering) {
        let observers = self.outbox().observers.clone();
        observers.iter().for_each(|observer| observer.steered(steering));
    }

    /// Makes the window known to those it shares `budget` with.
    pub(crate) fn register(&self, budget: &Budget) {
        let user: Arc<dyn User> = self.0.clone();
        budget.register(Arc::downgrade(&user));
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // No code that can panic runs under the lock.
        self.0.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self, now: Timestamp, budget: &Budget, limit: usize) -> Stats {
        let counters = self.lock();
        let age = |set: &BTreeSet<(Timestamp, u64)>| set.first().map_or(Duration::ZERO, |(at, _)| now.since(*at));
        Stats {
            reserved: budget.reserved(),
            reserved_peak: budget.peak(),
            capacity: budget.capacity(),
            limit: limit as u64,
            held_for: age(&counters.handed),
            oldest: age(&counters.started),
            ..counters.stats.clone()
        }
    }

    pub(crate) fn transfers(&self) -> Vec<TransferStats> {
        let counters = self.lock();
        let transfers = counters.transfers.iter();
        transfers.map(|(&index, &(phase, reserved))| TransferStats { index, phase, reserved }).collect()
    }
}

impl User for Inner {
    fn holds(&self) -> Holder {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let stats = &counters.stats;
        Holder {
            name: self.name.clone(),
            reserved: stats.reserved_by_phase.iter().sum(),
            ready: counters.ready,
            waits: stats.queued > 0,
        }
    }
}

impl Counters {
    /// A source was pulled from the list.
    pub(crate) fn pulled(&mut self) {
        self.stats.pulled += 1;
        self.stats.queued += 1;
    }

    /// A source that was queued is in flight.
    pub(crate) fn began(&mut self, at: Timestamp, index: u64) {
        self.started.insert((at, index));
        self.stats.queued -= 1;
        self.stats.in_flight += 1;
        self.stats.in_flight_peak = self.stats.in_flight_peak.max(self.stats.in_flight);
    }

    /// A source waits to be in flight again.
    pub(crate) fn parked(&mut self, at: Timestamp, index: u64) {
        self.started.remove(&(at, index));
        self.stats.in_flight -= 1;
        self.stats.queued += 1;
    }

    /// A source is no longer in flight; what becomes of it is the consumer's to say.
    pub(crate) fn over(&mut self, at: Timestamp, index: u64) {
        self.started.remove(&(at, index));
        self.stats.in_flight -= 1;
        self.stats.uncommitted += 1;
    }

    /// A source has ended, having been begun or not.
    pub(crate) fn ended(&mut self, outcome: &Outcome, was_begun: bool) {
        let stats = &mut self.stats;
        match was_begun {
            true => stats.uncommitted -= 1,
            false => stats.queued -= 1,
        }
        match outcome {
            Outcome::Done(_) => stats.done += 1,
            Outcome::Skipped => stats.skipped += 1,
            Outcome::Failed(_) => stats.failed += 1,
            Outcome::Cancelled => stats.cancelled += 1,
        }
    }

    /// Notes a block in the consumer's hand and gives it a number.
    pub(crate) fn hand(&mut self, at: Timestamp, bytes: u64) -> u64 {
        self.next_block += 1;
        self.handed.insert((at, self.next_block));
        self.stats.held += bytes;
        self.next_block
    }

    pub(crate) fn take_back(&mut self, at: Timestamp, number: u64, bytes: u64) {
        self.handed.remove(&(at, number));
        self.stats.held -= bytes;
    }

    pub(crate) fn move_phase(&mut self, index: u64, from: Option<(Phase, u64)>, to: Option<(Phase, u64)>) {
        match to {
            Some(now) => drop(self.transfers.insert(index, now)),
            None => drop(self.transfers.remove(&index)),
        }
        if let Some((phase, bytes)) = from {
            self.stats.reserved_by_phase[phase as usize] -= bytes;
            self.stats.transfers_by_phase[phase as usize] -= 1;
        }
        if let Some((phase, bytes)) = to {
            self.stats.reserved_by_phase[phase as usize] += bytes;
            self.stats.transfers_by_phase[phase as usize] += 1;
        }
    }
}
