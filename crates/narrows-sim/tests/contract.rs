//! Lines of the contract that want a course of events of their own rather than a seed's.

mod told;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use narrows_core::{
    Budget, FailureKind, Options, Outcome, Report, Source, Window,
    report::Stall,
    testing::{Fault, MemoryFetch, SkippingClock},
    unpack,
};
use narrows_sim::{Style, Tasks, World, zip};
use told::Told;

/// The index and the outcome of each report, in the list's order.
fn outcomes(told: &Told) -> Vec<(u64, &'static str)> {
    let mut outcomes: Vec<_> =
        told.reports.lock().unwrap().iter().map(|report| (report.index, report.outcome.name())).collect();
    outcomes.sort_unstable();
    outcomes
}

fn served(count: u32) -> MemoryFetch {
    (0..count).fold(MemoryFetch::new(), |fetch, index| fetch.with(format!("mem://{index}"), vec![b'x'; 1000]))
}

fn addresses(count: u32) -> Vec<String> {
    (0..count).map(|index| format!("mem://{index}")).collect()
}

#[test]
fn a_window_that_is_read_inside_the_loop_of_another_is_told_of_within_seconds() {
    let world = World::new(1);
    let options = |name: &str| Options::new().name(name).limit(4);
    let set = options("").working_set(narrows_core::Fetch::profile(&served(1))).total();
    let budget = Budget::new(4 * set);
    let told = Told::default();
    let window = |name: &str| {
        Window::from_iter(addresses(8), served(8), world.clock(), &budget, options(name))
            .unwrap()
            .observed_by(told.clone())
    };
    let (mut outer, mut inner) = (window("outer"), window("inner"));
    world.spawn("consumer", async move {
        while let Some(file) = outer.next().await {
            while let Some(file) = inner.next().await {
                file.finish();
            }
            file.finish();
        }
    });
    let mut tasks = Tasks::of(&world);
    while world.elapsed() < Duration::from_secs(60) && tasks.step().is_ok() {} // until nothing can go on
    let stalls = told.stalls.lock().unwrap().clone();
    assert_eq!(stalls.len(), 1, "{stalls:?}");
    assert!(world.elapsed() <= Duration::from_secs(10), "{:?}", world.elapsed());
    let Stall { waiting, holders, .. } = &stalls[0];
    assert_eq!((&**waiting, &*holders[0].name, holders[0].reserved), ("inner", "outer", 4 * set));
    tasks.abandon();
    assert_eq!(budget.reserved(), 0);
}

#[test]
fn a_slow_consumer_that_holds_everything_is_no_stall() {
    let world = World::new(1);
    let set = Options::new().working_set(narrows_core::Fetch::profile(&served(1))).total();
    let budget = Budget::new(set);
    let told = Told::default();
    let window = Window::from_iter(addresses(3), served(3), world.clock(), &budget, Options::new());
    let mut window = window.unwrap().observed_by(told.clone());
    let sleeper = world.clone();
    world.spawn("consumer", async move {
        while let Some(mut file) = window.next().await {
            let block = file.next_block().await.unwrap();
            let work = sleeper.sleep(Duration::from_secs(3600));
            futures_util::future::select(Box::pin(work), Box::pin(window.drive())).await;
            drop(block);
            while file.next_block().await.unwrap().is_some() {}
            file.finish();
        }
    });
    let mut tasks = Tasks::of(&world);
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
    assert!(told.stalls.lock().unwrap().is_empty());
    assert_eq!(outcomes(&told), [(0, "done"), (1, "done"), (2, "done")]);
}

#[test]
fn every_source_of_a_list_is_told_of_when_it_is_cancelled() {
    let told = Told::default();
    let budget = Budget::new(8 << 20);
    let options = Options::new().limit(2);
    let window = Window::from_iter(addresses(9), served(9), SkippingClock::new(), &budget, options);
    let mut window = window.unwrap().observed_by(told.clone());
    let first = window.next().now_or_never().flatten().unwrap();
    window.handle().cancel();
    assert!(window.drive().now_or_never().is_some());
    window.cancel_list().now_or_never().unwrap();
    window.cancel_list().now_or_never().unwrap();
    drop(window);
    let before: Vec<_> = (1..9).map(|index| (index, "cancelled")).collect();
    assert_eq!(outcomes(&told), before, "all but the one in hand");
    first.finish();
    assert_eq!(outcomes(&told).len(), 9, "and that one was left unread");
}

