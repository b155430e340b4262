//! From an answer to accepted bytes: what its head means for the transfer, where its body goes,
//! and whether its end is the end.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use narrows_unpack::Format;
use sha2::Digest;

use super::{State, Step, Transfer, fetch_failure};
use crate::{
    answer::{Pinned, Verdict, judge},
    clock::Clock,
    digest::Digests,
    failure::FailureKind,
    fetch::{Body, ByteRange, Fetch, Response},
    head::{Head, is_gzip},
    replay::{Part, Replay, Replayed},
    stats::Phase,
    working_set::Term,
};

impl<F: Fetch, C: Clock> Transfer<F, C> {
    pub(super) fn answered(&mut self, response: Response<F::Body>, range: Option<ByteRange>) -> Step {
        let Response { head, body } = response;
        self.status = Some(head.status);
        self.span.answered(&head);
        let open = if FailureKind::Status(head.status).is_refusal() { None } else { self.accepted() };
        let (pinned, end, replay) = match judge(&head, range, self.received, &self.pinned) {
            Verdict::Continue { pinned, end } => (Some(pinned), end, self.repeated_part(range)),
            Verdict::Replay { end, same } => match self.replay(same) {
                Some(replay) => {
                    self.pinned.total = self.pinned.total.or(head.length);
                    (None, end, Some(replay))
                }
                None => return self.changed(),
            },
            Verdict::Complete { pinned } => {
                self.pinned = pinned;
                return self.complete();
            }
            Verdict::Changed => return self.changed(),
            Verdict::AskPlain(what) => return self.ask_plain(what),
            Verdict::Failed(kind, retry_after) => {
                if matches!(kind, FailureKind::BadRange(_)) {
                    self.pinned.ranges = false;
                }
                return Step::Failed(kind, retry_after, None);
            }
        };
        (self.has_length, self.is_chunked) = (head.length.is_some(), head.chunked);
        self.bytes_before = self.bytes_in;
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
        self.state = State::Receiving { body, end, replay, _open: open };
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

    /// Asks once more, for everything: what contradicts itself must not be taken for the whole.
    fn ask_plain(&mut self, what: &'static str) -> Step {
        if mem::replace(&mut self.is_plain, true) {
            return FailureKind::BadRange(what).into();
        }
        self.pinned.ranges = false;
        self.retries = self.retries.saturating_add(1);
        self.pending.break_segment();
        self.patience.reset();
        self.state = State::Begin;
        Step::Again
    }

    /// How to skip the beginning of a part that was asked for again.
    fn repeated_part(&self, range: Option<ByteRange>) -> Option<Box<Replay>> {
        let left = self.received - range.map_or(self.received, |range| range.start.min(self.received));
        (left > 0).then(|| Box::new(Replay::of_part(left, self.part.digest.clone())))
    }

    /// How to skip what has been received, or `None` if nothing can show that it is the same.
    fn replay(&self, same: bool) -> Option<Box<Replay>> {
        let compares = self.digests.sha256().is_some();
        (same || compares).then(|| Box::new(Replay::of_body(self.received, compares)))
    }

    /// The content is of another version: starts over if none of the old one has been handed out, or if that can be
    /// taken back.
    fn changed(&mut self) -> Step {
        if self.consumed > 0 && !self.options.restarts {
            return FailureKind::Changed.into();
        }
        // A segment that succeeds starts a new row of failures; versions that take turns would for ever.
        self.restarts += 1;
        if self.restarts > self.options.retry.retries_max {
            return FailureKind::Changed.into();
        }
        self.ledger.lock().stats.bytes_refetched += self.received;
        self.is_restarted |= self.consumed > 0;
        self.consumed = 0;
        self.forget();
        Step::Failed(FailureKind::BadRange("another version"), None, None)
    }

    /// Forgets what was received.
    pub(super) fn forget(&mut self) {
        self.received = 0;
        self.row_start = 0;
        self.part = Part::new(0);
        self.is_pieced = false;
        self.pending.clear();
        self.pinned = Pinned::default();
    }

    /// Makes room for a drained body. One that is not the segment asked for must fit as a whole;
    /// of unknown length, into one segment's memory.
    fn make_room(&mut self, end: Option<u64>) -> Result<(), Step> {
        let segment = self.options.segment_bytes;
        let room = match end.or(self.source.size) {
            Some(end) => end - self.received.min(end),
            None => segment,
        };
        let needed = usize::try_from(room).unwrap_or(usize::MAX);
        // What a broken body left may have room for the rest.
        if !self.pending.has_room(needed) {
            // At most one piece is ever larger than a segment: a whole body's.
            let more = room.saturating_sub(segment).saturating_sub(self.grown);
            if more > 0 && (self.status == Some(206) || !self.lease.try_grow(Term::Segments, more)) {
                return Err(FailureKind::NeedsRanges { bytes: Some(room) }.into());
            }
            self.grown += more;
        }
        let begun = self.pending.begin_segment(needed);
        begun.ok_or_else(|| FailureKind::NeedsRanges { bytes: Some(room) }.into())
    }

    pub(super) fn receive(&mut self, cx: &mut Context<'_>) -> Step {
        let drains = self.drains();
        if !drains && self.pending.len() > 0 {
            return Step::Idle; // held back
        }
        if self.poll_throttle(cx).is_pending() {
            return Step::Pending;
        }
        let State::Receiving { body, .. } = &mut self.state else { return Step::Idle };
        match Pin::new(body).poll_chunk(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                let length = chunk.len() as u64;
                self.bytes_in += length;
                self.ledger.lock().stats.bytes_in += length;
                if let Some(permit) = self.paced() {
                    permit.received(self.clock.now(), length);
                }
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
            let (skipped, replayed) = again.skip(&mut chunk, || self.digests.sha256());
            self.ledger.lock().stats.bytes_refetched += skipped;
            match replayed {
                Replayed::Skipped => return Step::Again,
                Replayed::Over => *replay = None,
                Replayed::Differs => return self.changed(),
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
        if !drains {
            self.pending.push_chunk(chunk);
        } else if !self.pending.fill(&chunk) {
            // Only where no end was declared: it was checked above.
            return FailureKind::NeedsRanges { bytes: None }.into();
        }
        Step::Again
    }

    fn body_ended(&mut self) -> Step {
        let State::Receiving { end, replay, .. } = &self.state else { return Step::Idle };
        let wanted = end.unwrap_or(self.received);
        let repeating = replay.as_ref().map_or(0, |replay| replay.left());
        if repeating > 0 || self.received < wanted {
            let actual = self.received - repeating;
            return FailureKind::Cut { expected: wanted.max(self.received), actual }.into();
        }
        // Of no declared length, and just as long as the part asked for: it may be that part.
        let part = self.asked.and_then(|asked| asked.end?.checked_sub(asked.start));
        if self.status != Some(206) && !self.has_length && part == Some(self.bytes_in - self.bytes_before) {
            return self.ask_plain("a whole body just as long as the part asked for");
        }
        let more = match self.pinned.total {
            Some(total) => self.received < total,
            // A part of an unknown whole: ask on until there is no more.
            None => self.status == Some(206) && self.source.size.is_none_or(|size| self.received < size),
        };
        if more {
            // This part is complete; the next one is another exchange.
            self.failures = 0;
            self.state = State::Begin;
            self.patience.pause();
            self.pending.end_segment();
            return Step::Again;
        }
        self.complete()
    }

    pub(super) fn complete(&mut self) -> Step {
        if let Some(expected) = self.source.size.filter(|size| self.received != *size) {
            return FailureKind::SizeMismatch { expected, actual: self.received }.into();
        }
        if let Err(kind) = self.digests.check(&self.source) {
            return kind.into();
        }
        self.patience.pause();
        drop(mem::replace(&mut self.state, State::Complete));
        self.pending.end_segment();
        self.lease.set_phase(Phase::Received);
        Step::Idle
    }
}
