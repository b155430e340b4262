//! What is held, in which order it goes, and where each item ends. Decisions only: time comes in.
//!
//! An item is in one place at any time: ready, waiting to be tried again, or in flight. Everything
//! known of it is in the item, so nothing is left of one that has ended. Ends are put into an outbox,
//! for observers are called with nothing locked.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};

use super::{
    breaker::Circuit,
    item::{Bound, End, Ended, Item},
    options::{BatchOptions, Overflow},
    stats::BatchStats,
};
use crate::{budget::Reservation, clock::Timestamp, prng::Prng, retry::backoff};

/// An item in the buffer, or in flight.
#[derive(Debug)]
pub(super) struct Held<T> {
    pub(super) value: T,
    pub(super) number: u64,
    pub(super) attempts: u32,
    bytes: u64,
    pushed: Timestamp,
    born: Timestamp,
    /// Where it stands among others: when it was pushed, earlier by its priority; all of them later
    /// by the same time, so that none lies before the beginning.
    rank: Timestamp,
    /// Where it waits to be tried again: until when.
    not_before: Option<Timestamp>,
}

/// What the consumer says of an item of a batch.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Ended(End),
    /// To be tried again; it counts as an attempt.
    Again(std::borrow::Cow<'static, str>),
    /// To be tried again: the destination was not there, which is not held against the item.
    NotThere,
}

pub(super) struct Buffer<T> {
    pub(super) options: BatchOptions,
    /// `reservation.bytes() == max(options.item_bytes_max, bytes)`.
    reservation: Reservation,
    waiting: BTreeMap<u64, Held<T>>,
    /// Those that may go now, in the order in which they go.
    ready: BTreeSet<(Timestamp, u64)>,
    ready_bytes: u64,
    /// Those that are to be tried again.
    delayed: BTreeSet<(Timestamp, u64)>,
    /// When each item that is held was pushed, those in flight included.
    ages: BTreeSet<(Timestamp, u64)>,
    /// Sum of these times, in nanoseconds.
    pushed_sum: u128,
    /// Of all that is held, those in flight included.
    bytes: u64,
    in_flight: u64,
    batches_in_flight: usize,
    pub(super) circuit: Circuit,
    prng: Prng,
    next_number: u64,
    next_sweep: Timestamp,
    /// A batch is due, whatever there is.
    pub(super) is_due: bool,
    pub(super) is_closed: bool,
    /// Pushes that wait: a batch is due for want of room.
    pub(super) pushers: u64,
    counts: BatchStats,
    outbox: Vec<Ended<T>>,
}

impl<T> Buffer<T> {
    pub(super) fn new(options: BatchOptions, reservation: Reservation, now: Timestamp) -> Self {
        Self {
            circuit: Circuit::new(options.breaker_after, options.breaker_for),
            prng: Prng::new(options.seed),
            next_sweep: now + options.sweep_every,
            options,
            reservation,
            waiting: BTreeMap::new(),
            ready: BTreeSet::new(),
            ready_bytes: 0,
            delayed: BTreeSet::new(),
            ages: BTreeSet::new(),
            pushed_sum: 0,
            bytes: 0,
            in_flight: 0,
            batches_in_flight: 0,
            next_number: 0,
            is_due: false,
            is_closed: false,
            pushers: 0,
            counts: BatchStats::default(),
            outbox: Vec::new(),
        }
    }

