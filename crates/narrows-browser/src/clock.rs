//! Time from `performance.now()`, deadlines from `setTimeout`.
//!
//! Timers here are late at will (a hidden tab's fire once a minute) and overflow beyond 2^31 - 1
//! ms. So a timer is only a hint to look at the clock again, and one too long is set in parts.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use narrows_core::{Clock, Timestamp};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};

use crate::host;

/// Longest delay that `setTimeout` takes, in milliseconds; a longer one would fire at once.
const DELAY_MAX: i32 = i32::MAX;

/// The clock of a page, a worker or Node.
#[derive(Clone, Copy, Debug, Default)]
pub struct BrowserClock;

impl Clock for BrowserClock {
    type Sleep = BrowserSleep;

    fn now(&self) -> Timestamp {
        // The cast saturates, so that no odd answer can panic.
        Timestamp(Duration::from_micros((host::performance_now() * 1000.0) as u64))
    }

    fn sleep_until(&self, deadline: Timestamp) -> BrowserSleep {
        BrowserSleep { deadline, timer: None }
    }
}

/// Ready at or after its deadline. Dropping it clears its timer.
pub struct BrowserSleep {
    deadline: Timestamp,
    timer: Option<Timer>,
}

struct Timer {
    id: JsValue,
    /// Who is to be woken; taken when it fires.
    waker: Rc<RefCell<Option<Waker>>>,
    /// What the timer calls: it must live for as long as the timer does.
    _fires: Closure<dyn FnMut()>,
}

impl Timer {
    fn set(delay: i32, waker: Waker) -> Self {
        let waker = Rc::new(RefCell::new(Some(waker)));
        let shared = waker.clone();
        let fires = Closure::new(move || {
            let waker = shared.borrow_mut().take();
            waker.into_iter().for_each(Waker::wake);
        });
        let id = host::set_timeout(fires.as_ref().unchecked_ref(), delay);
        Self { id, waker, _fires: fires }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        host::clear_timeout(&self.id);
    }
}

impl Future for BrowserSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = BrowserClock.now();
        if now >= self.deadline {
            self.timer = None;
            return Poll::Ready(());
        }
        match &self.timer {
            Some(timer) if timer.waker.borrow().is_some() => *timer.waker.borrow_mut() = Some(cx.waker().clone()),
            _ => {
                // Rounded up: a timer that fires early would only have to be set again.
                let left = self.deadline.since(now).as_micros().div_ceil(1000);
                let delay = i32::try_from(left).unwrap_or(DELAY_MAX);
                self.timer = Some(Timer::set(delay, cx.waker().clone()));
            }
        }
        Poll::Pending
    }
}
