//! Places in flight: how many there may be, and how many are taken.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

/// How many may be in flight, and how many are.
#[derive(Clone, Debug)]
pub(crate) struct Slots(Arc<Mutex<SlotState>>);

#[derive(Debug)]
struct SlotState {
    limit: usize,
    /// What steers the window leaves so much of the limit.
    cap: usize,
    taken: usize,
    /// Whether no more are to be taken.
    cancelled: bool,
    /// The window, whatever it waits for.
    window: Option<Waker>,
}

/// A place in flight, given back by drop.
pub(crate) struct Slot(Slots);

impl Slots {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(SlotState { limit, cap: usize::MAX, taken: 0, cancelled: false, window: None })))
    }

    pub(crate) fn limit(&self) -> usize {
        self.state().limit
    }

    /// Most that may be in flight now: at least 1.
    pub(crate) fn open(&self) -> usize {
        let state = self.state();
        state.limit.min(state.cap).max(1)
    }

    /// Leaves so much of the limit, from within the window.
    pub(crate) fn set_cap(&self, cap: usize) {
        self.state().cap = cap;
    }

    pub(crate) fn taken(&self) -> usize {
        self.state().taken
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.state().limit = limit.max(1);
        self.wake();
    }

    pub(crate) fn cancel(&self) {
        self.state().cancelled = true;
        self.wake();
    }

    /// Whether the window is to end; if not, its task is woken when that changes, or a place
    /// comes free.
    pub(crate) fn poll_cancelled(&self, cx: &mut Context<'_>) -> bool {
        let mut state = self.state();
        match &mut state.window {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        state.cancelled
    }

    pub(crate) fn is_free(&self) -> bool {
        let state = self.state();
        state.taken < state.limit.min(state.cap)
    }

    pub(crate) fn take(&self) -> Slot {
        self.state().taken += 1;
        Slot(self.clone())
    }

    fn wake(&self) {
        let window = self.state().window.take();
        window.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.state().taken -= 1;
        self.0.wake();
    }
}
