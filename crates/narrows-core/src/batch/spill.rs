//! Overflow to temporary storage: items that find the buffer full wait in files, and go on into the
//! buffer in their order as room comes.
//!
//! ```text
//!  push ──┬── room, and nothing spilled ─────────────────> buffer ── next_batch ──>
//!         └──> newest file ──> full files ──> oldest file ────^   (as room comes)
//! ```
//!
//! Pushes write to the newest file, one after another; whoever takes batches reads the oldest one. A
//! file is gone once it has been read, so storage holds what has not gone on yet and one file more.
//! It is room, no journal: what is spilled dies with the process.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    future::{pending, poll_fn},
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use futures_util::{
    FutureExt,
    future::{Either, select},
    lock::Mutex as AsyncMutex,
};

use super::{
    BatchOptions, BatchStats, Batches, Ended, Item, Overflow,
    in_flight::Batch,
    record::{Record, Spill},
    spilled::{NotPushed, SpillError, SpillOptions, Spilled},
};
use crate::{
    budget::{Budget, BudgetTooSmall, Reservation},
    clock::Clock,
    spool::{Spool, append_all, read_exact_at},
};

/// A bounded buffer ([`Batches`]) whose overflow goes to temporary storage, so that whoever pushes
/// goes on while the destination is away. Clones are handles of the same one.
///
/// The budget is charged for the buffer and for one item on its way to storage and one on its way back.
/// What is still in storage when the last handle is dropped is gone untold: [close](Self::close) it and
/// take batches until there are none.
///
/// ```
/// # use futures_util::FutureExt;
/// use narrows_core::{Budget, testing::{MemorySpool, SkippingClock}};
/// use narrows_core::batch::{BatchOptions, Ended, Item, SpillOptions, Spilling};
///
/// # async {
/// let (clock, budget) = (SkippingClock::new(), Budget::new(1 << 20));
/// let options = BatchOptions::new().items_max(10).batch_items(5);
/// let observer = |ended: Ended<String>| assert_eq!(ended.end.name(), "delivered");
/// let spool = MemorySpool::new(16 << 20); // natively `TempSpool`, in a worker `OpfsSpool`
/// let buffer = Spilling::open(clock, &budget, options, spool, SpillOptions::new(), observer).await?;
/// for number in 0..100 {
///     buffer.push(Item::new(format!("entry {number}"), 16)).await?; // nobody takes any yet
/// }
/// assert_eq!((buffer.stats().items, buffer.spilled().items), (10, 90));
/// buffer.close();
/// while let Some(batch) = buffer.next_batch().await? {
///     batch.commit();
/// }
/// assert_eq!(buffer.stats().delivered, 100);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
pub struct Spilling<T, C: Clock, S: Spool>(Arc<Inner<T, C, S>>);

impl<T, C: Clock, S: Spool> Clone for Spilling<T, C, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<T, C: Clock, S: Spool> {
    batches: Batches<T, C>,
    clock: C,
    spool: S,
    options: SpillOptions,
    item_bytes_max: u64,
    record_max: u64,
    _records: Reservation,
    files: Mutex<Files<S::File>>,
    /// Held by the push that writes. What waits behind it keeps its order.
    newest: AsyncMutex<Option<Segment<S::File>>>,
    /// Held by whoever reads.
    oldest: AsyncMutex<Option<(Segment<S::File>, u64)>>,
}

struct Files<F> {
    /// Those between the oldest and the newest.
    full: VecDeque<Segment<F>>,
    spilled: Spilled,
    is_closed: bool,
    waiting: Vec<Waker>,
}

struct Segment<F> {
    file: F,
    /// Bytes there may be.
    bytes_max: u64,
    /// Bytes of whole records.
    length: u64,
    /// What follows is no whole record, or was none when a push was given up or failed while it wrote.
    is_torn: bool,
}

