//! When to try again. Decisions only: time and chance come in, state is the caller's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::prng::Prng;

/// How often, and after how long a wait, a transfer tries again.
///
/// ```
/// use narrows_core::RetryPolicy;
///
/// assert_eq!(RetryPolicy::new().retries_max(1).retries_max, 1);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Retries in a row without progress. Default 4. A megabyte of progress starts a new row.
    pub retries_max: u32,
    /// Refusals of a host with too much to do (429, 503, refused connections) that a source
    /// outlives beside its retries. Default 8. One file that is refused where others are not has
    /// retries only.
    pub refusals_max: u32,
    /// Ceiling of the first wait. Default 200 ms.
    pub backoff_min: Duration,
    /// Ceiling of any wait. Default 20 s.
    pub backoff_max: Duration,
    /// Longest `Retry-After` that is waited for. Default 5 minutes; longer ones fail at once.
    pub retry_after_max: Duration,
    /// Retries that a whole window may spend beyond [`retry_ratio`](Self::retry_ratio). Default 100.
    pub retry_burst: u32,
    /// Retries that each source adds to what the window may spend, in thousandths. Default 1,000:
    /// in the long run, load on a failing origin at most doubles.
    pub retry_ratio: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries_max: 4,
            refusals_max: 8,
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(20),
            retry_after_max: Duration::from_secs(300),
            retry_burst: 100,
            retry_ratio: 1000,
        }
    }
}

/// Progress that starts a new row of retries, in bytes.
pub(crate) const PROGRESS_BYTES: u64 = 1 << 20;

impl RetryPolicy {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    crate::setters! {
        retries_max: [u32],
        refusals_max: [u32],
        backoff_min: [Duration],
        backoff_max: [Duration],
        retry_after_max: [Duration],
        retry_burst: [u32],
        retry_ratio: [u32],
    }

    /// How long to wait before the retry after the `failures`-th failure in a row: exponential
    /// with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015), or what the origin
    /// asked for and up to `backoff_min` more. `None` is to give up.
    pub fn wait(&self, failures: u32, retry_after: Option<Duration>, prng: &mut Prng) -> Option<Duration> {
        match failures > self.retries_max {
            true => None,
            false => self.backoff(failures, retry_after, prng),
        }
    }

    /// [`wait`](Self::wait), however many went before.
    pub(crate) fn backoff(&self, failures: u32, retry_after: Option<Duration>, prng: &mut Prng) -> Option<Duration> {
        if let Some(asked) = retry_after {
            let spread = jitter(self.backoff_min.min(asked.max(Duration::from_millis(1))), prng);
            return (asked <= self.retry_after_max).then(|| asked + spread);
        }
        Some(backoff(failures, self.backoff_min, self.backoff_max, prng))
    }
}

/// The wait before the `nth` time, from 1: a random part of a ceiling that doubles each time.
pub(crate) fn backoff(nth: u32, first: Duration, most: Duration, prng: &mut Prng) -> Duration {
    jitter(doubled(first, nth.saturating_sub(1), most), prng)
}

/// `first`, doubled so often, and no more than `most`.
pub(crate) fn doubled(first: Duration, doublings: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << doublings.min(30)).min(most)
}

/// A random part of `ceiling`.
fn jitter(ceiling: Duration, prng: &mut Prng) -> Duration {
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX - 1);
    Duration::from_nanos(prng.below(nanos.saturating_add(1)))
}

/// Retries a window may still spend, in thousandths: a token bucket that sources fill, so that
/// an origin that is down is not asked five times for each of a million sources.
#[derive(Clone, Debug)]
pub(crate) struct RetryTokens {
    tokens: Arc<AtomicU64>,
    ratio: u64,
    max: u64,
}

impl RetryTokens {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        let burst = u64::from(policy.retry_burst) * 1000;
        let ratio = u64::from(policy.retry_ratio);
        // What a source adds is there for it even where nothing is saved up.
        Self { tokens: Arc::new(AtomicU64::new(burst)), ratio, max: burst.max(ratio) }
    }

    pub(crate) fn add_source(&self) {
        let add = |tokens: u64| Some((tokens + self.ratio).min(self.max));
        let _ = self.tokens.fetch_update(Relaxed, Relaxed, add);
    }

    pub(crate) fn spend(&self) -> bool {
        self.tokens.fetch_update(Relaxed, Relaxed, |tokens| tokens.checked_sub(1000)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_jittered_below_a_doubling_ceiling() {
        let policy = RetryPolicy::default();
        let mut prng = Prng::new(1);
        for (failures, ceiling_ms) in [(1, 200), (2, 400), (3, 800), (4, 1600)] {
            let waits: Vec<_> = (0..200).filter_map(|_| policy.wait(failures, None, &mut prng)).collect();
            let ceiling = Duration::from_millis(ceiling_ms);
            assert!(waits.len() == 200 && waits.iter().all(|wait| *wait <= ceiling));
            assert!(waits.iter().any(|wait| *wait < ceiling / 4) && waits.iter().any(|wait| *wait > ceiling * 3 / 4));
        }
        assert_eq!(policy.wait(5, None, &mut prng), None);
    }

    #[test]
    fn retry_after_is_kept_or_given_up() {
        let policy = RetryPolicy::default();
        let wait = policy.wait(1, Some(Duration::from_secs(7)), &mut Prng::new(1)).unwrap();
        assert!(Duration::from_secs(7) <= wait && wait <= Duration::from_millis(7200));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(301)), &mut Prng::new(1)), None);
    }

    #[test]
    fn a_window_spends_its_burst_and_then_one_retry_a_source() {
        let tokens = RetryTokens::new(&RetryPolicy { retry_burst: 3, ..RetryPolicy::default() });
        assert_eq!((0..9).filter(|_| tokens.spend()).count(), 3);
        tokens.add_source();
        assert!(tokens.spend() && !tokens.spend());
    }
}
