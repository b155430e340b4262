//! Time from `performance.now()`, deadlines from `setTimeout`.
//!
//! Timers here are late at will (a hidden tab's fire once a minute) and overflow beyond 2^31 - 1
//! ms. So a timer is only a hint to look at the clock again, and one too long is set in parts.
//!
//! Setting one is slow, and most sleepers are patience that is never needed. So all of a thread
//! share one timer, set for the first of them; it is set anew when it fires, or when somebody
//! wants to be woken earlier.

use std::{
    cell::RefCell,
    pin::Pin,
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
        BrowserSleep { deadline, number: None }
    }
}

/// Ready at or after its deadline.
pub struct BrowserSleep {
    deadline: Timestamp,
    /// Its number among the sleepers, once it is one.
    number: Option<u64>,
}

thread_local! {
    static SLEEPERS: RefCell<Sleepers> = RefCell::default();
}

/// Wakers are woken and dropped only while this is not borrowed: either may run anything.
#[derive(Default)]
struct Sleepers {
    /// As many as transfers are in flight, in no order.
    waiting: Vec<Sleeper>,
    last_number: u64,
    /// The timer, set for no later than the first of those who wait, and only if there are any.
    timer: Option<(Timestamp, JsValue)>,
    /// What the timer calls; made once.
    fires: Option<Closure<dyn FnMut()>>,
}

struct Sleeper {
    deadline: Timestamp,
    number: u64,
    waker: Waker,
}

impl Sleepers {
    /// Sets the timer for the first of those who wait, if it is not set for earlier.
    fn arm(&mut self) {
        let first = self.waiting.iter().map(|sleeper| sleeper.deadline).min();
        if let (Some((at, _)), Some(first)) = (&self.timer, first)
            && *at <= first
        {
            return;
        }
        if let Some((_, id)) = self.timer.take() {
            host::clear_timeout(&id);
        }
        if let Some(first) = first {
            // Rounded up: a timer that fires early would only have to be set again.
            let left = first.since(BrowserClock.now()).as_micros().div_ceil(1000);
            let fires = self.fires.get_or_insert_with(|| Closure::new(fire));
            let delay = i32::try_from(left).unwrap_or(DELAY_MAX);
            self.timer = Some((first, host::set_timeout(fires.as_ref().unchecked_ref(), delay)));
        }
    }
}

/// Wakes whose time has come.
fn fire() {
    let now = BrowserClock.now();
    let due = SLEEPERS.with_borrow_mut(|sleepers| {
        sleepers.timer = None;
        let due: Vec<_> = sleepers.waiting.extract_if(.., |sleeper| sleeper.deadline <= now).collect();
        sleepers.arm();
        due
    });
    due.into_iter().for_each(|sleeper| sleeper.waker.wake());
}

impl BrowserSleep {
    fn leave(&mut self) {
        let Some(number) = self.number.take() else { return };
        // Not there while the thread is ending, or after it was woken.
        let _left = SLEEPERS.try_with(|sleepers| {
            let mut sleepers = sleepers.borrow_mut();
            let place = sleepers.waiting.iter().position(|sleeper| sleeper.number == number);
            let left = place.map(|place| sleepers.waiting.swap_remove(place));
            if sleepers.waiting.is_empty() {
                sleepers.arm();
            }
            left
        });
    }
}

impl Future for BrowserSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if BrowserClock.now() >= self.deadline {
            self.leave();
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let deadline = self.deadline;
        let _before = SLEEPERS.with_borrow_mut(|sleepers| {
            if let Some(sleeper) = sleepers.waiting.iter_mut().find(|sleeper| Some(sleeper.number) == self.number) {
                return Some(std::mem::replace(&mut sleeper.waker, waker));
            }
            sleepers.last_number += 1;
            let number = sleepers.last_number;
            self.number = Some(number);
            sleepers.waiting.push(Sleeper { deadline, number, waker });
            sleepers.arm();
            None
        });
        Poll::Pending
    }
}

impl Drop for BrowserSleep {
    fn drop(&mut self) {
        self.leave();
    }
}
