//! One source on the wire: all its attempts, as one stream of bytes that never repeats, skips or
//! mixes versions.
//!
//! ```text
//!              +--------------- backing off <---------------+
//!              v                                            | failed, retries left
//!   begin -> asking -> receiving -+-> complete              |
//!              ^                  |                         |
//!              +--- next segment -+-------------------------+---> failed
//! ```
//!
//! Where the adapter can hold a body back, one exchange carries the whole body and at most one
//! chunk of it is in hand. Where it can't, the body is asked for in segments: memory for a
//! segment is there before it is requested, and it is drained as soon as it arrives, so that what
//! waits for the consumer is the next request, never an open body.
//!
//! After a break, the transfer resumes by range if a strong validator vouches for the rest.
//! Otherwise it takes the body from its start again, skips what it has, and compares digests of
//! the two beginnings before it goes on.

mod backoff;
mod receive;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    alarm::Alarm,
    answer::Pinned,
    clock::{Clock, Timestamp},
    digest::Digests,
    failure::{Failure, FailureKind},
    fetch::{ByteRange, Fetch, FetchError, Profile, Request},
    hosts::{OpenBody, Permit},
    lease::Lease,
    ledger::Ledger,
    options::Options,
    patience::{Impatience, Patience},
    pending::Pending,
    prng::Prng,
    replay::{Part, Replay},
    report::Proof,
    retry::RetryTokens,
    source::{BadLine, Source},
    stats::Phase,
    ticket::Figures,
    trace::SourceSpan,
};

pub(crate) struct Transfer<F: Fetch, C: Clock> {
    fetch: F,
    clock: C,
    options: Arc<Options>,
    tokens: RetryTokens,
    ledger: Ledger,
    lease: Lease,
    source: Source,
    span: SourceSpan,
    prng: Prng,
    state: State<F, C>,
    patience: Patience<C>,
    pinned: Pinned,
    /// `Content-Encoding` of what is received.
    encoding: Option<Box<str>>,
    /// Whether the platform has decoded one.
    pub(crate) is_decoded: bool,
    digests: Digests,
    /// Bytes of the stream accepted so far; `consumed <= received`.
    received: u64,
    /// Bytes of the stream taken by the reader.
    consumed: u64,
    /// Accepted and not yet taken. Held back: at most one chunk. Drained: at most
    /// `segments_ahead + 1` segments.
    pending: Pending,
    /// The line it came from was malformed: it fails at once.
    invalid: Option<BadLine>,
    /// Whether an answer contradicted itself: from then on no range is asked for.
    is_plain: bool,
    /// The part that was asked for last.
    asked: Option<ByteRange>,
    /// Whether the answer being received said how long it is, and what had come before it.
    has_length: bool,
    bytes_before: u64,
    /// Whether the answer being received shows its own end.
    is_chunked: bool,
    /// Failures that were followed by another try.
    retries: u32,
    /// How often the source began anew because it had changed; and whether it has since bytes were taken.
    restarts: u32,
    is_restarted: bool,
    requests: u32,
    /// The part being received, where bodies are drained.
    part: Part,
    /// Whether parts were put together that nothing tells to be of one version.
    is_pieced: bool,
    /// Reserved beyond the working set for a body that could not be had in segments.
    grown: u64,
    /// Its place at its host; none while it is parked.
    permit: Option<Permit>,
    /// Refusals that were the host's, not its own.
    refusals: u32,
    /// Where bytes come too fast: until when none are asked for.
    throttle: Alarm<C>,
    /// Failures in a row, and where the row began.
    failures: u32,
    row_start: u64,
    /// Everything that came over the wire, what was thrown away included.
    pub(crate) bytes_in: u64,
    pub(crate) status: Option<u16>,
}

enum State<F: Fetch, C: Clock> {
    /// The next request may be made when there is room for its answer.
    Begin,
    Asking {
        response: F::Future,
        range: Option<ByteRange>,
    },
    Receiving {
        body: F::Body,
        end: Option<u64>,
        replay: Option<Box<Replay>>,
        _open: Option<OpenBody>,
    },
    /// Until then nothing is asked for.
    BackingOff(Timestamp, C::Sleep),
    Complete,
    Failed,
}

