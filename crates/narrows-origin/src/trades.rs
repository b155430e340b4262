//! Aggregate trades as Binance publishes them: a day or a month in a zip, and its checksum. Prices go
//! on from day to day, numbers are without gaps; what is to be wrong is asked for.

use std::fmt::Write;

use narrows_jobs::calendar::{Day, day};
use narrows_sim::{Hex, Prng, Style, zip};
use sha2::{Digest, Sha256};

/// What is asked of generated trades.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Wishes {
    /// Trades of a day.
    pub(crate) trades: u64,
    /// So many are left out in the middle of a day.
    pub(crate) gap: u64,
    /// So many in a thousand come a few places late.
    pub(crate) disorder: u64,
    /// The row of this number is none, from 1.
    pub(crate) bad_row: u64,
    /// The published checksum is of another file.
    pub(crate) wrong_checksum: bool,
}

const MICROSECONDS_OF_A_DAY: u64 = 86_400_000_000;

/// `data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-31.zip`, or the checksum beside it.
pub(crate) fn file(path: &str, seed: u64, wishes: Wishes) -> Option<Vec<u8>> {
    let (folders, name) = path.rsplit_once('/')?;
    let mut folders = folders.strip_prefix("data/")?.rsplit('/');
    let (symbol, kind, period) = (folders.next()?, folders.next()?, folders.next()?);
    let is_spot = folders.next()? == "spot";
    if kind != "aggTrades" {
        return None;
    }
    if let Some(zipped) = name.strip_suffix(".CHECKSUM") {
        let mut bytes = file(path.strip_suffix(".CHECKSUM")?, seed, wishes)?;
        if wishes.wrong_checksum {
            bytes.push(0);
        }
        return Some(format!("{}  {zipped}\n", Hex(&Sha256::digest(&bytes))).into_bytes());
    }
    let date = name.strip_prefix(symbol)?.strip_prefix("-aggTrades-")?.strip_suffix(".zip")?;
    let (from, to) = match period {
        "daily" => (day(date).ok()?, day(date).ok()?),
        "monthly" => {
            let from = day(&format!("{date}-01")).ok()?;
            (from, from.end_of_month())
        }
        _ => return None,
    };
    let mut text = String::new();
    if !is_spot {
        text += "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n";
    }
    from.to(to).for_each(|day| of_day(&mut text, day, is_spot, seed, wishes));
    Some(zip(&[(name.replace(".zip", ".csv"), text.into_bytes())], || Style::Deflated))
}

fn of_day(text: &mut String, day: Day, is_spot: bool, seed: u64, wishes: Wishes) {
    let since = u64::from(day.since_1970());
    let mut prng = Prng::new(seed ^ since.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let in_microseconds = is_spot && day.year >= 2025;
    let start = since * MICROSECONDS_OF_A_DAY;
    let step = MICROSECONDS_OF_A_DAY / wishes.trades.max(1);
    // Near a sine of some days, so that it goes on where the day before ended.
    let level = |at: f64| 61_000.0 + 4000.0 * (at / 5.0).sin() + 900.0 * (at * 7.0).sin();
    let mut late: Option<String> = None;
    let mut drift = 0_i64;
    for number in 0..wishes.trades {
        let id = since * wishes.trades + number;
        let left_out = wishes.trades / 2..wishes.trades / 2 + wishes.gap;
        drift = (drift + prng.below(401) as i64 - 200) * 15 / 16;
        if left_out.contains(&number) {
            continue;
        }
        let time = start + number * step + prng.below(step.max(1));
        let (time, at) =
            (if in_microseconds { time } else { time / 1000 }, since as f64 + number as f64 / wishes.trades as f64);
        let cents = (level(at) * 100.0) as u64 + (2000 + drift) as u64;
        let (whole, part, amount, maker) = (cents / 100, cents % 100, prng.below(300_000), prng.below(2) == 0);
        let (first, last) = (id * 3, id * 3 + prng.below(3));
        let mut row = String::with_capacity(96);
        let _ = match (is_spot, number + 1 == wishes.bad_row) {
            (_, true) => writeln!(row, "{id},free,0.{amount:08},{first},{last},{time},true"),
            (true, _) => {
                let maker = if maker { "True" } else { "False" };
                writeln!(row, "{id},{whole}.{part:02}000000,0.{amount:08},{first},{last},{time},{maker},True")
            }
            (false, _) => writeln!(
                row,
                "{id},{whole}.{part:02},{}.{:03},{first},{last},{time},{maker}",
                amount / 1000,
                amount % 1000
            ),
        };
        let is_late = wishes.disorder > 0 && late.is_none() && prng.below(1000) < wishes.disorder;
        match is_late {
            true => late = Some(row),
            false => {
                text.push_str(&row);
                if late.is_some() && prng.below(4) == 0 {
                    text.extend(late.take());
                }
            }
        }
    }
    text.extend(late);
}
