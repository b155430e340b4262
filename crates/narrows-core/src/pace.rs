//! How many requests a host bears at once and in a second, learned from what it refuses.
//!
//! An origin that has enough answers 429 or 503, or refuses connections. It bounds either what is
//! open at once (nginx's `limit_conn`) or what comes in a second (`limit_req`), and seldom says
//! which. Two things tell. What it was serving when it refused is what it bears at once. And where it
//! never bore a request that came so soon after another, it is asked too fast. Both bounds are
//! lowered at once and return slowly (Chiu and Jain 1989), each probe that failed making the next one
//! rarer.
//!
//! Decisions only: time comes in.

use std::time::Duration;

use crate::{chance::Chance, clock::Timestamp};

/// Answers in a row, none refused, before one more is tried at once; doubled by each failed try.
const PROBE_AFTER: (u32, u32) = (4, 256);
/// Gaps between requests are remembered for so many of them, and as many before.
const GAPS_KEPT: u32 = 32;
/// A rate near its bound is kept for so long before a little more is tried.
const KNOWN_FOR: Duration = Duration::from_secs(20);
/// After a refusal a rate rises by little for so long.
const WARY_FOR: Duration = Duration::from_secs(2);
/// Gaps that differ by no more than this factor are near each other.
const NEAR: f64 = 1.1;
/// Requests a second of a host that refuses everything.
const RATE_MIN: f64 = 0.1;
/// A rate is measured over no less than this, and what is older than twice the other counts less.
const MEASURED_OVER: Duration = Duration::from_millis(50);
const MEASURED_FOR: Duration = Duration::from_secs(2);
/// Without a refusal for so long, nothing is known any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// What is known of a host's bounds.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Answers that were not refusals and whose bodies are open.
    serving: usize,
    /// Most requests at once; `usize::MAX` where nothing is known. Never 0.
    limit: usize,
    /// Requests a second, where they were once too many.
    rate: Option<f64>,
    /// Since when it has been as it is, and when one was refused.
    rate_since: Timestamp,
    rate_refused_at: Option<Timestamp>,
    /// Whether the rate is between one that is borne and one that is not, and these are near.
    is_settled: bool,
    /// Answers since the last refusal or probe of each kind.
    good_for_limit: u32,
    good_for_rate: u32,
    probe_after: u32,
    is_probing: bool,
    /// Answers since `measured_since`.
    measured: u32,
    measured_since: Timestamp,
    /// When the latest request was sent that was not refused.
    borne: Timestamp,
    /// The shortest times between two such: of the latest, and of some before them.
    gaps: [Duration; 2],
    gaps_noted: u32,
    /// What of the refusals is chance.
    chance: Chance,
    /// When the bounds were lowered last. What was sent before that proves nothing new.
    cut_at: Option<Timestamp>,
}

/// What a refusal changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cut {
    /// Nothing: it was sent before the last change.
    None,
    /// So many at once from now on.
    Limit,
    /// Fewer a second from now on.
    Rate,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            serving: 0,
            limit: usize::MAX,
            rate: None,
            rate_since: Timestamp::default(),
            rate_refused_at: None,
            is_settled: false,
            good_for_limit: 0,
            good_for_rate: 0,
            probe_after: PROBE_AFTER.0,
            is_probing: false,
            measured: 0,
            measured_since: Timestamp::default(),
            borne: Timestamp::default(),
            gaps: [Duration::MAX; 2],
            gaps_noted: 0,
            chance: Chance::default(),
            cut_at: None,
        }
    }
}

impl Pace {
    /// Most requests at once: at least 1.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Requests a second, where they were once too many.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// When the latest request was sent that was not refused.
    pub(crate) fn borne(&self) -> Timestamp {
        self.borne
    }