/// What one step of the state machine came to.
enum Step {
    /// Go on at once.
    Again,
    /// The network or the clock will wake the task.
    Pending,
    /// Nothing to do until bytes are taken, or ever.
    Idle,
    Failed(FailureKind, Option<Duration>, Option<Box<str>>),
}

impl From<FailureKind> for Step {
    fn from(kind: FailureKind) -> Self {
        Self::Failed(kind, None, None)
    }
}

/// What the reader gets.
pub(crate) struct Available<'a> {
    pub(crate) bytes: &'a [u8],
    /// Nothing follows `bytes`.
    pub(crate) end: bool,
}

pub(crate) struct Setup<F, C> {
    pub(crate) fetch: F,
    pub(crate) clock: C,
    pub(crate) options: Arc<Options>,
    pub(crate) tokens: RetryTokens,
    pub(crate) ledger: Ledger,
    pub(crate) lease: Lease,
    pub(crate) index: u64,
    pub(crate) invalid: Option<BadLine>,
    pub(crate) permit: Permit,
}

impl<F: Fetch, C: Clock> Transfer<F, C> {
    pub(crate) fn new(source: Source, setup: Setup<F, C>) -> Self {
        let Setup { fetch, clock, options, tokens, ledger, lease, index, invalid, permit } = setup;
        tokens.add_source();
        Self {
            patience: Patience::new(options.idle_timeout, options.min_rate, options.rate_period),
            span: SourceSpan::new(index, &source),
            prng: Prng::new(options.seed ^ index.wrapping_mul(0xd6e8_feb8_6659_fd93)),
            digests: Digests::new(&source, options.sha256, false),
            state: State::Begin,
            pinned: Pinned::default(),
            encoding: None,
            is_decoded: false,
            received: 0,
            consumed: 0,
            pending: Pending::default(),
            invalid,
            is_plain: false,
            asked: None,
            has_length: false,
            is_chunked: false,
            bytes_before: 0,
            retries: 0,
            restarts: 0,
            is_restarted: false,
            requests: 0,
            part: Part::new(0),
            is_pieced: false,
            grown: 0,
            permit: Some(permit),
            refusals: 0,
            throttle: Alarm::default(),
            failures: 0,
            row_start: 0,
            bytes_in: 0,
            status: None,
            fetch,
            clock,
            options,
            tokens,
            ledger,
            lease,
            source,
        }
    }

    /// Ready when there are bytes to take, or the stream is at its end. Drives the network as far
    /// as it goes in any case.
    pub(crate) fn poll_available(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if let Err(failure) = self.progress(cx) {
            return Poll::Ready(Err(failure));
        }
        match self.is_complete() || !self.pending.front().is_empty() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    pub(crate) fn available(&self) -> Available<'_> {
        let end = self.is_complete() && self.pending.len() <= 1;
        Available { bytes: self.pending.front(), end }
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        self.consumed += bytes as u64;
        self.pending.take(bytes);
    }

    /// Whether what was taken is void, for the content has changed; it is told once.
    pub(crate) fn take_restart(&mut self) -> bool {
        std::mem::take(&mut self.is_restarted)
    }

