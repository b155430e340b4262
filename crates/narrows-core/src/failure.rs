//! How a source can fail, and whether trying again can help: decided here, by kind, only.

use std::{error::Error as StdError, fmt, io, time::Duration};

use narrows_unpack::ErrorKind;

use crate::{fetch::FetchErrorKind, source::BadLine, text::printable};

/// Why a source failed.
///
/// ```
/// # use futures_util::{FutureExt, StreamExt};
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # async {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"hello");
/// # let budget = Budget::new(8 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// # let fetch = MemoryFetch::new();
/// # let mut window = Window::from_iter(["mem://user:secret@host/a?token"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// let mut file = window.next().await.expect("one source");
/// let failure = file.next_block().await.unwrap_err();
/// assert_eq!((failure.kind.code(), failure.retryable()), ("not_found", false));
/// assert_eq!(failure.to_string(), "mem://host/a?…: the origin answered with status 404");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong last.
    pub kind: FailureKind,
    /// The address, without user, password and query.
    pub url: String,
    /// Tries: the first, and one more after each failure that was retried.
    pub attempts: u32,
    /// Bytes received, those thrown away included.
    pub bytes_received: u64,
    /// Bytes accepted as the source's.
    pub bytes_accepted: u64,
    /// The adapter's own words, where it had some; without secrets.
    pub detail: Option<Box<str>>,
}

impl Failure {
    /// A failure of this kind of which nothing else is known, for wrappers and tests.
    pub fn of(kind: FailureKind) -> Self {
        Self { kind, url: String::new(), attempts: 0, bytes_received: 0, bytes_accepted: 0, detail: None }
    }

    /// Whether it is an archive that cannot be streamed, and could be read from a spool: see
    /// [`Respooler`](crate::respool::Respooler).
    pub fn needs_random_access(&self) -> bool {
        match &self.kind {
            FailureKind::Unpack(error) => match &error.kind {
                ErrorKind::Unsupported(what) => what.needs_random_access(),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether the same download may well succeed later.
    pub fn retryable(&self) -> bool {
        self.kind.is_retried() || self.kind == FailureKind::Changed
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.url.is_empty() {
            write!(f, "{}: ", self.url)?;
        }
        self.kind.fmt(f)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {}", printable(detail))?;
        }
        let (attempts, received) = (self.attempts, self.bytes_accepted);
        if attempts > 1 {
            write!(f, " (after {attempts} attempts and {received} bytes)")?;
        }
        Ok(())
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.kind {
            FailureKind::Unpack(error) => Some(error),
            FailureKind::BadLine(error) => Some(error),
            _ => None,
        }
    }
}

/// For [`std::io`]: the kind that comes nearest, with the failure inside.
///
/// ```
/// use narrows_core::{Failure, FailureKind};
///
/// let error = std::io::Error::from(Failure::of(FailureKind::Status(404)));
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// ```
impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        let kind = match &failure.kind {
            FailureKind::Fetch(FetchErrorKind::Refused) => io::ErrorKind::ConnectionRefused,
            FailureKind::Fetch(FetchErrorKind::Connect | FetchErrorKind::Dns) => io::ErrorKind::NotConnected,
            FailureKind::Fetch(FetchErrorKind::Interrupted) => io::ErrorKind::ConnectionAborted,
            FailureKind::Cut { .. } => io::ErrorKind::UnexpectedEof,
            FailureKind::Idle(_) | FailureKind::TooSlow { .. } => io::ErrorKind::TimedOut,
            FailureKind::Status(404 | 410) => io::ErrorKind::NotFound,
            FailureKind::Status(401 | 403 | 407) => io::ErrorKind::PermissionDenied,
            FailureKind::Unpack(_)
            | FailureKind::SizeMismatch { .. }
            | FailureKind::DigestMismatch { .. }
            | FailureKind::LineTooLong { .. } => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, failure)
    }
}