    /// Puts an item in, or gives it back if it has to wait for room.
    pub(super) fn offer(&mut self, now: Timestamp, item: Item<T>) -> Result<u64, Item<T>> {
        if item.bytes > self.options.item_bytes_max {
            return Ok(self.refuse(item, Bound::ItemBytes));
        }
        while let Some(bound) = self.full(item.bytes) {
            match self.options.overflow {
                Overflow::Wait => return Err(item),
                Overflow::DropNewest => return Ok(self.refuse(item, bound)),
                Overflow::DropOldest => match self.oldest_waiting() {
                    Some(oldest) => self.evict(now, oldest, bound),
                    // All that is held is in flight.
                    None => return Ok(self.refuse(item, bound)),
                },
            }
        }
        let number = self.accept();
        let worth = self.options.priority_worth;
        let earlier = worth.saturating_mul(item.priority.unsigned_abs());
        let shifted = now.0.saturating_add(worth.saturating_mul(1 << 31));
        let rank = if item.priority < 0 { shifted.saturating_add(earlier) } else { shifted.saturating_sub(earlier) };
        let held = Held {
            value: item.value,
            number,
            attempts: 0,
            bytes: item.bytes,
            pushed: now,
            born: item.born.unwrap_or(now),
            rank: Timestamp(rank),
            not_before: None,
        };
        self.bytes += held.bytes;
        self.ages.insert((now, number));
        self.pushed_sum += now.0.as_nanos();
        self.wait(held);
        self.check();
        Ok(number)
    }

    fn accept(&mut self) -> u64 {
        self.counts.accepted += 1;
        self.next_number += 1;
        self.next_number - 1
    }

    /// The bound that one more item would break. Room in the budget is taken.
    fn full(&mut self, bytes: u64) -> Option<Bound> {
        let after = self.bytes + bytes;
        if self.ages.len() >= self.options.items_max {
            return Some(Bound::Items);
        }
        let more = after.saturating_sub(self.reservation.bytes());
        (after > self.options.bytes_max || !self.reservation.try_grow(more)).then_some(Bound::Bytes)
    }

    fn oldest_waiting(&self) -> Option<u64> {
        self.ages.iter().map(|(_, number)| *number).find(|number| self.waiting.contains_key(number))
    }

    /// An item ends before it was ever held.
    fn refuse(&mut self, item: Item<T>, bound: Bound) -> u64 {
        let number = self.accept();
        let end = End::Evicted(bound);
        self.count(&end);
        self.outbox.push(Ended { value: item.value, number, end, attempts: 0, held_for: Duration::ZERO });
        number
    }

    fn evict(&mut self, now: Timestamp, number: u64, bound: Bound) {
        if let Some(held) = self.unwait(number) {
            self.end(now, held, End::Evicted(bound));
        }
    }

    fn wait(&mut self, held: Held<T>) {
        match held.not_before {
            Some(until) => self.delayed.insert((until, held.number)),
            None => {
                self.ready_bytes += held.bytes;
                self.ready.insert((held.rank, held.number))
            }
        };
        self.waiting.insert(held.number, held);
    }

    fn unwait(&mut self, number: u64) -> Option<Held<T>> {
        let held = self.waiting.remove(&number)?;
        match held.not_before {
            Some(until) => self.delayed.remove(&(until, number)),
            None => {
                self.ready_bytes -= held.bytes;
                self.ready.remove(&(held.rank, number))
            }
        };
        Some(held)
    }

    /// Takes an item's one end.
    fn end(&mut self, now: Timestamp, held: Held<T>, end: End) {
        self.bytes -= held.bytes;
        self.ages.remove(&(held.pushed, held.number));
        self.pushed_sum -= held.pushed.0.as_nanos();
        self.count(&end);
        let held_for = now.since(held.pushed);
        let Held { value, number, attempts, .. } = held;
        self.outbox.push(Ended { value, number, end, attempts, held_for });
        self.reservation.shrink_to(self.bytes.max(self.options.item_bytes_max));
    }

    fn count(&mut self, end: &End) {
        *match end {
            End::Delivered => &mut self.counts.delivered,
            End::Abandoned(_) => &mut self.counts.abandoned,
            End::Fallback(_) => &mut self.counts.fallback,
            End::Evicted(Bound::Items) => &mut self.counts.evicted_items,
            End::Evicted(Bound::Bytes | Bound::ItemBytes) => &mut self.counts.evicted_bytes,
            End::Evicted(Bound::Age) => &mut self.counts.evicted_age,
        } += 1;
    }

