//! The guard: measured memory as an input to windows.
//!
//! A budget bounds what is charged. What a process takes is more than that: its allocator, its code,
//! other processes in its container. So a guard reads how much is in use of the limit there is, and
//! makes work smaller as that fills: windows shrink, to one transfer and never to none; nothing is
//! begun for a while; at last the youngest transfers go back to the queue, without an attempt counted.
//! It never fails anything, and windows grow again as memory comes free.

mod governor;
mod leak;
mod level;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use governor::Reading;
pub use leak::Leak;
pub use level::Level;

pub(crate) use self::governor::Advice;
use self::{governor::Governor, leak::LeakWatch};
use crate::clock::Timestamp;

type Probe = Box<dyn FnMut() -> Option<Reading> + Send>;

/// How often memory is read.
const EVERY: Duration = Duration::from_millis(250);

/// Reads memory, and says what windows are to do. Clones are handles of the same one: windows that
/// share it shrink together. They must have clocks of one epoch.
///
/// ```
/// use narrows_core::{Options, guard::{Guard, Reading}};
///
/// let reading = Reading { used: 10 << 20, limit: 64 << 20, resident: 10 << 20, stalled: 0 };
/// let guard = Guard::new(move || Some(reading));
/// let options = Options::new().guard(guard.clone());
/// assert_eq!(guard.stats().level.name(), "calm");
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct Guard(Arc<Mutex<Inner>>);

struct Inner {
    probe: Probe,
    governor: Governor,
    leak: LeakWatch,
    next: Timestamp,
    stats: GuardStats,
}

/// What a guard has seen and done.
///
/// No example: that of [`Guard`] reads some.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct GuardStats {
    /// The last reading.
    pub reading: Reading,
    /// The largest part of the limit that was in use.
    pub part_peak: f64,
    /// How near memory is to its limit.
    pub level: Level,
    /// How near it ever was.
    pub level_peak: Level,
    /// Readings at which windows shrank.
    pub shrunk: u64,
    /// Readings at which they grew again.
    pub grown: u64,
    /// Times that nothing was begun for a while.
    pub paused: u64,
    /// Transfers sent back to the queue.
    pub evicted: u64,
    /// Part of its limit that a window may use, from 0 to 1.
    pub share: f64,
    /// By how much the process outgrows what it has reserved, at least 1.
    pub ratio: f64,
    /// Memory that only ever grows, once that was seen.
    pub leak: Option<Leak>,
}

/// A change of what windows do, and why.
///
/// No example: [`Observer::steered`](crate::Observer::steered) is given it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Steering {
    /// How near memory is to its limit.
    pub level: Level,
    /// The reading that led to it.
    pub reading: Reading,
    /// Most transfers of the window now.
    pub limit: usize,
    /// Whether it begins any.
    pub admits: bool,
    /// Why, in a few words.
    pub reason: &'static str,
}

impl fmt::Display for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reading, limit, reason, .. } = self;
        let (part, mebibytes) = (reading.part() * 100.0, reading.limit as f64 / f64::from(1 << 20));
        write!(f, "{reason}: {part:.0} % of {mebibytes:.0} MiB in use; transfers at once: {limit}")
    }
}

impl Guard {
    /// A guard over what `probe` reads, four times a second at most. A probe that knows nothing
    /// gives `None`, and all goes on as it is.
    pub fn new(probe: impl FnMut() -> Option<Reading> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            probe: Box::new(probe),
            governor: Governor::default(),
            leak: LeakWatch::default(),
            next: Timestamp::default(),
            stats: GuardStats { share: 1.0, ratio: 1.0, ..GuardStats::default() },
        })))
    }

    /// What it has seen and done.
    pub fn stats(&self) -> GuardStats {
        self.inner().stats.clone()
    }

    /// Items of a group that are to be worked on at once: one where the process has more than half of
    /// the limit, two where it has more than 30 %, else `most`.
    pub fn batch_items(&self, most: usize) -> usize {
        let reading = self.inner().stats.reading;
        let part = reading.resident as f64 / reading.limit.max(1) as f64;
        match part {
            _ if part > 0.5 => 1,
            _ if part > 0.3 => most.clamp(1, 2),
            _ => most.max(1),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A probe that panics leaves the last reading.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a window asks of a guard. A trait, so that programs without one need not carry it.
pub(crate) trait Advise: fmt::Debug + Send + Sync {
    /// Reads memory if it is time, and says what is to be done and when to come back.
    fn tick(&self, now: Timestamp, reserved: u64, limit: usize) -> (Advice, Timestamp, Option<Steering>);
}

impl Advise for Guard {
    fn tick(&self, now: Timestamp, reserved: u64, limit: usize) -> (Advice, Timestamp, Option<Steering>) {
        let mut inner = self.inner();
        if now < inner.next {
            return (inner.governor.advice, inner.next, None);
        }
        inner.next = now + EVERY;
        let Some(reading) = (inner.probe)() else {
            return (inner.governor.advice, inner.next, None);
        };
        let before = inner.governor.advice;
        inner.governor.observe(now, reading, reserved, limit);
        let leak = inner.leak.observe(now, reading.resident, reserved);
        let (advice, level) = (inner.governor.advice, inner.governor.level);
        let stats = &mut inner.stats;
        stats.shrunk += u64::from(advice.share < before.share);
        stats.grown += u64::from(advice.share > before.share);
        stats.paused += u64::from(before.admits && !advice.admits);
        stats.evicted += advice.evictions - before.evictions;
        (stats.reading, stats.level, stats.share, stats.ratio) = (reading, level, advice.share, advice.ratio);
        stats.level_peak = stats.level_peak.max(level);
        stats.part_peak = stats.part_peak.max(reading.part());
        stats.leak = leak.or(stats.leak);
        let (was, most, admits) = (most(before.share, limit), most(advice.share, limit), advice.admits);
        let reason = match () {
            () if advice.evictions > before.evictions => Some("the youngest transfer goes back to the queue"),
            () if before.admits && !admits => Some("nothing is begun for now"),
            () if !before.admits && admits => Some("transfers are begun again"),
            () if most < was => Some("memory runs short"),
            () if most > was => Some("memory has come free"),
            () => None,
        };
        let steering = reason.map(|reason| Steering { level, reading, limit: most, admits, reason });
        (advice, inner.next, steering)
    }
}

/// Transfers that are this part of a limit: never none.
pub(crate) fn most(share: f64, limit: usize) -> usize {
    ((limit as f64 * share + 1e-9) as usize).clamp(1, limit.max(1))
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
