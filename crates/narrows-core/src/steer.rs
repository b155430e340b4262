//! What steers a window while it runs: the guard of memory, and the search for the limit.

use std::{sync::Arc, task::Context, time::Duration};

use crate::{
    alarm::Alarm,
    budget::Budget,
    clock::{Clock, Timestamp},
    guard::{Advice, Advise, most},
    ledger::Ledger,
    options::Options,
    plateau::Plateau,
    slots::Slots,
};

/// How often the search for the limit looks.
const EVERY: Duration = Duration::from_millis(50);

pub(crate) struct Steer<C: Clock> {
    guard: Option<Arc<dyn Advise>>,
    plateau: Option<Plateau>,
    advice: Option<Advice>,
    /// Of the advice, what has been followed.
    exceptions: u64,
    evictions: u64,
    /// The limit that was seen last, and when it is to be looked again.
    limit: usize,
    due: Timestamp,
    alarm: Alarm<C>,
    next_look: Timestamp,
}

impl<C: Clock> Steer<C> {
    pub(crate) fn new(options: &Options) -> Self {
        let plateau = options.adapts_limit.then(|| Plateau::new(options.limit));
        let (guard, limit, alarm) = (options.guard.clone(), options.limit, Alarm::default());
        let (due, next_look) = (Timestamp::default(), Timestamp::default());
        Self { guard, plateau, advice: None, exceptions: 0, evictions: 0, limit, due, alarm, next_look }
    }

    /// Follows what has changed, and wakes the task when it is to look again. Gives how many
    /// transfers are to go back to the queue.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        clock: &C,
        budget: &Budget,
        slots: &Slots,
        ledger: &Ledger,
    ) -> u64 {
        if self.guard.is_none() && self.plateau.is_none() {
            return 0;
        }
        // Twice at most: a clock whose sleeps are over at once is looked at again later.
        for _ in 0..2 {
            let is_early = self.alarm.poll(clock, cx, self.due).is_pending();
            if is_early && self.limit == slots.limit() {
                break;
            }
            self.limit = slots.limit();
            self.due = self.look(clock.now(), budget, slots, ledger);
        }
        let evictions = self.advice.map_or(0, |advice| advice.evictions);
        evictions - std::mem::replace(&mut self.evictions, evictions)
    }

    fn look(&mut self, now: Timestamp, budget: &Budget, slots: &Slots, ledger: &Ledger) -> Timestamp {
        let mut limit = self.limit;
        let mut next = Timestamp(Duration::MAX);
        if let Some(plateau) = &mut self.plateau {
            if now >= self.next_look {
                self.next_look = now + EVERY;
                let (bytes, requests, in_flight) = {
                    let stats = &ledger.lock().stats;
                    (stats.bytes_in, stats.requests, stats.in_flight as usize)
                };
                plateau.observe(now, bytes, requests, in_flight);
            }
            next = next.min(self.next_look);
            limit = limit.min(plateau.limit());
        }
        if let Some(guard) = &self.guard {
            let (advice, due, steering) = guard.tick(now, budget.reserved(), limit);
            if self.advice.is_none() {
                // What was advised before this window is none of its own.
                (self.exceptions, self.evictions) = (advice.exceptions, advice.evictions);
            }
            // A target that others have set stays as it is while reality asks for none.
            let before = self.advice.replace(advice).map_or(1.0, |advice| advice.ratio);
            if advice.ratio != before {
                budget.set_target((budget.capacity() as f64 / advice.ratio) as u64);
            }
            limit = most(advice.share, limit);
            next = next.min(due);
            if let Some(steering) = steering {
                ledger.tell_steered(&steering);
            }
        }
        slots.set_cap(limit);
        next
    }

    /// Whether one more may be begun where so many are in flight: one always may.
    pub(crate) fn admits(&self, in_flight: usize) -> bool {
        self.advice.is_none_or(|advice| advice.admits || in_flight == 0 || advice.exceptions > self.exceptions)
    }

    /// One has been begun.
    pub(crate) fn admitted(&mut self) {
        if let Some(advice) = self.advice.filter(|advice| !advice.admits) {
            self.exceptions = advice.exceptions;
        }
    }
}
