//! What a seed stands for: everything that is drawn before the world starts.

use std::time::Duration;

use narrows_core::{
    NotFound, Options, Order, Prng, RetryPolicy,
    fetch::Profile,
    hosts::{Hosts, Politeness},
    rate::Rate,
    unpack,
};

use crate::{
    content::Packing,
    faults::{Faults, Manner},
    origin::Spec,
};

/// Everything a seed draws; printed when it fails.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What the adapter promises.
    pub profile: Profile,
    /// What the origin does wrong.
    pub faults: Faults,
    /// Whether it does anything wrong at all.
    pub healthy: bool,
    /// How it delivers.
    pub manner: Manner,
    /// Capacity of the budget, in largest working sets, in quarters: 4 is exactly one.
    pub budget_quarters: u64,
    /// The windows on that budget.
    pub windows: Vec<WindowPlan>,
    /// The step after which the origin is healthy.
    pub heal_at: u64,
    /// The step at which everything is dropped, if it is.
    pub abandon_at: Option<u64>,
}

/// One window of a plan.
#[derive(Clone, Debug)]
pub struct WindowPlan {
    /// Its options.
    pub options: Options,
    /// Whether its budget is nested in the common one, with exactly one working set.
    pub nested: bool,
    /// What it downloads, with what the list says beforehand.
    pub sources: Vec<(Spec, Expected)>,
    /// Who takes its deliveries.
    pub consumer: Consumer,
    /// Longest pause of the consumer.
    pub pause_max: Duration,
    /// Whether its sources come with pauses.
    pub slow_list: bool,
    /// Whether its limit changes while it runs.
    pub steered: bool,
    /// Hosts that its sources are at, in turns.
    pub hosts: u64,
    /// What may be asked of them: that of its options.
    pub politeness: Politeness,
    /// Seeds the readings of a guard, if it has one.
    pub pressure: Option<u64>,
}

/// What a list says of a source beforehand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Nothing.
    Nothing,
    /// Size and digest of the first version.
    Right,
    /// A digest that no version has.
    Wrong,
}

/// Who takes the deliveries of a window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Consumer {
    /// One delivery at a time; the window rests meanwhile.
    Sequential,
    /// One at a time, with `drive` beside.
    Driving,
    /// A task for each delivery.
    Tasks,
}

/// Entries of an archive in the simulator; more would make working sets large for nothing.
const ENTRIES_MAX: u32 = 16;

impl Plan {
    /// The plan that `seed` stands for.
    pub fn draw(seed: u64) -> Self {
        let mut prng = Prng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let prng = &mut prng;
        let healthy = prng.below(5) == 0;
        let faults = if healthy { Faults::default() } else { Faults::swarm(prng) };
        let profile = Profile { holds_back: prng.below(2) == 0, exchange_bytes: 256 << prng.below(5) };
        let chunk_max = [1, 7, 100, 1 << 12, 1 << 20][prng.below(5) as usize];
        let latency_max = Duration::from_millis([0, 1, 50, 2000][prng.below(4) as usize]);
        let budget_quarters = [4, 4, 5, 8, 16][prng.below(5) as usize];
        let count = 1 + prng.below(3);
        let windows = (0..count).map(|_| WindowPlan::draw(prng, chunk_max, healthy)).collect();
        let heal_at = 1 << (4 + prng.below(12));
        let abandon_bits = 2 + prng.below(12);
        let abandon_at = (prng.below(5) == 0).then(|| prng.below(1 << abandon_bits));
        // What nobody can notice without the headers does not happen where they are hidden.
        let dated = prng.below(2) == 0;
        let goes_unnoticed = (faults.change > 0 && !dated) || faults.wrong_range > 0;
        let hides = !profile.holds_back && !goes_unnoticed && prng.below(2) == 0;
        let manner = Manner { latency_max, chunk_max, hides, dated };
        Self { seed, profile, faults, healthy, manner, budget_quarters, windows, heal_at, abandon_at }
    }
}