impl<T: Spill, C: Clock + Clone, S: Spool> Spilling<T, C, S> {
    /// A buffer that is empty, once the budget has room for its largest item three times.
    /// [`BatchOptions::overflow`] has no effect.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`BudgetTooSmall`] if the budget never has that room.
    pub async fn open(
        clock: C,
        budget: &Budget,
        options: BatchOptions,
        spool: S,
        spill: SpillOptions,
        observer: impl Fn(Ended<T>) + Send + Sync + 'static,
    ) -> Result<Self, BudgetTooSmall> {
        let options = options.overflow(Overflow::Wait).corrected();
        let item_bytes_max = options.item_bytes_max;
        let record_max = item_bytes_max + Record::HEAD_BYTES as u64;
        let records = budget.claim(2 * record_max)?.await;
        let files = Files { full: VecDeque::new(), spilled: Spilled::default(), is_closed: false, waiting: Vec::new() };
        Ok(Self(Arc::new(Inner {
            batches: Batches::open(clock.clone(), budget, options, observer).await?,
            clock,
            spool,
            options: spill,
            item_bytes_max,
            record_max,
            _records: records,
            files: Mutex::new(files),
            newest: AsyncMutex::new(None),
            oldest: AsyncMutex::new(None),
        })))
    }

    /// Puts an item in: into the buffer if it has room and nothing is spilled, else into storage. Waits
    /// only while storage is full.
    ///
    /// Cancel-safe: dropped before it is ready, the item is dropped with it and was never held.
    ///
    /// # Errors
    ///
    /// [`NotPushed`] has the item and why it was not taken.
    pub async fn push(&self, item: Item<T>) -> Result<(), NotPushed<T, S::Error>> {
        let inner = &*self.0;
        let mut newest = inner.newest.lock().await;
        let (mut item, is_first) = (item, inner.files().spilled.items == 0);
        if inner.files().is_closed {
            return Err(NotPushed { value: item.value, error: SpillError::Closed });
        }
        // What is too large for the buffer ends there, and its end is told.
        if is_first || item.bytes > inner.item_bytes_max {
            match inner.batches.try_push(item) {
                Ok(_) => return Ok(()),
                Err(back) => item = back,
            }
        }
        let record = Record::write(&item, inner.clock.now());
        let stored = inner.store(&mut newest, &record).await;
        stored.map_err(|error| NotPushed { value: item.value, error })
    }

    /// The next batch, as [`Batches::next_batch`]; what was spilled goes on meanwhile. `None` once it is
    /// closed and everything has ended.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`SpillError`] if storage cannot be read and no batch is due. Nothing is passed over: the next
    /// call tries again.
    pub async fn next_batch(&self) -> Result<Option<Batch<T, C>>, SpillError<S::Error>> {
        let (batch, refill) = (pin!(self.0.batches.next_batch()), pin!(self.0.refill()));
        // In this order, so that a batch is looked for once there is nothing more to move.
        match select(refill, batch).await {
            Either::Left((Err(error), batch)) => batch.now_or_never().ok_or(error),
            Either::Left((Ok(never), _)) => match never {},
            Either::Right((batch, _)) => Ok(batch),
        }
    }

    /// Makes a batch due of what is in the buffer.
    pub fn flush(&self) {
        self.0.batches.flush();
    }

    /// Takes nothing more. What is held goes out in batches, that in storage last.
    pub fn close(&self) {
        self.0.change(|files| files.is_closed = true);
    }

    /// A snapshot of the buffer.
    pub fn stats(&self) -> BatchStats {
        self.0.batches.stats()
    }

    /// What is in storage now.
    pub fn spilled(&self) -> Spilled {
        self.0.files().spilled
    }
}