#[test]
fn what_came_is_not_done_before_it_is_committed() {
    let told = Told::default();
    let budget = Budget::new(8 << 20);
    let options = Options::new().limit(1);
    let window = Window::from_iter(addresses(3), served(3), SkippingClock::new(), &budget, options);
    let mut window = window.unwrap().observed_by(told.clone());
    for index in 0..3 {
        let mut file = window.next().now_or_never().flatten().unwrap();
        while file.next_block().now_or_never().unwrap().unwrap().is_some() {}
        assert!(file.proof().is_some() && outcomes(&told).len() == index);
        assert_eq!((budget.reserved(), window.stats().uncommitted), (0, 1), "it holds no memory, no place");
        match index {
            0 => drop(file.finish()),
            1 => drop(file.fail("the disk is full")),
            _ => drop(file),
        }
    }
    assert_eq!(outcomes(&told), [(0, "done"), (1, "failed"), (2, "cancelled")]);
    let stats = window.stats();
    assert_eq!((stats.done, stats.failed, stats.cancelled, stats.uncommitted), (1, 1, 1, 0));
}

#[test]
fn an_attempt_is_a_try_and_not_a_segment() {
    let fetch = MemoryFetch::new().with("mem://a", vec![b'x'; 10_000]).drained();
    let fetch = fetch.with_fault("mem://a", Fault::Reset { after: 500, times: 1 });
    let budget = Budget::new(8 << 20);
    let options = Options::new().segment_bytes(1000);
    let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, options).unwrap();
    let mut file = window.next().now_or_never().flatten().unwrap();
    while file.next_block().now_or_never().unwrap().unwrap().is_some() {}
    let report = file.finish();
    assert_eq!((report.attempts, report.requests), (2, 11));
    assert_eq!((report.bytes_accepted, report.bytes_received), (10_000, 10_000));
}

#[test]
fn asking_for_more_blocks_than_there_are_is_an_error_that_says_so() {
    let budget = Budget::new(8 << 20);
    let options = Options::new().block_bytes(100).blocks(2);
    let mut window = Window::from_iter(addresses(1), served(1), SkippingClock::new(), &budget, options).unwrap();
    let mut file = window.next().now_or_never().flatten().unwrap();
    let mut next = || file.next_block().now_or_never().expect("no wait");
    let held = [next().unwrap(), next().unwrap()];
    let failure = next().unwrap_err();
    assert_eq!(failure.kind, FailureKind::BlocksHeld { held: 2 });
    assert!(failure.to_string().contains("drop one"), "{failure}");
    drop(held);
    assert!(next().unwrap().is_some(), "it was no end");
    assert!(file.room().now_or_never().is_some());
}

#[test]
fn lines_end_with_their_entries_and_stay_within_the_budget() {
    let entries = [("a", "a1\na2"), ("b", "b1\r\nb2")].map(|(name, text)| (name.to_owned(), text.into()));
    let archive = zip(&entries, || Style::Deflated);
    for block_bytes in [1, 3, 100] {
        let fetch = MemoryFetch::new().with("mem://a.zip", archive.clone());
        let options = Options::new().unpack(unpack::Options::default()).block_bytes(block_bytes);
        let budget = Budget::new(16 << 20);
        let window = Window::from_iter(["mem://a.zip"], fetch, SkippingClock::new(), &budget, options);
        let mut window = window.unwrap();
        let mut file = window.next().now_or_never().flatten().unwrap();
        let mut lines = file.lines(3); // with its carriage return
        let mut seen = Vec::new();
        while let Some(line) = lines.next().now_or_never().unwrap().unwrap() {
            seen.push(String::from_utf8(line.to_vec()).unwrap());
        }
        assert_eq!(seen, ["a1", "a2", "b1", "b2"]);
        drop(lines);
        assert_eq!(file.finish().outcome.name(), "done");
        assert_eq!(budget.reserved(), 0);
    }
    let fetch = MemoryFetch::new().with("mem://a", *b"a line of some length\n");
    let budget = Budget::new(16 << 20);
    let options = Options::new().block_bytes(4);
    let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, options).unwrap();
    let mut file = window.next().now_or_never().flatten().unwrap();
    let failure = file.lines(10).next().now_or_never().unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::LineTooLong { max: 10 });
    assert!(matches!(file.finish().outcome, Outcome::Failed(_)));
}

#[test]
fn a_line_that_is_no_source_fails_in_its_turn() {
    let listed = ["mem://0", "12 nonsense", "mem://1"].into_iter().filter_map(Source::from_line);
    let told = Told::default();
    let budget = Budget::new(8 << 20);
    let window = Window::from_iter(listed, served(2), SkippingClock::new(), &budget, Options::new());
    let mut window = window.unwrap().observed_by(told.clone());
    while let Some(mut file) = window.next().now_or_never().unwrap() {
        while let Ok(Some(_)) = file.next_block().now_or_never().unwrap() {}
        file.finish();
    }
    assert_eq!(outcomes(&told), [(0, "done"), (1, "failed"), (2, "done")]);
}

