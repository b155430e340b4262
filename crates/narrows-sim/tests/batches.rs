//! Bounded buffers: the six areas that the news pipeline tested, with its figures, the three faults
//! that its tests did not see, and what else must hold.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::FutureExt;
use narrows_core::{
    Budget, Clock,
    batch::{BatchOptions, Batches, Bound, Breaker, End, Ended, Item, Overflow, Settled},
};
use narrows_sim::{SimClock, Tasks, World};

type Told = Arc<Mutex<Vec<(u64, End, u32)>>>;

fn open(world: &World, budget: &Budget, options: BatchOptions) -> (Batches<u64, SimClock>, Told) {
    let told = Told::default();
    let ends = told.clone();
    let observer = move |ended: Ended<u64>| ends.lock().unwrap().push((ended.value, ended.end, ended.attempts));
    let opened = Batches::open(world.clock(), budget, options, observer).now_or_never();
    (opened.expect("the budget is free").expect("and large enough"), told)
}

fn push(batches: &Batches<u64, SimClock>, value: u64) {
    batches.try_push(Item::new(value, 100)).unwrap();
}

fn pass(world: &World, time: Duration) {
    let sleep = world.sleep(time);
    world.spawn("time", sleep);
    let mut tasks = Tasks::of(world);
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
}

fn ends(told: &Told, end: &End) -> Vec<u64> {
    told.lock().unwrap().iter().filter(|(_, ended, _)| ended == end).map(|(value, ..)| *value).collect()
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn size_no_more_than_a_thousand_and_the_oldest_go() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let (batches, told) = open(&world, &budget, BatchOptions::new().overflow(Overflow::DropOldest));
    (0..1500).for_each(|value| push(&batches, value));
    assert_eq!(batches.stats().items, 1000);
    assert_eq!(ends(&told, &End::Evicted(Bound::Items)), (0..500).collect::<Vec<_>>());
    assert_eq!(batches.stats().utilisation(), 1.0);
}

#[test]
fn size_counts_bytes_and_they_are_the_budgets() {
    let (world, budget) = (World::new(1), Budget::new(1 << 20));
    let options = BatchOptions::new().item_bytes_max(1000).bytes_max(10_000).overflow(Overflow::DropNewest);
    let (batches, told) = open(&world, &budget, options);
    assert_eq!(budget.reserved(), 1000, "one item always fits");
    (0..200).for_each(|value| push(&batches, value));
    assert_eq!((batches.stats().bytes, budget.reserved()), (10_000, 10_000));
    assert_eq!(ends(&told, &End::Evicted(Bound::Bytes)).len(), 100);
    assert!(batches.try_push(Item::new(1, 1001)).is_ok());
    assert_eq!(ends(&told, &End::Evicted(Bound::ItemBytes)), [1], "larger than any may be");
    drop(batches);
    assert_eq!((budget.reserved(), told.lock().unwrap().len()), (0, 201), "every item was told of");
}

#[test]
fn age_items_of_an_hour_go_within_a_quarter() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let (batches, told) = open(&world, &budget, BatchOptions::new());
    (0..5).for_each(|value| push(&batches, value));
    pass(&world, HOUR - Duration::from_secs(1));
    (5..8).for_each(|value| push(&batches, value));
    batches.sweep();
    assert_eq!(batches.stats().items, 8);
    pass(&world, Duration::from_secs(901));
    batches.sweep();
    assert_eq!(ends(&told, &End::Evicted(Bound::Age)), [0, 1, 2, 3, 4]);
    let stats = batches.stats();
    assert_eq!((stats.items, stats.max_age), (3, Duration::from_secs(901)));
}

#[test]
fn age_is_looked_after_while_nothing_else_happens() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let options = BatchOptions::new().flush_after(100 * HOUR);
    let (batches, told) = open(&world, &budget, options);
    push(&batches, 7);
    let waiting = batches.clone();
    world.spawn("taker", async move { assert!(waiting.next_batch().await.is_none()) });
    let mut tasks = Tasks::of(&world);
    while world.elapsed() < 2 * HOUR && tasks.step().is_ok() {}
    assert_eq!(ends(&told, &End::Evicted(Bound::Age)), [7]);
    batches.close();
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
}

