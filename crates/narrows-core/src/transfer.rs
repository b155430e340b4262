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

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use narrows_unpack::Format;
use sha2::{Digest, Sha256};

use crate::{
    answer::{Pinned, Verdict, judge},
    clock::Clock,
    digest::Digests,
    failure::{Failure, FailureKind},
    fetch::{Body, ByteRange, Fetch, FetchError, Head, Request, Response, is_gzip},
    lease::{Lease, allocate},
    options::Options,
    patience::{Impatience, Patience},
    prng::Prng,
    report::Proof,
    retry::{PROGRESS_BYTES, RetryTokens},
    source::Source,
    stats::{Ledger, Phase},
};

pub(crate) struct Transfer<F: Fetch, C: Clock> {
    fetch: F,
    clock: C,
    options: Arc<Options>,
    tokens: RetryTokens,
    ledger: Ledger,
    lease: Lease,
    source: Source,
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
    /// Accepted and not yet taken, front first. Held back: at most one chunk. Drained: at most
    /// `segments_ahead + 1` segments.
    pending: VecDeque<Piece>,
    attempts: u32,
    /// The part being received, where bodies are drained.
    part: Part,
    /// Whether parts were put together that nothing tells to be of one version.
    is_pieced: bool,
    /// Reserved beyond the working set for a body that could not be had in segments.
    grown: u64,
    /// Failures in a row, and where the row began.
    failures: u32,
    row_start: u64,
    /// Everything that came over the wire, what was thrown away included.
    pub(crate) bytes_in: u64,
    pub(crate) status: Option<u16>,
}

/// Bytes of the stream in memory: as they came, or copied into a segment of known capacity.
enum Piece {
    Chunk(Bytes),
    Segment { bytes: Vec<u8>, taken: usize },
}

impl Piece {
    fn rest(&self) -> &[u8] {
        match self {
            Self::Chunk(bytes) => bytes,
            Self::Segment { bytes, taken } => &bytes[*taken..],
        }
    }
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
    },
    BackingOff(C::Sleep),
    Complete,
    Failed,
}

/// A segment as it is asked for. Where no header would tell another version, it is asked for as
/// a whole again after a break, and its beginning compared.
struct Part {
    start: u64,
    digest: Sha256,
}

impl Part {
    fn new(start: u64) -> Self {
        Self { start, digest: Sha256::new() }
    }
}

/// The beginning of the body, or of a part, again.
struct Replay {
    left: u64,
    digest: Option<Sha256>,
    /// What it must come to; that of everything received, if there is none.
    expected: Option<Sha256>,
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
}

