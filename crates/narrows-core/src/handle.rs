//! Watching and steering a window from elsewhere.

use crate::{
    budget::Budget,
    clock::Clock,
    ledger::Ledger,
    slots::Slots,
    stats::{Stats, TransferStats},
};

/// Watches and steers a window from elsewhere.
///
/// ```
/// # use futures_util::{FutureExt, StreamExt};
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # async {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"hello");
/// # let budget = Budget::new(8 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// let handle = window.handle();
/// handle.set_limit(50);
/// assert_eq!(handle.stats().limit, 50);
/// handle.cancel();
/// assert!(window.next().await.is_none(), "nothing had been begun");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
#[derive(Clone, Debug)]
pub struct Handle<C> {
    pub(crate) slots: Slots,
    pub(crate) ledger: Ledger,
    pub(crate) budget: Budget,
    pub(crate) clock: C,
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
        self.ledger.snapshot(self.clock.now(), &self.budget, self.slots.open())
    }
}
