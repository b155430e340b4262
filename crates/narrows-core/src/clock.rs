//! Time, given as an argument.

use std::{ops::Add, time::Duration};

/// A point in time: since an epoch of its clock's own, monotonic.
///
/// Not `std::time::Instant`, which panics on wasm32-unknown-unknown and cannot be simulated.
///
/// ```
/// use std::time::Duration;
/// use narrows_core::clock::Timestamp;
///
/// let start = Timestamp::default();
/// assert_eq!((start + Duration::from_secs(3)).since(start), Duration::from_secs(3));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(pub Duration);

impl Timestamp {
    /// The time since `earlier`, zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// Tells the time and wakes at deadlines.
///
/// ```
/// use std::time::Duration;
/// use narrows_core::{Clock, testing::SkippingClock};
///
/// # futures_util::FutureExt::now_or_never(async {
/// let clock = SkippingClock::new();
/// clock.sleep_until(clock.now() + Duration::from_secs(60)).await; // over at once
/// assert_eq!(clock.now().0, Duration::from_secs(60));
/// # }).expect("nothing waits");
/// ```
pub trait Clock {
    /// Ready at or after its deadline. Dropping it cancels it.
    type Sleep: Future<Output = ()> + Unpin;

    /// The time now. Never less than it was.
    fn now(&self) -> Timestamp;

    /// A future that is ready once `deadline` has passed.
    fn sleep_until(&self, deadline: Timestamp) -> Self::Sleep;
}
