//! How a source ended, and who is told.

use std::{fmt, sync::Arc, time::Duration};

use crate::{failure::Failure, guard::Steering};

/// The one end of a source.
///
/// ```
/// use narrows_core::{Outcome, Proof};
///
/// let outcome = Outcome::Done(Proof::Length);
/// assert!(outcome.is_ok() && outcome.name() == "done");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything came, as far as [`Proof`] goes, and the consumer has committed it.
    Done(Proof),
    /// A named policy passed it over: it was not found.
    Skipped,
    /// It failed.
    Failed(Box<Failure>),
    /// The consumer lost interest before it committed.
    Cancelled,
}

impl Outcome {
    /// `done`, `skipped`, `failed` or `cancelled`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Skipped => "skipped",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it is done or skipped: nothing is left to do for this source.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Skipped)
    }
}

/// What shows that the end of the data is its end.
///
/// ```
/// use narrows_core::Proof;
///
/// assert_eq!(Proof::UnverifiedEnd.name(), "unverified_end");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// A digest or a size known beforehand.
    Expected,
    /// The structure of the zip archive. (Of gzip and zstd, another part could have followed.)
    Structure,
    /// The length that the origin declared.
    Length,
    /// Its length, but parts came one after another and nothing tells that they are of one
    /// version: the origin sent, or showed, neither `ETag` nor `Last-Modified`.
    UnverifiedVersion,
    /// Nothing: the origin closed the connection, and that may have been anywhere.
    UnverifiedEnd,
}

impl Proof {
    /// A stable word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Structure => "structure",
            Self::Length => "length",
            Self::UnverifiedVersion => "unverified_version",
            Self::UnverifiedEnd => "unverified_end",
        }
    }
}

/// Everything there is to say of a source once it has ended. It holds no secrets.
///
/// ```
/// # use futures_util::{FutureExt, StreamExt};
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # async {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"hello");
/// # let budget = Budget::new(8 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// let mut file = window.next().await.expect("one source");
/// while file.next_block().await?.is_some() {}
/// let report = file.finish();
/// assert_eq!((&*report.url, report.outcome.name(), report.bytes_out), ("mem://a", "done", 5));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Its place in the list, from 0.
    pub index: u64,
    /// The source's own place in a list of the caller's.
    pub position: Option<u64>,
    /// The caller's own name for it: [`Source::key`](crate::Source::key).
    pub key: Option<Arc<str>>,
    /// Its address without user, password, query and fragment.
    pub url: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Status of the last answer.
    pub status: Option<u16>,
    /// Tries: the first, and one more after each failure that was retried.
    pub attempts: u32,
    /// Requests, of which an attempt may have many: one for each segment.
    pub requests: u32,
    /// Bytes received, those thrown away included.
    pub bytes_received: u64,
    /// Bytes accepted as the source's: none twice, in order, of one version.
    pub bytes_accepted: u64,
    /// Bytes handed to the consumer.
    pub bytes_out: u64,
    /// Entries that were complete.
    pub entries: u64,
    /// SHA-256 of what was accepted, if it was asked for and everything came.
    pub sha256: Option<[u8; 32]>,
    /// Time from admission to the end.
    pub elapsed: Duration,
}

/// Learns how sources end. Closures over `&Report` are observers.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}};
/// use narrows_core::{Observer, Report};
///
/// let ended = Arc::new(AtomicU64::new(0));
/// let count = ended.clone();
/// let observer = move |_: &Report| drop(count.fetch_add(1, Relaxed));
/// # fn observes(_: impl Observer) {}
/// # observes(observer);
/// ```
pub trait Observer {
    /// A source has ended. Called exactly once for each source that was pulled from the list,
    /// begun or not; calls for one window come one at a time, in the order of their ends, on a
    /// thread that ended one of its sources. It may read counters, and end other sources. What takes
    /// long here holds up the window; a panic here goes no further.
    fn ended(&self, report: &Report);

    /// A window has waited for some seconds for memory that others hold, and nothing moved. Called
    /// once for each such wait.
    fn stalled(&self, _stall: &Stall) {}

    /// A guard has made the window smaller or larger, or has it begin nothing for a while.
    fn steered(&self, _steering: &Steering) {}
}

impl<T: Fn(&Report)> Observer for T {
    fn ended(&self, report: &Report) {
        self(report);
    }
}

/// Who waits for whom on a budget where nothing moves.
///
/// No example: it takes two windows that wait for each other.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stall {
    /// The window that waits.
    pub waiting: Arc<str>,
    /// Bytes it needs to begin its next source.
    pub needed: u64,
    /// Bytes of the budget that are reserved.
    pub reserved: u64,
    /// Bytes of the budget.
    pub capacity: u64,
    /// How long it has waited.
    pub waited: Duration,
    /// The other windows of the budget that hold memory or are ahead in its queue.
    pub holders: Vec<Holder>,
}

/// A window that others wait for.
///
/// No example: see [`Stall`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Holder {
    /// Its name.
    pub name: Arc<str>,
    /// Bytes it has reserved.
    pub reserved: u64,
    /// Sources that are ready, and that its consumer has not taken.
    pub ready: u64,
    /// Whether it waits for memory itself.
    pub waits: bool,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waiting, needed, reserved, capacity, waited, holders } = self;
        write!(
            f,
            "{waiting} has waited {} s for {needed} bytes of a budget of {capacity}, of which {reserved} are reserved: ",
            waited.as_secs()
        )?;
        for (number, holder) in holders.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let Holder { name, reserved, ready, waits } = holder;
            write!(f, "{comma}{name} holds {reserved} bytes, {ready} ready and not taken")?;
            if *waits {
                f.write_str(", and waits itself")?;
            }
        }
        if holders.is_empty() {
            f.write_str("whoever holds it is no window")?;
        }
        f.write_str("; if one is read inside the other's loop, give them budgets of their own (Budget::set_aside)")
    }
}

/// Bytes that show as lower-case hexadecimal digits.
///
/// ```
/// assert_eq!(narrows_core::report::Hex(&[0, 255]).to_string(), "00ff");
/// ```
#[derive(Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
