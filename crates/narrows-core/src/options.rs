//! Options, checked once, and the memory they cost.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use narrows_unpack::Limits;

use crate::{
    budget::{Budget, BudgetTooSmall},
    fetch::Profile,
    guard::{Advise, Guard},
    hosts::Hosts,
    retry::RetryPolicy,
    source::Source,
    working_set::{Term, WorkingSet},
};

/// How a window works. The defaults are safe for unknown origins.
///
/// ```
/// use std::time::Duration;
/// use narrows_core::{Options, Order, unpack};
///
/// let options = Options::new()
///     .limit(20)
///     .order(Order::List)
///     .idle_timeout(Duration::from_secs(10))
///     .unpack(unpack::Options::default());
/// assert_eq!(options.limit, 20);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What the window is called in messages of who waits for whom. Default: `a window`.
    pub name: Arc<str>,
    /// Most transfers in flight at once. Default 10.
    pub limit: usize,
    /// Whether deliveries come as they are ready or in the order of the list.
    pub order: Order,
    /// Sources that are pulled from the list ahead of those in flight, where hosts are several or
    /// have to wait, so that one of them does not hold up the others; at most 64 KiB of addresses
    /// and headers. In the list's order it is 1. Default 64.
    pub look_ahead: usize,
    /// What may be asked of which host. By default each window has a table of its own, and heeds
    /// refusals.
    pub hosts: Hosts,
    /// Whether the limit is sought between 1 and [`limit`](Self::limit) while the window runs: as many
    /// transfers as bring more throughput. Default `false`.
    pub adapts_limit: bool,
    pub(crate) guard: Option<Arc<dyn Advise>>,
    /// When and how often to try again.
    pub retry: RetryPolicy,
    /// How long to wait for the next bytes; it counts only while bytes are wanted. Default 30 s.
    pub idle_timeout: Duration,
    /// Fewest bytes a second over [`rate_period`](Self::rate_period) of wanting; 0 is none.
    /// A stream of single bytes never idles. Default 100.
    pub min_rate: u64,
    /// The time over which the rate is taken. Default 60 s.
    pub rate_period: Duration,
    /// Most bytes of a source on the wire. Default 1 TiB.
    pub file_size_max: u64,
    /// What a 404 means.
    pub not_found: NotFound,
    /// Whether a source whose content changes after a part was handed out begins anew: its consumer is told so
    /// ([`FailureKind::Restarted`](crate::FailureKind::Restarted)) and can take back what it got. Otherwise it
    /// fails. Default `false`.
    pub restarts: bool,
    /// Whether and how to unpack. Without it, bytes are delivered as they came.
    pub unpack: Option<narrows_unpack::Options>,
    /// Limits on what a `Content-Encoding` decodes to. Default: those of [`unpack`](Self::unpack),
    /// or theirs.
    pub content_limits: Option<Limits>,
    /// Largest block handed out, in bytes. Default 128 KiB, where inflating is at its fastest.
    pub block_bytes: usize,
    /// Blocks of one transfer that may exist at once; all but one may be in the consumer's hand.
    /// Default 2.
    pub blocks: u32,
    /// Length of a segment, in bytes, where bodies can't be held back. Default 1 MiB.
    pub segment_bytes: u64,
    /// Segments that are fetched ahead of the one being read. Default 1.
    pub segments_ahead: u32,
    /// Bytes that every transfer may keep for [`collect`](crate::Delivery::collect). Default 0:
    /// collecting then takes what the budget has free, or is refused.
    pub collect_max: u64,
    /// Whether reports have the SHA-256 of what was received.
    pub sha256: bool,
    /// Seeds jitter and, with [`narrows_unpack::Options::seed`], nothing else.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "a window".into(),
            limit: 10,
            order: Order::Ready,
            look_ahead: 64,
            hosts: Hosts::default(),
            adapts_limit: false,
            guard: None,
            retry: RetryPolicy::default(),
            idle_timeout: Duration::from_secs(30),
            min_rate: 100,
            rate_period: Duration::from_secs(60),
            file_size_max: 1 << 40,
            not_found: NotFound::Fail,
            restarts: false,
            unpack: None,
            content_limits: None,
            block_bytes: 128 << 10,
            blocks: 2,
            segment_bytes: 1 << 20,
            segments_ahead: 1,
            collect_max: 0,
            sha256: false,
            seed: 0,
        }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a guard, which makes the window smaller as memory runs short.
    #[must_use]
    pub fn guard(self, guard: impl Into<Option<Guard>>) -> Self {
        Self { guard: guard.into().map(|guard| Arc::new(guard) as Arc<dyn Advise>), ..self }
    }

    crate::setters! {
        name: [into Arc<str>],
        limit: [usize],
        order: [Order],
        look_ahead: [usize],
        hosts: [Hosts],
        adapts_limit: [bool],
        retry: [RetryPolicy],
        idle_timeout: [Duration],
        min_rate: [u64],
        rate_period: [Duration],
        file_size_max: [u64],
        not_found: [NotFound],
        restarts: [bool],
        unpack: [into Option<narrows_unpack::Options>],
        content_limits: [into Option<Limits>],
        block_bytes: [usize],
        blocks: [u32],
        segment_bytes: [u64],
        segments_ahead: [u32],
        collect_max: [u64],
        sha256: [bool],
        seed: [u64],
    }
}

