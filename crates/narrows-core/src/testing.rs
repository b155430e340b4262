//! A network in memory, for tests and examples: no sockets, no waiting.
//!
//! ```
//! # use futures_util::{FutureExt, StreamExt};
//! use narrows_core::{Budget, Options, Window, testing::{Fault, MemoryFetch, SkippingClock}};
//!
//! # async {
//! let fetch = MemoryFetch::new()
//!     .with("mem://a", *b"hello")
//!     .with_fault("mem://a", Fault::Reset { after: 2, times: 1 }); // resumed
//! let budget = Budget::new(8 << 20);
//! let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
//! let mut file = window.next().await.expect("one source");
//! assert_eq!(&file.collect(100).await?[..], b"hello");
//! assert_eq!(file.finish().attempts, 2);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }.now_or_never().expect("nothing waits").expect("it works");
//! ```

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    fmt,
    future::{Ready, ready},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    clock::{Clock, Timestamp},
    fetch::{Body, Fetch, FetchError, FetchErrorKind, Profile, Request, Response},
    head::{ContentRange, Head},
    spool::{Spool, SpoolFile},
};

/// Serves bodies from memory: ranges, a strong validator, and faults where some are asked for.
/// What is not there answers 404. Clones share their bodies.
///
/// No example: the module has one.
#[derive(Clone, Debug, Default)]
pub struct MemoryFetch {
    served: Arc<Mutex<BTreeMap<String, Served>>>,
    drains: bool,
}

#[derive(Debug)]
struct Served {
    bytes: Bytes,
    /// The fault, and how often it is still to be.
    fault: Option<(Fault, u32)>,
    requests: u64,
}

/// What goes wrong with a body, for the first `times` requests.
///
/// No example: the module has one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Answered with this status.
    Status {
        /// The status.
        status: u16,
        /// For so many requests.
        times: u32,
    },
    /// No answer, for this reason.
    Refuse {
        /// The reason.
        kind: FetchErrorKind,
        /// For so many requests.
        times: u32,
    },
    /// The body breaks off with an error.
    Reset {
        /// After so many bytes.
        after: usize,
        /// For so many requests.
        times: u32,
    },
    /// The body ends early.
    Cut {
        /// After so many bytes.
        after: usize,
        /// For so many requests.
        times: u32,
    },
}

impl Fault {
    fn times(self) -> u32 {
        match self {
            Self::Status { times, .. }
            | Self::Refuse { times, .. }
            | Self::Reset { times, .. }
            | Self::Cut { times, .. } => times,
        }
    }
}

impl MemoryFetch {
    /// Serves nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves `bytes` at `url`.
    #[must_use]
    pub fn with(self, url: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let served = Served { bytes: Bytes::from(bytes.into()), fault: None, requests: 0 };
        self.served.lock().unwrap_or_else(PoisonError::into_inner).insert(url.into(), served);
        self
    }

    /// Lets a body that is served fail.
    #[must_use]
    pub fn with_fault(self, url: &str, fault: Fault) -> Self {
        if let Some(served) = self.served.lock().unwrap_or_else(PoisonError::into_inner).get_mut(url) {
            served.fault = Some((fault, fault.times()));
        }
        self
    }

    /// As an adapter that cannot hold bodies back, as in browsers: they are asked for in segments.
    #[must_use]
    pub fn drained(self) -> Self {
        Self { drains: true, ..self }
    }

    /// How often `url` was asked for.
    pub fn requests(&self, url: &str) -> u64 {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).get(url).map_or(0, |served| served.requests)
    }

    fn answer(&self, request: &Request) -> Result<Response<MemoryBody>, MemoryError> {
        let mut all = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let body = |bytes| MemoryBody { bytes, end: None };
        let Some(served) = all.get_mut(&*request.url) else {
            return Ok(Response { head: Head { status: 404, ..Head::default() }, body: body(Bytes::new()) });
        };
        served.requests += 1;
        let fault = served.fault.take_if(|(_, left)| *left == 0).map_or(served.fault, |_| None);
        if let Some((_, left)) = &mut served.fault {
            *left -= 1;
        }
        let etag = format!("\"{:08x}\"", crc(&served.bytes));
        let total = served.bytes.len() as u64;
        let mut head = Head { status: 200, length: Some(total), accepts_ranges: true, ..Head::default() };
        head.etag = Some(etag.as_str().into());
        let mut bytes = served.bytes.clone();
        let matches = request.if_range.as_deref().is_none_or(|expected| expected == etag);
        if let Some(range) = request.range.filter(|_| matches) {
            let (start, end) = (range.start, range.end.unwrap_or(total).min(total));
            if start >= end {
                head.range = Some(ContentRange { part: None, total: Some(total) });
                return Ok(Response { head: Head { status: 416, length: Some(0), ..head }, body: body(Bytes::new()) });
            }
            head.range = Some(ContentRange { part: Some((start, end)), total: Some(total) });
            (head.status, head.length) = (206, Some(end - start));
            bytes = bytes.slice(start as usize..end as usize);
        }
        match fault.map(|(fault, _)| fault) {
            Some(Fault::Status { status, .. }) => {
                Ok(Response { head: Head { status, ..Head::default() }, body: body(Bytes::new()) })
            }
            Some(Fault::Refuse { kind, .. }) => Err(MemoryError(kind)),
            Some(Fault::Reset { after, .. }) => {
                let bytes = bytes.slice(..after.min(bytes.len()));
                let end = Some(MemoryError(FetchErrorKind::Interrupted));
                Ok(Response { head, body: MemoryBody { bytes, end } })
            }
            Some(Fault::Cut { after, .. }) => Ok(Response { head, body: body(bytes.slice(..after.min(bytes.len()))) }),
            None => Ok(Response { head, body: body(bytes) }),
        }
    }
}

