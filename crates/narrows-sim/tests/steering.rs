//! Windows that are steered while they run: by a guard of memory, and by the search for the limit that
//! a path needs.

mod told;

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use narrows_core::{
    Budget, Options, Window,
    guard::{Guard, Reading},
    testing::MemoryFetch,
};
use narrows_sim::{SimClock, Tasks, World};
use told::Told;

type Files = Window<MemoryFetch, SimClock, futures_util::stream::Iter<std::vec::IntoIter<String>>>;

fn window(world: &World, files: u32, options: Options, told: &Told) -> (Files, Budget) {
    let fetch =
        (0..files).fold(MemoryFetch::new(), |fetch, index| fetch.with(format!("mem://{index}"), vec![b'x'; 1000]));
    let urls: Vec<String> = (0..files).map(|index| format!("mem://{index}")).collect();
    let budget = Budget::new(64 << 20);
    (Window::from_iter(urls, fetch, world.clock(), &budget, options).unwrap().observed_by(told.clone()), budget)
}

/// Reads one file after another.
async fn read<S: Stream<Item = String> + Unpin>(mut window: Window<Slow, SimClock, S>) {
    while let Some(mut file) = window.next().await {
        while file.next_block().await.unwrap().is_some() {}
        file.finish();
    }
}

/// Takes each file and works on it for a second; gives the most that were worked on, over time.
fn work(world: &World, mut window: Files) -> Rc<Cell<usize>> {
    let at_work = Rc::new(Cell::new(0));
    let (spawner, working) = (world.clone(), at_work.clone());
    world.spawn("consumer", async move {
        while let Some(mut file) = window.next().await {
            let (sleep, working) = (spawner.sleep(Duration::from_secs(1)), working.clone());
            working.set(working.get() + 1);
            spawner.spawn("file", async move {
                sleep.await;
                while file.next_block().await.unwrap().is_some() {}
                file.finish();
                working.set(working.get() - 1);
            });
        }
    });
    at_work
}

/// A guard whose reading, in percent, a test sets.
fn guarded() -> (Guard, Arc<AtomicU64>) {
    let percent = Arc::new(AtomicU64::new(50));
    let read = percent.clone();
    (Guard::new(move || Some(Reading { used: read.load(Relaxed), limit: 100, ..Reading::default() })), percent)
}

fn run_until(world: &World, tasks: &mut Tasks, time: Duration) {
    while world.elapsed() < time && !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
}

#[test]
fn a_window_shrinks_to_one_and_recovers_and_all_files_come() {
    let (world, told, (guard, percent)) = (World::new(1), Told::default(), guarded());
    let (window, budget) = window(&world, 200, Options::new().guard(guard.clone()), &told);
    let at_work = work(&world, window);
    let mut tasks = Tasks::of(&world);
    run_until(&world, &mut tasks, Duration::from_millis(2500));
    assert_eq!(at_work.get(), 10);
    percent.store(90, Relaxed);
    run_until(&world, &mut tasks, Duration::from_secs(8));
    assert_eq!(at_work.get(), 1, "small, and not stopped");
    percent.store(50, Relaxed);
    run_until(&world, &mut tasks, Duration::from_secs(20));
    assert_eq!(at_work.get(), 10);
    run_until(&world, &mut tasks, Duration::MAX);
    let reports = told.reports.lock().unwrap();
    assert!(reports.len() == 200 && reports.iter().all(|report| report.outcome.is_ok() && report.attempts == 1));
    let stats = guard.stats();
    assert!(stats.shrunk > 0 && stats.grown > 0 && stats.evicted == 0, "{stats:?}");
    let reasons: Vec<_> = told.steerings.lock().unwrap().iter().map(|steering| steering.reason).collect();
    assert!(reasons.contains(&"memory runs short") && reasons.contains(&"memory has come free"), "{reasons:?}");
    assert_eq!(budget.reserved(), 0);
}

