//! Archives that cannot be streamed: downloaded to a spool, and unpacked from there by the same
//! machine with the same checks, names, meter and limits.
//!
//! A stored entry with a data descriptor has no end that a stream can see. Its length stands in
//! the central directory, at the archive's end. So the archive is spooled, its directory is read
//! for those lengths alone, and the spooled bytes then pass through a window like any other
//! source's: what the consumer gets is a [`Delivery`].
//!
//! ```text
//!  first delivery fails (needs random access)
//!     -> download again, to the spool -> lengths from the directory -> unpack from the spool
//!     -> second delivery -> its report -> first.finish_as(report): the one report of the source
//! ```

use std::{
    error::Error as StdError,
    fmt,
    future::{Ready, ready},
    ops::{Deref, DerefMut},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::StreamExt;
use narrows_unpack::{DirectoryAt, StoredLengths, TAIL_BYTES};

use crate::{
    budget::{Budget, BudgetTooSmall, Reservation},
    clock::Clock,
    delivery::Delivery,
    failure::{Failure, FailureKind},
    fetch::{Body, Fetch, FetchError, FetchErrorKind, Profile, Request, Response},
    head::Head,
    options::Options,
    report::{Outcome, Report},
    source::Source,
    spool::{ReadError, Spool, SpoolFile, read_exact_at},
    window::Window,
};

/// Shortest record of a central directory (APPNOTE 4.3.12).
const DIRECTORY_ENTRY_BYTES_MIN: u64 = 46;

/// Bytes read from a spool at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Unpacks archives that cannot be streamed, one at a time, in memory that is set aside for it.
///
/// A consumer that waited for memory of the window's budget, while the window waits for the
/// consumer, would wait for ever: give it a budget of its own ([`Budget::set_aside`]).
///
/// ```
/// use narrows_core::{Budget, Clock, Delivery, Fetch, Options, Report, Spool, respool::Respooler, spool::SpoolFile};
///
/// async fn read_anyhow<F: Fetch + Clone, C: Clock + Clone, S: Spool>(
///     delivery: Delivery<F, C>,
///     respooler: &Respooler<F, C, S>,
/// ) -> Report {
///     if !delivery.failure().is_some_and(|failure| failure.needs_random_access()) {
///         return delivery.finish();
///     }
///     let second = match respooler.open(delivery.source()).await {
///         Ok(mut second) => {
///             while let Ok(Some(_block)) = second.next_block().await {}
///             second.finish()
///         }
///         Err(report) => *report,
///     };
///     delivery.finish_as(second)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Respooler<F, C, S> {
    fetch: F,
    clock: C,
    spool: S,
    budget: Budget,
    options: Options,
    bytes_max: u64,
    /// A queue for the one place there is: two archives may not fit on the disk, or in memory.
    turn: Budget,
}

