//! Consumers: they read, pause, hold on to blocks, skip, collect, change their mind.

use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{
    Stream, StreamExt,
    future::{Either, select},
};
use narrows_core::{Block, Delivery, Failure, FailureKind, Order, Outcome, Report, Source, Window, unpack};

use crate::{
    origin::SimOrigin,
    plan::{Consumer, WindowPlan},
    world::{Mailbox, SimClock, World},
};

pub(crate) type SimDelivery = Delivery<SimOrigin, SimClock>;
pub(crate) type SimWindow = Window<SimOrigin, SimClock, Pin<Box<dyn Stream<Item = Source>>>>;

/// What a consumer did with one source.
pub(crate) struct Record {
    pub(crate) window: usize,
    pub(crate) index: u64,
    /// Whether it said that it had committed what came.
    pub(crate) committed: bool,
    /// The bytes in order, if it took all of them.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Names of entries, if it took them one by one.
    pub(crate) names: Option<Vec<String>>,
}

/// What the observer of a world's windows was told, in order.
pub(crate) type Reports = Arc<Mutex<Vec<(usize, Report)>>>;

/// What the consumers of a world share.
#[derive(Clone)]
pub(crate) struct Consumers {
    pub(crate) world: World,
    pub(crate) records: Rc<RefCell<Vec<Record>>>,
    pub(crate) reports: Reports,
    /// Bytes of blocks in consumers' hands, counted without asking narrows.
    pub(crate) in_hand: Rc<Cell<u64>>,
    pub(crate) holder: Mailbox<Held>,
    /// Deliveries that have ended and that nobody drops: they must stand in nobody's way.
    pub(crate) kept: Rc<RefCell<Vec<SimDelivery>>>,
    /// Windows that were dropped before their end.
    pub(crate) left: Rc<RefCell<Vec<usize>>>,
}

/// A block, counted.
pub(crate) struct Held {
    block: Block,
    charged: u64,
    in_hand: Rc<Cell<u64>>,
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.block
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_hand.set(self.in_hand.get() - self.charged);
    }
}

impl Consumers {
    pub(crate) fn new(world: &World) -> Self {
        let (records, in_hand, left, kept) = (Rc::default(), Rc::default(), Rc::default(), Rc::default());
        let (reports, holder) = (Reports::default(), Mailbox::default());
        Self { world: world.clone(), records, reports, in_hand, holder, kept, left }
    }

    fn hold(&self, block: Block) -> Held {
        let charged = block.charged();
        self.in_hand.set(self.in_hand.get() + charged);
        Held { block, charged, in_hand: self.in_hand.clone() }
    }

    /// Keeps what it is given for a while, then drops it: another task than the one that reads.
    pub(crate) async fn keep(self) {
        loop {
            let held = self.holder.take().await;
            self.world.sleep(Duration::from_millis(self.world.below(3000))).await;
            drop(held);
        }
    }

    pub(crate) async fn serve(self, mut window: SimWindow, plan: WindowPlan, number: usize) {
        let leaves_at = (self.world.below(8) == 0).then(|| self.world.below(6));
        let cancels_at = (self.world.below(8) == 0).then(|| self.world.below(6));
        let mut taken = 0;
        while let Some(delivery) = window.next().await {
            self.world.note("delivery", delivery.index());
            let in_order = plan.options.order == Order::Ready || delivery.index() == taken;
            assert!(in_order, "number {} came where {taken} was next", delivery.index());
            if leaves_at == Some(taken) {
                self.done_with(number, &delivery.cancel(), false, None, None);
                self.left.borrow_mut().push(number);
                return; // and the window with it
            }
            taken += 1;
            if cancels_at == Some(taken) {
                window.handle().cancel();
                self.left.borrow_mut().push(number);
            }
            if plan.steered {
                window.handle().set_limit(self.world.below(plan.options.limit as u64 + 2) as usize);
            }
            let work = self.clone().consume(delivery, number, plan.pause_max);
            match plan.consumer {
                Consumer::Tasks => self.world.spawn("delivery", work),
                Consumer::Sequential => work.await,
                Consumer::Driving => {
                    if let Either::Right(((), work)) = select(Box::pin(work), Box::pin(window.drive())).await {
                        work.await;
                    }
                }
            }
        }
    }

