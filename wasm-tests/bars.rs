// Bars of trades that are made here, for both sides of the comparison: included by the build script,
// which runs natively, and by the suite.

/// A digest (FNV-1a) of all bars, as CSV, of so many trades at three widths, read from text in pieces and
/// resumed from checkpoints as text.
fn bars_digest(trades: u64) -> u64 {
    use narrows_bars::{AggTrades, BarError, RangeBars, Row, Threshold, csv};
    use std::fmt::Write;

    let (mut state, mut price) = (7_u64, 6_000_000_u64);
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut text = String::new();
    for id in 1..=trades {
        price = price + below(2001) - 1000;
        let (time, amount) = (1_700_000_000_000 + id / 3, below(100_000_000));
        let (whole, part, maker) = (price / 100, price % 100, below(2) == 0);
        writeln!(text, "{id},{whole}.{part:02},{amount}.{:08},{id},{},{time},{maker},True", below(100_000_000), id + below(3))
            .expect("strings take everything");
    }
    let mut out = String::new();
    for (dbps, gate) in [(1, false), (10, true), (250, true)] {
        let mut bars = RangeBars::new(Threshold::new(dbps).expect("a width"), gate);
        let mut rows = AggTrades::new();
        for piece in text.as_bytes().chunks(4093) {
            rows.read::<BarError>(piece, |row| {
                let Row::Trade(trade) = row else { panic!("{row:?}") };
                if let Some(bar) = bars.push(&trade)? {
                    csv::write(&mut out, &bar).expect("strings take everything");
                }
                Ok(())
            })
            .expect("the trades are in order");
            bars = RangeBars::resume(&bars.checkpoint().to_string().parse().expect("its own text"));
        }
    }
    out.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
