//! Bytes that may be in use, shared by whoever has a handle.
//!
//! A [`Budget`] grants [`Claim`]s in the order they were made: a large one at the head of the
//! queue is not overtaken, so it cannot starve. A granted claim is a [`Reservation`]; dropping
//! that gives its bytes back and wakes the head.
//!
//! Two rules keep every job going however small the budget is:
//!
//! * nobody who holds a reservation waits for another: what a transfer may need is claimed whole,
//!   before it starts. A reservation can grow, but only at once or not at all;
//! * a budget may be nested in another. Its claims pass its own queue first and then the outer
//!   one's. While a claim waits outside it holds a share of the inner budget only, which nobody
//!   outside waits for, so no circle can close.

use std::{
    collections::VecDeque,
    error::Error as StdError,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// A number of bytes that may be reserved at once. Clones are handles of the same budget.
///
/// ```
/// use narrows_core::Budget;
///
/// let process = Budget::new(64 << 20);
/// let pipeline = process.nested(16 << 20); // its own limit inside the process's
/// assert!(pipeline.claim(32 << 20).is_err()); // could never be granted
/// assert_eq!(process.reserved(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Mutex<State>>,
    outer: Option<Arc<Budget>>,
}

#[derive(Debug, Default)]
struct State {
    capacity: u64,
    /// `reserved <= capacity`, always.
    reserved: u64,
    /// Most bytes that were ever reserved: `reserved <= peak && peak <= capacity`.
    peak: u64,
    next_ticket: u64,
    /// In order of arrival. Only the head's waker is ever woken.
    queue: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    waker: Option<Waker>,
}

impl Budget {
    /// A budget of `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        let state = State { capacity, ..State::default() };
        Self { shared: Arc::new(Mutex::new(state)), outer: None }
    }

    /// A budget of `capacity` bytes whose reservations count against this one, too.
    pub fn nested(&self, capacity: u64) -> Self {
        Self { outer: Some(Arc::new(self.clone())), ..Self::new(capacity) }
    }

    /// The most bytes one claim can ever get: the least capacity of this and the outer budgets.
    pub fn capacity(&self) -> u64 {
        let outer = self.outer.as_ref().map_or(u64::MAX, |outer| outer.capacity());
        self.state().capacity.min(outer)
    }

    /// Bytes reserved now.
    pub fn reserved(&self) -> u64 {
        self.state().reserved
    }

    /// Most bytes that were reserved at any time: the high-water mark.
    pub fn peak(&self) -> u64 {
        self.state().peak
    }

    /// Claims that wait.
    pub fn waiting(&self) -> usize {
        self.state().queue.len()
    }

    /// A place in the queue for `bytes`.
    ///
    /// # Errors
    ///
    /// [`BudgetTooSmall`] if it could never be granted.
    pub fn claim(&self, bytes: u64) -> Result<Claim, BudgetTooSmall> {
        let capacity = self.capacity();
        if bytes > capacity {
            return Err(BudgetTooSmall { needed: bytes, capacity });
        }
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.queue.push_back(Waiter { ticket, waker: None });
        drop(state);
        Ok(Claim { budget: self.clone(), bytes, stage: Stage::Queued(ticket) })
    }

    /// Takes `bytes` at once, past the queue, if they are free here and outside.
    fn try_take(&self, bytes: u64) -> bool {
        if let Some(outer) = &self.outer
            && !outer.try_take(bytes)
        {
            return false;
        }
        let taken = self.state().take(bytes);
        if !taken && let Some(outer) = &self.outer {
            outer.give_back(bytes);
        }
        taken
    }

    fn give_back(&self, bytes: u64) {
        if let Some(outer) = &self.outer {
            outer.give_back(bytes);
        }
        self.give_back_here(bytes);
    }

    fn give_back_here(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut state = self.state();
        state.reserved -= bytes;
        let next = state.head_waker();
        drop(state);
        next.into_iter().for_each(Waker::wake);
    }

    fn leave(&self, ticket: u64) {
        let mut state = self.state();
        state.queue.retain(|waiter| waiter.ticket != ticket);
        let next = state.head_waker();
        drop(state);
        next.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, bytes: u64) -> bool {
        let granted = bytes <= self.capacity - self.reserved;
        if granted {
            self.reserved += bytes;
            self.peak = self.peak.max(self.reserved);
        }
        granted
    }

    fn head_waker(&mut self) -> Option<Waker> {
        self.queue.front_mut().and_then(|head| head.waker.take())
    }
}

/// A place in a budget's queue. Dropping it leaves the queue.
#[derive(Debug)]
#[must_use = "a claim waits in the queue until it is polled to its end or dropped"]
pub struct Claim {
    budget: Budget,
    bytes: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Queued(u64),
    /// Granted here, waiting outside.
    Outside(Box<Claim>),
    Done,
}

