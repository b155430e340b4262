//! Items, and how each ends.

use std::{borrow::Cow, time::Duration};

use crate::clock::Timestamp;

/// Something to be delivered, and what is to be known of it.
///
/// ```
/// use narrows_core::batch::Item;
///
/// let item = Item::new("{}".to_owned(), 2).priority(3);
/// assert_eq!((item.bytes, item.priority), (2, 3));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Item<T> {
    /// What is to be delivered.
    pub value: T,
    /// Bytes it counts for: its memory.
    pub bytes: u64,
    /// Higher ones go first, as if they had waited for longer. Default 0.
    pub priority: i32,
    /// When it came to be, by its own time. Default: when it is pushed.
    pub born: Option<Timestamp>,
}

impl<T> Item<T> {
    /// An item that takes so many bytes.
    pub fn new(value: T, bytes: u64) -> Self {
        Self { value, bytes, priority: 0, born: None }
    }

    /// With a priority.
    #[must_use]
    pub fn priority(self, priority: i32) -> Self {
        Self { priority, ..self }
    }

    /// With the time it came to be.
    #[must_use]
    pub fn born(self, born: Timestamp) -> Self {
        Self { born: Some(born), ..self }
    }
}

/// The one end of an item.
///
/// ```
/// use narrows_core::batch::{Bound, End};
///
/// assert_eq!(End::Evicted(Bound::Age).name(), "evicted");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// It was committed.
    Delivered,
    /// It was given up, and why: after as many attempts as there may be, or by hand.
    Abandoned(Cow<'static, str>),
    /// A bound of the buffer was reached: this one.
    Evicted(Bound),
    /// It is no longer worth delivering, and why: it is stale, or by hand.
    Fallback(Cow<'static, str>),
}

impl End {
    /// `delivered`, `abandoned`, `evicted` or `fallback`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Abandoned(_) => "abandoned",
            Self::Evicted(_) => "evicted",
            Self::Fallback(_) => "fallback",
        }
    }
}

/// A bound of a buffer.
///
/// ```
/// assert_eq!(narrows_core::batch::Bound::Bytes.name(), "bytes");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bound {
    /// Items held.
    Items,
    /// Bytes held, or free in the budget.
    Bytes,
    /// Bytes of one item.
    ItemBytes,
    /// How long one is held.
    Age,
}

impl Bound {
    /// A stable word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Bytes => "bytes",
            Self::ItemBytes => "item_bytes",
            Self::Age => "age",
        }
    }
}

/// An item that has ended, handed to the observer: to write it down, or to apply a fallback.
///
/// No example: that of [`Batches`](super::Batches) has one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended<T> {
    /// What was to be delivered.
    pub value: T,
    /// Its number, in the order of pushing, from 0. Stable over attempts: an idempotency key.
    pub number: u64,
    /// How it ended.
    pub end: End,
    /// Times it was tried.
    pub attempts: u32,
    /// How long it was held.
    pub held_for: Duration,
}
