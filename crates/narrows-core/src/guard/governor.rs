//! What is to be done at which level: decisions on given numbers.

use std::time::Duration;

use super::level::Level;
use crate::clock::Timestamp;

/// Memory at one moment, as a probe finds it.
///
/// ```
/// use narrows_core::guard::Reading;
///
/// let reading = Reading { used: 48 << 20, limit: 64 << 20, resident: 20 << 20, ..Reading::default() };
/// assert_eq!(reading.part(), 0.75);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reading {
    /// Bytes in use of what is limited, by this process and others; no page cache.
    pub used: u64,
    /// The limit in bytes.
    pub limit: u64,
    /// Bytes of this process alone.
    pub resident: u64,
    /// Of 1,000 moments of the last seconds, in how many some task stood still for want of memory, where
    /// that is known. On Linux it is pressure stall information.
    pub stalled: u16,
}

impl Reading {
    /// The part of the limit that is in use.
    pub fn part(&self) -> f64 {
        self.used as f64 / self.limit.max(1) as f64
    }

    /// The part that levels are judged by: standing still for want of memory is as bad as little room.
    fn judged(&self) -> f64 {
        let floor = match self.stalled {
            stalled if stalled >= STALLED_SHRINK => 0.85,
            stalled if stalled >= STALLED_HOLD => 0.70,
            _ => 0.0,
        };
        self.part().max(floor)
    }
}

/// From so many moments of 1,000 without progress, windows stay as they are, or shrink.
const STALLED_HOLD: u16 = 100;
const STALLED_SHRINK: u16 = 400;
/// Of a shrinking window, what is left each time.
const SHRINK: f64 = 0.7;
/// Calm readings in a row before a window grows.
const CALM_READINGS: u32 = 3;
/// How long nothing is begun before one transfer is, in any case.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Weight of a reading in the smoothed ratio.
const SMOOTHING: f64 = 0.1;
/// Below so much reserved, the ratio says nothing.
const RATIO_FROM: u64 = 8 << 20;

/// What windows are to do. Counters only rise: whoever remembers what they were knows what is new.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Advice {
    /// Part of its limit that a window may use; one transfer in any case.
    pub(crate) share: f64,
    /// Whether anything is to be begun.
    pub(crate) admits: bool,
    /// Transfers that may be begun all the same, so far.
    pub(crate) exceptions: u64,
    /// Transfers that are to go back to the queue, so far.
    pub(crate) evictions: u64,
    /// By how much the process outgrows what it has reserved: at least 1.
    pub(crate) ratio: f64,
}

#[derive(Debug)]
pub(super) struct Governor {
    pub(super) level: Level,
    pub(super) advice: Advice,
    calm: u32,
    paused_since: Option<Timestamp>,
    /// Least memory the process ever had: what it takes beside all data.
    base: u64,
    smoothed: f64,
}

impl Default for Governor {
    fn default() -> Self {
        let advice = Advice { share: 1.0, admits: true, exceptions: 0, evictions: 0, ratio: 1.0 };
        Self { level: Level::Calm, advice, calm: 0, paused_since: None, base: u64::MAX, smoothed: 1.0 }
    }
}