#[test]
fn retries_three_and_then_it_is_abandoned_with_the_reason() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let (batches, told) = open(&world, &budget, BatchOptions::new().batch_items(2));
    (0..2).for_each(|value| push(&batches, value));
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let (taking, seen) = (batches.clone(), attempts.clone());
    world.spawn("taker", async move {
        taking.close();
        while let Some(batch) = taking.next_batch().await {
            seen.lock().unwrap().extend(batch.iter().map(|item| (*item.value(), item.attempt())));
            batch.retry("500");
        }
    });
    let mut tasks = Tasks::of(&world);
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
    let mut seen = attempts.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]);
    let mut abandoned = ends(&told, &End::Abandoned("500".into()));
    abandoned.sort_unstable();
    assert_eq!(abandoned, [0, 1]);
    let stats = batches.stats();
    assert_eq!((stats.attempts, stats.retried, stats.items), (6, 4, 0));
}

#[test]
fn stale_items_of_two_hours_end_as_fallbacks() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let (batches, told) = open(&world, &budget, BatchOptions::new());
    pass(&world, 3 * HOUR);
    let now = world.clock().now();
    let born = |ago: Duration| narrows_core::Timestamp(now.0 - ago);
    batches.try_push(Item::new(1, 100).born(born(2 * HOUR + Duration::from_secs(1)))).unwrap();
    batches.try_push(Item::new(2, 100).born(born(HOUR))).unwrap();
    batches.flush();
    let batch = batches.next_batch().now_or_never().flatten().unwrap();
    assert_eq!(batch.iter().map(|item| *item.value()).collect::<Vec<_>>(), [2]);
    batch.commit();
    assert_eq!(ends(&told, &End::Fallback("stale".into())), [1]);
}

#[test]
fn health_is_that_of_the_buffer_and_one_line() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let (batches, _) = open(&world, &budget, BatchOptions::new());
    (0..44).for_each(|value| push(&batches, value));
    pass(&world, Duration::from_millis(123_400));
    push(&batches, 44);
    let stats = batches.stats();
    let line = "buffer health: size=45/1000, utilization=4.5%, max_age=123.4s, failed_batches=0";
    assert_eq!(stats.to_string(), line);
    assert_eq!((stats.items, stats.bytes, stats.reserved), (45, 4500, 64 << 10));
    let mean = 123.4 * 44.0 / 45.0;
    assert!((stats.mean_age.as_secs_f64() - mean).abs() < 0.001, "{:?}", stats.mean_age);
}

#[test]
fn all_failures_together_leave_nothing_unaccounted() {
    let (world, budget) = (World::new(5), Budget::new(8 << 20));
    let options = BatchOptions::new().items_max(100).batch_items(10).overflow(Overflow::DropOldest).attempts_max(2);
    let (batches, told) = open(&world, &budget, options);
    let taking = batches.clone();
    let (maker, clock) = (world.clone(), world.clone());
    world.spawn("taker", async move {
        let mut number = 0;
        while let Some(batch) = taking.next_batch().await {
            number += 1;
            clock.sleep(Duration::from_secs(1)).await;
            match number % 5 {
                0 => batch.unavailable(None),
                1 => batch.retry("500"),
                2 => batch.settle(|item| match item.value() % 3 {
                    0 => Settled::Delivered,
                    1 => Settled::Retry("429".into()),
                    _ => Settled::Abandoned("400".into()),
                }),
                3 => drop(batch),
                _ => batch.commit(),
            }
        }
    });
    let pushing = batches.clone();
    world.spawn("maker", async move {
        for value in 0..5000 {
            pushing.push(Item::new(value, 100)).await.unwrap();
            if value % 250 == 0 {
                maker.sleep(Duration::from_secs(30)).await;
            }
        }
        pushing.close();
    });
    let mut tasks = Tasks::of(&world);
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
        let stats = batches.stats();
        assert!(stats.items <= 100 && stats.bytes <= stats.reserved && stats.reserved == budget.reserved());
    }
    let mut numbers: Vec<u64> = told.lock().unwrap().iter().map(|(value, ..)| *value).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..5000).collect::<Vec<_>>(), "each once");
    let stats = batches.stats();
    assert!(stats.delivered > 0 && stats.abandoned > 0 && stats.evicted_items > 0, "{stats:?}");
}

