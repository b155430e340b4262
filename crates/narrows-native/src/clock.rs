//! tokio's clock.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use narrows_core::{Clock, Timestamp};
use tokio::time::{Instant, Sleep};

/// tokio's clock, counted from when it was made.
///
/// ```
/// use std::time::Duration;
/// use narrows_core::Clock;
/// use narrows_native::TokioClock;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = TokioClock::new();
/// clock.sleep_until(clock.now() + Duration::from_millis(1)).await;
/// assert!(clock.now().0 >= Duration::from_millis(1));
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// A clock that starts at zero.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    type Sleep = TokioSleep;

    fn now(&self) -> Timestamp {
        Timestamp(self.origin.elapsed())
    }

    fn sleep_until(&self, deadline: Timestamp) -> TokioSleep {
        // A deadline beyond what an instant can hold is never reached.
        let far = std::time::Duration::from_secs(1 << 30);
        let deadline = self.origin.checked_add(deadline.0).unwrap_or_else(|| Instant::now() + far);
        TokioSleep(Box::pin(tokio::time::sleep_until(deadline)))
    }
}

/// A timer of tokio's.
///
/// No example: see [`TokioClock`].
#[derive(Debug)]
pub struct TokioSleep(Pin<Box<Sleep>>);

impl Future for TokioSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