/// Kinds of failure.
///
/// ```
/// use narrows_core::FailureKind;
///
/// let kind = FailureKind::Cut { expected: 100, actual: 40 };
/// assert_eq!((kind.code(), kind.is_retried()), ("cut", true));
/// assert_eq!(kind.to_string(), "the body ended at byte 40 of 100");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FailureKind {
    /// No exchange, or one that broke off.
    Fetch(FetchErrorKind),
    /// The origin answered with this status.
    Status(u16),
    /// The body ended before its length: the offset it should have reached, and did.
    Cut {
        /// Offset at which it had to end.
        expected: u64,
        /// Offset at which it ended.
        actual: u64,
    },
    /// No byte came for this long while some were wanted.
    Idle(Duration),
    /// Bytes came, but too few in this time.
    TooSlow {
        /// How many came.
        bytes: u64,
        /// In how long.
        period: Duration,
    },
    /// A range was answered with something else; the text says what.
    BadRange(&'static str),
    /// The content changed between two exchanges, after a part had been handed out. Another run gets the new one.
    Changed,
    /// The same, where the consumer can begin anew ([`Options::restarts`](crate::Options::restarts)). The source has
    /// not ended: throw away what came, and ask for blocks or entries from the first one on.
    Restarted,
    /// The body is longer than it was declared.
    TooLong {
        /// Bytes declared.
        declared: u64,
    },
    /// The origin has no ranges, so the whole body would be held: this many bytes, if known.
    NeedsRanges {
        /// Bytes that would be needed.
        bytes: Option<u64>,
    },
    /// Larger than the largest file allowed.
    TooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// Not as long as the source said beforehand.
    SizeMismatch {
        /// Bytes expected.
        expected: u64,
        /// Bytes found or declared.
        actual: u64,
    },
    /// Not the digest the source said beforehand.
    DigestMismatch {
        /// `md5` or `sha256`.
        algorithm: &'static str,
        /// In hexadecimal.
        expected: Box<str>,
        /// In hexadecimal.
        actual: Box<str>,
    },
    /// A `Content-Encoding` that is not decoded.
    Encoding(Box<str>),
    /// The content cannot be unpacked.
    Unpack(narrows_unpack::Error),
    /// Too big to collect: bytes needed, and bytes that could be had.
    TooBigToCollect {
        /// Bytes needed, if known.
        needed: Option<u64>,
        /// Bytes that could be had.
        available: u64,
    },
    /// It needs more memory at once than the budget has.
    OverBudget {
        /// Bytes needed.
        needed: u64,
        /// Bytes of the budget.
        capacity: u64,
    },
    /// All of a transfer's blocks are in the consumer's hand, so there is none to fill. The source
    /// has not ended: drop one, or wait until one is dropped elsewhere
    /// ([`Delivery::room`](crate::Delivery::room)).
    BlocksHeld {
        /// How many.
        held: u32,
    },
    /// A line is longer than was allowed.
    LineTooLong {
        /// The limit in bytes.
        max: u64,
    },
    /// The caller asked for what cannot be given now; the text says why.
    Misuse(&'static str),
    /// The list's line was malformed.
    BadLine(BadLine),
    /// It was not asked for: its host counts as down.
    HostDown {
        /// Requests that the host refused in a row.
        refusals: u32,
    },
    /// The window was cancelled.
    Cancelled,
    /// Storing the data failed.
    Storage(Box<str>),
    /// The consumer does not take the data for what it was to be, and why.
    Rejected(Box<str>),
}

impl FailureKind {
    /// A stable word for the kind, fit for reports.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fetch(kind) => kind.code(),
            Self::Status(404 | 410) => "not_found",
            Self::Status(401 | 403 | 407) => "denied",
            Self::Status(429 | 503) => "overloaded",
            Self::Status(_) => "status",
            Self::Cut { .. } => "cut",
            Self::Idle(_) => "idle",
            Self::TooSlow { .. } => "too_slow",
            Self::BadRange(_) => "bad_range",
            Self::Changed => "changed",
            Self::Restarted => "restarted",
            Self::TooLong { .. } => "too_long",
            Self::NeedsRanges { .. } => "needs_ranges",
            Self::TooLarge { .. } => "too_large",
            Self::SizeMismatch { .. } => "size_mismatch",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::Encoding(_) => "encoding",
            Self::Unpack(error) => error.code(),
            Self::TooBigToCollect { .. } => "too_big_to_collect",
            Self::OverBudget { .. } => "over_budget",
            Self::BlocksHeld { .. } => "blocks_held",
            Self::LineTooLong { .. } => "line_too_long",
            Self::Misuse(_) => "misuse",
            Self::BadLine(_) => "bad_line",
            Self::HostDown { .. } => "host_down",
            Self::Cancelled => "cancelled",
            Self::Storage(_) => "storage",
            Self::Rejected(_) => "rejected",
        }
    }

    /// Whether it is how a host with too much to do refuses.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Status(429 | 503) | Self::Fetch(FetchErrorKind::Refused))
    }

    /// Whether another attempt can help. The one place where this is decided.
    pub fn is_retried(&self) -> bool {
        match self {
            Self::Fetch(kind) => match kind {
                FetchErrorKind::Connect
                | FetchErrorKind::Dns
                | FetchErrorKind::Refused
                | FetchErrorKind::Proxy
                | FetchErrorKind::Interrupted => true,
                FetchErrorKind::Tls
                | FetchErrorKind::BadUrl
                | FetchErrorKind::Redirect
                | FetchErrorKind::Blocked
                | FetchErrorKind::Protocol => false,
            },
            Self::Status(status) => matches!(status, 408 | 425 | 429 | 500 | 502..=504 | 520..=524 | 530),
            Self::Cut { .. } | Self::Idle(_) | Self::TooSlow { .. } | Self::BadRange(_) | Self::HostDown { .. } => true,
            Self::Changed
            | Self::Restarted
            | Self::TooLong { .. }
            | Self::NeedsRanges { .. }
            | Self::TooLarge { .. }
            | Self::SizeMismatch { .. }
            | Self::DigestMismatch { .. }
            | Self::Encoding(_)
            | Self::Unpack(_)
            | Self::TooBigToCollect { .. }
            | Self::OverBudget { .. }
            | Self::BlocksHeld { .. }
            | Self::LineTooLong { .. }
            | Self::Misuse(_)
            | Self::BadLine(_)
            | Self::Cancelled
            | Self::Storage(_)
            | Self::Rejected(_) => false,
        }
    }
}

