//! Consumers that take their time lose nothing and stay inside the budget.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use narrows::{Budget, Client, ClientOptions, DefaultClock, Options, Outcome, Protocol, Source, Window, for_each};
use native_tests::Origin;

const FILES: u64 = 10;
const LENGTH: u64 = 50_000_000;

/// Ten files of 50 MB at once. All consumers sleep 50 ms for each MB; one stops in the middle for
/// longer than the idle timeout.
async fn slowly(http2: bool, stop: Duration, idle_timeout: Duration) {
    let origin = Origin::start(&[]);
    let protocol = if http2 { Protocol::Http2PriorKnowledge } else { Protocol::Http1 };
    let client = Client::new(ClientOptions::new().protocol(protocol).http2_window(256 << 10)).unwrap();
    let budget = Budget::new(16 << 20);
    let sources = (0..FILES).map(|index| Source::new(origin.url(&format!("/bytes/{LENGTH}?name={index}"))));
    let options = Options::new().idle_timeout(idle_timeout).sha256(true);
    let needed = options.working_set(narrows::Fetch::profile(&client)).total() * FILES;
    assert!(needed <= budget.capacity(), "all ten are in flight at once: {needed}");
    let mut window = Window::from_iter(sources, client, DefaultClock::new(), &budget, options).unwrap();
    let handle = window.handle();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    for_each(&mut window, |mut delivery| {
        let (reports, handle) = (reports.clone(), handle.clone());
        async move {
            let (mut taken, mut slept) = (0, 0);
            while let Ok(Some(block)) = delivery.next_block().await {
                taken += block.len() as u64;
                drop(block);
                if taken / 1_000_000 > slept {
                    slept = taken / 1_000_000;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let stats = handle.stats();
                    assert!(stats.reserved <= stats.capacity);
                }
                if delivery.index() == 3 && taken > LENGTH / 2 && slept < 1000 {
                    slept += 1000;
                    tokio::time::sleep(stop).await;
                }
            }
            reports.lock().unwrap().push((delivery.finish(), taken));
        }
    })
    .await;
    assert!(start.elapsed() >= stop);
    let reports = reports.lock().unwrap();
    assert_eq!(reports.len() as u64, FILES);
    for (report, taken) in reports.iter() {
        assert!(matches!(report.outcome, Outcome::Done(_)), "{report:?}");
        assert_eq!((*taken, report.attempts), (LENGTH, 1), "nothing was fetched twice");
    }
    assert!(budget.peak() <= budget.capacity() && budget.reserved() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_1() {
    slowly(false, Duration::from_secs(90), Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2() {
    slowly(true, Duration::from_secs(90), Duration::from_secs(30)).await;
}