impl<T: Spill, C: Clock, S: Spool> Inner<T, C, S> {
    /// Appends a record to the newest file.
    async fn store(&self, newest: &mut Option<Segment<S::File>>, record: &[u8]) -> Result<(), SpillError<S::Error>> {
        let bytes = record.len() as u64;
        let SpillOptions { bytes_max, file_bytes } = self.options;
        let max = self.record_max.min(bytes_max);
        if bytes > max {
            return Err(SpillError::TooLarge { bytes, max });
        }
        let is_full = |segment: &Segment<_>| segment.is_torn || segment.length + bytes > segment.bytes_max;
        if newest.as_ref().is_some_and(is_full) {
            // Whoever reads must come to it without waiting for this push.
            self.change(|files| files.full.extend(newest.take()));
        }
        let segment = match newest {
            Some(segment) => segment,
            None => newest.insert(self.create(file_bytes.min(bytes_max).max(bytes)).await?),
        };
        segment.is_torn = true;
        append_all(&mut segment.file, record).await.map_err(SpillError::Storage)?;
        segment.is_torn = false;
        segment.length += bytes;
        self.change(|files| {
            files.spilled.items += 1;
            files.spilled.items_total += 1;
        });
        Ok(())
    }

    /// A file, once there is room for it.
    async fn create(&self, bytes: u64) -> Result<Segment<S::File>, SpillError<S::Error>> {
        let has_room = |files: &mut Files<_>| files.spilled.bytes + bytes <= self.options.bytes_max;
        self.until(|files| (files.is_closed || has_room(files)).then_some(())).await;
        if self.files().is_closed {
            return Err(SpillError::Closed);
        }
        let file = self.spool.create(bytes).await.map_err(SpillError::Storage)?;
        self.change(|files| files.spilled.bytes += bytes);
        Ok(Segment { file, bytes_max: bytes, length: 0, is_torn: false })
    }

    /// Moves items from storage into the buffer, for ever.
    async fn refill(&self) -> Result<Infallible, SpillError<S::Error>> {
        let mut oldest = self.oldest.lock().await;
        loop {
            let has_items = |files: &mut Files<_>| files.spilled.items > 0;
            if !self.until(|files| (has_items(files) || files.is_closed).then(|| has_items(files))).await {
                // Not beside a push that writes still.
                let newest = self.newest.lock().await;
                if self.files().spilled.items == 0 {
                    drop(newest);
                    self.batches.close();
                    return pending().await;
                }
                continue;
            }
            let Some((segment, at)) = oldest.as_mut().filter(|(segment, at)| *at < segment.length) else {
                if let Some((read, _)) = oldest.take() {
                    drop(read.file);
                    self.change(|files| files.spilled.bytes -= read.bytes_max);
                }
                let full = self.change(|files| files.full.pop_front());
                let next = match full {
                    None => {
                        let mut newest = self.newest.lock().await;
                        // While that was waited for, a push may have begun another file.
                        self.change(|files| files.full.pop_front()).or_else(|| newest.take())
                    }
                    full => full,
                };
                *oldest = Some((next.ok_or(SpillError::Damaged)?, 0));
                continue;
            };
            let mut head = [0; Record::HEAD_BYTES];
            read_exact_at(&mut segment.file, *at, &mut head).await?;
            let record = Record::read(&head);
            if record.bytes() > self.record_max {
                return Err(SpillError::Damaged);
            }
            let mut value = vec![0; record.value_bytes as usize];
            read_exact_at(&mut segment.file, *at + head.len() as u64, &mut value).await?;
            let item = record.item(&value).ok_or(SpillError::Damaged)?;
            if self.batches.push(item).await.is_err() {
                return Err(SpillError::Closed);
            }
            *at += record.bytes();
            self.change(|files| files.spilled.items -= 1);
        }
    }

    fn files(&self) -> MutexGuard<'_, Files<S::File>> {
        // Only arithmetic happens under the lock.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Files<S::File>) -> R) -> R {
        let mut files = self.files();
        let changed = change(&mut files);
        let waiting = mem::take(&mut files.waiting);
        drop(files);
        waiting.into_iter().for_each(Waker::wake);
        changed
    }

    async fn until<R>(&self, mut ready: impl FnMut(&mut Files<S::File>) -> Option<R>) -> R {
        poll_fn(|cx| {
            let mut files = self.files();
            match ready(&mut files) {
                Some(ready) => Poll::Ready(ready),
                None => {
                    if !files.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                        files.waiting.push(cx.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl<T, C: Clock, S: Spool> fmt::Debug for Spilling<T, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spilling").field("batches", &self.0.batches).finish_non_exhaustive()
    }
}