/// The consumer could not store the data.
impl From<io::Error> for FailureKind {
    fn from(error: io::Error) -> Self {
        Self::Storage(error.to_string().into())
    }
}

/// The consumer could not store the data, for this reason.
impl From<&str> for FailureKind {
    fn from(reason: &str) -> Self {
        Self::Storage(reason.into())
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(kind) => kind.fmt(f),
            Self::Status(status) => write!(f, "the origin answered with status {status}"),
            Self::Cut { expected, actual } => write!(f, "the body ended at byte {actual} of {expected}"),
            Self::Idle(time) => write!(f, "no byte came for {time:?}"),
            Self::TooSlow { bytes, period } => write!(f, "only {bytes} bytes came in {period:?}"),
            Self::BadRange(what) => write!(f, "the origin mis-answered a range: {what}"),
            Self::Changed => f.write_str("the content changed during the download; start over"),
            Self::Restarted => f.write_str("the content changed during the download: what came of it is void"),
            Self::TooLong { declared } => write!(f, "the body is longer than the {declared} bytes declared"),
            Self::NeedsRanges { bytes: Some(bytes) } => {
                write!(f, "the origin has no ranges; the whole body needs {bytes} bytes of budget")
            }
            Self::NeedsRanges { bytes: None } => f.write_str(
                "the origin has no ranges and does not say how long the body is, which is more than a segment",
            ),
            Self::TooLarge { max } => write!(f, "larger than the {max} bytes allowed"),
            Self::SizeMismatch { expected, actual } => write!(f, "{actual} bytes, {expected} expected"),
            Self::DigestMismatch { algorithm, expected, actual } => {
                write!(f, "{algorithm} is {actual}, {expected} expected")
            }
            Self::Encoding(name) => write!(f, "content encoding {name:?} is not supported"),
            Self::Unpack(error) => error.fmt(f),
            Self::TooBigToCollect { needed: Some(needed), available } => {
                write!(f, "collecting needs {needed} bytes, {available} are to be had; read blocks or use a spool")
            }
            Self::TooBigToCollect { needed: None, available } => {
                write!(f, "more than the {available} bytes that may be collected; read blocks or use a spool")
            }
            Self::OverBudget { needed, capacity } => {
                write!(f, "{needed} bytes are needed at once, the budget for it has {capacity}")
            }
            Self::BlocksHeld { held } => {
                write!(f, "all {held} blocks are in your hand: drop one before asking for another, or raise `blocks`")
            }
            Self::LineTooLong { max } => write!(f, "a line is longer than the {max} bytes allowed"),
            Self::Misuse(what) => f.write_str(what),
            Self::BadLine(error) => write!(f, "{error} in the line {:?}", error.line()),
            Self::HostDown { refusals } => {
                write!(f, "not asked for: its host has refused {refusals} requests in a row; try again later")
            }
            Self::Cancelled => f.write_str("cancelled"),
            Self::Storage(what) => write!(f, "storing it failed: {what}"),
            Self::Rejected(why) => write!(f, "not as it should be: {why}"),
        }
    }
}
