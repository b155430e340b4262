//! Overflow to temporary storage: everything that was taken ends once, in order, however slow storage
//! is, whoever gives up, and storage is given back.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use narrows_core::{
    Budget,
    batch::{BatchOptions, Batches, Bound, End, Ended, Item, Settled, SpillError, SpillOptions, Spilling},
    spool::{Spool, SpoolFile},
    testing::{MemorySpool, MemorySpoolFile, MemorySpoolFull},
};
use narrows_sim::{SimClock, SimSleep, Tasks, World};

/// Storage that takes its time, some bytes at a time.
#[derive(Clone)]
struct SlowSpool {
    spool: MemorySpool,
    world: World,
    fails_below: u64,
}

struct SlowFile {
    file: MemorySpoolFile,
    slow: SlowSpool,
    pause: Option<SimSleep>,
}

impl SlowFile {
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), MemorySpoolFull>> {
        let world = &self.slow.world;
        let pause = self.pause.get_or_insert_with(|| world.sleep(Duration::from_micros(world.below(3) * 700)));
        if Pin::new(pause).poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.pause = None;
        Poll::Ready(if world.below(100) < self.slow.fails_below { Err(MemorySpoolFull) } else { Ok(()) })
    }
}

impl Spool for SlowSpool {
    type Error = MemorySpoolFull;
    type File = SlowFile;
    type Create = std::future::Ready<Result<SlowFile, MemorySpoolFull>>;

    fn create(&self, bytes_max: u64) -> Self::Create {
        let file = self.spool.create(bytes_max).now_or_never().expect("memory does not wait");
        std::future::ready(file.map(|file| SlowFile { file, slow: self.clone(), pause: None }))
    }
}

impl SpoolFile for SlowFile {
    type Error = MemorySpoolFull;

