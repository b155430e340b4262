//! Batches: a bounded buffer between a stream and something that takes groups, such as an API, an
//! upload, a database.
//!
//! ```text
//!  push ──> ready ──── next_batch ────> in flight ── commit ──> delivered
//!  waits,     ^                             │
//!  evicts     └── waits to be tried again <─┴─ retry, drop       abandoned, evicted, fallback
//! ```
//!
//! Nothing leaves before it was delivered: a batch is in flight until it is committed, and comes back
//! if it is dropped. Every item ends exactly once, and the observer is handed it with its end.
//! Bytes held are bytes of the budget; the largest item always fits, so a buffer whose batches are
//! taken never stands still, however full the budget.

mod breaker;
mod buffer;
mod in_flight;
mod item;
mod options;
mod record;
mod shared;
mod spill;
mod spilled;
mod stats;

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker, ready},
};

pub use breaker::Breaker;
pub use in_flight::{Batch, Member, Settled};
pub use item::{Bound, End, Ended, Item};
pub use options::{BadSetting, BatchOptions, Overflow};
pub use record::Spill;
pub use spill::Spilling;
pub use spilled::{NotPushed, SpillError, SpillOptions, Spilled};
pub use stats::BatchStats;

use self::{
    buffer::Buffer,
    shared::{Shared, State},
};
use crate::{
    alarm::Alarm,
    budget::{Budget, BudgetTooSmall},
    clock::Clock,
};

/// A bounded buffer of items that go out in batches. Clones are handles of the same one; when the
/// last is dropped, what is held is abandoned, and told so.
///
/// ```
/// # use futures_util::FutureExt;
/// use std::sync::{Arc, Mutex};
/// use narrows_core::{Budget, testing::SkippingClock};
/// use narrows_core::batch::{BatchOptions, Batches, Ended, Item};
///
/// # async {
/// let dead_letters = Arc::new(Mutex::new(Vec::new()));
/// let letters = dead_letters.clone();
/// let observer = move |ended: Ended<String>| {
///     if ended.end.name() != "delivered" {
///         letters.lock().unwrap().push((ended.value, ended.end));
///     }
/// };
/// let budget = Budget::new(1 << 20);
/// let options = BatchOptions::new().batch_items(2).attempts_max(1);
/// let batches = Batches::open(SkippingClock::new(), &budget, options, observer).await?;
/// for name in ["a", "b", "c"] {
///     batches.push(Item::new(name.to_owned(), name.len() as u64)).await?;
/// }
/// batches.close();
/// while let Some(batch) = batches.next_batch().await {
///     match batch.iter().any(|item| item.value() == "c") {
///         true => batch.retry("the API answered 500"), // its last attempt
///         false => batch.commit(),
///     }
/// }
/// assert_eq!((batches.stats().delivered, dead_letters.lock().unwrap().len()), (2, 1));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
pub struct Batches<T, C: Clock> {
    shared: Arc<Shared<T, C>>,
}

impl<T, C: Clock> Clone for Batches<T, C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T, C: Clock> Batches<T, C> {
    /// A buffer that is empty, once the budget has room for its largest item. `observer` is handed
    /// every item when it ends; what takes long there holds up whoever ended it.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`BudgetTooSmall`] if the budget never has room for the largest item.
    pub async fn open(
        clock: C,
        budget: &Budget,
        options: BatchOptions,
        observer: impl Fn(Ended<T>) + Send + Sync + 'static,
    ) -> Result<Self, BudgetTooSmall> {
        let options = options.corrected();
        let reservation = budget.claim(options.item_bytes_max)?.await;
        let buffer = Buffer::new(options, reservation, clock.now());
        let state = State { buffer, pushers: VecDeque::new(), next_ticket: 0, takers: Vec::new() };
        Ok(Self { shared: Arc::new(Shared { clock, state: Mutex::new(state), tell: Arc::new(observer) }) })
    }

