//! Buffers of batches under everything that can happen to them, drawn from a seed: producers that
//! push, give up, or wait; takers that commit, answer for part, fail, drop or stall; a budget that
//! others use. After every step each item is in exactly one state.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::{Either, select};
use narrows_core::{
    Budget, Prng,
    batch::{BatchOptions, Batches, End, Ended, Item, Overflow, Settled},
};

use crate::world::{SimClock, Tasks, World};

/// What a seed draws.
#[derive(Clone, Debug)]
pub struct BatchPlan {
    seed: u64,
    options: BatchOptions,
    budget: u64,
    producers: u64,
    items: u64,
    takers: u64,
    pause_max: u64,
    /// Chances out of 16 for each batch: down, failing, partly taken, dropped.
    manners: [u64; 4],
    abandon_at: Option<u64>,
}

impl BatchPlan {
    fn draw(seed: u64) -> Self {
        let mut prng = Prng::new(seed ^ 0xba7c4);
        let mut below = |bound| prng.below(bound);
        let item_bytes_max = 1 << (4 + below(6));
        let bytes_max = item_bytes_max * (1 + below(20));
        let seconds = |number| Duration::from_secs(number);
        let options = BatchOptions::new()
            .items_max(1 + below(30) as usize)
            .bytes_max(bytes_max)
            .item_bytes_max(item_bytes_max)
            .batch_items(1 + below(10) as usize)
            .batch_bytes(item_bytes_max * (1 + below(8)))
            .flush_after(seconds(below(60)))
            .in_flight_max(1 + below(3) as usize)
            .overflow([Overflow::Wait, Overflow::Wait, Overflow::DropOldest, Overflow::DropNewest][below(4) as usize])
            .attempts_max(1 + below(4) as u32)
            .age_max(seconds([30, 300, 3600][below(3) as usize]))
            .sweep_every(seconds([5, 900][below(2) as usize]))
            .stale_after(seconds([60, 7200][below(2) as usize]))
            .breaker_after(1 + below(5) as u32)
            .seed(seed);
        let chance = |number: u64| if number > 8 { 0 } else { number };
        Self {
            seed,
            options,
            budget: item_bytes_max + below(bytes_max + 1),
            producers: 1 + below(3),
            items: 1 + below(60),
            takers: 1 + below(3),
            pause_max: [0, 50, 20_000][below(3) as usize],
            manners: [below(16), below(16), below(16), below(16)].map(chance),
            abandon_at: (below(5) == 0).then(|| below(400)),
        }
    }
}

/// Items whose ends were told, by value: how often, and whether one was a delivery.
type Told = Arc<Mutex<BTreeMap<u64, Vec<End>>>>;

struct Course {
    plan: BatchPlan,
    world: World,
    budget: Budget,
    told: Told,
    /// Values that a taker has committed, and how often.
    committed: Rc<RefCell<BTreeMap<u64, u64>>>,
    /// Values of pushes that were accepted.
    pushed: Rc<Cell<u64>>,
    /// The destination serves everything from here on.
    heal_at: Duration,
}

const STEPS_MAX: u64 = 200_000;

/// Draws what `seed` stands for and runs it; a digest of what happened.
///
/// # Errors
///
/// What did not hold, with the plan.
pub fn check(seed: u64) -> Result<u64, String> {
    let plan = BatchPlan::draw(seed);
    run(&plan).map_err(|what| format!("batches, seed {seed}: {what}\n{plan:#?}"))
}

fn run(plan: &BatchPlan) -> Result<u64, String> {
    let world = World::new(plan.seed);
    let course = Rc::new(Course {
        plan: plan.clone(),
        budget: Budget::new(plan.budget),
        told: Told::default(),
        committed: Rc::default(),
        pushed: Rc::default(),
        heal_at: Duration::from_secs(200),
        world: world.clone(),
    });
    let opened: Rc<RefCell<Option<Batches<u64, SimClock>>>> = Rc::default();
    let told = course.told.clone();
    let observer = move |ended: Ended<u64>| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.entry(ended.value).or_default().push(ended.end);
    };
    let (clock, budget, options) = (world.clock(), course.budget.clone(), plan.options.clone());
    let (opening, starting) = (opened.clone(), course.clone());
    world.spawn("open", async move {
        let Ok(batches) = Batches::open(clock, &budget, options, observer).await else { panic!("one item fits") };
        *opening.borrow_mut() = Some(batches.clone());
        starting.clone().start(batches);
    });
    let mut tasks = Tasks::of(&world);
    let mut step = 0;
    while !tasks.names().is_empty() {
        if plan.abandon_at == Some(step) {
            break;
        }
        step += 1;
        if step == STEPS_MAX {
            return Err(format!("no end after {STEPS_MAX} steps: {:?}", tasks.names()));
        }
        tasks
            .step()
            .map_err(|stuck| format!("step {step}: nothing can go on, though these wait: {:?}", stuck.tasks))?;
        if let Some(batches) = &*opened.borrow() {
            course.check_step(batches).map_err(|what| format!("step {step}: {what}"))?;
        }
    }
    tasks.abandon();
    let last = opened.borrow_mut().take();
    let stats = last.as_ref().map(Batches::stats);
    drop(last);
    course.check_end(plan.abandon_at.is_none())?;
    world.note("end", stats.map_or(0, |stats| stats.delivered << 32 | stats.attempts));
    Ok(world.trace().0 ^ step)
}

