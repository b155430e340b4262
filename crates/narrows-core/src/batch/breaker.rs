//! Leaving a destination alone that is down.
//!
//! ```text
//!   closed --- failures in a row ---> open --- its time is over ---> half-open
//!     ^                                 ^                              |     |
//!     +---------------- success --------|------------------------------+     |
//!                                       +------------- failure --------------+
//! ```

use std::time::Duration;

use crate::{clock::Timestamp, retry::doubled};

/// Whether a destination is asked.
///
/// ```
/// assert_eq!(narrows_core::batch::Breaker::HalfOpen.name(), "half_open");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Breaker {
    /// It is.
    #[default]
    Closed,
    /// It is left alone for a time.
    Open,
    /// One batch tries whether it has recovered.
    HalfOpen,
}

impl Breaker {
    /// A stable word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// At most so many times the first time alone.
const TIMES_MAX: u32 = 16;

#[derive(Debug)]
pub(super) struct Circuit {
    after: u32,
    first: Duration,
    /// Failures in a row.
    failures: u32,
    /// How often it was opened in a row, and until when.
    opened: u32,
    until: Option<Timestamp>,
    is_probing: bool,
}

impl Circuit {
    pub(super) fn new(after: u32, first: Duration) -> Self {
        Self { after: after.max(1), first, failures: 0, opened: 0, until: None, is_probing: false }
    }

    pub(super) fn state(&self, now: Timestamp) -> Breaker {
        match self.until {
            None => Breaker::Closed,
            Some(until) if now < until => Breaker::Open,
            Some(_) => Breaker::HalfOpen,
        }
    }

    /// Whether a batch may go, and if not, when to ask again. Open for a probe, none beside it.
    pub(super) fn admits(&self, now: Timestamp) -> Result<(), Option<Timestamp>> {
        match self.until {
            None => Ok(()),
            Some(until) if now < until => Err(Some(until)),
            Some(_) if self.is_probing => Err(None),
            Some(_) => Ok(()),
        }
    }

    /// A batch goes.
    pub(super) fn begin(&mut self) {
        self.is_probing = self.until.is_some();
    }

    /// A batch was taken.
    pub(super) fn succeeded(&mut self) {
        *self = Self::new(self.after, self.first);
    }

    /// A batch was not taken. With `after`, the destination says when to come back.
    pub(super) fn failed(&mut self, now: Timestamp, after: Option<Duration>) {
        self.failures += 1;
        let was_probe = std::mem::replace(&mut self.is_probing, false);
        if was_probe || self.failures >= self.after || after.is_some() {
            let alone = doubled(self.first, self.opened, self.first.saturating_mul(TIMES_MAX));
            self.opened += 1;
            self.failures = 0;
            let alone = alone.max(after.unwrap_or_default());
            self.until = self.until.max(Some(now + alone));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(Duration::from_secs(seconds))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_one_success() {
        let mut circuit = Circuit::new(2, Duration::from_secs(1));
        circuit.failed(at(0), None);
        circuit.succeeded();
        circuit.failed(at(0), None);
        assert_eq!(circuit.state(at(0)), Breaker::Closed);
        circuit.failed(at(0), None);
        assert_eq!((circuit.state(at(0)), circuit.admits(at(0))), (Breaker::Open, Err(Some(at(1)))));
        assert_eq!((circuit.state(at(1)), circuit.admits(at(1))), (Breaker::HalfOpen, Ok(())));
        circuit.begin();
        assert_eq!(circuit.admits(at(1)), Err(None), "one probe at a time");
        circuit.failed(at(1), None);
        assert_eq!(circuit.admits(at(1)), Err(Some(at(3))), "twice as long");
        circuit.begin();
        circuit.succeeded();
        assert_eq!(circuit.state(at(3)), Breaker::Closed);
    }

    #[test]
    fn it_never_stays_open() {
        let mut circuit = Circuit::new(1, Duration::from_secs(1));
        let mut now = at(0);
        for _ in 0..100 {
            circuit.failed(now, None);
            let Err(Some(until)) = circuit.admits(now) else { panic!("{circuit:?}") };
            assert!(until.since(now) <= Duration::from_secs(u64::from(TIMES_MAX)));
            now = until;
            assert_eq!(circuit.admits(now), Ok(()));
            circuit.begin();
        }
    }

    #[test]
    fn what_the_destination_asks_for_is_kept() {
        let mut circuit = Circuit::new(9, Duration::from_secs(1));
        circuit.failed(at(0), Some(Duration::from_secs(300)));
        assert_eq!(circuit.admits(at(299)), Err(Some(at(300))));
    }
}