    /// An answer, that is no refusal, to what was sent at `sent`; its body is open. So many are in
    /// flight.
    pub(crate) fn accepted(&mut self, now: Timestamp, sent: Timestamp, in_flight: usize) {
        self.serving += 1;
        self.chance.answered(false);
        if self.cut_at.is_some_and(|cut| now.since(cut) > FORGOTTEN_AFTER) {
            *self = Self { serving: self.serving, ..Self::default() };
        }
        match now.since(self.measured_since) {
            // The first one, or the first after a pause, which says nothing of what is borne.
            age if self.measured == 0 || age > 2 * MEASURED_FOR => (self.measured_since, self.measured) = (now, 0),
            // Half of the time and half of the answers, so that a measure is never of nothing.
            age if age > MEASURED_FOR => {
                self.measured_since = self.measured_since + age / 2;
                self.measured /= 2;
            }
            _ => {}
        }
        self.measured = self.measured.saturating_add(1);
        self.note_gap(sent);
        self.raise_limit(in_flight);
        self.raise_rate(now, sent);
    }

    fn raise_limit(&mut self, in_flight: usize) {
        if self.limit == usize::MAX {
            return;
        }
        self.good_for_limit += 1;
        // As many answers as it took to try show that one more is borne.
        self.is_probing &= self.good_for_limit < PROBE_AFTER.0;
        if self.good_for_limit >= self.probe_after && in_flight >= self.limit {
            self.good_for_limit = 0;
            self.is_probing = true;
            self.limit += 1;
        }
    }

    fn raise_rate(&mut self, now: Timestamp, sent: Timestamp) {
        let Some(rate) = &mut self.rate else { return };
        // What was sent before says nothing of the rate as it is.
        if sent < self.rate_since {
            return;
        }
        self.good_for_rate += 1;
        let refused = self.rate_refused_at.map(|at| now.since(at));
        let (after, step) = match refused {
            Some(time) if self.is_settled && time < KNOWN_FOR => return,
            _ if self.is_settled => (8, 1.03), // lest it has changed
            Some(time) if time < WARY_FOR => (3, 1.05),
            _ => (3, 1.5),
        };
        if self.good_for_rate >= after {
            self.good_for_rate = 0;
            self.rate_since = now;
            *rate *= step;
        }
    }

    /// The body of an answer is closed.
    pub(crate) fn closed(&mut self) {
        self.serving = self.serving.saturating_sub(1);
    }

    /// A refusal of what was sent at `sent`.
    pub(crate) fn refused(&mut self, now: Timestamp, sent: Timestamp) -> Cut {
        self.chance.answered(true);
        if self.cut_at.is_some_and(|cut| sent <= cut) {
            // Others of the same volley: how many are being served is known better by now.
            if self.serving > 0 && self.rate.is_none() {
                self.limit = self.limit.max(self.serving);
            }
            return Cut::None;
        }
        let rate = self.rate.unwrap_or_else(|| self.measured_rate(now));
        if self.chance.explains(rate, self.rate.is_some() || self.limit != usize::MAX) {
            // Whatever was learned was learned of chance.
            *self = Self { serving: self.serving, chance: self.chance, ..Self::default() };
            return Cut::None;
        }
        self.cut_at = Some(now);
        (self.good_for_limit, self.good_for_rate) = (0, 0);
        let is_full = self.serving + 1 >= self.limit;
        let (gap, this) = (self.gap(), sent.since(self.borne));
        let is_sooner = gap != Duration::MAX && this < gap;
        let is_limit = match self.limit {
            1 => false,
            usize::MAX => self.rate.is_none() || (self.serving > 0 && !is_sooner),
            _ => is_full && !is_sooner,
        };
        if is_limit {
            if std::mem::replace(&mut self.is_probing, false) {
                self.probe_after = (self.probe_after * 2).min(PROBE_AFTER.1);
            }
            self.limit = self.serving.clamp(1, self.limit - 1);
            return Cut::Limit;
        }
        if self.rate.is_some() && gap != Duration::MAX {
            self.rate_refused_at = Some(now);
        }
        self.rate = Some(match self.rate {
            None => {
                // What was taken for a bound on bodies was none.
                self.limit = usize::MAX;
                self.measured_rate(now)
            }
            // The bound is between the gap that was refused and the shortest that was borne: in the
            // middle, or, once they are near, at the latter.
            Some(refused) if is_sooner => {
                self.is_settled = this.mul_f64(NEAR) >= gap;
                let gap = if self.is_settled { gap } else { (gap + this) / 2 };
                (1.0 / gap.as_secs_f64().max(1e-9)).min(refused * 0.995)
            }
            // As far as both ends can measure.
            Some(refused) if self.is_settled => refused * 0.98,
            // Far beyond what is borne, what was borne tells.
            Some(refused) => (refused * 0.9).min((self.measured_rate(now) * 1.5).max(refused * 0.5)),
        });
        self.rate = self.rate.map(|rate| rate.max(RATE_MIN));
        self.rate_since = now;
        Cut::Rate
    }

