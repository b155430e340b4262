//! A batch in the consumer's hand, and what the consumer says of its items.

use std::{borrow::Cow, fmt, mem, sync::Arc, time::Duration};

use super::{
    buffer::{Held, Verdict},
    item::End,
    shared::Shared,
};
use crate::clock::Clock;

/// Items in flight, until something is said of them. Dropped, they come back to be tried again.
///
/// No example: that of [`Batches`](super::Batches) commits one.
#[must_use = "a batch that is dropped is tried again"]
pub struct Batch<T, C: Clock> {
    items: Vec<Member<T>>,
    shared: Arc<Shared<T, C>>,
}

/// An item of a batch.
///
/// No example: that of [`Batches`](super::Batches) reads some.
pub struct Member<T>(Held<T>);

/// What becomes of an item of a batch.
///
/// ```
/// use narrows_core::batch::Settled;
///
/// let answer = 422;
/// let settled = match answer {
///     200 => Settled::Delivered,
///     400..500 => Settled::Abandoned("the API does not take it".into()),
///     _ => Settled::Retry("the API is in trouble".into()),
/// };
/// assert!(matches!(settled, Settled::Abandoned(_)));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Settled {
    /// It was delivered.
    Delivered,
    /// It is tried again, unless this was its last attempt; then it is abandoned for this reason.
    Retry(Cow<'static, str>),
    /// It is given up.
    Abandoned(Cow<'static, str>),
    /// It is not worth delivering any more.
    Fallback(Cow<'static, str>),
}

impl<T> Member<T> {
    /// What is to be delivered.
    pub fn value(&self) -> &T {
        &self.0.value
    }

    /// Its number, in the order of pushing, from 0. The same in every attempt: an idempotency key.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempts
    }
}

impl<T, C: Clock> Batch<T, C> {
    pub(super) fn new(items: Vec<Held<T>>, shared: Arc<Shared<T, C>>) -> Self {
        Self { items: items.into_iter().map(Member).collect(), shared }
    }

    /// Its items, in the order in which they go.
    pub fn iter(&self) -> std::slice::Iter<'_, Member<T>> {
        self.items.iter()
    }

    /// How many there are: never none.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// All were delivered.
    pub fn commit(self) {
        self.settle(|_| Settled::Delivered);
    }

    /// All are to be tried again, but for those whose last attempt this was: they are abandoned.
    pub fn retry(self, reason: impl Into<Cow<'static, str>>) {
        let reason = reason.into();
        self.settle(|_| Settled::Retry(reason.clone()));
    }

    /// The destination was not there: all are tried again, and it is held against none. After some
    /// such batches, or at once if it said `after` what time, it is left alone.
    pub fn unavailable(self, after: Option<Duration>) {
        self.end(|_| Verdict::NotThere, after);
    }

    /// All are given up.
    pub fn abandon(self, reason: impl Into<Cow<'static, str>>) {
        let reason = reason.into();
        self.settle(|_| Settled::Abandoned(reason.clone()));
    }

    /// Each item has its own answer, as where an API takes seven of ten.
    pub fn settle(self, mut settled: impl FnMut(&Member<T>) -> Settled) {
        self.end(
            |member| match settled(member) {
                Settled::Delivered => Verdict::Ended(End::Delivered),
                Settled::Retry(reason) => Verdict::Again(reason),
                Settled::Abandoned(reason) => Verdict::Ended(End::Abandoned(reason)),
                Settled::Fallback(reason) => Verdict::Ended(End::Fallback(reason)),
            },
            None,
        );
    }

    fn end(mut self, mut verdict: impl FnMut(&Member<T>) -> Verdict, after: Option<Duration>) {
        // First all verdicts: where one panics, the batch is still whole, and comes back.
        let verdicts: Vec<_> = self.items.iter().map(&mut verdict).collect();
        self.give_back(verdicts, after);
    }

    fn give_back(&mut self, verdicts: Vec<Verdict>, after: Option<Duration>) {
        let items = mem::take(&mut self.items).into_iter().map(|member| member.0);
        let now = self.shared.clock.now();
        self.shared.change(|state| state.buffer.settle(now, items.zip(verdicts), after));
    }
}

impl<T, C: Clock> Drop for Batch<T, C> {
    fn drop(&mut self) {
        if !self.items.is_empty() {
            let verdicts = vec![Verdict::Again("the batch was dropped".into()); self.items.len()];
            self.give_back(verdicts, None);
        }
    }
}

impl<T, C: Clock> fmt::Debug for Batch<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} items)", self.items.len())
    }
}

impl<T> fmt::Debug for Member<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("number", &self.number())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