    /// The consumer wants nothing for now; idle time must not count.
    pub(crate) fn pause(&mut self) {
        self.patience.pause();
    }

    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Complete | State::Failed)
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    fn attempts(&self) -> u32 {
        if self.requests == 0 { 0 } else { self.retries.saturating_add(1) }
    }

    /// What it has come to so far.
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            status: self.status,
            attempts: self.attempts(),
            requests: self.requests,
            bytes_received: self.bytes_in,
            bytes_accepted: self.received,
            sha256: self.sha256().filter(|_| self.is_complete()),
            ..Figures::default()
        }
    }

    pub(crate) fn total(&self) -> Option<u64> {
        self.pinned.total
    }

    pub(crate) fn encoding(&self) -> Option<&str> {
        self.encoding.as_deref()
    }

    fn sha256(&self) -> Option<[u8; 32]> {
        let wanted = self.options.sha256 || self.source.sha256.is_some();
        self.digests.sha256().filter(|_| wanted)
    }

    pub(crate) fn proof(&self) -> Proof {
        let source = &self.source;
        let declared = self.pinned.total.is_some() && !self.pinned.inferred;
        if source.md5.is_some() || source.sha256.is_some() {
            Proof::Expected
        } else if source.size.is_none() && !declared && !self.is_chunked {
            Proof::UnverifiedEnd
        } else if self.is_pieced {
            Proof::UnverifiedVersion
        } else if source.size.is_some() {
            Proof::Expected
        } else {
            Proof::Length
        }
    }

    pub(crate) fn failure(&self, kind: FailureKind, detail: Option<Box<str>>) -> Failure {
        let (url, attempts) = (self.source.public_url(), self.attempts());
        Failure { kind, url, attempts, bytes_received: self.bytes_in, bytes_accepted: self.received, detail }
    }

    /// Ends the exchange and frees what it holds.
    pub(crate) fn abort(&mut self) {
        if !self.is_over() {
            self.state = State::Failed;
        }
        self.permit = None;
        self.pending.clear();
    }

    pub(crate) fn profile(&self) -> Profile {
        self.fetch.profile()
    }

    fn drains(&self) -> bool {
        !self.fetch.profile().holds_back
    }

    fn progress(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        loop {
            match self.step(cx) {
                Step::Again => {}
                Step::Pending | Step::Idle => return Ok(()),
                Step::Failed(kind, retry_after, detail) => self.retry(kind, retry_after, detail)?,
            }
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        match &mut self.state {
            State::Begin => self.begin(),
            State::BackingOff(_, sleep) => match Pin::new(sleep).poll(cx) {
                Poll::Ready(()) => {
                    self.state = State::Begin;
                    Step::Again
                }
                Poll::Pending => Step::Pending,
            },
            State::Asking { response, range } => match Pin::new(&mut *response).poll(cx) {
                Poll::Ready(Ok(response)) => {
                    let range = *range;
                    self.patience.progress(&self.clock, 0);
                    self.answered(response, range)
                }
                Poll::Ready(Err(error)) => fetch_failure(&error),
                Poll::Pending if self.fetch.is_queued(response) => {
                    self.patience.pause();
                    Step::Pending
                }
                Poll::Pending => self.wait(cx),
            },
            State::Receiving { .. } => self.receive(cx),
            State::Complete | State::Failed => Step::Idle,
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Step {
        match self.patience.poll(&self.clock, cx) {
            Poll::Ready(impatience) => impatience.into(),
            Poll::Pending => Step::Pending,
        }
    }

    fn begin(&mut self) -> Step {
        if let Some(bad) = &self.invalid {
            return FailureKind::BadLine(bad.clone()).into();
        }
        // A body that broke behind its last byte: nothing is left to ask for.
        if self.received > 0 && self.pinned.total == Some(self.received) {
            return self.complete();
        }
        // Memory first: where bodies are drained, a request is made only when there is room.
        if self.drains() && self.pending.len() > self.options.segments_ahead as usize {
            self.lease.set_phase(Phase::Waiting);
            return Step::Idle;
        }
        if let Err(step) = self.ask() {
            return step;
        }
        let range = if self.is_plain {
            None
        } else if self.drains() {
            if self.failures == 0 || self.pinned.tells_versions() {
                self.part = Part::new(self.received);
            }
            let end = self.received.saturating_add(self.options.segment_bytes);
            Some(ByteRange { start: self.part.start, end: Some(self.pinned.total.map_or(end, |total| total.min(end))) })
        } else {
            let resumes = self.received > 0 && self.pinned.resumable();
            resumes.then_some(ByteRange { start: self.received, end: None })
        };
        self.requests = self.requests.saturating_add(1);
        self.ledger.lock().stats.requests += 1;
        self.asked = range;
        self.span.exchange(self.retries.saturating_add(1), range);
        let response = self.fetch.fetch(Request {
            url: self.source.url.clone(),
            headers: self.source.headers.clone(),
            range,
            if_range: range.and(self.pinned.validator.clone()).filter(|_| self.received > 0),
        });
        self.state = State::Asking { response, range };
        self.lease.set_phase(Phase::Requesting);
        Step::Again
    }
}

impl From<Impatience> for Step {
    fn from(impatience: Impatience) -> Self {
        match impatience {
            Impatience::Idle(time) => FailureKind::Idle(time).into(),
            Impatience::Slow { bytes, period } => FailureKind::TooSlow { bytes, period }.into(),
        }
    }
}

fn fetch_failure<E: FetchError>(error: &E) -> Step {
    Step::Failed(FailureKind::Fetch(error.kind()), None, Some(error.to_string().into()))
}
