//! Rates: so many requests or bytes a second, in bursts of a stated size.
//!
//! [`Gcra`] is the generic cell rate algorithm (ITU-T I.371): instead of a bucket of tokens that a
//! timer fills, one time is kept, that at which the next unit would be due if all came evenly. It
//! needs no timer, knows fractions of a unit, and loses none when it is asked often.

use std::time::Duration;

use crate::clock::Timestamp;

/// So many units a second: requests, or bytes.
///
/// ```
/// use narrows_core::rate::Rate;
///
/// let polite = Rate::new(0.5).burst(2); // one in two seconds, two at once after a pause
/// assert_eq!((polite.per_second, polite.burst), (0.5, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rate {
    /// Units a second. At least one in 11 days: what is less, or no number, counts as that.
    pub per_second: f64,
    /// Units that may pass at once after a pause. Default 1.
    pub burst: u32,
}

/// The slowest rate, in units a second.
const SLOWEST: f64 = 1e-6;

impl Rate {
    /// So many units a second, evenly.
    pub fn new(per_second: f64) -> Self {
        Self { per_second, burst: 1 }
    }

    crate::setters! {
        per_second: [f64],
        burst: [u32],
    }

    /// Time that `units` take, in nanoseconds.
    fn nanos(&self, units: f64) -> f64 {
        units * 1e9 / self.per_second.max(SLOWEST)
    }
}

/// When the next unit may pass at a [`Rate`]. The rate comes with every call, for it may change.
///
/// ```
/// use std::time::Duration;
/// use narrows_core::{Timestamp, rate::{Gcra, Rate}};
///
/// let (mut gcra, rate, start) = (Gcra::default(), Rate::new(4.0).burst(2), Timestamp::default());
/// gcra.take(rate, start, 1);
/// assert_eq!(gcra.ready_at(rate), start, "a second one at once");
/// gcra.take(rate, start, 1);
/// assert_eq!(gcra.ready_at(rate), start + Duration::from_millis(250));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Gcra {
    /// When the next unit is due if all come evenly: the "theoretical arrival time".
    due: Timestamp,
    /// What `due` lacks to be exact, in nanoseconds: `0.0 <= rest && rest < 1.0`.
    rest: f64,
    /// When something was taken last.
    taken: Timestamp,
}

impl Gcra {
    /// The time from which a unit may pass; it may lie in the past.
    pub fn ready_at(&self, rate: Rate) -> Timestamp {
        let tolerance = rate.nanos(f64::from(rate.burst.max(1) - 1));
        Timestamp(self.due.0.saturating_sub(Duration::from_nanos(tolerance as u64)))
    }

    /// What was taken last, at `taken`, was refused: the next is due by what was taken before it, at
    /// `before`. Nothing changes if others were taken since.
    pub(crate) fn refund(&mut self, rate: Rate, taken: Timestamp, before: Timestamp) {
        if self.taken == taken && before < taken {
            (self.due, self.rest) = (before + Duration::from_nanos(rate.nanos(1.0) as u64), 0.0);
        }
    }

    /// Whether nothing is left of what passed before: it is as good as new.
    pub fn has_rested(&self, now: Timestamp) -> bool {
        self.due <= now
    }

    /// Counts `units` that pass now. More than are due may: what comes next waits the longer.
    pub fn take(&mut self, rate: Rate, now: Timestamp, units: u64) {
        if now > self.due {
            (self.due, self.rest) = (now, 0.0);
        }
        self.taken = now;
        let nanos = rate.nanos(units as f64) + self.rest;
        let whole = nanos.floor();
        self.rest = nanos - whole;
        self.due = self.due + Duration::from_nanos(whole as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;

    fn at(millis: u64) -> Timestamp {
        Timestamp(Duration::from_millis(millis))
    }

    #[test]
    fn no_unit_is_lost_or_doubled_however_often_it_is_asked() {
        let mut prng = Prng::new(1);
        for per_second in [0.3, 1.0, 7.0, 999.5, 12_345.0] {
            let rate = Rate::new(per_second).burst(3);
            let (mut gcra, mut now, mut passed) = (Gcra::default(), Timestamp::default(), 0u64);
            while passed < 1000 {
                // Asked at odd times, and always taken when it is due.
                let ready = gcra.ready_at(rate);
                if ready <= now {
                    gcra.take(rate, now, 1);
                    passed += 1;
                } else {
                    let some = Duration::from_nanos(prng.below(ready.since(now).as_nanos() as u64) + 1);
                    now = now + some;
                }
            }
            let exact = (1000.0 - 3.0) / per_second;
            let error = (now.0.as_secs_f64() - exact).abs() / exact;
            assert!(error < 1e-6, "{per_second}/s: {} s for what takes {exact}", now.0.as_secs_f64());
        }
    }

    #[test]
    fn a_pause_saves_no_more_than_the_burst() {
        let (mut gcra, rate) = (Gcra::default(), Rate::new(10.0).burst(5));
        let now = at(3_600_000);
        let mut passed = 0;
        while gcra.ready_at(rate) <= now {
            gcra.take(rate, now, 1);
            passed += 1;
        }
        assert_eq!(passed, 5);
        assert_eq!(gcra.ready_at(rate), now + Duration::from_millis(100));
    }

    #[test]
    fn bytes_that_have_come_already_are_waited_for_afterwards() {
        let (mut gcra, rate) = (Gcra::default(), Rate::new(1000.0));
        gcra.take(rate, at(0), 5000);
        assert_eq!(gcra.ready_at(rate), at(5000));
    }

    #[test]
    fn no_rate_is_too_odd() {
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut gcra = Gcra::default();
            gcra.take(Rate::new(odd).burst(0), at(0), u64::MAX);
            assert!(gcra.ready_at(Rate::new(odd)) >= at(0));
        }
    }
}
