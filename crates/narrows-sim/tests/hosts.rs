//! Hosts that bound what is asked of them, and windows that must find those bounds, keep them, and let
//! no other host wait for it.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use narrows_core::{
    Budget, Clock, Options, Order, RetryPolicy, Stats, Timestamp, Window,
    fetch::{Body, Fetch, FetchError, FetchErrorKind, Head, Profile, Request, Response},
    hosts::{Hosts, Politeness},
    rate::Rate,
};
use narrows_sim::{SimSleep, Tasks, World};

/// What a host bears, and how it delivers.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// Requests a second; those too soon after the one before are refused (nginx's `limit_req`).
    requests: Option<f64>,
    /// Of these, so many may come at once after a pause.
    burst: f64,
    /// Bodies at once; more are refused (nginx's `limit_conn`).
    bodies: Option<usize>,
    refuses_with: u16,
    retry_after: Option<Duration>,
    /// Of a hundred requests so many are refused, whatever comes in a second.
    by_chance: u64,
    /// It refuses everything.
    is_out: bool,
    /// And until then.
    out_until: Duration,
    round_trip: Duration,
    body_bytes: usize,
    bytes_per_second: f64,
}

const FAST: Manner = Manner {
    requests: None,
    burst: 1.0,
    bodies: None,
    refuses_with: 503,
    retry_after: None,
    by_chance: 0,
    is_out: false,
    out_until: Duration::ZERO,
    round_trip: Duration::from_millis(1),
    body_bytes: 1000,
    bytes_per_second: 1e8,
};

#[derive(Default)]
struct Seen {
    requests: u64,
    refused: u64,
    open: usize,
    last: Option<Timestamp>,
    /// Of a bound with a burst: what is left of it, and since when.
    tokens: f64,
    asked: Option<Timestamp>,
    /// What it asked for with `Retry-After`, and how often it was asked all the same.
    blocked_until: Timestamp,
    asked_too_early: u64,
    /// When its last body had come.
    finished: Timestamp,
}

#[derive(Clone)]
struct Origin {
    world: World,
    manners: Rc<BTreeMap<String, Manner>>,
    seen: Rc<RefCell<BTreeMap<String, Seen>>>,
}

impl Origin {
    fn new(world: &World, hosts: impl IntoIterator<Item = (String, Manner)>) -> Self {
        Self { world: world.clone(), manners: Rc::new(hosts.into_iter().collect()), seen: Rc::default() }
    }

    fn answer(&self, host: &str) -> Head {
        let (manner, now) = (self.manners[host], self.world.clock().now());
        let mut seen = self.seen.borrow_mut();
        let seen = seen.entry(host.into()).or_default();
        seen.requests += 1;
        let interval = manner.requests.map(|rate| Duration::from_secs_f64(1.0 / rate));
        let mut too_soon = seen.last.zip(interval).is_some_and(|(last, interval)| now.since(last) < interval);
        if let Some(rate) = manner.requests.filter(|_| manner.burst > 1.0) {
            let since = seen.asked.replace(now).map_or(f64::MAX, |asked| now.since(asked).as_secs_f64());
            seen.tokens = (seen.tokens + since * rate).min(manner.burst);
            too_soon = seen.tokens < 1.0;
            seen.tokens -= if too_soon { 0.0 } else { 1.0 };
        }
        let too_many = manner.bodies.is_some_and(|most| seen.open >= most);
        seen.asked_too_early += u64::from(now < seen.blocked_until);
        let by_chance = seen.requests.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let unlucky = by_chance % 100 < manner.by_chance;
        if unlucky || manner.is_out || now.0 < manner.out_until || too_soon || too_many {
            seen.refused += 1;
            seen.blocked_until = now + manner.retry_after.unwrap_or_default();
            return Head { status: manner.refuses_with, retry_after: manner.retry_after, ..Head::default() };
        }
        seen.last = Some(now);
        Head { status: 200, length: Some(manner.body_bytes as u64), ..Head::default() }
    }
}