    fn poll_append(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Self::Error>> {
        std::task::ready!(self.poll_pause(cx))?;
        let some = 1 + self.slow.world.below(bytes.len() as u64) as usize;
        Pin::new(&mut self.file).poll_append(cx, &bytes[..some])
    }

    fn poll_read_at(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, Self::Error>> {
        std::task::ready!(self.poll_pause(cx))?;
        let some = 1 + self.slow.world.below(buffer.len() as u64) as usize;
        Pin::new(&mut self.file).poll_read_at(cx, offset, &mut buffer[..some])
    }
}

type Told = Arc<Mutex<Vec<(u64, End)>>>;

fn text(value: u64) -> String {
    format!("{value} {}", "x".repeat((value * 7919 % 200) as usize))
}

fn value(text: &str) -> u64 {
    text.split(' ').next().and_then(|digits| digits.parse().ok()).expect("what was written")
}

fn open<S: Spool>(
    world: &World,
    budget: &Budget,
    options: BatchOptions,
    spool: S,
    spill: SpillOptions,
) -> (Spilling<String, SimClock, S>, Told) {
    let told = Told::default();
    let ends = told.clone();
    let observer = move |ended: Ended<String>| ends.lock().unwrap().push((value(&ended.value), ended.end));
    let opened = Spilling::open(world.clock(), budget, options, spool, spill, observer).now_or_never();
    (opened.expect("the budget is free").expect("and large enough"), told)
}

fn item(value: u64) -> Item<String> {
    Item::new(text(value), 240)
}

fn run(world: &World) {
    let mut tasks = Tasks::of(world);
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
}

fn take_all<S: Spool + 'static>(world: &World, buffer: Spilling<String, SimClock, S>) {
    buffer.close();
    world.spawn("take", async move {
        while let Some(batch) = buffer.next_batch().await.unwrap() {
            batch.commit();
        }
    });
    run(world);
}

const BYTES_MAX: u64 = 20_000;

/// Some push, some of them give up at times; some take, and commit, retry or drop. Storage fails for a
/// part of `fails_below` in a hundred.
fn anything(seed: u64, fails_below: u64) {
    let (world, budget, spool) = (World::new(seed), Budget::new(1 << 20), MemorySpool::new(64 << 10));
    let slow = SlowSpool { spool: spool.clone(), world: world.clone(), fails_below };
    let options = BatchOptions::new()
        .items_max(8)
        .batch_items(1 + world.below(4) as usize)
        .in_flight_max(1 + world.below(2) as usize)
        .item_bytes_max(300)
        .attempts_max(1000)
        .breaker_after(1000)
        .age_max(Duration::from_secs(360_000))
        .stale_after(Duration::from_secs(360_000));
    let spill = SpillOptions::new().bytes_max(BYTES_MAX).file_bytes(1 + world.below(4000));
    let closes_early = world.below(3) == 0;
    let (buffer, told) = open(&world, &budget, options, slow, spill);
    let (taken, left) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(3)));
    for producer in 0..3 {
        let (buffer, taken, left, world) = (buffer.clone(), taken.clone(), left.clone(), world.clone());
        world.clone().spawn("push", async move {
            for number in 0..100 {
                let value = producer * 1000 + number;
                let patience = world.sleep(Duration::from_micros(world.below(20) * world.below(20) * 100));
                let push = std::pin::pin!(buffer.push(item(value)));
                match select(push, patience).await {
                    Either::Left((Ok(()), _)) => taken.lock().unwrap().push(value),
                    Either::Left((Err(refused), _)) => match refused.error {
                        SpillError::Closed => assert!(closes_early),
                        _ => assert!(fails_below > 0, "{refused}"),
                    },
                    Either::Right(_) => {}
                }
                assert!(buffer.spilled().bytes <= BYTES_MAX, "{:?}", buffer.spilled());
            }
            *left.lock().unwrap() -= 1;
            if *left.lock().unwrap() == 0 {
                buffer.close();
            }
        });
    }
    if closes_early {
        let (buffer, world) = (buffer.clone(), world.clone());
        world.clone().spawn("close", async move {
            world.sleep(Duration::from_micros(world.below(200) * 1000)).await;
            buffer.close();
        });
    }
    for _ in 0..2 {
        let (buffer, world) = (buffer.clone(), world.clone());
        world.clone().spawn("take", async move {
            loop {
                let patience = world.sleep(Duration::from_millis(world.below(100)));
                let next = std::pin::pin!(buffer.next_batch());
                let batch = match select(next, patience).await {
                    Either::Left((Ok(Some(batch)), _)) => batch,
                    Either::Left((Ok(None), _)) => break,
                    Either::Left((Err(error), _)) => {
                        assert!(fails_below > 0 && matches!(error, SpillError::Storage(_)), "{error}");
                        continue;
                    }
                    Either::Right(_) => continue, // given up, and asked again
                };
                world.sleep(Duration::from_micros(world.below(40) * 100)).await;
                match world.below(10) {
                    0 => batch.retry("a bad day"),
                    1 => drop(batch),
                    2 => batch.settle(|_| match world.below(2) {
                        0 => Settled::Delivered,
                        _ => Settled::Retry("half a day".into()),
                    }),
                    _ => batch.commit(),
                }
            }
        });
    }
    run(&world);
    let (mut ends, mut taken) = (told.lock().unwrap().clone(), taken.lock().unwrap().clone());
    assert!(ends.iter().all(|(_, end)| *end == End::Delivered), "{ends:?}");
    ends.sort_unstable_by_key(|(value, _)| *value);
    taken.sort_unstable();
    assert_eq!(ends.iter().map(|(value, _)| *value).collect::<Vec<_>>(), taken, "seed {seed}");
    assert!(closes_early || ends.len() > 10, "seed {seed}: {} of 300 were taken", ends.len());
    assert_eq!(buffer.spilled().items, 0);
    drop(buffer);
    assert_eq!((budget.reserved(), spool.left()), (0, 64 << 10), "all is given back");
}

#[test]
fn what_was_taken_ends_once_whoever_gives_up() {
    (0..400).for_each(|seed| anything(seed, 0));
}

#[test]
fn what_was_taken_ends_once_where_storage_fails() {
    (0..400).for_each(|seed| anything(seed, 5));
}

#[test]
fn order_is_kept_and_storage_is_bounded() {
    let (world, budget) = (World::new(1), Budget::new(1 << 20));
    let spill = SpillOptions::new().bytes_max(BYTES_MAX).file_bytes(2000);
    let spool = MemorySpool::new(BYTES_MAX);
    let options = BatchOptions::new().items_max(5).batch_items(3).item_bytes_max(300);
    let (buffer, told) = open(&world, &budget, options, spool.clone(), spill);
    let mut pushed = 0;
    while let Some(taken) = buffer.push(item(pushed)).now_or_never() {
        taken.unwrap();
        pushed += 1; // until storage is full
    }
    assert!(buffer.spilled().items > 100 && buffer.spilled().bytes == BYTES_MAX, "{:?}", buffer.spilled());
    assert_eq!(buffer.stats().items, 5);
    take_all(&world, buffer);
    let order: Vec<u64> = told.lock().unwrap().iter().map(|(value, _)| *value).collect();
    assert_eq!(order, (0..pushed).collect::<Vec<_>>());
    assert_eq!(spool.left(), BYTES_MAX);
}