#[test]
fn every_seed_accounts_for_every_item() {
    for seed in 0..5000 {
        narrows_sim::batching::check(seed).unwrap_or_else(|what| panic!("{what}"));
    }
}

/// The original took everything out before the call, so a failed call lost it.
#[test]
fn the_buffer_is_not_emptied_before_the_call() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let (batches, told) = open(&world, &budget, BatchOptions::new().batch_items(10));
    (0..10).for_each(|value| push(&batches, value));
    let batch = batches.next_batch().now_or_never().flatten().unwrap();
    let stats = batches.stats();
    assert_eq!((stats.items, stats.in_flight, stats.bytes), (10, 10, 1000), "still held, still charged");
    drop(batch); // as where the call panics, or its task is cancelled
    assert_eq!((batches.stats().items, batches.stats().retried), (10, 10));
    assert!(told.lock().unwrap().is_empty(), "nothing has ended");
}

/// Its markers were cleared by another name than they were set by, so they stayed for ever.
#[test]
fn nothing_is_left_of_an_item_that_has_ended() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let alive = Arc::new(());
    let observer = |_: Ended<Arc<()>>| {};
    let options = BatchOptions::new().batch_items(1).attempts_max(1);
    let batches = Batches::open(world.clock(), &budget, options, observer).now_or_never().unwrap().unwrap();
    for round in 0..1000 {
        batches.try_push(Item::new(alive.clone(), 100)).unwrap();
        let Some(batch) = batches.next_batch().now_or_never().flatten() else {
            pass(&world, Duration::from_secs(60)); // the destination is left alone for a while
            continue;
        };
        match round % 3 {
            0 => batch.commit(),
            1 => batch.retry("500"),
            _ => batch.abandon("400"),
        }
    }
    batches.close();
    drop(batches);
    assert_eq!((Arc::strong_count(&alive), budget.reserved()), (1, 0));
}

/// Its emergency path took entries of high priority whatever the bound.
#[test]
fn no_priority_passes_the_bounds() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let (batches, _) = open(&world, &budget, BatchOptions::new().overflow(Overflow::Wait));
    let pushed = (0..5000u64).filter(|value| batches.try_push(Item::new(*value, 100).priority(i32::MAX)).is_ok());
    assert_eq!(pushed.count(), 1000);
    assert_eq!(batches.stats().items, 1000);
}

#[test]
fn priority_goes_first_and_lets_nobody_wait_for_ever() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let (batches, _) = open(&world, &budget, BatchOptions::new().batch_items(1).age_max(100 * HOUR));
    push(&batches, 0);
    let mut waited = 0;
    for round in 1.. {
        pass(&world, Duration::from_secs(10));
        batches.try_push(Item::new(round, 100).priority(5)).unwrap();
        let batch = batches.next_batch().now_or_never().flatten().unwrap();
        let value = *batch.iter().next().unwrap().value();
        batch.commit();
        if value == 0 {
            break;
        }
        waited = round;
    }
    assert!((25..=35).contains(&waited), "five levels are worth five minutes: {waited} others of ten seconds each");
}