impl Course {
    fn start(self: Rc<Self>, batches: Batches<u64, SimClock>) {
        let left = Rc::new(Cell::new(self.plan.producers));
        for producer in 0..self.plan.producers {
            self.world.spawn("producer", self.clone().produce(batches.clone(), producer, left.clone()));
        }
        for _ in 0..self.plan.takers {
            self.world.spawn("taker", self.clone().take(batches.clone()));
        }
        let (course, flushing) = (self, batches);
        course.world.clone().spawn("flusher", async move {
            course.pause().await;
            flushing.flush();
            course.pause().await;
            // Others use the budget now and then.
            if let Ok(claim) = course.budget.claim(course.plan.options.item_bytes_max.min(course.plan.budget / 4)) {
                let held = select(claim, course.world.sleep(Duration::from_secs(5))).await;
                course.pause().await;
                drop(held);
            }
            flushing.sweep();
        });
    }

    async fn pause(&self) {
        let millis = self.world.below(self.plan.pause_max + 1);
        self.world.sleep(Duration::from_millis(millis)).await;
    }

    async fn produce(self: Rc<Self>, batches: Batches<u64, SimClock>, producer: u64, left: Rc<Cell<u64>>) {
        for number in 0..self.plan.items {
            let value = producer << 32 | number;
            // Some are larger than any may be.
            let bytes = self.world.below(self.plan.options.item_bytes_max * 9 / 8);
            let item = Item::new(value, bytes).priority(self.world.below(5) as i32 - 2);
            let gives_up = self.world.below(8) == 0;
            let push = batches.push(item);
            let pushed = match gives_up {
                true => match select(push, self.world.sleep(Duration::from_secs(self.world.below(10)))).await {
                    Either::Left((pushed, _)) => pushed.is_ok(),
                    Either::Right(_) => false,
                },
                false => push.await.is_ok(),
            };
            self.pushed.set(self.pushed.get() + u64::from(pushed));
            if self.world.below(4) == 0 {
                self.pause().await;
            }
        }
        left.set(left.get() - 1);
        if left.get() == 0 {
            batches.close();
        }
    }

    async fn take(self: Rc<Self>, batches: Batches<u64, SimClock>) {
        loop {
            let batch = match self.world.below(8) {
                // Somebody who stops waiting loses nothing.
                0 => match select(pin!(batches.next_batch()), self.world.sleep(Duration::from_secs(3))).await {
                    Either::Left((batch, _)) => batch,
                    Either::Right(_) => continue,
                },
                _ => batches.next_batch().await,
            };
            let Some(batch) = batch else { return };
            self.world.note("batch", batch.len() as u64);
            self.pause().await;
            let is_well = self.world.elapsed() >= self.heal_at;
            let manner = (0..4).find(|manner| !is_well && self.world.below(16) < self.plan.manners[*manner]);
            let commit = |value: u64| *self.committed.borrow_mut().entry(value).or_default() += 1;
            match manner {
                Some(0) => batch.unavailable((self.world.below(4) == 0).then(|| Duration::from_secs(7))),
                Some(1) => batch.retry("failing"),
                Some(2) => batch.settle(|member| match (member.number() + self.plan.seed) % 4 {
                    0 => Settled::Retry("not this one".into()),
                    1 => Settled::Abandoned("never".into()),
                    2 => Settled::Fallback("enough of it".into()),
                    _ => {
                        commit(*member.value());
                        Settled::Delivered
                    }
                }),
                Some(_) => drop(batch),
                None => {
                    batch.iter().for_each(|member| commit(*member.value()));
                    batch.commit();
                }
            }
        }
    }

    fn check_step(&self, batches: &Batches<u64, SimClock>) -> Result<(), String> {
        let stats = batches.stats();
        let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {stats:?}")) };
        let ended = stats.delivered + stats.abandoned + stats.evicted() + stats.fallback;
        ensure(stats.accepted == ended + stats.items, "an item was lost or counted twice")?;
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        ensure(told.values().map(Vec::len).sum::<usize>() as u64 == ended, "an end was not told, or twice")?;
        ensure(told.values().all(|ends| ends.len() == 1), "an item ended twice")?;
        ensure(stats.items <= self.plan.options.items_max as u64, "more items than there may be")?;
        ensure(stats.bytes <= self.plan.options.bytes_max, "more bytes than there may be")?;
        let wanted = stats.bytes.max(self.plan.options.item_bytes_max);
        ensure(stats.reserved == wanted, "more or less reserved than what is held, or one item")?;
        ensure(stats.reserved <= self.budget.reserved(), "a reservation the budget does not know of")?;
        ensure(self.budget.reserved() <= self.plan.budget, "a budget overdrawn")?;
        let most = (self.plan.options.in_flight_max * self.plan.options.batch_items) as u64;
        ensure(stats.in_flight <= most, "more in flight than there may be")?;
        ensure(stats.attempts >= stats.delivered, "delivered without an attempt")
    }

    fn check_end(&self, is_whole: bool) -> Result<(), String> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if self.budget.reserved() != 0 {
            return Err(format!("{} bytes reserved, after all", self.budget.reserved()));
        }
        let committed = self.committed.borrow();
        let delivered = told.iter().filter(|(_, ends)| ends[..] == [End::Delivered]);
        for (value, _) in delivered.clone() {
            if committed.get(value) != Some(&1) {
                return Err(format!("{value} is delivered, and was committed {:?} times", committed.get(value)));
            }
        }
        if delivered.count() != committed.len() {
            return Err("something was committed that is not delivered".into());
        }
        let ends = told.len() as u64;
        match !is_whole || ends == self.pushed.get() {
            true => Ok(()),
            false => Err(format!("{} pushed, {ends} ended", self.pushed.get())),
        }
    }
}
