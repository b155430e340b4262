//! A timer that is set for a time once, however often it is polled meanwhile.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use crate::clock::{Clock, Timestamp};

pub(crate) struct Alarm<C: Clock>(Option<(Timestamp, C::Sleep)>);

impl<C: Clock> Default for Alarm<C> {
    fn default() -> Self {
        Self(None)
    }
}

impl<C: Clock> Alarm<C> {
    /// Ready at `at`. For the time it was set for it is not set again.
    pub(crate) fn poll(&mut self, clock: &C, cx: &mut Context<'_>, at: Timestamp) -> Poll<()> {
        let sleep = match &mut self.0 {
            Some((set_for, sleep)) if *set_for == at => sleep,
            other => &mut other.insert((at, clock.sleep_until(at))).1,
        };
        let polled = Pin::new(sleep).poll(cx);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }

    /// Nothing is waited for.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}
