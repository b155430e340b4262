//! The limit that a path needs: as many transfers as bring more, and no more than that.
//!
//! Throughput rises with transfers at once until something is full, a line, an origin, this machine;
//! from there on more of them only share it. So the limit doubles while that brings at least 5 %,
//! goes back by one step when it does not, and then tries one more and one fewer now and then: one
//! more must bring 5 %, one fewer may cost 2.5 %.
//!
//! Decisions only: time and counters come in.

use std::time::Duration;

use crate::clock::Timestamp;

/// Gain for which more transfers are worth having, and loss for which fewer are not.
const GAIN: f64 = 1.05;
const LOSS: f64 = 0.975;
/// How long a limit is measured once it has settled.
const EPOCH: Duration = Duration::from_millis(1500);
/// At first, no less than this, until each place has been taken twice, and no more than that.
const FIRST_EPOCH: (Duration, Duration) = (Duration::from_millis(150), Duration::from_secs(1));
/// Where the search begins.
const START: usize = 4;
/// Epochs of rest between two tries once it has settled.
const REST: u32 = 4;

#[derive(Debug)]
pub(crate) struct Plateau {
    limit: usize,
    most: usize,
    phase: Phase,
    since: Option<Timestamp>,
    bytes_before: u64,
    requests_before: u64,
    /// Whether all places were taken at every look since.
    was_full: bool,
    /// The epoch begins anew once the change has had its effect.
    settles: bool,
    /// Bytes a second at the limit that is compared with.
    base: f64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Doubling.
    Doubling,
    /// One more, or so, is tried.
    Up(usize),
    /// One fewer is tried.
    Down(usize),
    /// Nothing is tried for so many epochs; then up if the flag is set, else down.
    Resting(u32, bool),
}

impl Plateau {
    pub(crate) fn new(most: usize) -> Self {
        let limit = START.min(most.max(1));
        Self {
            limit,
            most: most.max(1),
            phase: Phase::Doubling,
            since: None,
            bytes_before: 0,
            requests_before: 0,
            was_full: true,
            settles: false,
            base: 0.0,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A look at the window: bytes received and requests made so far, transfers in flight. Gives the
    /// limit from now on.
    pub(crate) fn observe(&mut self, now: Timestamp, bytes: u64, requests: u64, in_flight: usize) -> usize {
        self.was_full &= in_flight >= self.limit;
        let Some(since) = self.since else {
            (self.since, self.bytes_before, self.requests_before) = (Some(now), bytes, requests);
            return self.limit;
        };
        let time = now.since(since);
        let is_over = match self.phase {
            Phase::Doubling => {
                let twice = requests - self.requests_before >= 2 * self.limit as u64;
                (twice && time >= FIRST_EPOCH.0) || time >= FIRST_EPOCH.1
            }
            _ => time >= EPOCH,
        };
        if !is_over {
            return self.limit;
        }
        self.requests_before = requests;
        let rate = (bytes - self.bytes_before) as f64 / time.as_secs_f64();
        let counts = self.was_full && !std::mem::replace(&mut self.settles, false);
        (self.since, self.bytes_before, self.was_full) = (Some(now), bytes, true);
        if counts {
            self.judge(rate);
        }
        self.limit
    }

    fn judge(&mut self, rate: f64) {
        match self.phase {
            Phase::Doubling if rate >= self.base * GAIN && self.limit < self.most => {
                self.base = rate;
                self.set(self.limit * 2, Phase::Doubling);
            }
            Phase::Doubling => {
                let is_better = rate >= self.base * GAIN;
                let limit = if is_better { self.limit } else { self.limit.div_ceil(2) };
                self.base = self.base.max(if is_better { rate } else { 0.0 });
                self.set(limit, Phase::Resting(0, false));
            }
            Phase::Up(from) => match rate >= self.base * GAIN {
                true => {
                    self.base = rate;
                    self.set(self.limit + self.step(), Phase::Up(self.limit));
                }
                false => self.set(from, Phase::Resting(REST, false)),
            },
            Phase::Down(from) => match rate >= self.base * LOSS {
                true if self.limit > 1 => self.set(self.limit - 1, Phase::Down(self.limit)),
                true => self.set(self.limit, Phase::Resting(REST, true)),
                false => self.set(from, Phase::Resting(REST, true)),
            },
            Phase::Resting(0, up) => {
                // What it is compared with is what was measured just before.
                self.base = rate;
                match up && self.limit < self.most {
                    true => self.set(self.limit + self.step(), Phase::Up(self.limit)),
                    false if self.limit > 1 => self.set(self.limit - 1, Phase::Down(self.limit)),
                    false => self.phase = Phase::Resting(REST, true),
                }
            }
            Phase::Resting(left, up) => self.phase = Phase::Resting(left - 1, up),
        }
    }

    fn step(&self) -> usize {
        (self.limit / 8).max(1)
    }

    fn set(&mut self, limit: usize, phase: Phase) {
        let limit = limit.clamp(1, self.most);
        self.settles = limit != self.limit && phase != Phase::Doubling;
        (self.limit, self.phase) = (limit, phase);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;

    /// Runs it for so many seconds on a path that gives `rate(limit)` bytes a second, give or take
    /// `noise` percent. Gives the limit it ends at and the bytes.
    fn run(seconds: u64, most: usize, noise: u64, rate: impl Fn(usize) -> f64) -> (usize, f64) {
        let (mut plateau, mut prng, mut bytes) = (Plateau::new(most), Prng::new(1), 0.0);
        for tick in 0..seconds * 5 {
            let limit = plateau.limit();
            let noise = 1.0 + (prng.below(2 * noise + 1) as f64 - noise as f64) / 100.0;
            bytes += rate(limit) / 5.0 * noise;
            plateau.observe(Timestamp(Duration::from_millis(tick * 200)), bytes as u64, tick * 100, limit);
        }
        (plateau.limit(), bytes)
    }

    #[test]
    fn on_a_capped_line_it_ends_with_few() {
        for needed in [1, 2, 5] {
            let (limit, bytes) = run(60, 50, 0, |limit| 2.5e6 * (limit as f64 / f64::from(needed)).min(1.0));
            assert!(limit <= needed as usize + 2, "{limit}, where {needed} are enough");
            assert!(bytes >= 0.9 * 60.0 * 2.5e6, "{needed}: {bytes}");
        }
    }

    #[test]
    fn where_more_bring_more_it_takes_them() {
        let (limit, bytes) = run(30, 50, 0, |limit| 1e5 * limit as f64);
        assert!(limit >= 45, "{limit}");
        assert!(bytes >= 0.9 * 30.0 * 50.0 * 1e5, "{bytes}");
        let (limit, _) = run(60, 50, 0, |limit| 1e5 * (limit as f64).min(20.0));
        assert!((18..=24).contains(&limit), "{limit}, where 20 are enough");
    }

    #[test]
    fn noise_does_not_carry_it_away() {
        for noise in [2, 5] {
            let (limit, bytes) = run(120, 50, noise, |limit| 2.5e6 * (limit as f64 / 4.0).min(1.0));
            assert!((2..=12).contains(&limit), "{limit} with {noise} % of noise");
            assert!(bytes >= 0.88 * 120.0 * 2.5e6, "{noise}: {bytes}");
        }
    }

    #[test]
    fn a_list_that_comes_slowly_says_nothing_of_the_path() {
        let mut plateau = Plateau::new(50);
        for tick in 0..100 {
            plateau.observe(Timestamp(Duration::from_millis(tick * 200)), tick * 1000, tick, 1);
        }
        assert_eq!(plateau.limit(), START);
    }
}
