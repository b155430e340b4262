//! Waiting: after failures, for a host with too much to do, for a turn at a rate.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use super::{State, Step, Transfer};
use crate::{
    clock::{Clock, Timestamp},
    failure::{Failure, FailureKind},
    fetch::Fetch,
    hosts::{OpenBody, Permit},
    retry::PROGRESS_BYTES,
    stats::Phase,
};

impl<F: Fetch, C: Clock> Transfer<F, C> {
    /// Backs off after a failure, or gives up.
    pub(super) fn retry(
        &mut self,
        kind: FailureKind,
        asked: Option<Duration>,
        detail: Option<Box<str>>,
    ) -> Result<(), Failure> {
        let progressed = self.received - self.row_start.min(self.received) >= PROGRESS_BYTES;
        if progressed {
            self.failures = 0;
        }
        self.row_start = self.received;
        self.patience.reset();
        // Ends the exchange now: it must not stay open while the transfer waits.
        self.state = State::Failed;
        self.pending.break_segment();
        let now = self.clock.now();
        let until = self.retry_at(now, &kind, asked, progressed);
        self.span.failed(&kind, until.map(|until| until.since(now)));
        let Some(until) = until else {
            return Err(self.failure(kind, detail));
        };
        self.retries = self.retries.saturating_add(1);
        self.ledger.lock().stats.retries += 1;
        self.back_off(until);
        Ok(())
    }

    /// When to try again, if at all.
    fn retry_at(
        &mut self,
        now: Timestamp,
        kind: &FailureKind,
        asked: Option<Duration>,
        progressed: bool,
    ) -> Option<Timestamp> {
        let policy = &self.options.retry;
        let mut not_before = now;
        if kind.is_refusal()
            && let Some(permit) = &mut self.permit
        {
            self.ledger.lock().stats.refusals += 1;
            // What is longer than the longest wait is not waited for, by this source or others.
            let bearable = asked.filter(|asked| *asked <= policy.retry_after_max);
            let refused = permit.refused(now, bearable, &self.source.url);
            if refused.is_down {
                return None;
            }
            not_before = refused.until;
            if refused.is_hosts && self.refusals < policy.refusals_max {
                self.refusals += 1;
                let wait = policy.backoff(self.refusals, asked, &mut self.prng)?;
                return Some(not_before.max(now + wait));
            }
        }
        self.failures += 1;
        if !kind.is_retried() || matches!(kind, FailureKind::HostDown { .. }) {
            return None;
        }
        let wait = policy.wait(self.failures, asked, &mut self.prng)?;
        // What gets on is no burden to a failing origin.
        (progressed || self.tokens.spend()).then(|| not_before.max(now + wait))
    }

    fn back_off(&mut self, until: Timestamp) {
        self.state = State::BackingOff(until, self.clock.sleep_until(until));
        self.lease.set_phase(Phase::BackingOff);
    }

    /// The right to a request, if there is one now.
    pub(super) fn ask(&mut self) -> Result<(), Step> {
        let Some(permit) = &mut self.permit else { return Ok(()) };
        if let Some(refusals) = permit.down() {
            return Err(FailureKind::HostDown { refusals }.into());
        }
        match permit.ask(self.clock.now()) {
            Ok(()) => Ok(()),
            Err(until) => {
                self.back_off(until);
                Err(Step::Again)
            }
        }
    }

    /// Notes that the host answers; what is returned is to live as long as the body.
    pub(super) fn accepted(&mut self) -> Option<OpenBody> {
        let now = self.clock.now();
        self.permit.as_mut().map(|permit| permit.accepted(now))
    }

    /// Ready when bytes may come: at once, unless a rate of bytes is to be kept.
    pub(super) fn poll_throttle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.paced().and_then(|permit| permit.bytes_wait(self.clock.now()));
        let Some(until) = until else {
            self.throttle.clear();
            return Poll::Ready(());
        };
        self.patience.pause();
        self.throttle.poll(&self.clock, cx, until)
    }

    /// Its permit, where a rate of bytes is to be kept.
    pub(super) fn paced(&self) -> Option<&Permit> {
        self.permit.as_ref().filter(|permit| permit.counts_bytes)
    }

    /// Where it backs off with nothing in hand: until when. It may give its memory and its place
    /// back meanwhile.
    pub(crate) fn idle_until(&self) -> Option<Timestamp> {
        match self.state {
            State::BackingOff(until, _) if self.received == 0 && self.pending.len() == 0 => Some(until),
            _ => None,
        }
    }

    /// Begins anew, as if nothing had been asked for, and gives its place at the host back;
    /// [`resume`](Self::resume) goes on. Nothing may have been taken from it.
    pub(crate) fn restart(&mut self) {
        debug_assert_eq!(self.consumed, 0, "some of it has been handed out");
        self.ledger.lock().stats.bytes_refetched += self.received;
        self.forget();
        (self.failures, self.grown) = (0, 0);
        self.patience.reset();
        self.leave_host();
    }

    /// Gives its place at the host back; [`resume`](Self::resume) goes on.
    pub(crate) fn park(&mut self) {
        debug_assert!(self.idle_until().is_some(), "something would be lost");
        self.leave_host();
    }

    fn leave_host(&mut self) {
        self.state = State::Begin;
        self.permit = None;
        self.throttle.clear();
    }

    /// Goes on after [`park`](Self::park).
    pub(crate) fn resume(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }
}