impl Fetch for Origin {
    type Error = Never;
    type Body = Slow;
    type Future = Asked;

    fn profile(&self) -> Profile {
        Profile { holds_back: true, exchange_bytes: 4096 }
    }

    fn fetch(&self, request: Request) -> Asked {
        let host = request.url.split('/').nth(2).unwrap_or_default().to_owned();
        Asked { origin: self.clone(), host, wait: None, halves: 0, head: None }
    }
}

/// A request: half a round trip there, half back.
struct Asked {
    origin: Origin,
    host: String,
    wait: Option<SimSleep>,
    halves: u8,
    head: Option<(Head, Option<Open>)>,
}

impl Future for Asked {
    type Output = Result<Response<Slow>, Never>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let manner = this.origin.manners[&this.host];
        loop {
            let wait = this.wait.get_or_insert_with(|| this.origin.world.sleep(manner.round_trip / 2));
            ready!(Pin::new(wait).poll(cx));
            this.wait = None;
            this.halves += 1;
            if this.halves == 2 {
                break;
            }
            let head = this.origin.answer(&this.host);
            let open = (head.status == 200).then(|| Open::new(&this.origin, &this.host));
            this.head = Some((head, open));
        }
        let Some((head, open)) = this.head.take() else { panic!("polled after its end") };
        let left = head.length.unwrap_or(0) as usize;
        let (origin, host) = (this.origin.clone(), this.host.clone());
        Poll::Ready(Ok(Response { head, body: Slow { origin, host, left, wait: None, _open: open } }))
    }
}

struct Open(Origin, String);

impl Open {
    fn new(origin: &Origin, host: &str) -> Self {
        origin.seen.borrow_mut().get_mut(host).unwrap().open += 1;
        Self(origin.clone(), host.into())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let now = self.0.world.clock().now();
        if let Some(seen) = self.0.seen.borrow_mut().get_mut(&self.1) {
            seen.open -= 1;
            seen.finished = now;
        }
    }
}

struct Slow {
    origin: Origin,
    host: String,
    left: usize,
    wait: Option<SimSleep>,
    _open: Option<Open>,
}

impl Body for Slow {
    type Error = Never;

    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Never>>> {
        let this = &mut *self;
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let manner = this.origin.manners[&this.host];
        let length = this.left.min(4096);
        let time = Duration::from_secs_f64(length as f64 / manner.bytes_per_second);
        let wait = this.wait.get_or_insert_with(|| this.origin.world.sleep(time));
        ready!(Pin::new(wait).poll(cx));
        this.wait = None;
        this.left -= length;
        Poll::Ready(Some(Ok(Bytes::from(vec![b'x'; length]))))
    }
}

#[derive(Debug)]
struct Never;

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("never")
    }
}

impl std::error::Error for Never {}

impl FetchError for Never {
    fn kind(&self) -> FetchErrorKind {
        FetchErrorKind::Connect
    }
}

struct Ran {
    stats: Stats,
    seconds: f64,
    seen: Rc<RefCell<BTreeMap<String, Seen>>>,
}

impl Ran {
    fn requests(&self) -> u64 {
        self.seen.borrow().values().map(|seen| seen.requests).sum()
    }

    /// When the last body of these hosts had come, in seconds.
    fn finished(&self, is_one: impl Fn(&str) -> bool) -> f64 {
        let seen = self.seen.borrow();
        let finished = seen.iter().filter(|(host, _)| is_one(host)).map(|(_, seen)| seen.finished.0);
        finished.max().unwrap_or_default().as_secs_f64()
    }
}

