//! Virtual time, tasks and chance: one seed, one course of events.
//!
//! Each step polls one woken task, picked by the seed, or, if none is woken, jumps to the next
//! timer. If there is no timer either, the code under test has lost a wake-up or is deadlocked.
//! Every task has a waker of its own: joined under one, tasks would wake each other and hide lost
//! wake-ups.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    mem,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use narrows_core::{Clock, Prng, Timestamp};

/// The world. Clones are handles of the same one.
#[derive(Clone)]
pub struct World(Rc<RefCell<Inner>>);

struct Inner {
    now: Timestamp,
    /// By deadline, then by order of creation, so that ties never depend on addresses or hashes.
    timers: BTreeMap<(Timestamp, u64), Waker>,
    next_key: u64,
    prng: Prng,
    spawned: Vec<Task>,
    /// FNV-1a over everything noted.
    trace: u64,
    events: u64,
    healed: bool,
}

struct Task {
    name: &'static str,
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// Nothing can run and no timer is set, though tasks are left: their names.
#[derive(Debug)]
pub struct Stuck {
    /// The tasks that wait for ever.
    pub tasks: Vec<&'static str>,
}

impl World {
    /// The world that `seed` stands for.
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            now: Timestamp::default(),
            timers: BTreeMap::new(),
            next_key: 0,
            prng: Prng::new(seed),
            spawned: Vec::new(),
            trace: 0xcbf2_9ce4_8422_2325,
            events: 0,
            healed: false,
        })))
    }

    /// From here on origins are healthy: what is left must come to an end.
    pub fn heal(&self) {
        self.0.borrow_mut().healed = true;
    }

    /// Whether origins are healthy.
    pub fn is_healed(&self) -> bool {
        self.0.borrow().healed
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.0.borrow().now.0
    }

    /// A number below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        self.0.borrow_mut().prng.below(bound)
    }

    /// Timers that are set.
    pub fn timers(&self) -> usize {
        self.0.borrow().timers.len()
    }

    /// A digest of everything that happened, and how much it was.
    pub fn trace(&self) -> (u64, u64) {
        let inner = self.0.borrow();
        (inner.trace, inner.events)
    }

    /// Makes an event part of the trace.
    pub fn note(&self, what: &str, value: u64) {
        let mut inner = self.0.borrow_mut();
        let now = inner.now.0.as_nanos() as u64;
        for byte in what.bytes().chain(value.to_le_bytes()).chain(now.to_le_bytes()) {
            inner.trace = (inner.trace ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        inner.events += 1;
    }

    /// Adds a task.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + 'static) {
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        self.0.borrow_mut().spawned.push(Task { name, future: Box::pin(future), woken });
    }

    /// A clock that tells this world's time.
    pub fn clock(&self) -> SimClock {
        SimClock(self.clone())
    }

    /// Sleeps.
    pub fn sleep(&self, duration: Duration) -> SimSleep {
        let clock = self.clock();
        clock.sleep_until(clock.now() + duration)
    }
}

/// The tasks of a world, run one poll at a time.
pub struct Tasks {
    world: World,
    tasks: Vec<Task>,
}

impl Tasks {
    /// The tasks spawned in `world`, now and later.
    pub fn of(world: &World) -> Self {
        Self { world: world.clone(), tasks: Vec::new() }
    }

    /// Names of the tasks that have not ended.
    pub fn names(&mut self) -> Vec<&'static str> {
        self.adopt();
        self.tasks.iter().map(|task| task.name).collect()
    }

    /// Drops all tasks where they are.
    pub fn abandon(mut self) {
        self.adopt();
        self.tasks.clear();
    }

    fn adopt(&mut self) {
        self.tasks.append(&mut self.world.0.borrow_mut().spawned);
    }

    /// One poll, or one jump of the clock.
    ///
    /// # Errors
    ///
    /// [`Stuck`] if neither is possible.
    pub fn step(&mut self) -> Result<(), Stuck> {
        self.adopt();
        let woken = self.tasks.iter().filter(|task| task.woken.0.load(Relaxed)).count();
        if woken == 0 {
            return self.jump();
        }
        let chosen = self.world.below(woken as u64) as usize;
        let woken = self.tasks.iter().enumerate().filter(|(_, task)| task.woken.0.load(Relaxed));
        let Some(index) = woken.map(|(index, _)| index).nth(chosen) else { return Ok(()) };
        let task = &mut self.tasks[index];
        task.woken.0.store(false, Relaxed);
        let waker = Waker::from(task.woken.clone());
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            drop(self.tasks.remove(index));
        }
        Ok(())
    }

    fn jump(&mut self) -> Result<(), Stuck> {
        let due = {
            let mut inner = self.world.0.borrow_mut();
            let Some((&(deadline, _), _)) = inner.timers.first_key_value() else {
                return Err(Stuck { tasks: self.tasks.iter().map(|task| task.name).collect() });
            };
            inner.now = inner.now.max(deadline);
            let later = inner.timers.split_off(&(deadline, u64::MAX));
            mem::replace(&mut inner.timers, later)
        };
        due.into_values().for_each(Waker::wake);
        Ok(())
    }
}

/// Tells a world's time.
#[derive(Clone)]
pub struct SimClock(World);

impl Clock for SimClock {
    type Sleep = SimSleep;

    fn now(&self) -> Timestamp {
        self.0.0.borrow().now
    }

    fn sleep_until(&self, deadline: Timestamp) -> SimSleep {
        SimSleep { world: self.0.clone(), deadline, key: None }
    }
}

/// A timer; dropping it cancels it.
pub struct SimSleep {
    world: World,
    deadline: Timestamp,
    key: Option<u64>,
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut inner = this.world.0.borrow_mut();
        if this.deadline <= inner.now {
            if let Some(key) = this.key.take() {
                inner.timers.remove(&(this.deadline, key));
            }
            return Poll::Ready(());
        }
        let key = *this.key.get_or_insert_with(|| {
            inner.next_key += 1;
            inner.next_key
        });
        inner.timers.insert((this.deadline, key), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.world.0.borrow_mut().timers.remove(&(self.deadline, key));
        }
    }
}

/// Wakes one waiting task when something was put in.
pub struct Mailbox<T>(Rc<RefCell<(Vec<T>, Option<Waker>)>>);

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

impl<T> Mailbox<T> {
    /// Puts something in.
    pub fn put(&self, item: T) {
        let mut inner = self.0.borrow_mut();
        inner.0.push(item);
        let waker = inner.1.take();
        drop(inner);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Drops everything that is in it.
    pub fn clear(&self) {
        let dropped = mem::take(&mut self.0.borrow_mut().0);
        drop(dropped);
    }

    /// Takes everything, once there is something.
    pub async fn take(&self) -> Vec<T> {
        std::future::poll_fn(|cx| {
            let mut inner = self.0.borrow_mut();
            if inner.0.is_empty() {
                inner.1 = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(mem::take(&mut inner.0))
        })
        .await
    }
}