impl<F: Fetch, C: Clock> Transfer<F, C> {
    pub(crate) fn new(source: Source, setup: Setup<F, C>) -> Self {
        let Setup { fetch, clock, options, tokens, ledger, lease, index } = setup;
        tokens.add_source();
        Self {
            patience: Patience::new(options.idle_timeout, options.min_rate, options.rate_period),
            prng: Prng::new(options.seed ^ index.wrapping_mul(0xd6e8_feb8_6659_fd93)),
            digests: Digests::new(&source, options.sha256, false),
            state: State::Begin,
            pinned: Pinned::default(),
            encoding: None,
            is_decoded: false,
            received: 0,
            consumed: 0,
            pending: VecDeque::new(),
            attempts: 0,
            part: Part::new(0),
            is_pieced: false,
            grown: 0,
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
        match self.is_complete() || !self.available().bytes.is_empty() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    pub(crate) fn available(&self) -> Available<'_> {
        let end = self.is_complete() && self.pending.len() <= 1;
        Available { bytes: self.pending.front().map_or(&[], Piece::rest), end }
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        self.consumed += bytes as u64;
        let Some(piece) = self.pending.front_mut() else { return };
        match piece {
            Piece::Chunk(chunk) => drop(chunk.split_to(bytes)),
            Piece::Segment { taken, .. } => *taken += bytes,
        }
        if piece.rest().is_empty() && !self.is_filling_front() {
            self.pending.pop_front();
        }
    }

    /// Whether the body in hand is still being copied into the front segment.
    fn is_filling_front(&self) -> bool {
        let filling = matches!(self.state, State::Receiving { .. }) && self.drains();
        filling && self.pending.len() == 1
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

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn total(&self) -> Option<u64> {
        self.pinned.total
    }

    pub(crate) fn encoding(&self) -> Option<&str> {
        self.encoding.as_deref()
    }

    pub(crate) fn sha256(&self) -> Option<[u8; 32]> {
        let wanted = self.options.sha256 || self.source.sha256.is_some();
        self.digests.sha256().filter(|_| wanted)
    }

    pub(crate) fn proof(&self) -> Proof {
        let source = &self.source;
        let declared = self.pinned.total.is_some() && !self.pinned.inferred;
        if source.md5.is_some() || source.sha256.is_some() {
            Proof::Expected
        } else if source.size.is_none() && !declared {
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
        let url = self.source.public_url();
        Failure { kind, url, attempts: self.attempts, received: self.received, detail }
    }

    /// Ends the exchange and frees what it holds.
    pub(crate) fn abort(&mut self) {
        if !self.is_over() {
            self.state = State::Failed;
        }
        self.pending = VecDeque::new();
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

    /// Backs off after a failure, or gives up.
    fn retry(&mut self, kind: FailureKind, asked: Option<Duration>, detail: Option<Box<str>>) -> Result<(), Failure> {
        let progressed = self.received - self.row_start.min(self.received) >= PROGRESS_BYTES;
        if progressed {
            self.failures = 0;
        }
        self.row_start = self.received;
        self.failures += 1;
        self.patience.reset();
        // Ends the exchange now: it must not stay open while the transfer waits.
        self.state = State::Failed;
        self.drop_empty_segment();
        let wait = match kind.is_retried() {
            true => self.options.retry.wait(self.failures, asked, &mut self.prng),
            false => None,
        };
        // What gets on is no burden to a failing origin.
        let Some(wait) = wait.filter(|_| progressed || self.tokens.spend()) else {
            return Err(self.failure(kind, detail));
        };
        self.state = State::BackingOff(self.clock.sleep_until(self.clock.now() + wait));
        self.lease.set_phase(Phase::BackingOff);
        Ok(())
    }

    fn drop_empty_segment(&mut self) {
        if self.pending.back().is_some_and(|piece| piece.rest().is_empty()) {
            self.pending.pop_back();
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        match &mut self.state {
            State::Begin => self.begin(),
            State::BackingOff(sleep) => match Pin::new(sleep).poll(cx) {
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
        if let Some(bad) = self.source.invalid {
            return FailureKind::BadLine(bad).into();
        }
        let range = if self.drains() {
            // Memory first: a request is made only when a whole segment has room.
            if self.pending.len() > self.options.segments_ahead as usize {
                self.lease.set_phase(Phase::Waiting);
                return Step::Idle;
            }
            if self.failures == 0 || self.pinned.tells_versions() {
                self.part = Part::new(self.received);
            }
            let end = self.received.saturating_add(self.options.segment_bytes);
            Some(ByteRange { start: self.part.start, end: Some(self.pinned.total.map_or(end, |total| total.min(end))) })
        } else {
            let resumes = self.received > 0 && self.pinned.resumable();
            resumes.then_some(ByteRange { start: self.received, end: None })
        };
        self.attempts = self.attempts.saturating_add(1);
        self.ledger.lock().stats.attempts += 1;
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

    fn answered(&mut self, response: Response<F::Body>, range: Option<ByteRange>) -> Step {
        let Response { head, body } = response;
        self.status = Some(head.status);
        let (pinned, end, replay) = match judge(&head, range, self.received, &self.pinned) {
            Verdict::Continue { pinned, end } => (Some(pinned), end, self.repeated_part(range)),
            Verdict::Replay { end, same } => match self.replay(same) {
                Some(replay) => (None, end, Some(replay)),
                None => return self.changed(),
            },
            Verdict::Complete { pinned } => {
                self.pinned = pinned;
                return self.complete();
            }
            Verdict::Changed => return self.changed(),
            Verdict::Failed(kind, retry_after) => {
                if matches!(kind, FailureKind::BadRange(_)) {
                    self.pinned.ranges = false;
                }
                return Step::Failed(kind, retry_after, None);
            }
        };
        let is_decoded = head.decoded;
        let encoding = self.encoding_of(head);
        if self.received > 0 && (encoding != self.encoding || is_decoded != self.is_decoded) {
            return self.changed();
        }
        if let Some(pinned) = pinned {
            if self.received == 0 {
                if let Err(kind) = self.check_declared(&pinned) {
                    return kind.into();
                }
                (self.encoding, self.is_decoded) = (encoding, is_decoded);
                // Without ranges and a validator, only a digest can tell a repeated beginning.
                let in_segments = self.drains() && self.status == Some(206);
                self.digests = Digests::new(&self.source, self.options.sha256, !pinned.resumable() && !in_segments);
            }
            self.pinned = pinned;
        }
        if self.drains()
            && let Err(step) = self.make_room(end)
        {
            return step;
        }
        self.state = State::Receiving { body, end, replay };
        self.lease.set_phase(Phase::Receiving);
        Step::Again
    }

    /// The encoding to decode. Origins that keep `x.gz` often serve it as gzip-encoded `x`; whoever
    /// wants the bytes as they come wants the file.
    fn encoding_of(&self, head: Head) -> Option<Box<str>> {
        let is_file = self.options.unpack.is_none() && self.source.promised_format() == Some(Format::Gzip);
        head.encoding.filter(|encoding| !(is_file && is_gzip(encoding)))
    }

    /// What was declared can refuse early; it permits nothing.
    fn check_declared(&self, pinned: &Pinned) -> Result<(), FailureKind> {
        let Some(total) = pinned.total else { return Ok(()) };
        if let Some(expected) = self.source.size.filter(|size| *size != total) {
            return Err(FailureKind::SizeMismatch { expected, actual: total });
        }
        if total > self.options.file_size_max {
            return Err(FailureKind::TooLarge { max: self.options.file_size_max });
        }
        Ok(())
    }

    /// How to skip the beginning of a part that was asked for again.
    fn repeated_part(&self, range: Option<ByteRange>) -> Option<Box<Replay>> {
        let left = self.received - range.map_or(self.received, |range| range.start.min(self.received));
        let expected = Some(self.part.digest.clone());
        (left > 0).then(|| Box::new(Replay { left, digest: Some(Sha256::new()), expected }))
    }

    /// How to skip what has been received, or `None` if nothing can show that it is the same.
    fn replay(&self, same: bool) -> Option<Box<Replay>> {
        let digest = self.digests.sha256().is_some().then(Sha256::new);
        let recognisable = same || digest.is_some();
        recognisable.then(|| Box::new(Replay { left: self.received, digest, expected: None }))
    }

    /// The content is of another version: starts over if none of the old one has been handed out.
    fn changed(&mut self) -> Step {
        if self.consumed > 0 {
            return FailureKind::Changed.into();
        }
        self.ledger.lock().stats.bytes_refetched += self.received;
        self.received = 0;
        self.row_start = 0;
        self.part = Part::new(0);
        self.is_pieced = false;
        self.pending = VecDeque::new();
        self.pinned = Pinned::default();
        Step::Failed(FailureKind::BadRange("another version"), None, None)
    }

    /// Makes room for a drained body. One that is not the segment asked for must fit as a whole;
    /// of unknown length, into one segment's memory.
    fn make_room(&mut self, end: Option<u64>) -> Result<(), Step> {
        let segment = self.options.segment_bytes;
        let room = match end.or(self.source.size) {
            Some(end) => end - self.received.min(end),
            None => segment,
        };
        if let Some(Piece::Segment { bytes, .. }) = self.pending.back()
            && bytes.capacity() - bytes.len() >= usize::try_from(room).unwrap_or(usize::MAX)
        {
            return Ok(()); // what a broken body left has room for the rest
        }
        // At most one piece is ever larger than a segment: a whole body's.
        let more = room.saturating_sub(segment).saturating_sub(self.grown);
        if more > 0 && (self.status == Some(206) || !self.lease.try_grow(more)) {
            return Err(FailureKind::NeedsRanges { bytes: Some(room) }.into());
        }
        self.grown += more;
        let bytes = allocate(room).ok_or(FailureKind::NeedsRanges { bytes: Some(room) })?;
        self.pending.push_back(Piece::Segment { bytes, taken: 0 });
        Ok(())
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> Step {
        let drains = self.drains();
        if !drains && !self.pending.is_empty() {
            return Step::Idle; // held back
        }
        let State::Receiving { body, .. } = &mut self.state else { return Step::Idle };
        match Pin::new(body).poll_chunk(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                let length = chunk.len() as u64;
                self.bytes_in += length;
                self.ledger.lock().stats.bytes_in += length;
                if let Some(impatience) = self.patience.progress(&self.clock, length) {
                    return impatience.into();
                }
                self.accept(chunk, drains)
            }
            Poll::Ready(Some(Err(error))) => fetch_failure(&error),
            Poll::Ready(None) => self.body_ended(),
            Poll::Pending => self.wait(cx),
        }
    }

    fn accept(&mut self, mut chunk: Bytes, drains: bool) -> Step {
        let State::Receiving { end, replay, .. } = &mut self.state else { return Step::Idle };
        let end = *end;
        if let Some(again) = replay {
            let repeated = chunk.split_to(again.left.min(chunk.len() as u64) as usize);
            again.left -= repeated.len() as u64;
            self.ledger.lock().stats.bytes_refetched += repeated.len() as u64;
            if let Some(digest) = &mut again.digest {
                digest.update(&repeated);
            }
            if again.left > 0 {
                return Step::Again;
            }
            let finish = |digest: Sha256| <[u8; 32]>::from(digest.finalize());
            let digest = again.digest.take().map(finish);
            let expected = again.expected.take().map(finish).or_else(|| self.digests.sha256());
            *replay = None;
            if digest.is_some() && digest != expected {
                return self.changed();
            }
        }
        if chunk.is_empty() {
            return Step::Again;
        }
        let after = self.received + chunk.len() as u64;
        if let Some(declared) = end.filter(|end| after > *end) {
            return FailureKind::TooLong { declared }.into();
        }
        if after > self.options.file_size_max {
            return FailureKind::TooLarge { max: self.options.file_size_max }.into();
        }
        if let Some(expected) = self.source.size.filter(|size| after > *size) {
            return FailureKind::SizeMismatch { expected, actual: after }.into();
        }
        self.digests.update(&chunk);
        if drains && !self.pinned.tells_versions() {
            self.part.digest.update(&chunk);
            self.is_pieced |= self.part.start > 0 && self.status == Some(206);
        }
        self.received = after;
        match (drains, self.pending.back_mut()) {
            (true, Some(Piece::Segment { bytes, .. })) => {
                if chunk.len() > bytes.capacity() - bytes.len() {
                    // Only where no end was declared: it was checked above.
                    return FailureKind::NeedsRanges { bytes: None }.into();
                }
                bytes.extend_from_slice(&chunk);
            }
            _ => self.pending.push_back(Piece::Chunk(chunk)),
        }
        Step::Again
    }

    fn body_ended(&mut self) -> Step {
        let State::Receiving { end, replay, .. } = &self.state else { return Step::Idle };
        let wanted = end.unwrap_or(self.received);
        let repeating = replay.as_ref().map_or(0, |replay| replay.left);
        if repeating > 0 || self.received < wanted {
            let actual = self.received - repeating;
            return FailureKind::Cut { expected: wanted.max(self.received), actual }.into();
        }
        let more = match self.pinned.total {
            Some(total) => self.received < total,
            // A part of an unknown whole: ask on until there is no more.
            None => end.is_some() && self.status == Some(206),
        };
        if more {
            // This part is complete; the next one is another exchange.
            self.failures = 0;
            self.state = State::Begin;
            self.patience.pause();
            if self.pending.front().is_some_and(|piece| piece.rest().is_empty()) {
                self.pending.pop_front();
            }
            return Step::Again;
        }
        self.complete()
    }

    fn complete(&mut self) -> Step {
        if let Some(expected) = self.source.size.filter(|size| self.received != *size) {
            return FailureKind::SizeMismatch { expected, actual: self.received }.into();
        }
        if let Err(kind) = self.digests.check(&self.source) {
            return kind.into();
        }
        self.patience.pause();
        drop(mem::replace(&mut self.state, State::Complete));
        if self.pending.front().is_some_and(|piece| piece.rest().is_empty()) {
            self.pending.pop_front();
        }
        self.lease.set_phase(Phase::Received);
        Step::Idle
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
