//! The memory of one transfer: its reservation, and the blocks that are filled from it.
//!
//! A transfer's worst case is reserved before it starts, blocks included. A [`Block`] goes to the
//! consumer and stays charged until it is dropped; its buffer then serves again. When the
//! transfer ends, everything but the blocks still out is given back at once.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    budget::Reservation,
    clock::Timestamp,
    ledger::Ledger,
    stats::Phase,
    sync::{Mutex, MutexGuard},
    working_set::{Term, WorkingSet},
};

#[derive(Clone)]
pub(crate) struct Lease {
    shared: Arc<Mutex<State>>,
    ledger: Ledger,
    /// Of its source in the list.
    index: u64,
}

struct State {
    /// `reservation.bytes() == set.total()`, always.
    reservation: Reservation,
    set: WorkingSet,
    phase: Option<Phase>,
    /// Capacity of every block; fixed by the time the first is made. `blocks_out * block_bytes` is
    /// at most the term for blocks.
    block_bytes: usize,
    blocks_max: u32,
    /// Blocks being filled or in the consumer's hand. `blocks_out <= blocks_max`.
    blocks_out: u32,
    /// Buffers that came back: `spare.len() + blocks_out <= blocks_max`.
    spare: Vec<Vec<u8>>,
    /// Whoever waits for a block to come back.
    waiting: Option<Waker>,
    ended: bool,
}

impl Lease {
    /// The memory of source `index`: `reservation` is of `set`'s bytes.
    pub(crate) fn new(
        index: u64,
        reservation: Reservation,
        set: WorkingSet,
        blocks_max: u32,
        block_bytes: usize,
        ledger: Ledger,
    ) -> Self {
        assert_eq!(reservation.bytes(), set.total(), "another working set was reserved");
        let phase = Phase::Requesting;
        ledger.lock().move_phase(index, None, Some((phase, reservation.bytes())));
        let state = State {
            reservation,
            set,
            phase: Some(phase),
            block_bytes,
            blocks_max,
            blocks_out: 0,
            spare: Vec::with_capacity(blocks_max as usize),
            waiting: None,
            ended: false,
        };
        Self { shared: Arc::new(Mutex::new(state)), ledger, index }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.change(|state| {
            if let Some(current) = &mut state.phase {
                *current = phase;
            }
        });
    }

    /// Keeps at most `bytes` of a term that turned out to need no more.
    pub(crate) fn keep(&self, term: Term, bytes: u64) {
        self.change(|state| {
            state.set.shrink(term, bytes);
            state.fit();
        });
    }

    /// Takes `bytes` more for a term, if they are free now.
    pub(crate) fn try_grow(&self, term: Term, bytes: u64) -> bool {
        self.change(|state| {
            let grown = state.reservation.try_grow(bytes);
            if grown {
                state.set.grow(term, bytes);
            }
            grown
        })
    }

    /// Takes as much more for a term as makes it `bytes` again, if that is free now.
    pub(crate) fn regrow(&self, term: Term, bytes: u64) -> bool {
        let has = self.state().set.get(term);
        has >= bytes || self.try_grow(term, bytes - has)
    }

    /// Room for `bytes` to collect: what is left of the bytes set aside for it, and beyond those
    /// what the budget has free. In vain, it says how much there was.
    pub(crate) fn collection(&self, bytes: u64) -> Result<Collected, u64> {
        let (reservation, set_aside) = self.change(|state| {
            let left = state.set.get(Term::Collect);
            let set_aside = bytes.min(left);
            if !state.reservation.try_grow(bytes - set_aside) {
                return Err(left + state.reservation.free());
            }
            state.set.shrink(Term::Collect, left - set_aside);
            Ok((state.reservation.split(bytes), set_aside))
        })?;
        let mut collected = Collected { bytes: Vec::new(), reservation, set_aside, lease: self.clone() };
        collected.bytes = allocate(bytes).ok_or(0u64)?;
        Ok(collected)
    }

