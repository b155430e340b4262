//! The buffer behind its lock, and who waits for it.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use super::{
    buffer::{Buffer, Held},
    item::Ended,
};
use crate::clock::{Clock, Timestamp};

type Tell<T> = Arc<dyn Fn(Ended<T>) + Send + Sync>;

pub(super) struct Shared<T, C: Clock> {
    pub(super) clock: C,
    pub(super) state: Mutex<State<T>>,
    pub(super) tell: Tell<T>,
}

pub(super) struct State<T> {
    pub(super) buffer: Buffer<T>,
    /// Pushes that wait for room, in order. Only the first is woken.
    pub(super) pushers: VecDeque<(u64, Option<Waker>)>,
    pub(super) next_ticket: u64,
    /// Whoever waits for a batch.
    pub(super) takers: Vec<Waker>,
}

impl<T> State<T> {
    /// A push waits, in its place or behind the others.
    pub(super) fn join(&mut self, ticket: Option<u64>, cx: &mut Context<'_>) -> u64 {
        let ticket = ticket.unwrap_or_else(|| {
            self.next_ticket += 1;
            self.pushers.push_back((self.next_ticket, None));
            self.next_ticket
        });
        if let Some((_, waker)) = self.pushers.iter_mut().find(|(waiting, _)| *waiting == ticket) {
            *waker = Some(cx.waker().clone());
        }
        self.buffer.pushers = self.pushers.len() as u64;
        ticket
    }

    /// A push no longer waits.
    pub(super) fn leave(&mut self, ticket: Option<u64>) {
        self.pushers.retain(|(waiting, _)| Some(*waiting) != ticket);
        self.buffer.pushers = self.pushers.len() as u64;
    }
}

impl<T, C: Clock> Shared<T, C> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Only assertions can panic under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, wakes whom that concerns, and tells what has ended.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        self.tell(state, true, true);
        changed
    }

    /// With nothing locked: wakes whoever waits for batches if there may be one now, the first that
    /// waits for room if there may be some, and tells what has ended.
    pub(super) fn tell(&self, mut state: MutexGuard<'_, State<T>>, batches: bool, room: bool) {
        let takers = if batches { mem::take(&mut state.takers) } else { Vec::new() };
        let pusher = state.pushers.front_mut().filter(|_| room).and_then(|(_, waker)| waker.take());
        let ended = state.buffer.outbox();
        drop(state);
        takers.into_iter().chain(pusher).for_each(Waker::wake);
        ended.into_iter().for_each(|ended| (self.tell)(ended));
    }

    /// A batch that is due, or when to ask again; no batch at the end.
    pub(super) fn take(&self, cx: &mut Context<'_>) -> Result<Option<Vec<Held<T>>>, Option<Timestamp>> {
        let now = self.clock.now();
        let mut state = self.lock();
        let taken = state.buffer.take(now);
        let is_over = state.buffer.is_over_for_good();
        if taken.is_err() && !is_over && !state.takers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.takers.push(cx.waker().clone());
        }
        // The end is the end for all of them; what has ended here is no batch, but it makes room.
        let room = state.buffer.has_ended();
        self.tell(state, is_over, room);
        match taken {
            Ok(items) => Ok(Some(items)),
            Err(_) if is_over => Ok(None),
            Err(until) => Err(until),
        }
    }
}

impl<T, C: Clock> Drop for Shared<T, C> {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.change(|state| state.buffer.abandon_all(now));
    }
}
