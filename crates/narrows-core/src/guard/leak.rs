//! Noticing memory that only ever grows.
//!
//! The slope is that of Theil and Sen, the median of the slopes between all pairs of samples, so that
//! no single peak makes or hides a leak. Samples are thinned out as they become many: half of them go
//! and the next ones come half as often.

use std::time::Duration;

use crate::clock::Timestamp;

/// Memory that grows, whatever is going on.
///
/// No example: it takes hours to be found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Leak {
    /// Bytes an hour by which the process grows.
    pub resident_per_hour: f64,
    /// Bytes an hour by which what it has reserved grows: if that is as much, it is data of the
    /// windows and buffers, otherwise something beside them.
    pub reserved_per_hour: f64,
    /// Over how long that was seen.
    pub seen_for: Duration,
}

/// What is ignored at first: caches fill, code is loaded.
const WARM_UP: Duration = Duration::from_secs(120);
/// Time between samples at first.
const EVERY: Duration = Duration::from_secs(10);
/// Samples kept at most; no leak is told of before half of them are there.
const SAMPLES_MAX: usize = 48;
/// Growth that is told of, in bytes over what was seen.
const GROWTH_MIN: f64 = (16 << 20) as f64;

#[derive(Debug, Default)]
pub(super) struct LeakWatch {
    began: Option<Timestamp>,
    samples: Vec<(f64, f64, f64)>,
    every: Duration,
    next: Timestamp,
}

impl LeakWatch {
    /// A reading: bytes resident and bytes reserved.
    pub(super) fn observe(&mut self, now: Timestamp, resident: u64, reserved: u64) -> Option<Leak> {
        let began = *self.began.get_or_insert(now);
        if now.since(began) < WARM_UP || now < self.next {
            return None;
        }
        self.every = self.every.max(EVERY);
        self.next = now + self.every;
        self.samples.push((now.0.as_secs_f64() / 3600.0, resident as f64, reserved as f64));
        if self.samples.len() > SAMPLES_MAX {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.every *= 2;
        }
        self.judge()
    }

    fn judge(&self) -> Option<Leak> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        if self.samples.len() < SAMPLES_MAX / 2 {
            return None;
        }
        let (resident_per_hour, rising) = slope(self.samples.iter().map(|(time, resident, _)| (*time, *resident)));
        let (reserved_per_hour, _) = slope(self.samples.iter().map(|(time, _, reserved)| (*time, *reserved)));
        let hours = last.0 - first.0;
        let grows = rising > 0.9 && resident_per_hour * hours > GROWTH_MIN;
        grows.then(|| Leak { resident_per_hour, reserved_per_hour, seen_for: Duration::from_secs_f64(hours * 3600.0) })
    }
}

/// The median of the slopes between all pairs, and the part of them that rises.
fn slope(samples: impl Iterator<Item = (f64, f64)> + Clone) -> (f64, f64) {
    let mut slopes = Vec::new();
    let mut later = samples.clone();
    for (time, value) in samples {
        later.next();
        slopes.extend(later.clone().map(|(then, other)| (other - value) / (then - time).max(1e-9)));
    }
    slopes.sort_by(f64::total_cmp);
    let rising = slopes.iter().filter(|slope| **slope > 0.0).count() as f64 / slopes.len().max(1) as f64;
    (slopes.get(slopes.len() / 2).copied().unwrap_or(0.0), rising)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;

    /// Whether a leak is told of within so many hours of readings every ten seconds.
    fn told(hours: u64, resident: impl Fn(f64, u64) -> f64) -> bool {
        let (mut watch, mut prng) = (LeakWatch::default(), Prng::new(1));
        (0..hours * 360).any(|reading| {
            let now = Timestamp(Duration::from_secs(reading * 10));
            let bytes = resident(reading as f64 / 360.0, prng.below(20 << 20));
            watch.observe(now, bytes as u64, 0).is_some()
        })
    }

    #[test]
    fn what_only_grows_is_told_of() {
        let mib = f64::from(1 << 20);
        assert!(told(24, |hours, noise| 50.0 * mib + hours * 12.0 * mib + noise as f64));
    }

    #[test]
    fn noise_peaks_and_the_beginning_are_none() {
        let mib = f64::from(1 << 20);
        assert!(!told(48, |_, noise| 50.0 * mib + 5.0 * noise as f64), "noise");
        assert!(
            !told(48, |hours, noise| if (hours as u64).is_multiple_of(5) { 500.0 * mib } else { noise as f64 }),
            "peaks"
        );
        let warm = |hours: f64, noise: u64| 100.0 * mib * (hours * 60.0).min(1.0) + noise as f64;
        assert!(!told(48, warm), "a minute of growing");
        assert!(!told(48, |hours, noise| 200.0 * mib - hours * mib + noise as f64), "it shrinks");
    }
}