    /// Changes the state, and what the ledger has of its phase and its bytes.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let before = state.charged();
        let changed = change(&mut state);
        let after = state.charged();
        assert_eq!(state.reservation.bytes(), state.set.total(), "the reservation is not that of its terms");
        if before != after {
            self.ledger.lock().move_phase(self.index, before, after);
        }
        changed
    }

    /// Makes blocks no larger than `bytes`: all that is to come.
    pub(crate) fn cap_blocks(&self, bytes: u64) {
        let blocks = {
            let mut state = self.state();
            debug_assert!(state.blocks_out == 0 && state.spare.is_empty());
            let capped = usize::try_from(bytes.max(1)).map_or(state.block_bytes, |bytes| bytes.min(state.block_bytes));
            state.block_bytes = capped;
            capped as u64 * u64::from(state.blocks_max)
        };
        self.keep(Term::Blocks, blocks);
    }

    /// An empty buffer of a block's capacity, unless the consumer holds all there may be.
    pub(crate) fn buffer(&self) -> Result<Vec<u8>, BlocksHeld> {
        let mut state = self.state();
        if let Some(buffer) = state.spare.pop() {
            state.blocks_out += 1;
            return Ok(buffer);
        }
        if state.blocks_out == state.blocks_max {
            return Err(BlocksHeld(state.blocks_out));
        }
        state.blocks_out += 1;
        Ok(Vec::with_capacity(state.block_bytes))
    }

    /// Ready when a block could be filled. `is_filling` says that one is being filled already.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>, is_filling: bool) -> Poll<()> {
        let mut state = self.state();
        if is_filling || state.ended || state.blocks_out < state.blocks_max {
            return Poll::Ready(());
        }
        state.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Makes a filled buffer a block in the consumer's hand.
    pub(crate) fn block(&self, bytes: Vec<u8>, now: Timestamp) -> Block {
        let mut counters = self.ledger.lock();
        counters.stats.bytes_out += bytes.len() as u64;
        let number = counters.hand(now, bytes.capacity() as u64);
        drop(counters);
        Block { bytes, lease: self.clone(), handed: (now, number) }
    }

    /// Gives everything back for now; [`resume`](Self::resume) goes on.
    pub(crate) fn suspend(&self) {
        self.change(|state| {
            debug_assert_eq!(state.blocks_out, 0, "blocks are out");
            state.spare = Vec::with_capacity(state.blocks_max as usize);
            state.set = WorkingSet::default();
            state.fit();
            state.phase = None;
        });
    }

    /// Goes on after [`suspend`](Self::suspend), with `reservation` of `set`'s bytes.
    pub(crate) fn resume(&self, reservation: Reservation, set: WorkingSet) {
        self.change(|state| {
            state.set = set;
            state.reservation.join(reservation);
            state.phase = Some(Phase::Requesting);
        });
    }

    /// Takes a buffer back.
    pub(crate) fn put_back(&self, mut buffer: Vec<u8>) {
        let waiting = self.change(|state| {
            state.blocks_out -= 1;
            if state.ended {
                drop(buffer); // before its charge
                state.keep_blocks_out();
            } else {
                buffer.clear();
                state.spare.push(buffer);
            }
            state.waiting.take()
        });
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The transfer has ended: keeps only what the consumer still holds.
    pub(crate) fn end(&self) {
        let waiting = self.change(|state| {
            if !state.ended {
                state.ended = true;
                state.spare = Vec::new();
                state.keep_blocks_out();
            }
            state.waiting.take()
        });
        waiting.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a bug of ours; the counters stay usable.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What the ledger has of it.
    fn charged(&self) -> Option<(Phase, u64)> {
        self.phase.map(|phase| (phase, self.reservation.bytes()))
    }

    /// Gives back what the terms no longer say.
    fn fit(&mut self) {
        self.reservation.shrink_to(self.set.total());
    }

    /// Nothing is left but the blocks in the consumer's hand.
    fn keep_blocks_out(&mut self) {
        let blocks = u64::from(self.blocks_out) * self.block_bytes as u64;
        self.set = WorkingSet::default().with(Term::Blocks, blocks.min(self.reservation.bytes()));
        self.fit();
        self.phase = (self.blocks_out > 0).then_some(Phase::Received);
    }
}

/// All blocks are in the consumer's hand: so many.
pub(crate) struct BlocksHeld(pub(crate) u32);

/// Memory for bytes that are reserved: what the budget has free need not be on this machine.
pub(crate) fn allocate(bytes: u64) -> Option<Vec<u8>> {
    let mut allocated = Vec::new();
    allocated.try_reserve_exact(usize::try_from(bytes).ok()?).ok()?;
    Some(allocated)
}

/// Bytes in the consumer's hand, charged to the budget until dropped.
///
/// A consumer that keeps as many blocks as [`Options::blocks`](crate::Options::blocks) and asks
/// for another is told so: [`FailureKind::BlocksHeld`](crate::FailureKind::BlocksHeld).
///
/// ```
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # futures_util::FutureExt::now_or_never(async {
/// # use futures_util::StreamExt;
/// # let fetch = MemoryFetch::new().with("mem://a", *b"some bytes");
/// # let budget = Budget::new(8 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new()).expect("large enough");
/// # let mut file = window.next().await.expect("one source");
/// let block = file.next_block().await.expect("it is there").expect("not empty");
/// assert_eq!(&block[..], b"some bytes");
/// assert!(block.charged() >= block.len() as u64);
/// # }).expect("nothing waits");
/// ```
pub struct Block {
    bytes: Vec<u8>,
    lease: Lease,
    handed: (Timestamp, u64),
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Block {
    /// Bytes of the budget that this block keeps.
    pub fn charged(&self) -> u64 {
        self.bytes.capacity() as u64
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} bytes)", self.bytes.len())
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let (at, number) = self.handed;
        self.lease.ledger.lock().take_back(at, number, bytes.capacity() as u64);
        self.lease.put_back(bytes);
    }
}

