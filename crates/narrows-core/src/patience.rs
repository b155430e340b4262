//! How long a transfer waits for bytes.
//!
//! Time counts only while bytes are wanted: from a poll that found the network empty-handed to
//! the bytes that end the wait. A consumer that takes an hour to come back wants nothing
//! meanwhile, so it starts with full patience. The network is always asked before the timer, and
//! a timer that is noticed late (a suspended machine, a throttled tab, a blocked thread) proves
//! nothing about the origin: it is set anew, once.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::clock::{Clock, Timestamp};

/// A timer noticed later than this after its deadline was noticed late.
const LATE: Duration = Duration::from_secs(2);

pub(crate) struct Patience<C: Clock> {
    idle_timeout: Duration,
    min_rate: u64,
    rate_period: Duration,
    /// Since when bytes have been wanted and none came.
    wanting: Option<Timestamp>,
    /// A timer that fires no later than `wanting + idle_timeout`. It outlives many waits, so that
    /// a fast body sets one timer in all.
    timer: Option<(Timestamp, C::Sleep)>,
    /// Time of wanting since the rate was last judged, and what came meanwhile.
    period_time: Duration,
    period_bytes: u64,
}

/// The origin took too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Impatience {
    Idle(Duration),
    Slow { bytes: u64, period: Duration },
}

impl<C: Clock> Patience<C> {
    pub(crate) fn new(idle_timeout: Duration, min_rate: u64, rate_period: Duration) -> Self {
        Self {
            idle_timeout,
            min_rate,
            rate_period,
            wanting: None,
            timer: None,
            period_time: Duration::ZERO,
            period_bytes: 0,
        }
    }

    /// The network had nothing: waits on, or is ready when patience is at its end.
    pub(crate) fn poll(&mut self, clock: &C, cx: &mut Context<'_>) -> Poll<Impatience> {
        let since = *self.wanting.get_or_insert_with(|| clock.now());
        let mut due = since + self.idle_timeout;
        loop {
            let (deadline, sleep) = match &mut self.timer {
                Some((deadline, sleep)) if *deadline <= due => (*deadline, sleep),
                timer => {
                    let (deadline, sleep) = timer.insert((due, clock.sleep_until(due)));
                    (*deadline, sleep)
                }
            };
            if Pin::new(sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
            let now = clock.now();
            if now >= due {
                if now.since(deadline) <= LATE {
                    return Poll::Ready(Impatience::Idle(self.idle_timeout));
                }
                self.wanting = Some(now);
                due = now + self.idle_timeout;
            }
        }
    }

    /// Bytes came, or the head of an answer. Says if they have been coming too slowly.
    pub(crate) fn progress(&mut self, clock: &C, bytes: u64) -> Option<Impatience> {
        if let Some(since) = self.wanting.take() {
            self.period_time += clock.now().since(since).min(self.idle_timeout);
        }
        self.period_bytes += bytes;
        if self.period_time < self.rate_period {
            return None;
        }
        let (time, bytes) = (self.period_time, self.period_bytes);
        (self.period_time, self.period_bytes) = (Duration::ZERO, 0);
        let fewest = u128::from(self.min_rate) * time.as_millis() / 1000;
        (u128::from(bytes) < fewest).then_some(Impatience::Slow { bytes, period: time })
    }

    /// Nothing is wanted for now.
    pub(crate) fn pause(&mut self) {
        self.wanting = None;
    }

    /// Another exchange begins.
    pub(crate) fn reset(&mut self) {
        self.pause();
        (self.period_time, self.period_bytes) = (Duration::ZERO, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::Ready, rc::Rc};

    use futures_util::task::noop_waker_ref;

    use super::*;

    /// A clock that a test sets; its timers are ready once their time has come.
    #[derive(Clone, Default)]
    struct Manual(Rc<Cell<u64>>);

    enum Timer {
        Due(Ready<()>),
        At(Manual, Timestamp),
    }

    impl Future for Timer {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            match &mut *self {
                Self::Due(ready) => Pin::new(ready).poll(cx),
                Self::At(clock, deadline) if clock.now() >= *deadline => Poll::Ready(()),
                Self::At(..) => Poll::Pending,
            }
        }
    }

    impl Clock for Manual {
        type Sleep = Timer;

        fn now(&self) -> Timestamp {
            Timestamp(Duration::from_secs(self.0.get()))
        }

        fn sleep_until(&self, deadline: Timestamp) -> Timer {
            match self.now() >= deadline {
                true => Timer::Due(std::future::ready(())),
                false => Timer::At(self.clone(), deadline),
            }
        }
    }

    fn poll_at(patience: &mut Patience<Manual>, clock: &Manual, seconds: u64) -> Poll<Impatience> {
        clock.0.set(seconds);
        patience.poll(clock, &mut Context::from_waker(noop_waker_ref()))
    }

    const IDLE: Duration = Duration::from_secs(30);

    #[test]
    fn patience_ends_after_the_idle_time() {
        let (clock, mut patience) = (Manual::default(), Patience::new(IDLE, 0, IDLE));
        assert!(poll_at(&mut patience, &clock, 0).is_pending());
        assert!(poll_at(&mut patience, &clock, 29).is_pending());
        assert_eq!(poll_at(&mut patience, &clock, 30), Poll::Ready(Impatience::Idle(IDLE)));
    }

    #[test]
    fn a_suspended_machine_proves_nothing() {
        let (clock, mut patience) = (Manual::default(), Patience::new(IDLE, 0, IDLE));
        assert!(poll_at(&mut patience, &clock, 0).is_pending());
        assert!(poll_at(&mut patience, &clock, 3600).is_pending(), "an hour of sleep is not an hour of waiting");
        assert!(poll_at(&mut patience, &clock, 3629).is_pending());
        assert_eq!(poll_at(&mut patience, &clock, 3630), Poll::Ready(Impatience::Idle(IDLE)));
    }

    #[test]
    fn a_pause_starts_the_wait_anew() {
        let (clock, mut patience) = (Manual::default(), Patience::new(IDLE, 0, IDLE));
        assert!(poll_at(&mut patience, &clock, 0).is_pending());
        patience.pause();
        assert!(poll_at(&mut patience, &clock, 31).is_pending());
        assert_eq!(poll_at(&mut patience, &clock, 61), Poll::Ready(Impatience::Idle(IDLE)));
    }

    #[test]
    fn a_trickle_is_too_slow() {
        let (clock, mut patience) = (Manual::default(), Patience::new(IDLE, 100, Duration::from_secs(10)));
        for second in 0..11 {
            assert!(poll_at(&mut patience, &clock, second).is_pending());
            clock.0.set(second + 1);
            let slow = patience.progress(&clock, 1);
            let expected = Impatience::Slow { bytes: 10, period: Duration::from_secs(10) };
            assert_eq!(slow, (second == 9).then_some(expected), "second {second}");
        }
    }
}