    /// Ends what has been held for too long or is stale, and lets those be tried again whose time
    /// has come. What is in flight is judged when it comes back.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        while let Some(&(until, number)) = self.delayed.first().filter(|(until, _)| *until <= now) {
            self.delayed.remove(&(until, number));
            if let Some(held) = self.waiting.get_mut(&number) {
                held.not_before = None;
                self.ready_bytes += held.bytes;
                self.ready.insert((held.rank, number));
            }
        }
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + self.options.sweep_every;
        let over: Vec<u64> =
            self.waiting.values().filter(|held| self.is_over(now, held).is_some()).map(|held| held.number).collect();
        for number in over {
            if let Some(held) = self.unwait(number)
                && let Some(end) = self.is_over(now, &held)
            {
                self.end(now, held, end);
            }
        }
        self.check();
    }

    fn is_over(&self, now: Timestamp, held: &Held<T>) -> Option<End> {
        if now.since(held.pushed) > self.options.age_max {
            return Some(End::Evicted(Bound::Age));
        }
        (now.since(held.born) > self.options.stale_after).then(|| End::Fallback("stale".into()))
    }

    /// The next batch, if one is due; if not, when to ask again.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<Vec<Held<T>>, Option<Timestamp>> {
        self.sweep(now);
        let next_sweep = (!self.waiting.is_empty()).then_some(self.next_sweep);
        if self.batches_in_flight >= self.options.in_flight_max {
            return Err(next_sweep);
        }
        if let Err(until) = self.circuit.admits(now) {
            return Err(earlier(until, next_sweep));
        }
        if let Some(until) = self.not_due(now) {
            let retry = self.delayed.first().map(|(until, _)| *until);
            return Err(earlier(earlier(until, retry), next_sweep));
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < self.options.batch_items {
            let Some(&(_, number)) = self.ready.first() else { break };
            let Some(held) = self.waiting.get(&number) else { break };
            if let Some(end) = self.is_over(now, held) {
                if let Some(held) = self.unwait(number) {
                    self.end(now, held, end);
                }
                continue;
            }
            if !batch.is_empty() && bytes + held.bytes > self.options.batch_bytes {
                break;
            }
            bytes += held.bytes;
            batch.extend(self.unwait(number));
        }
        if self.ready.is_empty() {
            self.is_due = false;
        }
        if batch.is_empty() {
            return self.take(now); // all that was ready has ended
        }
        self.in_flight += batch.len() as u64;
        self.batches_in_flight += 1;
        self.counts.attempts += batch.len() as u64;
        self.circuit.begin();
        batch.iter_mut().for_each(|held| held.attempts += 1);
        self.check();
        Ok(batch)
    }

    /// Where no batch is due: when one will be, if time alone can make it so.
    fn not_due(&self, now: Timestamp) -> Option<Option<Timestamp>> {
        if self.ready.is_empty() {
            return Some(None);
        }
        let nearly = |of: u64, all: u64| of >= all - all / 20;
        let is_full = self.pushers > 0
            || nearly(self.ages.len() as u64, self.options.items_max as u64)
            || nearly(self.bytes, self.options.bytes_max);
        if self.is_due
            || self.is_closed
            || is_full
            || self.ready.len() >= self.options.batch_items
            || self.ready_bytes >= self.options.batch_bytes
        {
            return None;
        }
        let is_ready = |number| self.waiting.get(number).is_some_and(|held| held.not_before.is_none());
        let oldest = self.ages.iter().find(|(_, number)| is_ready(number)).map(|(pushed, _)| *pushed);
        let due = oldest? + self.options.flush_after;
        (due > now).then_some(Some(due))
    }

    /// A batch comes back, each item with what is to become of it. `asked` is when the destination
    /// wants to be asked again.
    pub(super) fn settle(
        &mut self,
        now: Timestamp,
        batch: impl IntoIterator<Item = (Held<T>, Verdict)>,
        asked: Option<Duration>,
    ) {
        // Of those not delivered, some were refused by a destination that is well.
        let (mut delivered, mut ended, mut again) = (0u64, 0u64, 0u64);
        for (mut held, verdict) in batch {
            self.in_flight -= 1;
            match verdict {
                Verdict::Ended(end) => {
                    match end {
                        End::Delivered => delivered += 1,
                        _ => ended += 1,
                    }
                    self.end(now, held, end);
                }
                Verdict::NotThere => {
                    again += 1;
                    held.attempts -= 1;
                    self.again(now, held);
                }
                Verdict::Again(reason) if held.attempts >= self.options.attempts_max => {
                    again += 1;
                    self.end(now, held, End::Abandoned(reason));
                }
                Verdict::Again(_) => {
                    again += 1;
                    let BatchOptions { backoff_min, backoff_max, .. } = self.options;
                    held.not_before = Some(now + backoff(held.attempts, backoff_min, backoff_max, &mut self.prng));
                    self.again(now, held);
                }
            }
        }
        self.batches_in_flight -= 1;
        match delivered + ended > 0 || again == 0 {
            true => self.circuit.succeeded(),
            false => self.circuit.failed(now, asked),
        }
        self.counts.failed_batches += u64::from(ended + again > 0);
        self.check();
    }

    fn again(&mut self, now: Timestamp, held: Held<T>) {
        match self.is_over(now, &held) {
            Some(end) => self.end(now, held, end),
            None => {
                self.counts.retried += 1;
                self.wait(held);
            }
        }
    }

    /// Ends everything that waits: the buffer itself is at its end.
    pub(super) fn abandon_all(&mut self, now: Timestamp) {
        let numbers: Vec<u64> = self.waiting.keys().copied().collect();
        for number in numbers {
            if let Some(held) = self.unwait(number) {
                self.end(now, held, End::Abandoned("the buffer was dropped".into()));
            }
        }
    }

    /// Whether nothing is left and nothing will come.
    pub(super) fn is_over_for_good(&self) -> bool {
        self.is_closed && self.ages.is_empty()
    }

    /// Whether something has ended that is still to be told.
    pub(super) fn has_ended(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// What has ended and is to be told.
    pub(super) fn outbox(&mut self) -> Vec<Ended<T>> {
        mem::take(&mut self.outbox)
    }

    pub(super) fn stats(&self, now: Timestamp) -> BatchStats {
        let items = self.ages.len() as u64;
        let sum = u128::from(items) * now.0.as_nanos() - self.pushed_sum;
        let mean = u64::try_from(sum / u128::from(items.max(1))).unwrap_or(u64::MAX);
        BatchStats {
            items,
            items_max: self.options.items_max as u64,
            bytes: self.bytes,
            bytes_max: self.options.bytes_max,
            reserved: self.reservation.bytes(),
            in_flight: self.in_flight,
            waiting: self.pushers,
            mean_age: Duration::from_nanos(mean),
            max_age: self.ages.first().map_or(Duration::ZERO, |(pushed, _)| now.since(*pushed)),
            breaker: self.circuit.state(now),
            ..self.counts.clone()
        }
    }

    /// In release, too: what is lost here would never be found.
    fn check(&self) {
        let stats = &self.counts;
        let ended = stats.delivered + stats.abandoned + stats.fallback + stats.evicted();
        assert_eq!(stats.accepted, ended + self.ages.len() as u64, "an item was lost or counted twice");
        assert_eq!(self.ages.len(), self.waiting.len() + self.in_flight as usize, "an item is in two places or none");
        assert_eq!(self.waiting.len(), self.ready.len() + self.delayed.len(), "an item waits twice or never goes");
        assert!(self.bytes <= self.reservation.bytes(), "more bytes held than reserved");
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