#[test]
fn what_is_pushed_later_does_not_pass_what_is_in_storage() {
    let (world, budget) = (World::new(1), Budget::new(1 << 20));
    let options = BatchOptions::new().items_max(2).batch_items(2).item_bytes_max(300);
    let spill = SpillOptions::new().file_bytes(1000);
    let (buffer, told) = open(&world, &budget, options, MemorySpool::new(1 << 20), spill);
    let push = |value| buffer.push(item(value)).now_or_never().unwrap().unwrap();
    (0..2).for_each(push);
    let first = buffer.next_batch().now_or_never().unwrap().unwrap().unwrap();
    (2..6).for_each(push);
    first.commit(); // there is room, and nobody has looked at storage yet
    push(6);
    assert_eq!((buffer.stats().items, buffer.spilled().items), (0, 5));
    take_all(&world, buffer);
    let order: Vec<u64> = told.lock().unwrap().iter().map(|(value, _)| *value).collect();
    assert_eq!(order, (0..7).collect::<Vec<_>>());
}

#[test]
fn room_in_storage_is_used_again() {
    let (world, budget) = (World::new(1), Budget::new(1 << 20));
    let options = BatchOptions::new().items_max(1).batch_items(1).item_bytes_max(300);
    let spill = SpillOptions::new().bytes_max(2000).file_bytes(1000);
    let (buffer, told) = open(&world, &budget, options, MemorySpool::new(2000), spill);
    for round in 0..20 {
        for value in 0..4 {
            buffer.push(item(round * 4 + value)).now_or_never().expect("there is room").unwrap();
        }
        let taking = buffer.clone();
        world.spawn("take", async move {
            for _ in 0..4 {
                taking.next_batch().await.unwrap().unwrap().commit();
            }
        });
        run(&world);
    }
    assert_eq!(told.lock().unwrap().len(), 80);
}

#[test]
fn what_is_too_large_is_said_and_what_is_closed_takes_nothing() {
    let (world, budget) = (World::new(1), Budget::new(1 << 20));
    let options = BatchOptions::new().items_max(1).item_bytes_max(300);
    let (buffer, told) =
        open(&world, &budget, options, MemorySpool::new(1 << 20), SpillOptions::new().file_bytes(1000));
    let push = |item| buffer.push(item).now_or_never().expect("memory does not wait");
    push(item(0)).unwrap();
    push(Item::new(text(1), 301)).unwrap();
    assert_eq!(*told.lock().unwrap(), [(1, End::Evicted(Bound::ItemBytes))]);
    let refused = push(Item::new("2 ".to_owned() + &"y".repeat(400), 10)).unwrap_err();
    assert!(matches!(refused.error, SpillError::TooLarge { bytes: 426, max: 324 }), "{refused}");
    buffer.close();
    assert!(matches!(push(item(3)).unwrap_err().error, SpillError::Closed));
}

#[test]
fn staleness_counts_the_time_in_storage() {
    let (world, budget) = (World::new(1), Budget::new(1 << 20));
    let options =
        BatchOptions::new().items_max(1).batch_items(1).item_bytes_max(300).stale_after(Duration::from_secs(60));
    let (buffer, told) =
        open(&world, &budget, options, MemorySpool::new(1 << 20), SpillOptions::new().file_bytes(1000));
    (0..3).for_each(|value| buffer.push(item(value)).now_or_never().unwrap().unwrap());
    let first = buffer.next_batch().now_or_never().unwrap().unwrap().unwrap();
    let sleep = world.sleep(Duration::from_secs(61));
    world.spawn("time", sleep);
    run(&world);
    first.commit();
    take_all(&world, buffer);
    let ends: Vec<_> = told.lock().unwrap().iter().map(|(value, end)| (*value, end.name())).collect();
    assert_eq!(ends, [(0, "delivered"), (1, "fallback"), (2, "fallback")]);
}

/// The buffer alone, for comparison: a push waits as soon as it is full.
#[test]
fn without_storage_a_push_waits() {
    let (world, budget) = (World::new(1), Budget::new(1 << 20));
    let options = BatchOptions::new().items_max(5);
    let opened = Batches::open(world.clock(), &budget, options, |_: Ended<String>| {}).now_or_never();
    let batches = opened.unwrap().unwrap();
    let taken = (0..10).take_while(|value| batches.push(item(*value)).now_or_never().is_some()).count();
    assert_eq!(taken, 5);
}
