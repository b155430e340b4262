//! Noticing that a window waits for memory that nobody gives back.
//!
//! Two windows on one budget can wait for each other without a bug of ours: a consumer that reads
//! one stream inside the loop of another, whose files hold all there is. Nothing can be taken from
//! them, so nothing goes on; but it is told, by name, after some seconds in which nothing moved.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    budget::Budget,
    clock::{Clock, Timestamp},
    ledger::Ledger,
};

/// How long nothing moves before it is told.
const STALL_AFTER: Duration = Duration::from_secs(5);

/// Watches one wait for memory.
pub(crate) struct StallWatch<C: Clock> {
    watched: Option<Watched<C>>,
    is_told: bool,
}

struct Watched<C: Clock> {
    since: Timestamp,
    /// Of the budget, when the timer was set.
    moves: u64,
    sleep: C::Sleep,
}

impl<C: Clock> Default for StallWatch<C> {
    fn default() -> Self {
        Self { watched: None, is_told: false }
    }
}

impl<C: Clock> StallWatch<C> {
    /// The claim is not granted yet.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, clock: &C, budget: &Budget, ledger: &Ledger, needed: u64) {
        // Who holds something has a consumer that may take its time: that is no stall but the
        // way a budget works.
        let holds = {
            let counters = ledger.lock();
            let stats = &counters.stats;
            stats.in_flight + stats.uncommitted + stats.held > 0
        };
        if self.is_told || holds {
            self.watched = None;
            return;
        }
        let now = clock.now();
        let watched = self.watched.get_or_insert_with(|| Watched {
            since: now,
            moves: budget.moves(),
            sleep: clock.sleep_until(now + STALL_AFTER),
        });
        if Pin::new(&mut watched.sleep).poll(cx) == Poll::Pending {
            return;
        }
        let (now, moves) = (clock.now(), budget.moves());
        if moves == watched.moves {
            self.is_told = true;
            let waited = now.since(watched.since);
            self.watched = None;
            return ledger.tell_stalled(needed, waited, budget);
        }
        watched.moves = moves;
        watched.sleep = clock.sleep_until(now + STALL_AFTER);
        // It registers the waker; a clock whose sleeps are over at once is asked again later.
        let _ = Pin::new(&mut watched.sleep).poll(cx);
    }
}
