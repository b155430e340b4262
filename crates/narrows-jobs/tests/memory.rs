//! What bars take at most is what they say, counted by the allocator, however many trades there are.

use std::{convert::Infallible, fmt::Write};

use counting::{Counting, peak};
use narrows_bars::{Bar, Threshold};
use narrows_jobs::bars::{Pipeline, Rules};
use narrows_sim::Prng;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// As [`Pipeline`] says.
fn stated(rules: &Rules) -> usize {
    const ROW_BYTES: usize = 1 << 10;
    rules.thresholds.len() * (1 << 10) + (rules.reorder + 1) * 56 + ROW_BYTES
}

/// Bars of so many trades, some of them late, in blocks cut anywhere.
fn run(rules: Rules, trades: u64, block: &mut String) -> u64 {
    let mut prng = Prng::new(5);
    let mut pipeline = Pipeline::new(rules);
    let mut take = |_: usize, _: &Bar| Ok::<_, Infallible>(());
    let mut price = 6_000_000;
    for id in 1..=trades {
        price = (price + prng.below(2001) - 1000).max(1000);
        let late = if prng.below(50) == 0 { prng.below(20) } else { 0 };
        let (cents, time) = (price % 100, 1_700_000_000_000_000 + 50 * id - 25 * late.min(id));
        let _ = writeln!(block, "{id},{}.{cents:02},0.5,{id},{id},{time},true", price / 100);
        if block.len() > 60_000 {
            pipeline.take(block.as_bytes(), &mut take).unwrap();
            block.clear();
        }
    }
    pipeline.take(block.as_bytes(), &mut take).unwrap();
    pipeline.end(&mut take).unwrap();
    block.clear();
    pipeline.counts().bars
}

/// One test, for the counts are the process's.
#[test]
fn bars_take_no_more_than_they_say() {
    let mut block = String::with_capacity(64 << 10);
    for (widths, reorder) in [(&[250][..], 1000), (&[10, 100, 1000], 0), (&[250], 100_000)] {
        let thresholds = widths.iter().map(|dbps| Threshold::new(*dbps).unwrap()).collect();
        let mut rules = Rules::new(thresholds);
        rules.reorder = reorder;
        rules.on_bad_row = narrows_jobs::bars::OnBadRow::Skip;
        for trades in [1_000, 300_000] {
            let of = rules.clone();
            let (bars, took) = peak(|| run(of, trades, &mut block));
            eprintln!(
                "{widths:?}, reorder {reorder}, {trades} trades: {took} of {} bytes, {bars} bars",
                stated(&rules)
            );
            assert!(took <= stated(&rules), "{widths:?}, {trades} trades: {took} of {} bytes", stated(&rules));
        }
    }
}