    /// The shortest time after another request at which one was borne, lately.
    fn gap(&self) -> Duration {
        self.gaps[0].min(self.gaps[1])
    }

    fn note_gap(&mut self, sent: Timestamp) {
        let gap = if self.borne == Timestamp::default() { Duration::MAX } else { sent.since(self.borne) };
        self.gaps[0] = self.gaps[0].min(gap);
        self.borne = self.borne.max(sent);
        self.gaps_noted += 1;
        if self.gaps_noted.is_multiple_of(GAPS_KEPT) {
            self.gaps = [Duration::MAX, self.gaps[0]];
        }
    }

    /// Answers a second, lately.
    fn measured_rate(&self, now: Timestamp) -> f64 {
        if self.measured == 0 {
            return 1.0; // nothing was ever borne
        }
        f64::from(self.measured) / now.since(self.measured_since).max(MEASURED_OVER).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp(Duration::from_millis(millis))
    }

    #[test]
    fn what_is_being_served_at_a_refusal_is_what_is_borne() {
        let mut pace = Pace::default();
        pace.accepted(at(10), at(10), 9);
        pace.accepted(at(10), at(10), 9);
        assert_eq!(pace.refused(at(11), at(1)), Cut::Limit);
        assert_eq!((pace.limit(), pace.rate()), (2, None));
        assert_eq!(pace.refused(at(12), at(1)), Cut::None, "of the same volley");
        for answer in 0..4 {
            assert_eq!(pace.limit(), 2);
            pace.closed();
            pace.accepted(at(20 + answer), at(20 + answer), 9);
        }
        assert_eq!(pace.limit(), 3, "a probe");
        assert_eq!(pace.refused(at(40), at(30)), Cut::Limit);
        assert_eq!((pace.limit(), pace.probe_after), (2, 8), "the next one comes later");
    }

    #[test]
    fn a_host_that_refuses_while_it_serves_nothing_is_asked_less_often() {
        let mut pace = Pace::default();
        pace.accepted(at(1), at(1), 9);
        pace.closed();
        assert_eq!(pace.refused(at(2), at(1)), Cut::Limit, "it may have been the others of the volley");
        assert_eq!(pace.refused(at(4), at(3)), Cut::Rate);
        let first = pace.rate().unwrap();
        assert!((19.0..=21.0).contains(&first), "one answer in the shortest time that counts: {first}");
        for answer in 0..3 {
            pace.accepted(at(500 + answer * 100), at(500 + answer * 100), 9);
            pace.closed();
        }
        assert!(pace.rate().unwrap() > first * 1.4);
        let before = pace.rate().unwrap();
        assert_eq!(pace.refused(at(900), at(890)), Cut::Rate);
        assert!(pace.rate().unwrap() < before);
    }

    #[test]
    fn what_is_measured_does_not_depend_on_when_it_began() {
        let rate_after = |start: u64| {
            let mut pace = Pace::default();
            pace.accepted(at(start), at(start), 9);
            pace.closed();
            pace.refused(at(start + 1), at(start + 1));
            pace.refused(at(start + 3), at(start + 3));
            pace.rate().unwrap()
        };
        assert_eq!(rate_after(5), rate_after(3_600_000));
    }

    #[test]
    fn bounds_never_reach_zero() {
        let mut pace = Pace::default();
        for round in 0..10_000 {
            pace.refused(at(round * 2 + 1), at(round * 2 + 1));
            assert!(pace.limit() >= 1 && pace.rate().is_none_or(|rate| rate >= RATE_MIN));
        }
    }

    #[test]
    fn what_was_learned_is_forgotten() {
        let mut pace = Pace::default();
        pace.refused(at(1), at(1));
        pace.refused(at(3), at(3));
        assert!(pace.rate().is_some());
        let later = at(3) + FORGOTTEN_AFTER + Duration::from_secs(1);
        pace.accepted(later, later, 1);
        assert_eq!((pace.limit(), pace.rate()), (usize::MAX, None));
    }
}