/// Downloads `urls` with a consumer that takes all there is at once.
fn run(hosts: impl IntoIterator<Item = (String, Manner)>, urls: Vec<String>, options: Options) -> Ran {
    let world = World::new(7);
    let origin = Origin::new(&world, hosts);
    let (budget, seen) = (Budget::new(64 << 20), origin.seen.clone());
    let mut window = Window::from_iter(urls, origin, world.clock(), &budget, options.block_bytes(4096)).unwrap();
    let handle = window.handle();
    let spawner = world.clone();
    world.spawn("consumer", async move {
        while let Some(mut file) = window.next().await {
            spawner.spawn("file", async move {
                while let Ok(Some(_)) = file.next_block().await {}
                file.finish();
            });
        }
    });
    let mut tasks = Tasks::of(&world);
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
    let stats = handle.stats();
    assert_eq!((budget.reserved(), stats.queued, stats.in_flight), (0, 0, 0));
    Ran { stats, seconds: world.elapsed().as_secs_f64(), seen }
}

fn one(manner: Manner) -> [(String, Manner); 1] {
    [("a".into(), manner)]
}

fn files(host: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("sim://{host}/{number}")).collect()
}

#[test]
fn a_bound_on_requests_a_second_is_found_and_kept() {
    // To find it takes a dozen round trips or so: at 200 ms a good part of these ten seconds.
    let bounds = [(30.0, 1, 0.9), (30.0, 50, 0.9), (30.0, 200, 0.7), (5.0, 50, 0.9), (200.0, 5, 0.9)];
    for (rate, round_trip, least) in bounds {
        for status in [429, 503] {
            let round_trip = Duration::from_millis(round_trip);
            let manner = Manner { requests: Some(rate), refuses_with: status, round_trip, ..FAST };
            let ran = run(one(manner), files("a", 300), Options::new());
            let (reached, requests) = (300.0 / ran.seconds / rate, ran.requests());
            assert_eq!(ran.stats.done, 300, "{rate}/s at {round_trip:?}: {:?}", ran.stats);
            assert!(
                reached >= least && requests <= 360,
                "{rate}/s at {round_trip:?}: {reached} of it, {requests} requests"
            );
        }
    }
}

#[test]
fn a_bound_on_bodies_at_once_is_found_and_kept() {
    for (bodies, round_trip, body_ms) in [(2, 1, 20), (2, 50, 100), (1, 5, 20), (5, 20, 200), (2, 1, 2)] {
        for status in [429, 503] {
            let body_bytes = 4000;
            let bytes_per_second = body_bytes as f64 * 1000.0 / body_ms as f64;
            let manner = Manner {
                bodies: Some(bodies),
                refuses_with: status,
                round_trip: Duration::from_millis(round_trip),
                body_bytes,
                bytes_per_second,
                ..FAST
            };
            let ran = run(one(manner), files("a", 300), Options::new());
            let best = run(one(Manner { bodies: None, ..manner }), files("a", 300), Options::new().limit(bodies));
            let (reached, requests) = (best.seconds / ran.seconds, ran.requests());
            assert_eq!(ran.stats.done, 300, "{bodies} at once: {:?}", ran.stats);
            assert!(reached >= 0.9 && requests <= 360, "{bodies} at once: {reached} of it, {requests} requests");
        }
    }
}

#[test]
fn refusals_by_chance_are_no_bound() {
    for (by_chance, round_trip) in [(2, 20), (5, 20), (5, 2), (8, 50), (20, 20)] {
        for status in [429, 503] {
            let round_trip = Duration::from_millis(round_trip);
            let manner = Manner { by_chance, refuses_with: status, round_trip, ..FAST };
            let ran = run(one(manner), files("a", 5000), Options::new());
            let best = run(one(Manner { by_chance: 0, ..manner }), files("a", 5000), Options::new());
            assert_eq!(ran.stats.done, 5000, "{by_chance} %: {:?}", ran.stats);
            // Some seconds go until it is known; and a fifth of the requests waits for its next turn.
            let most = 1.4 * best.seconds + 10.0;
            assert!(ran.seconds <= most, "{by_chance} % at {round_trip:?}, {status}: {} s, {most} may be", ran.seconds);
        }
    }
}

