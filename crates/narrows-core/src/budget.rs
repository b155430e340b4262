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
//!
//! A budget may [shrink](Budget::set_target) while it is in use. What is reserved stays so; grants
//! wait until there is less than the target, but for a claim that finds nothing reserved at all:
//! work then goes on one claim at a time, however small the target is.

use std::{
    collections::VecDeque,
    error::Error as StdError,
    fmt, mem,
    pin::Pin,
    sync::{Arc, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use crate::{
    report::Holder,
    sync::{Mutex, MutexGuard},
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
    /// What grants go by: `target <= capacity`.
    target: u64,
    /// `reserved <= capacity`, always.
    reserved: u64,
    /// Grants and returns so far: where it stands still, nothing moves.
    moves: u64,
    /// The windows that claim of it, for who asks who holds what.
    users: Vec<Weak<dyn User>>,
    /// Most bytes that were ever reserved: `reserved <= peak && peak <= capacity`.
    peak: u64,
    next_ticket: u64,
    /// In order of arrival. Only the head's waker is ever woken.
    queue: VecDeque<Waiter>,
}

/// A window as others on its budget see it.
pub(crate) trait User: fmt::Debug + Send + Sync {
    /// What it holds and waits for.
    fn holds(&self) -> Holder;
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    waker: Option<Waker>,
}

impl Budget {
    /// A budget of `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        let state = State { capacity, target: capacity, ..State::default() };
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

    /// Divides what is left of it: a budget of `bytes` that nothing else can use, and one of the
    /// rest. Both are nested in this one. Who waits for memory in one never waits for a holder in
    /// the other.
    ///
    /// ```
    /// use narrows_core::Budget;
    ///
    /// let (rest, aside) = Budget::new(64 << 20).set_aside(8 << 20).expect("there is room");
    /// assert_eq!((rest.capacity(), aside.capacity()), (56 << 20, 8 << 20));
    /// ```
    ///
    /// # Errors
    ///
    /// [`BudgetTooSmall`] if that would leave nothing.
    pub fn set_aside(&self, bytes: u64) -> Result<(Self, Self), BudgetTooSmall> {
        let capacity = self.capacity();
        match capacity.checked_sub(bytes) {
            None | Some(0) => Err(BudgetTooSmall { needed: bytes.saturating_add(1), capacity }),
            Some(rest) => Ok((self.nested(rest), self.nested(bytes))),
        }
    }

    /// Grants no more than `bytes` together from now on, until it is raised again; at most the
    /// capacity. What is reserved beyond that is waited for, not taken away, and a single claim
    /// is granted whatever the target where nothing else is reserved.
    pub fn set_target(&self, bytes: u64) {
        let mut state = self.state();
        let target = bytes.min(state.capacity);
        let before = mem::replace(&mut state.target, target);
        // Who waits is woken where there is more to be had than before, and not otherwise: whoever sets
        // it each time it is woken would run for ever.
        let next = if state.target > before { state.head_waker() } else { None };
        drop(state);
        next.into_iter().for_each(Waker::wake);
    }

    /// What grants go by: the capacity, unless it was [lowered](Self::set_target).
    pub fn target(&self) -> u64 {
        self.state().target
    }

    /// Bytes that are not reserved, here and in the outer budgets.
    pub(crate) fn free(&self) -> u64 {
        let state = self.state();
        let free = state.target.saturating_sub(state.reserved);
        drop(state);
        self.outer.as_ref().map_or(free, |outer| free.min(outer.free()))
    }

    /// Grants and returns so far, here and in the outer budgets.
    pub(crate) fn moves(&self) -> u64 {
        let outer = self.outer.as_ref().map_or(0, |outer| outer.moves());
        self.state().moves.wrapping_add(outer)
    }

    /// Makes a window known to those it shares the budget with, for as long as it lives.
    pub(crate) fn register(&self, user: Weak<dyn User>) {
        let root = self.outer.as_ref().map_or(self, |outer| outer);
        if root.outer.is_some() {
            return root.register(user);
        }
        let mut state = root.state();
        state.users.retain(|user| user.strong_count() > 0);
        state.users.push(user);
    }

    /// The windows of this and all related budgets that hold memory or wait for some, but for the
    /// one at the address `own`.
    pub(crate) fn users(&self, own: *const ()) -> Vec<Holder> {
        if let Some(outer) = &self.outer {
            return outer.users(own);
        }
        let users: Vec<_> = self.state().users.iter().filter_map(Weak::upgrade).collect();
        let others = users.iter().filter(|user| Arc::as_ptr(user).cast::<()>() != own);
        let holders = others.map(|user| user.holds());
        holders.filter(|holder| holder.reserved > 0 || holder.waits).collect()
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
        // In release, too: a counter that wrapped would grant everything to everyone.
        assert!(bytes <= state.reserved, "more given back than was reserved");
        state.reserved -= bytes;
        state.moves = state.moves.wrapping_add(1);
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
        // Only an assertion can panic under the lock, before anything is changed.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, bytes: u64) -> bool {
        assert!(self.reserved <= self.capacity && self.target <= self.capacity, "a budget overdrawn");
        let alone = self.reserved == 0 && bytes <= self.capacity;
        let granted = alone || bytes <= self.target.saturating_sub(self.reserved);
        if granted {
            self.reserved += bytes;
            self.moves = self.moves.wrapping_add(1);
            self.peak = self.peak.max(self.reserved);
        }
        granted
    }

    fn head_waker(&mut self) -> Option<Waker> {
        self.queue.front_mut().and_then(|head| head.waker.take())
    }
}

/// A place in a budget's queue: a future of the [`Reservation`]. Dropping it leaves the queue.
///
/// ```
/// # use futures_util::FutureExt;
/// # async {
/// let budget = narrows_core::Budget::new(1 << 20);
/// let reservation = budget.claim(64 << 10).expect("less than the capacity").await;
/// assert_eq!(budget.reserved(), 64 << 10);
/// drop(reservation);
/// assert_eq!(budget.reserved(), 0);
/// # }.now_or_never().expect("granted at once");
/// ```
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
    /// Bytes that are claimed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Ready once the bytes are reserved. Polled after that, it panics.
impl Future for Claim {
    type Output = Reservation;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reservation> {
        let this = &mut *self;
        if let Stage::Queued(ticket) = this.stage {
            let mut state = this.budget.state();
            let is_head = state.queue.front().is_some_and(|head| head.ticket == ticket);
            if !is_head || !state.take(this.bytes) {
                if let Some(waiter) = state.queue.iter_mut().find(|waiter| waiter.ticket == ticket) {
                    waiter.waker = Some(cx.waker().clone());
                }
                return Poll::Pending;
            }
            state.queue.pop_front();
            let next = state.head_waker();
            drop(state);
            next.into_iter().for_each(Waker::wake);
            this.stage = match &this.budget.outer {
                // Its capacity was checked when the claim was made, and never shrinks.
                Some(outer) => match outer.claim(this.bytes) {
                    Ok(claim) => Stage::Outside(Box::new(claim)),
                    Err(_) => unreachable!("capacity is the least of all budgets"),
                },
                None => Stage::Done,
            };
        } else if matches!(this.stage, Stage::Done) {
            panic!("`Claim` polled after it was granted");
        }
        if let Stage::Outside(claim) = &mut this.stage {
            match Pin::new(&mut **claim).poll(cx) {
                // The two shares become one reservation, given back together.
                Poll::Ready(reservation) => reservation.forget(),
                Poll::Pending => return Poll::Pending,
            }
            this.stage = Stage::Done;
        }
        Poll::Ready(Reservation { budget: this.budget.clone(), bytes: this.bytes })
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

/// Bytes that nobody else can have. Dropping it gives them back and wakes the next claim.
///
/// No example: see [`Claim`].
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

    /// Bytes by which it could grow now.
    pub(crate) fn free(&self) -> u64 {
        self.budget.free()
    }

    /// Moves `bytes` of it, or all it has, to a reservation of their own.
    pub fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: self.budget.clone(), bytes }
    }

    /// Adds another one's bytes, which is of the same budget.
    pub(crate) fn join(&mut self, other: Self) {
        assert!(Arc::ptr_eq(&self.budget.shared, &other.budget.shared));
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
///
/// ```
/// use narrows_core::Budget;
///
/// let error = Budget::new(10).claim(11).unwrap_err();
/// assert_eq!((error.needed, error.capacity), (11, 10));
/// ```
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
mod tests;
