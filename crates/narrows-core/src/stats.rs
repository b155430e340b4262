//! Counters of a window, readable at any time as one coherent snapshot.

use std::time::Duration;

/// What a transfer's bytes are reserved for.
///
/// ```
/// use narrows_core::stats::Phase;
///
/// assert_eq!(Phase::BackingOff.name(), "backing_off");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Waiting for an answer.
    Requesting,
    /// Receiving a body.
    Receiving,
    /// Everything asked for has come; the next segment waits until the consumer makes room.
    Waiting,
    /// Waiting to try again, or for its turn at a rate.
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

/// A window at one moment. `pulled` is always the sum of `queued`, `in_flight`, `uncommitted`,
/// `done`, `skipped`, `failed` and `cancelled`.
///
/// ```
/// # use futures_util::{FutureExt, StreamExt};
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # async {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"hello");
/// # let budget = Budget::new(8 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// let mut file = window.next().await.expect("one source");
/// let stats = window.stats();
/// assert_eq!((stats.pulled, stats.in_flight, stats.done), (1, 1, 0));
/// assert!(stats.reserved <= stats.capacity);
/// # file.next_block().await?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
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
    /// Sources pulled from the list.
    pub pulled: u64,
    /// Sources pulled that are not in flight: those looked ahead, those that wait for memory or for
    /// their host, those that back off.
    pub queued: u64,
    /// Transfers admitted and not over.
    pub in_flight: u64,
    /// Transfers that are over, whose consumer has yet to commit or to let go of them.
    pub uncommitted: u64,
    /// Most transfers that may be in flight now: the limit, or what a guard or the search for it leaves.
    pub limit: u64,
    /// Most transfers that were in flight at once.
    pub in_flight_peak: u64,
    /// Sources that had to wait for memory, though a place was free.
    pub memory_waits: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes received again or in vain.
    pub bytes_refetched: u64,
    /// Bytes handed to the consumer.
    pub bytes_out: u64,
    /// Requests made.
    pub requests: u64,
    /// Requests made after a failure.
    pub retries: u64,
    /// Requests that were refused with 429 or 503, or whose connection was.
    pub refusals: u64,
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
///
/// ```
/// # use futures_util::{FutureExt, StreamExt};
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # async {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"hello");
/// # let budget = Budget::new(8 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// let file = window.next().await.expect("one source");
/// let transfer = window.handle().transfers()[0];
/// assert_eq!((transfer.index, transfer.reserved), (0, budget.reserved()));
/// # drop(file);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TransferStats {
    /// Place of its source in the list, from 0.
    pub index: u64,
    /// What it is at.
    pub phase: Phase,
    /// Bytes of the budget it has reserved.
    pub reserved: u64,
}