/// A whole source or entry in the consumer's hand, charged to the budget until dropped.
///
/// ```
/// # use futures_util::{FutureExt, StreamExt};
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # async {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"hello");
/// # let budget = Budget::new(8 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// let mut file = window.next().await.expect("one source");
/// let whole = file.collect(100).await?;
/// assert_eq!(&whole[..], b"hello");
/// assert_eq!(whole.charged(), budget.reserved());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
pub struct Collected {
    pub(crate) bytes: Vec<u8>,
    reservation: Reservation,
    /// Of these, those that were set aside for collecting, and are again when this is dropped.
    set_aside: u64,
    lease: Lease,
}

impl Collected {
    /// Keeps no more than the bytes take, if there is memory to move them.
    pub(crate) fn fit(&mut self) {
        let length = self.bytes.len() as u64;
        let roomy = length <= self.bytes.capacity() as u64 / 2;
        if roomy && self.reservation.try_grow(length) {
            self.bytes = self.bytes.as_slice().into();
        }
        self.shrink_to(self.bytes.capacity() as u64);
    }

    /// Gives back all but `bytes`: to the transfer what was its own, if it goes on.
    fn shrink_to(&mut self, bytes: u64) {
        let mut surplus = self.reservation.split(self.reservation.bytes().saturating_sub(bytes));
        let own = surplus.split(self.set_aside);
        self.set_aside -= own.bytes();
        self.lease.change(|state| {
            if !state.ended {
                state.set.grow(Term::Collect, own.bytes());
                state.reservation.join(own);
            }
        });
    }

    /// Frees the bytes and keeps their charge, for whoever has copied them out.
    #[must_use]
    pub fn into_charge(mut self) -> Self {
        self.bytes = Vec::new();
        self
    }

    /// Bytes of the budget that this keeps: no less than its capacity.
    pub fn charged(&self) -> u64 {
        self.reservation.bytes()
    }
}

impl Deref for Collected {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collected({} bytes)", self.bytes.len())
    }
}

impl Drop for Collected {
    fn drop(&mut self) {
        drop(std::mem::take(&mut self.bytes)); // before its charge
        self.shrink_to(0);
    }
}