#[test]
fn a_destination_that_is_down_is_left_alone_and_costs_no_attempts() {
    let (world, budget) = (World::new(1), Budget::new(8 << 20));
    let (batches, told) = open(&world, &budget, BatchOptions::new().batch_items(10).breaker_after(3));
    (0..10).for_each(|value| push(&batches, value));
    let calls = Arc::new(Mutex::new(0));
    let (taking, count, clock) = (batches.clone(), calls.clone(), world.clone());
    world.spawn("taker", async move {
        taking.close();
        while let Some(batch) = taking.next_batch().await {
            if clock.elapsed() < Duration::from_secs(60) {
                *count.lock().unwrap() += 1;
                batch.unavailable(None);
            } else {
                assert!(batch.iter().all(|item| item.attempt() == 1), "none was held against them");
                batch.commit();
            }
        }
    });
    let mut tasks = Tasks::of(&world);
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
    assert!(*calls.lock().unwrap() <= 12, "{} calls in a minute", calls.lock().unwrap());
    assert_eq!((told.lock().unwrap().len(), batches.stats().delivered), (10, 10));
    assert_eq!(batches.stats().breaker, Breaker::Closed);
}

#[test]
fn who_waits_for_room_gets_it_in_order_and_makes_a_batch_due() {
    let (world, budget) = (World::new(3), Budget::new(8 << 20));
    let options = BatchOptions::new().items_max(4).batch_items(3).flush_after(HOUR);
    let (batches, told) = open(&world, &budget, options);
    for value in 0..20 {
        let pushing = batches.clone();
        let before = world.sleep(Duration::from_millis(value));
        world.spawn("push", async move {
            before.await;
            pushing.push(Item::new(value, 100)).await.unwrap();
        });
    }
    let (taking, clock) = (batches.clone(), world.clone());
    world.spawn("taker", async move {
        while let Some(batch) = taking.next_batch().await {
            clock.sleep(Duration::from_millis(50)).await;
            batch.commit();
        }
    });
    let closing = (batches, world.sleep(Duration::from_secs(60)));
    world.spawn("close", async move {
        closing.1.await;
        closing.0.close();
    });
    let mut tasks = Tasks::of(&world);
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
    let order: Vec<u64> = told.lock().unwrap().iter().map(|(value, ..)| *value).collect();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
}

#[test]
fn want_of_room_makes_a_batch_due() {
    let (world, budget) = (World::new(3), Budget::new(8 << 20));
    let options = BatchOptions::new().bytes_max(1000).item_bytes_max(400).flush_after(HOUR);
    let (batches, _) = open(&world, &budget, options);
    (0..2).for_each(|value| drop(batches.try_push(Item::new(value, 400))));
    assert!(batches.next_batch().now_or_never().is_none(), "neither full nor old");
    let mut third = batches.push(Item::new(2, 400));
    assert!((&mut third).now_or_never().is_none());
    batches.next_batch().now_or_never().flatten().unwrap().commit();
    assert!(third.now_or_never().is_some());
}

#[test]
fn one_task_that_pushes_and_takes_is_not_woken_by_itself() {
    let (world, budget) = (World::new(3), Budget::new(8 << 20));
    let (batches, _) = open(&world, &budget, BatchOptions::new().items_max(1));
    push(&batches, 0);
    let first = batches.next_batch().now_or_never().flatten().unwrap(); // in flight, so none is due
    world.spawn("both", async move {
        futures_util::future::join(batches.push(Item::new(1, 100)), batches.next_batch()).await.0.unwrap();
    });
    let mut tasks = Tasks::of(&world);
    let steps = (0..100).take_while(|_| tasks.step().is_ok()).count();
    assert!(steps < 5, "{steps} steps, and nothing has happened");
    first.commit();
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
}

#[test]
fn a_push_that_is_given_up_holds_nobody_up() {
    let (world, budget) = (World::new(3), Budget::new(8 << 20));
    let (batches, _) = open(&world, &budget, BatchOptions::new().items_max(1));
    push(&batches, 0);
    let mut first = batches.push(Item::new(1, 100));
    assert!((&mut first).now_or_never().is_none());
    let mut second = batches.push(Item::new(2, 100));
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    batches.next_batch().now_or_never().flatten().unwrap().commit();
    assert_eq!(second.now_or_never().unwrap().unwrap(), 1, "the second item that was ever pushed");
}