/// The order of deliveries.
///
/// ```
/// use narrows_core::{Options, Order};
///
/// assert_eq!(Options::new().order(Order::List).order, Order::List);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// As they become ready.
    #[default]
    Ready,
    /// As the sources were listed. One slow source holds back those behind it.
    List,
}

/// What a 404 means.
///
/// ```
/// use narrows_core::{NotFound, Options};
///
/// assert_eq!(Options::new().not_found(NotFound::Skip).not_found, NotFound::Skip);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NotFound {
    /// The source failed.
    #[default]
    Fail,
    /// The source is skipped: counted, and no failure.
    Skip,
}

/// Buffer between a `Content-Encoding` and what reads the decoded bytes.
pub(crate) const DECODED_BYTES: usize = 64 << 10;

/// State of a transfer outside its buffers: the future, timers, digests, names.
const STATE_BYTES: u64 = 8 << 10;

impl Options {
    /// What one transfer needs at most, whatever the source turns out to be.
    pub fn working_set(&self, profile: Profile) -> WorkingSet {
        let decoder = self.unpack.as_ref().map_or(0, narrows_unpack::Options::memory_max);
        self.working_set_with(profile, decoder)
    }

    /// What this source needs at most: its name may promise a format.
    pub fn working_set_of(&self, profile: Profile, source: &Source) -> WorkingSet {
        let decoder = self.unpack_of(source).map_or(0, |options| options.memory_max());
        self.working_set_with(profile, decoder)
    }

    fn working_set_with(&self, profile: Profile, decoder: u64) -> WorkingSet {
        let segments = match profile.holds_back {
            true => 0,
            false => self.segment_bytes.saturating_mul(u64::from(self.segments_ahead) + 1),
        };
        let content = narrows_unpack::Options { format: Some(narrows_unpack::Format::Gzip), ..Default::default() };
        WorkingSet::default()
            .with(Term::Exchange, profile.exchange_bytes)
            .with(Term::Segments, segments)
            .with(Term::ContentDecoder, content.memory_max() + DECODED_BYTES as u64)
            .with(Term::Decoder, decoder)
            .with(Term::Blocks, u64::from(self.blocks).saturating_mul(self.block_bytes as u64))
            .with(Term::Collect, self.collect_max)
            .with(Term::State, STATE_BYTES)
    }

    /// How this source is unpacked: what its path promises must come.
    pub(crate) fn unpack_of(&self, source: &Source) -> Option<narrows_unpack::Options> {
        let mut options = self.unpack.clone()?;
        if options.format.is_none() && options.expected.is_none() {
            options.expected = source.promised_format();
        }
        Some(options)
    }

    /// Checks the options against each other and the budget.
    ///
    /// # Errors
    ///
    /// [`OptionsError`], which says what to change.
    pub fn check(&self, profile: Profile, budget: &Budget) -> Result<WorkingSet, OptionsError> {
        let at_least_one = [
            ("limit", self.limit as u64),
            ("blocks", self.blocks.into()),
            ("block_bytes", self.block_bytes as u64),
            ("segment_bytes", self.segment_bytes),
            ("idle_timeout", u64::try_from(self.idle_timeout.as_millis()).unwrap_or(u64::MAX)),
            ("rate_period", u64::try_from(self.rate_period.as_millis()).unwrap_or(u64::MAX)),
        ];
        if let Some((name, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(OptionsError::Zero(name));
        }
        let needed = self.working_set(profile);
        let capacity = budget.capacity();
        match needed.total() <= capacity {
            true => Ok(needed),
            false => Err(OptionsError::Budget(BudgetTooSmall { needed: needed.total(), capacity })),
        }
    }
}

/// Options that cannot work.
///
/// ```
/// use narrows_core::{Budget, Options, OptionsError, Window, testing::{MemoryFetch, SkippingClock}};
///
/// let budget = Budget::new(1000);
/// let made = Window::from_iter(["mem://a"], MemoryFetch::new(), SkippingClock::new(), &budget, Options::new());
/// let Err(OptionsError::Budget(error)) = made else { panic!("1,000 bytes are not enough") };
/// assert!(error.needed > error.capacity);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OptionsError {
    /// The named option must be at least 1.
    Zero(&'static str),
    /// The budget is below one transfer's working set.
    Budget(BudgetTooSmall),
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero(name) => write!(f, "option `{name}` must be at least 1"),
            Self::Budget(error) => error.fmt(f),
        }
    }
}

impl StdError for OptionsError {}