#[test]
fn where_memory_stays_full_one_file_after_the_other_still_comes() {
    let (world, told, (guard, percent)) = (World::new(1), Told::default(), guarded());
    percent.store(99, Relaxed);
    let (window, _) = window(&world, 5, Options::new().guard(guard), &told);
    work(&world, window);
    let mut tasks = Tasks::of(&world);
    run_until(&world, &mut tasks, Duration::MAX);
    assert_eq!(told.reports.lock().unwrap().iter().filter(|report| report.outcome.is_ok()).count(), 5);
    assert!(world.elapsed() < Duration::from_secs(20), "{:?}", world.elapsed());
}

#[test]
fn what_is_sent_back_to_the_queue_comes_in_its_first_attempt() {
    let (world, told, (guard, percent)) = (World::new(1), Told::default(), guarded());
    let slow = Slow(MemoryFetch::new().with("mem://0", vec![b'x'; 1000]), world.clone());
    let urls = vec!["mem://0".to_owned(); 40];
    let budget = Budget::new(64 << 20);
    let window = Window::from_iter(urls, slow, world.clock(), &budget, Options::new().guard(guard.clone()));
    let window = window.unwrap().observed_by(told.clone());
    let handle = window.handle();
    world.spawn("consumer", read(window));
    let mut tasks = Tasks::of(&world);
    run_until(&world, &mut tasks, Duration::from_secs(1));
    assert_eq!(handle.stats().in_flight, 10);
    percent.store(98, Relaxed);
    run_until(&world, &mut tasks, Duration::from_secs(4));
    let stats = handle.stats();
    assert!(stats.in_flight <= 2 && stats.queued >= 8, "{stats:?}");
    percent.store(50, Relaxed);
    run_until(&world, &mut tasks, Duration::MAX);
    let reports = told.reports.lock().unwrap();
    assert!(reports.len() == 40 && reports.iter().all(|report| report.outcome.is_ok() && report.attempts == 1));
    assert!(reports.iter().any(|report| report.requests > 1), "some were asked for again");
    assert!(guard.stats().evicted >= 8, "{:?}", guard.stats());
    assert_eq!(budget.reserved(), 0);
}

/// Answers after five seconds.
#[derive(Clone)]
struct Slow(MemoryFetch, World);

impl narrows_core::Fetch for Slow {
    type Error = <MemoryFetch as narrows_core::Fetch>::Error;
    type Body = <MemoryFetch as narrows_core::Fetch>::Body;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<narrows_core::fetch::Response<Self::Body>, Self::Error>>>>;

    fn profile(&self) -> narrows_core::fetch::Profile {
        self.0.profile()
    }

    fn fetch(&self, request: narrows_core::fetch::Request) -> Self::Future {
        let (answer, wait) = (self.0.fetch(request), self.1.sleep(Duration::from_secs(5)));
        Box::pin(async move {
            wait.await;
            answer.await
        })
    }
}

#[test]
fn the_limit_is_found_on_a_path_that_delays() {
    // Each file takes five seconds of waiting and nothing else: more at once bring more.
    let world = World::new(1);
    let slow = Slow(MemoryFetch::new().with("mem://0", vec![b'x'; 1000]), world.clone());
    let budget = Budget::new(64 << 20);
    let urls = vec!["mem://0".to_owned(); 1000];
    let options = Options::new().limit(40).adapts_limit(true);
    let window = Window::from_iter(urls, slow, world.clock(), &budget, options).unwrap();
    let handle = window.handle();
    world.spawn("consumer", read(window));
    let mut tasks = Tasks::of(&world);
    run_until(&world, &mut tasks, Duration::MAX);
    let (best, seconds) = (1000.0 / 40.0 * 5.0, world.elapsed().as_secs_f64());
    assert_eq!(handle.stats().done, 1000);
    assert!(seconds < best / 0.7, "{seconds} s, {best} with the best limit");
}

#[test]
fn a_target_that_others_have_set_stays() {
    let (world, told, (guard, _)) = (World::new(1), Told::default(), guarded());
    let (window, budget) = window(&world, 20, Options::new().guard(guard), &told);
    budget.set_target(8 << 20);
    work(&world, window);
    let mut tasks = Tasks::of(&world);
    run_until(&world, &mut tasks, Duration::MAX);
    assert_eq!((told.reports.lock().unwrap().len(), budget.target()), (20, 8 << 20));
}