impl Claim {
    /// Ready once the bytes are reserved. It must not be polled after that.
    ///
    /// # Panics
    ///
    /// When polled after it was ready.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reservation> {
        if let Stage::Queued(ticket) = self.stage {
            let mut state = self.budget.state();
            let is_head = state.queue.front().is_some_and(|head| head.ticket == ticket);
            if !is_head || !state.take(self.bytes) {
                if let Some(waiter) = state.queue.iter_mut().find(|waiter| waiter.ticket == ticket) {
                    waiter.waker = Some(cx.waker().clone());
                }
                return Poll::Pending;
            }
            state.queue.pop_front();
            let next = state.head_waker();
            drop(state);
            next.into_iter().for_each(Waker::wake);
            self.stage = match &self.budget.outer {
                // Its capacity was checked when the claim was made, and never shrinks.
                Some(outer) => match outer.claim(self.bytes) {
                    Ok(claim) => Stage::Outside(Box::new(claim)),
                    Err(_) => unreachable!("capacity is the least of all budgets"),
                },
                None => Stage::Done,
            };
        } else if matches!(self.stage, Stage::Done) {
            panic!("`Claim` polled after it was granted");
        }
        if let Stage::Outside(claim) = &mut self.stage {
            match claim.poll(cx) {
                // The two shares become one reservation, given back together.
                Poll::Ready(reservation) => reservation.forget(),
                Poll::Pending => return Poll::Pending,
            }
            self.stage = Stage::Done;
        }
        Poll::Ready(Reservation { budget: self.budget.clone(), bytes: self.bytes })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        match mem::replace(&mut self.stage, Stage::Done) {
            Stage::Queued(ticket) => self.budget.leave(ticket),
            Stage::Outside(claim) => {
                drop(claim);
                self.budget.give_back_here(self.bytes);
            }
            Stage::Done => {}
        }
    }
}

/// Bytes set aside. Dropping it gives them back and wakes the next claim.
#[derive(Debug)]
#[must_use = "dropping a reservation gives its bytes back"]
pub struct Reservation {
    budget: Budget,
    bytes: u64,
}

impl Reservation {
    /// Bytes set aside.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back all but `bytes`, if it has more.
    pub fn shrink_to(&mut self, bytes: u64) {
        let excess = self.bytes.saturating_sub(bytes);
        self.bytes -= excess;
        self.budget.give_back(excess);
    }

    /// Takes `bytes` more if they are free now, and says whether they were. It passes the queue:
    /// whoever waits there waits for holders like this one to finish.
    pub fn try_grow(&mut self, bytes: u64) -> bool {
        let grown = self.budget.try_take(bytes);
        if grown {
            self.bytes += bytes;
        }
        grown
    }

    /// Moves `bytes` of it, or all it has, to a reservation of their own.
    pub fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: self.budget.clone(), bytes }
    }

    /// Adds another one's bytes, which is of the same budget.
    pub(crate) fn join(&mut self, other: Self) {
        debug_assert!(Arc::ptr_eq(&self.budget.shared, &other.budget.shared));
        self.bytes += other.bytes;
        other.forget();
    }

    /// Ends the reservation without giving its bytes back.
    fn forget(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// A budget can never grant what is asked of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BudgetTooSmall {
    /// Bytes needed at once.
    pub needed: u64,
    /// Bytes the budget has.
    pub capacity: u64,
}

impl fmt::Display for BudgetTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a budget of {} bytes is too small: {} are needed at once", self.capacity, self.needed)
    }
}

impl StdError for BudgetTooSmall {}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;

    use super::*;

    fn poll(claim: &mut Claim) -> Option<Reservation> {
        match claim.poll(&mut Context::from_waker(noop_waker_ref())) {
            Poll::Ready(reservation) => Some(reservation),
            Poll::Pending => None,
        }
    }

    #[test]
    fn grants_are_first_come_first_served() {
        let budget = Budget::new(10);
        let held = poll(&mut budget.claim(6).unwrap()).unwrap();
        let (mut large, mut small) = (budget.claim(8).unwrap(), budget.claim(1).unwrap());
        assert!(poll(&mut small).is_none(), "a small claim must not pass a large one");
        assert!(poll(&mut large).is_none());
        drop(held);
        let large = poll(&mut large).unwrap();
        let small = poll(&mut small).unwrap();
        assert_eq!((budget.reserved(), budget.peak()), (9, 9));
        drop((large, small));
        assert_eq!((budget.reserved(), budget.peak(), budget.waiting()), (0, 9, 0));
    }

    #[test]
    fn a_dropped_claim_makes_way() {
        let budget = Budget::new(10);
        let held = poll(&mut budget.claim(10).unwrap()).unwrap();
        let (first, mut second) = (budget.claim(10).unwrap(), budget.claim(1).unwrap());
        assert!(poll(&mut second).is_none());
        drop((held, first));
        assert_eq!(poll(&mut second).unwrap().bytes(), 1);
    }

    #[test]
    fn a_nested_budget_counts_in_both() {
        let outer = Budget::new(10);
        let inner = outer.nested(6);
        assert_eq!(inner.claim(7).unwrap_err(), BudgetTooSmall { needed: 7, capacity: 6 });
        let mut held = poll(&mut inner.claim(4).unwrap()).unwrap();
        assert_eq!((inner.reserved(), outer.reserved()), (4, 4));
        let mut other = poll(&mut outer.claim(5).unwrap()).unwrap();
        let mut waiting = inner.claim(2).unwrap();
        assert!(poll(&mut waiting).is_none(), "there is room inside, not outside");
        assert_eq!((inner.reserved(), outer.reserved()), (6, 9));
        drop(waiting);
        assert_eq!((inner.reserved(), outer.reserved()), (4, 9));
        assert!(!held.try_grow(2) && held.try_grow(1));
        other.shrink_to(1);
        let part = held.split(3);
        drop((held, other));
        assert_eq!((inner.reserved(), outer.reserved()), (3, 3));
        drop(part);
        assert_eq!((inner.reserved(), outer.reserved()), (0, 0));
    }
}