impl WindowPlan {
    fn draw(prng: &mut Prng, chunk_max: u64, healthy: bool) -> Self {
        let unpacks = prng.below(4) != 0;
        let politeness = draw_politeness(prng);
        let options = Options::new()
            .limit(1 + prng.below(8) as usize)
            .order(if prng.below(2) == 0 { Order::Ready } else { Order::List })
            .look_ahead(prng.below(8) as usize)
            .adapts_limit(prng.below(4) == 0)
            .hosts(Hosts::new(politeness.clone()))
            .retry(RetryPolicy::new().retries_max(prng.below(6) as u32).refusals_max(prng.below(4) as u32))
            .idle_timeout(Duration::from_secs(5 + prng.below(25)))
            .min_rate(if healthy { 0 } else { prng.below(200) })
            .rate_period(Duration::from_secs(1 + prng.below(60)))
            .restarts(prng.below(3) == 0)
            .not_found(if prng.below(2) == 0 { NotFound::Fail } else { NotFound::Skip })
            .unpack(unpacks.then(|| unpack_options(prng)))
            .block_bytes(1 << (6 + prng.below(8)))
            .blocks(1 + prng.below(3) as u32)
            .segment_bytes(1 << (8 + prng.below(6)))
            .segments_ahead(prng.below(3) as u32)
            .collect_max(if prng.below(3) == 0 { 1 << (8 + prng.below(8)) } else { 0 })
            .sha256(prng.below(2) == 0)
            .seed(prng.next_u64());
        // Byte by byte, long files would only be slow.
        let length_bits = if chunk_max < 100 { 9 } else { 16 };
        let sources = (0..1 + prng.below(10)).map(|_| draw_source(prng, length_bits)).collect();
        Self {
            options,
            nested: prng.below(3) == 0,
            sources,
            consumer: [Consumer::Sequential, Consumer::Driving, Consumer::Tasks][prng.below(3) as usize],
            pause_max: Duration::from_millis([0, 0, 40, 90_000][prng.below(4) as usize]),
            slow_list: prng.below(4) == 0,
            steered: prng.below(4) == 0,
            hosts: 1 + prng.below(3),
            politeness,
            pressure: (prng.below(8) == 0).then(|| prng.next_u64()),
        }
    }
}

fn draw_politeness(prng: &mut Prng) -> Politeness {
    let mut rate = |chance, per_second: f64, burst| {
        let rate = Rate::new(per_second * (1 + prng.below(20)) as f64).burst(1 + prng.below(burst) as u32);
        (prng.below(chance) == 0).then_some(rate)
    };
    let (requests, host_requests) = (rate(6, 0.5, 3), rate(4, 0.25, 3));
    let (bytes, host_bytes) = (rate(8, 1e4, 1 << 16), rate(8, 1e4, 1 << 16));
    Politeness::new()
        .requests(requests)
        .host_requests(host_requests)
        .bytes(bytes)
        .host_bytes(host_bytes)
        .host_bodies([1, 2, usize::MAX, usize::MAX][prng.below(4) as usize])
        .adapts(prng.below(8) != 0)
        .breaker_after([2, 5, 12, 12][prng.below(4) as usize])
        .hosts_max([1, 1000][prng.below(2) as usize])
}

fn unpack_options(prng: &mut Prng) -> unpack::Options {
    let limits = unpack::Limits { entries_max: ENTRIES_MAX, name_bytes_max: 64, ..unpack::Limits::default() };
    unpack::Options { limits, seed: prng.next_u64(), ..unpack::Options::default() }
}

fn draw_source(prng: &mut Prng, length_bits: u64) -> (Spec, Expected) {
    let packing = [Packing::Plain, Packing::Gzip, Packing::Zip, Packing::Zstd][prng.below(4) as usize];
    let bits = prng.below(length_bits + 1);
    let length = prng.below(1 << bits) as usize;
    let spec = Spec { seed: prng.next_u64(), length, packing, corruptible: prng.below(2) == 0 };
    let expected = match prng.below(8) {
        0..=4 => Expected::Nothing,
        5 | 6 => Expected::Right,
        _ => Expected::Wrong,
    };
    (spec, expected)
}
