//! Several windows: on one client over HTTP/2, and on one budget.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use narrows::{
    Budget, Client, ClientOptions, DefaultClock, Delivery, Observer, Options, Protocol, Report, Source, Window,
    report::Stall,
};
use native_tests::{Nginx, Origin};

const LENGTH: usize = 2_000_000;

/// Ten bodies at rest in each of two windows on one client, then fifty more; longer than the idle
/// timeout. None is taken for dead, and another file gets through meanwhile.
async fn rests(client: Client, url: impl Fn(usize) -> String) {
    let budget = Budget::new(512 << 20);
    let idle = Duration::from_secs(2);
    let window = |from: usize, limit: usize| {
        let sources: Vec<Source> = (from..from + 60).map(|index| Source::new(url(index))).collect();
        let options = Options::new().limit(limit).idle_timeout(idle);
        Window::from_iter(sources, client.clone(), DefaultClock::new(), &budget, options).unwrap()
    };
    let (mut first, mut second) = (window(0, 10), window(100, 10));
    let mut at_rest: Vec<Delivery> = Vec::new();
    for _ in 0..10 {
        for window in [&mut first, &mut second] {
            let mut delivery = window.next().await.unwrap();
            assert!(delivery.next_block().await.unwrap().is_some());
            at_rest.push(delivery);
        }
    }
    first.handle().set_limit(50);
    for _ in 0..40 {
        let mut delivery = first.next().await.unwrap();
        assert!(delivery.next_block().await.unwrap().is_some());
        at_rest.push(delivery);
    }
    tokio::time::sleep(idle * 2).await;
    let started = Instant::now();
    let mut third = window(300, 1);
    let mut probe = third.next().await.unwrap();
    let mut bytes = 0;
    while let Some(block) = probe.next_block().await.unwrap() {
        bytes += block.len();
    }
    assert_eq!((bytes, probe.finish().attempts), (LENGTH, 1));
    assert!(started.elapsed() < idle, "it waited for bodies at rest: {:?}", started.elapsed());
    for mut delivery in at_rest {
        while delivery.next_block().await.unwrap().is_some() {}
        let report = delivery.finish();
        assert_eq!((report.outcome.name(), report.attempts, report.bytes_out), ("done", 1, LENGTH as u64));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_at_rest_never_block_others_of_the_same_client() {
    let origin = Origin::start(&[]);
    let client = Client::new(ClientOptions::new().protocol(Protocol::Http2PriorKnowledge).http2_window(256 << 10));
    rests(client.unwrap(), |index| origin.url(&format!("/bytes/{LENGTH}?name={index}"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_against_nginx() {
    let Some(nginx) = Nginx::start(&[("file", LENGTH)]) else { return };
    let options = ClientOptions::new().protocol(Protocol::Http2).http2_window(256 << 10);
    let client = Client::new(options.authorities(nginx.authority.clone())).unwrap();
    rests(client, |index| format!("{}/file?{index}", nginx.base)).await;
}

/// Keeps what is told of waits in which nothing moved.
#[derive(Clone, Default)]
struct Stalls(Arc<Mutex<Vec<Stall>>>);

impl Observer for Stalls {
    fn ended(&self, _report: &Report) {}

    fn stalled(&self, stall: &Stall) {
        self.0.lock().unwrap().push(stall.clone());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_read_inside_the_loop_of_another_says_whom_it_waits_for() {
    let origin = Origin::start(&[]);
    let client = Client::new(ClientOptions::new()).unwrap();
    let profile = narrows::Fetch::profile(&client);
    let budget = Budget::new(4 * Options::new().working_set(profile).total());
    let stalls = Stalls::default();
    let window = |name: &str| {
        let sources: Vec<Source> =
            (0..20).map(|index| Source::new(origin.url(&format!("/bytes/3000000?{name}{index}")))).collect();
        let options = Options::new().name(name);
        Window::from_iter(sources, client.clone(), DefaultClock::new(), &budget, options)
            .unwrap()
            .observed_by(stalls.clone())
    };
    let (mut outer, mut inner) = (window("outer"), window("inner"));
    let held = outer.next().await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(8), inner.next()).await;
    assert!(waited.is_err(), "the outer window holds everything");
    let told = stalls.0.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "once: {told:?}");
    let text = told[0].to_string();
    assert!(text.starts_with("inner has waited 5 s") && text.contains("outer holds"), "{text}");
    drop((held, outer));
    let next = tokio::time::timeout(Duration::from_secs(8), inner.next()).await;
    assert!(next.expect("it goes on once the other is gone").is_some());
}
