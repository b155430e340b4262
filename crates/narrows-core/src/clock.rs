//! Time, given as an argument.

use std::{ops::Add, time::Duration};

/// A point in time: since an epoch of its clock's own, monotonic.
///
/// Not `std::time::Instant`, which panics on wasm32-unknown-unknown and cannot be simulated.
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
pub trait Clock {
    /// Ready at or after its deadline. Dropping it cancels it.
    type Sleep: Future<Output = ()> + Unpin;

    /// The time now. Never less than it was.
    fn now(&self) -> Timestamp;

    /// A future that is ready once `deadline` has passed.
    fn sleep_until(&self, deadline: Timestamp) -> Self::Sleep;
}
