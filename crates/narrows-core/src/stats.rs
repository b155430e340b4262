//! Counters of a window, readable at any time as one coherent snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    budget::Budget,
    clock::Timestamp,
    report::{Outcome, Report},
};

/// What a transfer's bytes are reserved for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Waiting for an answer.
    Requesting,
    /// Receiving a body.
    Receiving,
    /// Everything asked for has come; the next segment waits until the consumer makes room.
    Waiting,
    /// Waiting to try again.
    BackingOff,
    /// Everything has come; the consumer has yet to take the rest or to drop what it holds.
    Received,
}

impl Phase {
    /// A stable word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requesting => "requesting",
            Self::Receiving => "receiving",
            Self::Waiting => "waiting",
            Self::BackingOff => "backing_off",
            Self::Received => "received",
        }
    }

    /// All of them, in the order of [`Stats::reserved_by_phase`].
    pub const ALL: [Self; 5] = [Self::Requesting, Self::Receiving, Self::Waiting, Self::BackingOff, Self::Received];
}

/// A window at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Bytes reserved of the budget now, by whoever shares it.
    pub reserved: u64,
    /// Most bytes of the budget that were ever reserved.
    pub reserved_peak: u64,
    /// The budget's capacity in bytes.
    pub capacity: u64,
    /// This window's reserved bytes by [`Phase`].
    pub reserved_by_phase: [u64; 5],
    /// This window's transfers by [`Phase`].
    pub transfers_by_phase: [u64; 5],
    /// Transfers admitted and not ended.
    pub in_flight: u64,
    /// Most transfers that may be in flight.
    pub limit: u64,
    /// Sources pulled from the list.
    pub admitted: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes received again or in vain.
    pub bytes_refetched: u64,
    /// Bytes handed to the consumer.
    pub bytes_out: u64,
    /// Exchanges begun.
    pub attempts: u64,
    /// Sources done.
    pub done: u64,
    /// Sources skipped.
    pub skipped: u64,
    /// Sources failed.
    pub failed: u64,
    /// Sources cancelled.
    pub cancelled: u64,
    /// Bytes of blocks in the consumer's hand.
    pub held: u64,
    /// How long the consumer has held its oldest block.
    pub held_for: Duration,
    /// How long the oldest transfer has been in flight.
    pub oldest: Duration,
}

/// A transfer at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TransferStats {
    /// Place of its source in the list, from 0.
    pub index: u64,
    /// What it is at.
    pub phase: Phase,
    /// Bytes of the budget it has reserved.
    pub reserved: u64,
}

/// The live counters behind [`Stats`], shared by a window and its transfers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Counters>>);

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) stats: Stats,
    /// When each transfer in flight began, with its index. At most the limit.
    started: BTreeSet<(Timestamp, u64)>,
    /// When each block in the consumer's hand was handed out, with a number of its own. At most
    /// as many as the budget has room for.
    handed: BTreeSet<(Timestamp, u64)>,
    next_block: u64,
    /// What each transfer with a reservation is at. At most as many as the budget has room for.
    transfers: BTreeMap<u64, (Phase, u64)>,
}

impl Ledger {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Counters> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Counters {
    pub(crate) fn began(&mut self, at: Timestamp, index: u64) {
        self.started.insert((at, index));
        self.stats.in_flight += 1;
        self.stats.admitted += 1;
    }

    pub(crate) fn ended(&mut self, at: Timestamp, report: &Report) {
        self.started.remove(&(at, report.index));
        let stats = &mut self.stats;
        stats.in_flight -= 1;
        match report.outcome {
            Outcome::Done(_) => stats.done += 1,
            Outcome::Skipped => stats.skipped += 1,
            Outcome::Failed(_) => stats.failed += 1,
            Outcome::Cancelled => stats.cancelled += 1,
        }
    }

    pub(crate) fn done_has_failed(&mut self) {
        self.stats.done -= 1;
        self.stats.failed += 1;
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