impl<F, C, S> Respooler<F, C, S>
where
    F: Fetch + Clone,
    C: Clock + Clone,
    S: Spool,
    S::File: Unpin,
{
    /// Spools archives of at most `bytes_max` bytes. `options` are those of the window whose
    /// deliveries it takes up.
    ///
    /// # Errors
    ///
    /// [`BudgetTooSmall`] if the budget is below [`needed`](Self::needed).
    pub fn new(
        fetch: F,
        clock: C,
        spool: S,
        budget: Budget,
        options: Options,
        bytes_max: u64,
    ) -> Result<Self, BudgetTooSmall> {
        let (needed, capacity) = (Self::needed(&options, fetch.profile()), budget.capacity());
        match needed <= capacity {
            true => Ok(Self { fetch, clock, spool, budget, options, bytes_max, turn: Budget::new(1) }),
            false => Err(BudgetTooSmall { needed, capacity }),
        }
    }

    /// Bytes of its budget that any archive takes: for its download, and for small ones all the
    /// way.
    pub fn needed(options: &Options, profile: Profile) -> u64 {
        let download = download_options(options).working_set(profile).total();
        download.max(TAIL_BYTES).max(second_pass(options, 0).1)
    }

    /// Bytes of its budget that an archive with as many entries as allowed takes.
    pub fn needed_at_most(options: &Options, profile: Profile) -> u64 {
        Self::needed(options, profile).max(second_pass(options, u64::MAX).1)
    }

    /// Downloads a source whose delivery failed because it
    /// [needs random access](crate::Failure::needs_random_access), and gives another delivery of it,
    /// from the spool. Waits while another archive is at it, and holds nothing while it waits.
    ///
    /// # Errors
    ///
    /// The report of a download or a directory that failed: see [`Delivery::finish_as`].
    ///
    /// Cancel-safe in that nothing is left behind; the download is lost.
    pub async fn open(&self, source: Source) -> Result<Respooled<S::File, C>, Box<Report>> {
        let turn = Self::claim(&self.turn, 1).await;
        let memory =
            Self::claim(&self.budget, download_options(&self.options).working_set(self.fetch.profile()).total()).await;
        let (mut file, download) = self.download(source.clone()).await?;
        drop(memory); // what it takes from here on is known only now
        match self.begin(&mut file, &download).await {
            Ok((memory, options)) => {
                let fetch = SpooledFetch::new(file, download.bytes_out); // decoded, if it came encoded
                let delivery = self.only(Source::new(source.url), fetch, options).await;
                Ok(Respooled { delivery, download, held: (memory, turn) })
            }
            Err(kind) => Err(Box::new(failed(download, kind))),
        }
    }

    /// Memory for the second pass, and its options: with the lengths that the directory told.
    async fn begin(&self, file: &mut S::File, download: &Report) -> Result<(Reservation, Options), FailureKind> {
        let length = download.bytes_out;
        let unpack = |kind| FailureKind::Unpack(narrows_unpack::Error { kind, entry: None, offset: length });
        let memory = Self::claim(&self.budget, TAIL_BYTES).await;
        let tail_start = length.saturating_sub(TAIL_BYTES);
        let mut tail = vec![0; (length - tail_start) as usize];
        read_exact::<S>(file, tail_start, &mut tail).await?;
        let at = DirectoryAt::find(&tail, length).map_err(unpack)?;
        drop((tail, memory));
        let (options, needed) = second_pass(&self.options, at.bytes);
        let Ok(claim) = self.budget.claim(needed) else {
            return Err(FailureKind::OverBudget { needed, capacity: self.budget.capacity() });
        };
        let memory = claim.await;
        let mut lengths = StoredLengths::new(at.bytes, entries_max(&options));
        let mut chunk = vec![0; CHUNK_BYTES.min(at.bytes as usize)];
        let mut done = 0;
        while done < at.bytes {
            let part = &mut chunk[..CHUNK_BYTES.min((at.bytes - done) as usize)];
            read_exact::<S>(file, at.start + done, part).await?;
            lengths.push(part).map_err(unpack)?;
            done += part.len() as u64;
        }
        let unpack = options.unpack.clone().unwrap_or_default();
        let stored_lengths = Some(Arc::new(lengths.complete()));
        Ok((memory, options.unpack(narrows_unpack::Options { stored_lengths, ..unpack })))
    }

    /// Memory that was checked to be there when this was made.
    async fn claim(budget: &Budget, bytes: u64) -> Reservation {
        match budget.claim(bytes) {
            Ok(claim) => claim.await,
            Err(error) => unreachable!("checked when it was made: {error}"),
        }
    }

    /// The delivery of a window over one source, in memory that is claimed already.
    async fn only<G: Fetch + Clone>(&self, source: Source, fetch: G, options: Options) -> Delivery<G, C> {
        let own = Budget::new(options.working_set(fetch.profile()).total());
        let window = Window::from_iter([source], fetch, self.clock.clone(), &own, options);
        let mut window = window.unwrap_or_else(|error| unreachable!("a whole working set: {error}"));
        window.next().await.unwrap_or_else(|| unreachable!("one source, no delivery"))
    }

    async fn download(&self, source: Source) -> Result<(S::File, Report), Box<Report>> {
        let mut delivery = self.only(source, self.fetch.clone(), download_options(&self.options)).await;
        match delivery.spool(&self.spool, self.bytes_max).await {
            Ok(file) => {
                let report = delivery.finish();
                if matches!(report.outcome, Outcome::Done(_)) { Ok((file, report)) } else { Err(Box::new(report)) }
            }
            Err(_) => Err(Box::new(delivery.cancel())),
        }
    }
}

fn download_options(options: &Options) -> Options {
    // A temporary file of another version is of no use, and the archive is asked for anew by its own flight.
    options.clone().limit(1).unpack(None).restarts(false)
}

/// Options for unpacking an archive with so long a directory from the spool, and the memory that
/// takes: its entries are no more than fit.
fn second_pass(options: &Options, directory_bytes: u64) -> (Options, u64) {
    let mut unpack = options.unpack.clone().unwrap_or_default();
    let fit = u32::try_from(directory_bytes / DIRECTORY_ENTRY_BYTES_MIN + 1).unwrap_or(u32::MAX);
    unpack.limits.entries_max = unpack.limits.entries_max.min(fit);
    let options = options.clone().limit(1).unpack(unpack).restarts(false);
    let lengths = StoredLengths::memory_max(directory_bytes, entries_max(&options));
    let needed = options.working_set(SPOOLED).total().saturating_add(lengths + CHUNK_BYTES as u64);
    (options, needed)
}

fn entries_max(options: &Options) -> u32 {
    options.unpack.as_ref().map_or(0, |unpack| unpack.limits.entries_max)
}

async fn read_exact<S: Spool>(file: &mut S::File, offset: u64, buffer: &mut [u8]) -> Result<(), FailureKind> {
    read_exact_at(file, offset, buffer).await.map_err(|error| match error {
        ReadError::Storage(error) => FailureKind::Storage(error.to_string().into()),
        ReadError::Short => FailureKind::Storage("the spooled file is shorter than it was written".into()),
    })
}