/// The first refusal of such a host comes alone, for the others of its volley are of the same time.
#[test]
fn a_bound_with_a_burst_is_no_chance() {
    for (burst, limit) in [(40.0, 10), (100.0, 20)] {
        let manner = Manner { requests: Some(10.0), burst, round_trip: Duration::from_millis(20), ..FAST };
        let ran = run(one(manner), files("a", 3000), Options::new().limit(limit));
        let (reached, requests) = ((3000.0 - burst) / ran.seconds / 10.0, ran.requests());
        assert_eq!(ran.stats.done, 3000, "{:?}", ran.stats);
        assert!(reached >= 0.9 && requests <= 3600, "burst {burst}: {reached} of it, {requests} requests");
    }
}

#[test]
fn sources_that_wait_for_their_host_hold_nothing() {
    let out = Manner { is_out: true, retry_after: Some(Duration::from_secs(300)), ..FAST };
    let mut urls = files("out", 10);
    urls.extend(files("well", 300));
    let ran = run([("out".into(), out), ("well".into(), FAST)], urls, Options::new());
    let without = run(one(FAST), files("a", 300), Options::new());
    let healthy = ran.finished(|host| host == "well");
    assert_eq!((ran.stats.done, ran.stats.failed), (300, 10));
    assert!(healthy <= 1.1 * without.seconds, "{healthy} s, {} without the others", without.seconds);
}

#[test]
fn eighteen_hosts_do_not_wait_for_two() {
    let steady = Manner { body_bytes: 40_000, bytes_per_second: 4e5, round_trip: Duration::from_millis(20), ..FAST };
    let slow = Manner { bytes_per_second: 1e3, ..steady };
    let out = Manner { is_out: true, refuses_with: 429, ..steady };
    let host = |number: usize| format!("h{number:02}");
    let urls = |hosts: std::ops::Range<usize>| -> Vec<_> {
        (0..20).flat_map(|file| hosts.clone().map(move |host| format!("sim://h{host:02}/{file}"))).collect()
    };
    let all: Vec<_> =
        (0..20).map(|number| (host(number), [slow, out].get(number).copied().unwrap_or(steady))).collect();
    let ran = run(all.clone(), urls(0..20), Options::new().min_rate(0));
    let without = run(all, urls(2..20), Options::new());
    let healthy = ran.finished(|host| host >= "h02");
    assert_eq!((ran.stats.done, ran.stats.failed), (19 * 20, 20));
    // The slow one has one place of ten all the time, which alone makes 10/9.
    assert!(healthy <= 1.03 * 10.0 / 9.0 * without.seconds, "{healthy} s, {} without the two", without.seconds);
}

#[test]
fn no_host_starves() {
    // Even where all others have more to do than there are places.
    let steady = Manner { body_bytes: 40_000, bytes_per_second: 1e5, ..FAST };
    let hosts: Vec<_> = (0..6).map(|number| (format!("h{number}"), steady)).collect();
    let mut urls: Vec<String> =
        (0..50).flat_map(|file| (0..5).map(move |host| format!("sim://h{host}/{file}"))).collect();
    urls.insert(40, "sim://h5/only".into());
    let ran = run(hosts, urls, Options::new().limit(4));
    let only = ran.finished(|host| host == "h5");
    assert_eq!(ran.stats.done, 251);
    assert!(only < ran.seconds / 4.0, "{only} s of {}", ran.seconds);
}

#[test]
fn a_stated_rate_is_kept_and_a_host_has_no_more_bodies_than_stated() {
    let politeness = Politeness::polite();
    let ran = run(one(FAST), files("a", 20), Options::new().hosts(Hosts::new(politeness)));
    assert_eq!(ran.stats.done, 20);
    assert!((36.0..36.5).contains(&ran.seconds), "20 requests, 2 at once and one in 2 s: {} s", ran.seconds);
    let bytes = Politeness::new().bytes(Rate::new(10_000.0).burst(1000));
    let ran = run(one(FAST), files("a", 100), Options::new().hosts(Hosts::new(bytes)));
    assert!((9.0..10.5).contains(&ran.seconds), "100 kB at 10 kB/s: {} s", ran.seconds);
}