    /// Puts an item in and gives its number, in the order of pushing. What happens where there is no
    /// room is for [`BatchOptions::overflow`] to say; those that wait get room in the order in which
    /// they came.
    ///
    /// Cancel-safe: dropped before it is ready, the item is dropped with it and was never held.
    ///
    /// # Errors
    ///
    /// The item, if the buffer is closed.
    pub fn push(&self, item: Item<T>) -> Push<'_, T, C> {
        Push { batches: self, item: Some(item), ticket: None }
    }

    /// Puts an item in if there is room now, or if the overflow policy makes some.
    ///
    /// # Errors
    ///
    /// The item, if it would have to wait or the buffer is closed.
    pub fn try_push(&self, item: Item<T>) -> Result<u64, Item<T>> {
        let now = self.shared.clock.now();
        self.shared.change(|state| match state.buffer.is_closed || !state.pushers.is_empty() {
            true => Err(item),
            false => state.buffer.offer(now, item),
        })
    }

    /// The next batch once one is due: by items, bytes, age, want of room, by hand, or because the
    /// buffer is closed. `None` once it is closed and everything has ended.
    ///
    /// Cancel-safe.
    pub async fn next_batch(&self) -> Option<Batch<T, C>> {
        let mut alarm = Alarm::default();
        poll_fn(|cx| {
            loop {
                match self.shared.take(cx) {
                    Ok(items) => return Poll::Ready(items.map(|items| Batch::new(items, self.shared.clone()))),
                    Err(None) => return Poll::Pending,
                    Err(Some(until)) => ready!(alarm.poll(&self.shared.clock, cx, until)),
                }
            }
        })
        .await
    }

    /// Makes a batch due of what there is.
    pub fn flush(&self) {
        self.shared.change(|state| state.buffer.is_due = true);
    }

    /// Takes nothing more. What is held goes out in batches, due at once.
    pub fn close(&self) {
        self.shared.change(|state| {
            state.buffer.is_closed = true;
            state.pushers.iter_mut().filter_map(|(_, waker)| waker.take()).for_each(Waker::wake);
        });
    }

    /// Looks after items that are too old, as happens by itself where batches are waited for.
    pub fn sweep(&self) {
        let now = self.shared.clock.now();
        self.shared.change(|state| state.buffer.sweep(now));
    }

    /// A snapshot of the buffer.
    pub fn stats(&self) -> BatchStats {
        self.shared.lock().buffer.stats(self.shared.clock.now())
    }
}

impl<T, C: Clock> fmt::Debug for Batches<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// A push: a future of the item's number. See [`Batches::push`].
///
/// No example: that of [`Batches`] awaits some.
#[must_use = "nothing is pushed before it is polled"]
pub struct Push<'a, T, C: Clock> {
    batches: &'a Batches<T, C>,
    item: Option<Item<T>>,
    ticket: Option<u64>,
}

// The item is moved out, never pinned.
impl<T, C: Clock> Unpin for Push<'_, T, C> {}

impl<T, C: Clock> Future for Push<'_, T, C> {
    type Output = Result<u64, Closed<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(item) = this.item.take() else { panic!("polled after its end") };
        let shared = &this.batches.shared;
        let now = shared.clock.now();
        let mut state = shared.lock();
        let is_next = state.pushers.front().is_none_or(|(first, _)| Some(*first) == this.ticket);
        let offered = match (state.buffer.is_closed, is_next) {
            (true, _) => Ok(Err(Closed(item.value))),
            (false, true) => state.buffer.offer(now, item).map(Ok),
            (false, false) => Err(item),
        };
        match offered {
            Ok(pushed) => {
                state.leave(this.ticket.take());
                shared.tell(state, true, true);
                Poll::Ready(pushed)
            }
            Err(item) => {
                this.item = Some(item);
                // A batch is due now, for want of room. Told once: where one task pushes and takes, it
                // would wake itself for ever.
                let is_new = this.ticket.is_none();
                this.ticket = Some(state.join(this.ticket, cx));
                shared.tell(state, is_new, false);
                Poll::Pending
            }
        }
    }
}

impl<T, C: Clock> Drop for Push<'_, T, C> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.batches.shared.change(|state| state.leave(Some(ticket)));
        }
    }
}

impl<T, C: Clock> fmt::Debug for Push<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

/// The buffer is closed: the value that was to be pushed.
///
/// No example: it comes after [`Batches::close`].
pub struct Closed<T>(pub T);

impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed")
    }
}

impl<T> fmt::Display for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffer is closed")
    }
}

impl<T> std::error::Error for Closed<T> {}