fn failed(report: Report, kind: FailureKind) -> Report {
    let Report { attempts, bytes_received, bytes_accepted, .. } = report;
    let failure = Failure { kind, url: report.url.clone(), attempts, bytes_received, bytes_accepted, detail: None };
    Report { outcome: Outcome::Failed(Box::new(failure)), ..report }
}

/// A delivery from the spool. It reads like any other; its report says what the download took.
///
/// No example: see [`Respooler`].
pub struct Respooled<G: SpoolFile + Unpin, C: Clock> {
    delivery: Delivery<SpooledFetch<G>, C>,
    download: Report,
    /// Its memory, and its turn.
    held: (Reservation, Reservation),
}

impl<G: SpoolFile + Unpin, C: Clock> Respooled<G, C> {
    /// As [`Delivery::finish`].
    pub fn finish(self) -> Report {
        Self::merge(self.download, self.delivery.finish(), self.held)
    }

    /// As [`Delivery::fail`].
    pub fn fail(self, reason: impl Into<FailureKind>) -> Report {
        Self::merge(self.download, self.delivery.fail(reason), self.held)
    }

    /// As [`Delivery::cancel`].
    pub fn cancel(self) -> Report {
        Self::merge(self.download, self.delivery.cancel(), self.held)
    }

    fn merge(download: Report, second: Report, held: (Reservation, Reservation)) -> Report {
        drop(held); // the delivery is gone
        let Report { outcome, bytes_out, entries, elapsed, .. } = second;
        Report { outcome, bytes_out, entries, elapsed: download.elapsed + elapsed, ..download }
    }
}

impl<G: SpoolFile + Unpin, C: Clock> Deref for Respooled<G, C> {
    type Target = Delivery<SpooledFetch<G>, C>;

    fn deref(&self) -> &Self::Target {
        &self.delivery
    }
}

impl<G: SpoolFile + Unpin, C: Clock> DerefMut for Respooled<G, C> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.delivery
    }
}

impl<G: SpoolFile + Unpin, C: Clock> fmt::Debug for Respooled<G, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Respooled").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

/// What reading from a spool takes.
const SPOOLED: Profile = Profile { holds_back: true, exchange_bytes: CHUNK_BYTES as u64 };

/// Serves one spooled file, whatever the address.
///
/// No example: [`Respooler`] makes it.
pub struct SpooledFetch<G> {
    /// Taken by each body for as long as it reads a chunk.
    file: Arc<Mutex<G>>,
    length: u64,
}

impl<G> SpooledFetch<G> {
    /// Serves the first `length` bytes of `file`.
    pub fn new(file: G, length: u64) -> Self {
        Self { file: Arc::new(Mutex::new(file)), length }
    }
}

impl<G> Clone for SpooledFetch<G> {
    fn clone(&self) -> Self {
        Self { file: self.file.clone(), length: self.length }
    }
}

impl<G> fmt::Debug for SpooledFetch<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpooledFetch").field("length", &self.length).finish_non_exhaustive()
    }
}

impl<G: SpoolFile + Unpin> Fetch for SpooledFetch<G> {
    type Error = SpoolReadError;
    type Body = SpooledBody<G>;
    type Future = Ready<Result<Response<SpooledBody<G>>, SpoolReadError>>;

    fn profile(&self) -> Profile {
        SPOOLED
    }

    fn fetch(&self, _request: Request) -> Self::Future {
        let head = Head { status: 200, length: Some(self.length), ..Head::default() };
        let body = SpooledBody { file: self.file.clone(), at: 0, length: self.length };
        ready(Ok(Response { head, body }))
    }
}

/// A spooled file as a body.
///
/// No example: a window reads it.
pub struct SpooledBody<G> {
    file: Arc<Mutex<G>>,
    at: u64,
    length: u64,
}

impl<G> fmt::Debug for SpooledBody<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpooledBody").field("at", &self.at).field("length", &self.length).finish_non_exhaustive()
    }
}

impl<G: SpoolFile + Unpin> Body for SpooledBody<G> {
    type Error = SpoolReadError;

    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SpoolReadError>>> {
        let left = self.length - self.at;
        if left == 0 {
            return Poll::Ready(None);
        }
        let mut chunk = vec![0; CHUNK_BYTES.min(left as usize)];
        let read = {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            ready!(Pin::new(&mut *file).poll_read_at(cx, self.at, &mut chunk))
        };
        Poll::Ready(Some(match read {
            Ok(0) | Err(_) => Err(SpoolReadError),
            Ok(read) => {
                chunk.truncate(read);
                self.at += read as u64;
                Ok(chunk.into())
            }
        }))
    }
}

/// A spooled file could not be read.
///
/// No example: it shows as the failure of a source.
#[derive(Clone, Copy, Debug)]
pub struct SpoolReadError;

impl fmt::Display for SpoolReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the spooled file could not be read")
    }
}

impl StdError for SpoolReadError {}

impl FetchError for SpoolReadError {
    fn kind(&self) -> FetchErrorKind {
        FetchErrorKind::Protocol // the same file will not read better
    }
}
