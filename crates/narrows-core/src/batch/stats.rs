//! A buffer at one moment.

use std::{fmt, time::Duration};

use super::breaker::Breaker;

/// A buffer at one moment. `accepted` is always the sum of `items`, `delivered`, `abandoned`,
/// `fallback` and what was evicted.
///
/// ```
/// use narrows_core::batch::BatchStats;
///
/// assert_eq!(
///     BatchStats::default().to_string(),
///     "buffer health: size=0/0, utilization=0.0%, max_age=0.0s, failed_batches=0"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BatchStats {
    /// Items held, those in flight included.
    pub items: u64,
    /// Items there may be.
    pub items_max: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes there may be.
    pub bytes_max: u64,
    /// Bytes reserved of the budget.
    pub reserved: u64,
    /// Items in batches that are in flight.
    pub in_flight: u64,
    /// Pushes that wait for room.
    pub waiting: u64,
    /// Mean time the items have been held.
    pub mean_age: Duration,
    /// Longest time one of them has been held.
    pub max_age: Duration,
    /// Items pushed, those evicted at once included.
    pub accepted: u64,
    /// Items delivered.
    pub delivered: u64,
    /// Items abandoned.
    pub abandoned: u64,
    /// Items evicted for the bound on items.
    pub evicted_items: u64,
    /// Items evicted for a bound on bytes.
    pub evicted_bytes: u64,
    /// Items evicted for their age.
    pub evicted_age: u64,
    /// Items that ended as fallbacks.
    pub fallback: u64,
    /// Times that items went out in batches.
    pub attempts: u64,
    /// Times that items came back to be tried again.
    pub retried: u64,
    /// Batches that were not wholly delivered.
    pub failed_batches: u64,
    /// Whether the destination is asked.
    pub breaker: Breaker,
}

impl BatchStats {
    /// The fuller of items and bytes, from 0 to 1.
    pub fn utilisation(&self) -> f64 {
        let part = |of: u64, all: u64| if all == 0 { 0.0 } else { of as f64 / all as f64 };
        part(self.items, self.items_max).max(part(self.bytes, self.bytes_max))
    }

    /// Items evicted, whatever the bound.
    pub fn evicted(&self) -> u64 {
        self.evicted_items + self.evicted_bytes + self.evicted_age
    }
}

/// One line for logs.
impl fmt::Display for BatchStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { items, items_max, max_age, failed_batches, .. } = self;
        // Tenths, by whole numbers: printing fractions would be a large part of a small module.
        let percent = (self.utilisation() * 1000.0).round() as u64;
        let age = max_age.saturating_add(Duration::from_millis(50)).as_millis() / 100;
        write!(f, "buffer health: size={items}/{items_max}, utilization={}.{}%, ", percent / 10, percent % 10)?;
        write!(f, "max_age={}.{}s, failed_batches={failed_batches}", age / 10, age % 10)
    }
}