#[test]
fn one_file_that_is_always_refused_costs_its_own_retries_only() {
    let manners = [("a".into(), FAST), ("b".into(), Manner { is_out: true, ..FAST })];
    // One address of another host stands for one broken file: both share nothing but the window.
    let mut urls = files("a", 50);
    urls.insert(5, "sim://b/broken".into());
    let ran = run(manners, urls, Options::new());
    assert_eq!((ran.stats.done, ran.stats.failed), (50, 1));
    assert_eq!(ran.seen.borrow()["b"].requests, 5);
}

#[test]
fn a_host_that_is_down_fails_its_sources_without_asking() {
    let out = Manner { is_out: true, ..FAST };
    let ran = run(one(out), files("a", 2000), Options::new());
    assert_eq!(ran.stats.failed, 2000);
    assert!(ran.requests() < 100, "{} requests", ran.requests());
    assert!(ran.seconds < 120.0, "{} s", ran.seconds);
}

#[test]
fn what_the_host_refuses_costs_no_source_a_retry() {
    for manner in [Manner { requests: Some(30.0), ..FAST }, Manner { bodies: Some(2), bytes_per_second: 1e5, ..FAST }] {
        let retry = RetryPolicy::new().retries_max(0);
        // The first volley finds a host that has not answered yet: there, a refusal is the source's.
        let ran = run(one(manner), files("a", 200), Options::new().retry(retry));
        assert!(ran.stats.done >= 190, "{:?}", ran.stats);
    }
}

#[test]
fn retry_after_is_for_the_whole_host() {
    let manner = Manner { requests: Some(1.0), retry_after: Some(Duration::from_secs(5)), ..FAST };
    let ran = run(one(manner), files("a", 60), Options::new());
    let early = ran.seen.borrow()["a"].asked_too_early;
    assert_eq!(ran.stats.done, 60, "{:?}", ran.stats);
    assert!(early <= 10, "asked {early} times while it wanted not to be");
}

#[test]
fn a_host_that_has_recovered_is_as_good_as_before() {
    let world = World::new(7);
    let manner = Manner { out_until: Duration::from_secs(90), round_trip: Duration::from_secs(1), ..FAST };
    let origin = Origin::new(&world, one(manner));
    let hosts = Hosts::new(Politeness::new());
    let budget = Budget::new(64 << 20);
    let window = |count| {
        let options = Options::new().hosts(hosts.clone()).block_bytes(4096);
        Window::from_iter(files("a", count), origin.clone(), world.clock(), &budget, options).unwrap()
    };
    let (mut first, mut second) = (window(300), window(200));
    let (handle, clock) = (second.handle(), world.clone());
    world.spawn("consumer", async move {
        while let Some(mut file) = first.next().await {
            assert!(file.next_block().await.is_err());
        }
        clock.sleep(Duration::from_secs(400)).await;
        let began = clock.elapsed();
        while let Some(mut file) = second.next().await {
            while let Ok(Some(_)) = file.next_block().await {}
            file.finish();
        }
        let took = clock.elapsed() - began;
        assert!(took < Duration::from_secs(60), "{took:?} for what takes 20 s, ten at a time");
    });
    let mut tasks = Tasks::of(&world);
    while !tasks.names().is_empty() {
        tasks.step().unwrap();
    }
    assert_eq!(handle.stats().done, 200, "{:?}", handle.stats());
    assert!(hosts.stats().iter().all(|host| !host.is_down), "{:?}", hosts.stats());
}

#[test]
fn in_the_lists_order_nothing_overtakes() {
    let manner = Manner { requests: Some(30.0), ..FAST };
    let ran = run(one(manner), files("a", 100), Options::new().order(Order::List));
    assert_eq!(ran.stats.done, 100, "{:?}", ran.stats);
}