    async fn consume(self, mut delivery: SimDelivery, number: usize, pause_max: Duration) {
        let style = self.world.below(12);
        let mut bytes = Vec::new();
        let mut names = Vec::new();
        let read = loop {
            let read = match style {
                0 | 11 => {
                    let blocks = self.world.below(4);
                    for _ in 0..blocks {
                        if !matches!(self.read_some(&mut delivery, &mut bytes, pause_max).await, Ok(true)) {
                            break;
                        }
                    }
                    if style == 0 && self.world.below(2) == 0 {
                        return drop(delivery); // and whoever holds its memory for it must notice
                    }
                    let report = if style == 0 { delivery.cancel() } else { delivery.finish() };
                    return self.done_with(number, &report, style == 11, None, None);
                }
                1 => {
                    self.pause(pause_max).await;
                    match delivery.collect(1 << (4 + self.world.below(16))).await {
                        Ok(collected) => {
                            assert!(collected.charged() >= collected.len() as u64);
                            bytes.extend_from_slice(&collected);
                            self.pause(pause_max).await;
                            Ok(())
                        }
                        Err(failure) => Err(failure),
                    }
                }
                2..=3 => self.read_entries(&mut delivery, &mut bytes, &mut names, pause_max).await,
                4 => self.collect_entries(&mut delivery, &mut bytes, &mut names).await,
                _ => loop {
                    match self.read_some(&mut delivery, &mut bytes, pause_max).await {
                        Ok(true) => {}
                        Ok(false) => break Ok(()),
                        Err(failure) => break Err(failure),
                    }
                },
            };
            // What came is void: once more from the beginning.
            if !read.as_ref().is_err_and(|failure| failure.kind == FailureKind::Restarted) {
                break read;
            }
            bytes.clear();
            names.clear();
        };
        let names = (2..=4).contains(&style).then_some(names);
        if let Err(failure) = &read
            && delivery.failure().is_some()
        {
            // The end is the end: the same failure again.
            assert_eq!(delivery.next_block().await.err().as_ref(), Some(failure));
        }
        let whole = read.is_ok() && names.as_ref().is_none_or(|names| !names.iter().any(|name| name == SKIPPED));
        let bytes = whole.then_some(bytes);
        let is_over = read.is_ok() || delivery.failure().is_some();
        match self.world.below(8) {
            // It stands in nobody's way, however long nobody says what became of it.
            0 if is_over => self.kept.borrow_mut().push(delivery),
            1 => {
                let proven = delivery.proof().is_some();
                let report = delivery.fail("the disk is full");
                assert!(!proven || matches!(report.outcome, Outcome::Failed(_)), "could not be stored: {report:?}");
                self.done_with(number, &report, false, None, None);
            }
            _ => {
                let proven = delivery.proof();
                let report = delivery.finish();
                let done = proven.map(Outcome::Done);
                assert!(done.is_none_or(|done| done == report.outcome), "{proven:?} became {report:?}");
                self.done_with(number, &report, true, bytes, names);
            }
        }
    }

    async fn read_entries(
        &self,
        delivery: &mut SimDelivery,
        bytes: &mut Vec<u8>,
        names: &mut Vec<String>,
        pause_max: Duration,
    ) -> Result<(), Failure> {
        let skips = self.world.below(2) == 0;
        while let Some(entry) = Self::next_entry(delivery).await? {
            if skips && self.world.below(2) == 0 {
                names.push(SKIPPED.into());
                continue;
            }
            names.push(entry.name().to_owned());
            while self.read_some(delivery, bytes, pause_max).await? {}
        }
        Ok(())
    }

    /// The next entry, once another task has dropped a block, if that is needed.
    async fn next_entry(delivery: &mut SimDelivery) -> Result<Option<Box<unpack::Entry>>, Failure> {
        loop {
            match delivery.next_entry().await {
                Err(failure) if is_held(&failure) => delivery.room().await,
                other => return other,
            }
        }
    }

    /// Keeps every entry whole until the last has come.
    async fn collect_entries(
        &self,
        delivery: &mut SimDelivery,
        bytes: &mut Vec<u8>,
        names: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let max = 1 << (4 + self.world.below(10));
        let mut kept = Vec::new();
        while let Some(entry) = delivery.next_entry().await? {
            names.push(entry.name().to_owned());
            let collected = delivery.collect(max).await?;
            assert!(collected.charged() >= collected.len() as u64, "collected, and not charged");
            bytes.extend_from_slice(&collected);
            kept.push(collected);
        }
        Ok(())
    }

    /// One block, or the news that there is none; sometimes after losing patience and asking anew.
    async fn read_some(
        &self,
        delivery: &mut SimDelivery,
        bytes: &mut Vec<u8>,
        pause_max: Duration,
    ) -> Result<bool, Failure> {
        self.pause(pause_max).await;
        let block = loop {
            let asked = if self.world.below(4) > 0 {
                delivery.next_block().await
            } else {
                let patience = self.world.sleep(Duration::from_millis(self.world.below(200)));
                match select(Box::pin(delivery.next_block()), patience).await {
                    Either::Left((block, _)) => block,
                    Either::Right(((), _)) => continue,
                }
            };
            match asked {
                Err(failure) if is_held(&failure) => delivery.room().await,
                other => break other?,
            }
        };
        let Some(block) = block else { return Ok(false) };
        assert!(!block.is_empty(), "a block of nothing");
        let held = self.hold(block);
        bytes.extend_from_slice(&held);
        match self.world.below(4) {
            0 => self.holder.put(held),
            1 => self.pause(pause_max).await,
            _ => {}
        }
        Ok(true)
    }

    async fn pause(&self, max: Duration) {
        if !max.is_zero() && self.world.below(4) == 0 {
            self.world.sleep(Duration::from_millis(self.world.below(max.as_millis() as u64 + 1))).await;
        }
    }

    fn done_with(
        &self,
        window: usize,
        report: &Report,
        committed: bool,
        bytes: Option<Vec<u8>>,
        names: Option<Vec<String>>,
    ) {
        let index = report.index;
        self.world.note("outcome", report.outcome.name().len() as u64 ^ index << 8 ^ report.bytes_out << 16);
        self.records.borrow_mut().push(Record { window, index, committed, bytes, names });
    }
}

/// All blocks are in the hand of the task that keeps them for a while.
fn is_held(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::BlocksHeld { .. })
}

/// Stands for an entry that the consumer passed over.
pub(crate) const SKIPPED: &str = "(skipped)";