#[test]
fn an_entry_that_was_too_big_is_not_read_from_its_middle() {
    let entries = [("a", vec![b'a'; 5000]), ("b", vec![b'b'; 10])].map(|(name, bytes)| (name.to_owned(), bytes));
    let fetch = MemoryFetch::new().with("mem://a.zip", zip(&entries, || Style::Stored));
    let options = Options::new().unpack(unpack::Options::default()).block_bytes(1000);
    let budget = Budget::new(16 << 20);
    let mut window = Window::from_iter(["mem://a.zip"], fetch, SkippingClock::new(), &budget, options).unwrap();
    let mut file = window.next().now_or_never().flatten().unwrap();
    assert!(file.next_entry().now_or_never().unwrap().unwrap().is_some());
    let code = |failure: narrows_core::Failure| failure.kind.code();
    assert_eq!(file.collect(2000).now_or_never().unwrap().map_err(code).unwrap_err(), "too_big_to_collect");
    assert_eq!(file.collect(9000).now_or_never().unwrap().map_err(code).unwrap_err(), "too_big_to_collect");
    assert_eq!(file.next_block().now_or_never().unwrap().map_err(code).unwrap_err(), "too_big_to_collect");
    assert!(file.next_entry().now_or_never().unwrap().unwrap().is_some(), "the next can be opened");
    assert_eq!(&file.collect(100).now_or_never().unwrap().unwrap()[..], [b'b'; 10]);
}

#[test]
fn an_observer_may_end_other_sources_and_may_panic() {
    let told = Told::default();
    let held: Arc<Mutex<Vec<narrows_core::Delivery<MemoryFetch, SkippingClock>>>> = Arc::default();
    let (others, budget) = (held.clone(), Budget::new(8 << 20));
    let window = Window::from_iter(addresses(3), served(3), SkippingClock::new(), &budget, Options::new());
    let mut window = window
        .unwrap()
        .observed_by(move |_: &Report| {
            let taken = std::mem::take(&mut *others.lock().unwrap());
            drop(taken); // each of them ends, and is told of in its turn
        })
        .observed_by(|report: &Report| assert_ne!(report.index, 1, "one that panics"))
        .observed_by(told.clone());
    let first = window.next().now_or_never().flatten().unwrap();
    for _ in 0..2 {
        held.lock().unwrap().push(window.next().now_or_never().flatten().unwrap());
    }
    drop(first);
    assert_eq!(outcomes(&told), [(0, "cancelled"), (1, "cancelled"), (2, "cancelled")]);
}

#[test]
fn what_is_ready_is_cancelled_with_its_window() {
    let budget = Budget::new(8 << 20);
    let mut window = Window::from_iter(addresses(4), served(4), SkippingClock::new(), &budget, Options::new()).unwrap();
    let first = window.next().now_or_never().flatten().unwrap();
    window.handle().cancel();
    while let Some(mut file) = window.next().now_or_never().unwrap() {
        assert_eq!(file.next_block().now_or_never().unwrap().unwrap_err().kind, FailureKind::Cancelled);
        assert_eq!(file.finish().outcome, Outcome::Cancelled);
    }
    drop(first);
    assert_eq!((window.stats().cancelled, budget.reserved()), (4, 0));
}

#[test]
fn a_consumer_that_takes_lines_at_its_pace_is_no_dead_origin() {
    let world = World::new(1);
    let fetch = MemoryFetch::new().with("mem://a", b"line\n".repeat(50_000));
    let budget = Budget::new(8 << 20);
    let mut window = Window::from_iter(["mem://a"], fetch, world.clock(), &budget, Options::new()).unwrap();
    let (sleeper, done) = (world.clone(), Arc::new(Mutex::new(0)));
    let count = done.clone();
    world.spawn("consumer", async move {
        let mut file = window.next().await.unwrap();
        let mut lines = file.lines(100);
        while lines.next().await.unwrap().is_some() {
            *count.lock().unwrap() += 1;
            if *count.lock().unwrap() % 10_000 == 0 {
                sleeper.sleep(Duration::from_secs(3600)).await;
            }
        }
    });
    let mut tasks = Tasks::of(&world);
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
    assert_eq!(*done.lock().unwrap(), 50_000);
}