impl Governor {
    /// A reading, with the bytes reserved and the most transfers of a window.
    pub(super) fn observe(&mut self, now: Timestamp, reading: Reading, reserved: u64, limit: usize) {
        self.level = self.level.next(reading.judged());
        self.calm = if self.level == Level::Calm { self.calm + 1 } else { 0 };
        let one = 1.0 / limit.max(1) as f64;
        let advice = &mut self.advice;
        match self.level {
            Level::Calm if self.calm >= CALM_READINGS => {
                self.calm = 0;
                advice.share = (advice.share + one).min(1.0);
            }
            Level::Calm | Level::Hold => {}
            Level::Shrink | Level::Stop => advice.share = (advice.share * SHRINK).max(one),
            Level::Evict => {
                advice.share = (advice.share * SHRINK).max(one);
                advice.evictions += 1;
            }
        }
        advice.admits = self.level < Level::Stop;
        self.paused_since = match (advice.admits, self.paused_since) {
            (true, _) => None,
            (false, Some(since)) if now.since(since) >= PAUSE_MAX => {
                advice.exceptions += 1;
                Some(now)
            }
            (false, since) => since.or(Some(now)),
        };
        self.base = self.base.min(reading.resident);
        if reserved >= RATIO_FROM {
            let ratio = (reading.resident - self.base) as f64 / reserved as f64;
            self.smoothed += SMOOTHING * (ratio - self.smoothed);
            self.advice.ratio = self.smoothed.clamp(1.0, 4.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(governor: &mut Governor, seconds: u64, percent: u64) -> Advice {
        let reading = Reading { used: percent, limit: 100, ..Reading::default() };
        governor.observe(Timestamp(Duration::from_secs(seconds)), reading, 0, 10);
        governor.advice
    }

    fn transfers(advice: Advice) -> usize {
        super::super::most(advice.share, 10)
    }

    #[test]
    fn it_shrinks_to_one_and_recovers_by_one() {
        let mut governor = Governor::default();
        let shrunk: Vec<_> = (0..8).map(|second| transfers(observe(&mut governor, second, 90))).collect();
        assert_eq!(shrunk, [7, 4, 3, 2, 1, 1, 1, 1]);
        assert_eq!(super::super::most(0.001, 10), 1, "also where another window's limit is smaller");
        assert!(governor.advice.admits, "never below one, and never stopped below 92 %");
        let grown: Vec<_> = (8..20).map(|second| transfers(observe(&mut governor, second, 50))).collect();
        assert_eq!(grown, [1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5]);
    }

    #[test]
    fn a_pause_has_exceptions_so_that_nothing_stands_still() {
        let mut governor = Governor::default();
        assert!(!observe(&mut governor, 0, 93).admits);
        assert_eq!(observe(&mut governor, 29, 93).exceptions, 0);
        assert_eq!(observe(&mut governor, 30, 93).exceptions, 1);
        assert_eq!(observe(&mut governor, 59, 93).exceptions, 1);
        assert_eq!(observe(&mut governor, 60, 93).exceptions, 2);
        assert!(!observe(&mut governor, 61, 85).admits, "not before 80 %");
        assert!(observe(&mut governor, 62, 79).admits);
    }

    #[test]
    fn at_the_last_level_transfers_go_back_one_a_reading() {
        let mut governor = Governor::default();
        assert_eq!(observe(&mut governor, 0, 97).evictions, 1);
        assert_eq!(observe(&mut governor, 1, 99).evictions, 2);
        assert_eq!(observe(&mut governor, 2, 95).evictions, 2);
    }

    #[test]
    fn standing_still_for_want_of_memory_counts_as_little_room() {
        let mut governor = Governor::default();
        let mut observe = |stalled: u16| {
            let reading = Reading { used: 10, limit: 100, stalled, resident: 0 };
            governor.observe(Timestamp::default(), reading, 0, 10);
            (governor.level, transfers(governor.advice))
        };
        assert_eq!(observe(99), (Level::Calm, 10));
        assert_eq!(observe(100), (Level::Hold, 10));
        assert_eq!(observe(400), (Level::Shrink, 7));
        assert_eq!(observe(1000), (Level::Shrink, 4), "nothing stops: memory may be short of others' doing");
        assert_eq!(observe(0), (Level::Calm, 4));
    }

    #[test]
    fn the_ledger_is_corrected_from_reality() {
        let mut governor = Governor::default();
        let mut observe = |resident: u64, reserved: u64| {
            let reading = Reading { used: 1, limit: 100, resident, stalled: 0 };
            governor.observe(Timestamp::default(), reading, reserved, 10);
            governor.advice.ratio
        };
        observe(10 << 20, 0);
        assert_eq!(observe(20 << 20, 64 << 20), 1.0, "less than reserved is as it should be");
        let twice = (0..100).map(|_| observe((10 << 20) + (128 << 20), 64 << 20)).last().unwrap();
        assert!((twice - 2.0).abs() < 0.01, "{twice}");
    }
}