/// Enough of a checksum to tell bodies apart.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl Fetch for MemoryFetch {
    type Error = MemoryError;
    type Body = MemoryBody;
    type Future = Ready<Result<Response<MemoryBody>, MemoryError>>;

    fn profile(&self) -> Profile {
        Profile { holds_back: !self.drains, exchange_bytes: CHUNK_BYTES as u64 }
    }

    fn fetch(&self, request: Request) -> Self::Future {
        ready(self.answer(&request))
    }
}

/// Longest chunk of a body.
const CHUNK_BYTES: usize = 64 << 10;

/// A body in memory.
///
/// No example: a window reads it.
#[derive(Debug)]
pub struct MemoryBody {
    bytes: Bytes,
    /// How it ends, if not well.
    end: Option<MemoryError>,
}

impl Body for MemoryBody {
    type Error = MemoryError;

    fn poll_chunk(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, MemoryError>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(self.end.take().map(Err));
        }
        let length = self.bytes.len().min(CHUNK_BYTES);
        Poll::Ready(Some(Ok(self.bytes.split_to(length))))
    }
}

/// A fault that was asked for.
///
/// No example: it shows as the failure of a source.
#[derive(Clone, Copy, Debug)]
pub struct MemoryError(FetchErrorKind);

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault that was asked for")
    }
}

impl StdError for MemoryError {}

impl FetchError for MemoryError {
    fn kind(&self) -> FetchErrorKind {
        self.0
    }
}

/// A clock on which every wait is over at once: its time jumps to where it was to wait for.
///
/// No example: that of [`Clock`] uses it.
#[derive(Clone, Debug, Default)]
pub struct SkippingClock(Arc<AtomicU64>);

impl SkippingClock {
    /// A clock at zero.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Clock for SkippingClock {
    type Sleep = Ready<()>;

    fn now(&self) -> Timestamp {
        Timestamp(Duration::from_nanos(self.0.load(Relaxed)))
    }

    fn sleep_until(&self, deadline: Timestamp) -> Ready<()> {
        self.0.fetch_max(u64::try_from(deadline.0.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        ready(())
    }
}

/// Temporary storage in memory, within a quota. Clones share it.
///
/// ```
/// # use futures_util::FutureExt;
/// use narrows_core::{spool::Spool, testing::MemorySpool};
///
/// let spool = MemorySpool::new(100);
/// let file = spool.create(60).now_or_never().expect("nothing waits");
/// assert!(file.is_ok() && spool.create(60).now_or_never().expect("nothing waits").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct MemorySpool {
    left: Arc<AtomicU64>,
}

impl MemorySpool {
    /// A spool of so many bytes.
    pub fn new(quota: u64) -> Self {
        Self { left: Arc::new(AtomicU64::new(quota)) }
    }

    /// Bytes of the quota that are free.
    pub fn left(&self) -> u64 {
        self.left.load(Relaxed)
    }
}

impl Spool for MemorySpool {
    type Error = MemorySpoolFull;
    type File = MemorySpoolFile;
    type Create = Ready<Result<MemorySpoolFile, MemorySpoolFull>>;

    fn create(&self, bytes_max: u64) -> Self::Create {
        let taken = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes_max));
        let file = || MemorySpoolFile { bytes: Vec::new(), bytes_max, left: self.left.clone() };
        ready(taken.map(|_| file()).map_err(|_| MemorySpoolFull))
    }
}

/// A temporary file in memory.
///
/// No example: [`MemorySpool`] makes it.
#[derive(Debug)]
pub struct MemorySpoolFile {
    bytes: Vec<u8>,
    bytes_max: u64,
    left: Arc<AtomicU64>,
}

impl Drop for MemorySpoolFile {
    fn drop(&mut self) {
        self.left.fetch_add(self.bytes_max, Relaxed);
    }
}

impl SpoolFile for MemorySpoolFile {
    type Error = MemorySpoolFull;

    fn poll_append(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, MemorySpoolFull>> {
        if self.bytes.len() as u64 + bytes.len() as u64 > self.bytes_max {
            return Poll::Ready(Err(MemorySpoolFull));
        }
        self.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_read_at(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, MemorySpoolFull>> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..)).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Poll::Ready(Ok(read))
    }
}

/// A quota that is used up.
///
/// No example: that of [`MemorySpool`] meets it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemorySpoolFull;

impl fmt::Display for MemorySpoolFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the spool is full")
    }
}

impl StdError for MemorySpoolFull {}
