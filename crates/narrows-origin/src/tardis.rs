//! Days of market data as Tardis publishes them: every type, by exchange and symbol, as gzip.

use std::fmt::Write;

use narrows_jobs::calendar::Day;
use narrows_sim::{Prng, gzip};

/// What is asked of generated rows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Wishes {
    /// Rows of a day.
    pub(crate) rows: u64,
    /// The row of this number has a price that is none, from 1.
    pub(crate) bad_row: u64,
    /// The header is another type's.
    pub(crate) wrong_header: bool,
}

/// `deribit/trades/2024/01/31/BTC-PERPETUAL.csv.gz`, behind `v1/`.
pub(crate) fn file(path: &str, seed: u64, wishes: Wishes) -> Option<Vec<u8>> {
    let mut parts = path.split('/');
    let (exchange, data_type) = (parts.next()?, parts.next()?);
    let mut number = || parts.next()?.parse::<u32>().ok();
    let day = Day { year: number()?, month: number()?, day: number()? };
    let symbol = parts.next()?.strip_suffix(".csv.gz")?;
    let (header, row): (String, Row) = match data_type {
        "trades" | "liquidations" => ("id,side,price,amount".into(), trade),
        "incremental_book_L2" => ("is_snapshot,side,price,amount".into(), book),
        "quotes" | "book_ticker" => ("ask_amount,ask_price,bid_price,bid_amount".into(), quote),
        "book_snapshot_5" => (levels(5), |text, market, prng| snapshot(text, market, prng, 5)),
        "book_snapshot_25" => (levels(25), |text, market, prng| snapshot(text, market, prng, 25)),
        "derivative_ticker" => (
            "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price"
                .into(),
            ticker,
        ),
        "options_chain" => (
            "type,strike_price,expiration,open_interest,last_price,bid_price,bid_amount,bid_iv,ask_price,ask_amount,\
             ask_iv,mark_price,mark_iv,underlying_index,underlying_price,delta,gamma,vega,theta,rho"
                .replace(char::is_whitespace, ""),
            option,
        ),
        _ => return None,
    };
    let mut prng = Prng::new(seed);
    let mut text = String::new();
    let own = if wishes.wrong_header { "colour" } else { header.as_str() };
    let _ = writeln!(text, "exchange,symbol,timestamp,local_timestamp,{own}");
    let step = 86_400_000_000 / wishes.rows.max(1);
    let mut market = Market { time: u64::from(day.since_1970()) * 86_400_000_000, cents: 6_100_000, number: 0 };
    for number in 1..=wishes.rows {
        market.time += prng.below(step.max(1)) + step / 2;
        market.cents = (market.cents + prng.below(201)).saturating_sub(100).max(100);
        market.number = number;
        let late = 2000 + prng.below(9000);
        let _ = write!(text, "{exchange},{symbol},{},{},", market.time, market.time + late);
        match number == wishes.bad_row {
            true => text.push_str(&"free,".repeat(header.split(',').count() - 1)),
            false => row(&mut text, &market, &mut prng),
        }
        text.push_str(if number == wishes.bad_row { "free\n" } else { "\n" });
    }
    Some(gzip(text.as_bytes()))
}

struct Market {
    time: u64,
    cents: u64,
    number: u64,
}

type Row = fn(&mut String, &Market, &mut Prng);

/// A price, some steps away.
fn price(text: &mut String, market: &Market, away: i64) {
    let cents = market.cents.saturating_add_signed(away * 50);
    let _ = match cents % 100 {
        0 => write!(text, "{}", cents / 100),
        part if part % 10 == 0 => write!(text, "{}.{}", cents / 100, part / 10),
        part => write!(text, "{}.{part:02}", cents / 100),
    };
}

fn trade(text: &mut String, market: &Market, prng: &mut Prng) {
    let side = ["buy", "sell", "unknown"][prng.below(41) as usize % 3 % 2];
    let _ = write!(text, "{},{side},", 80_003_735 + market.number);
    price(text, market, 0);
    let _ = write!(text, ",{}", 10 * (1 + prng.below(900)));
}

fn book(text: &mut String, market: &Market, prng: &mut Prng) {
    let (side, away) = [("bid", -1), ("ask", 1)][prng.below(2) as usize];
    let _ = write!(text, "{},{side},", market.number < 200);
    price(text, market, away * (1 + prng.below(40) as i64));
    let _ = write!(text, ",{}", if prng.below(3) == 0 { 0 } else { 10 * prng.below(9000) });
}

fn quote(text: &mut String, market: &Market, prng: &mut Prng) {
    if prng.below(500) == 0 {
        return text.push_str(",,,"); // an empty book
    }
    let _ = write!(text, "{},", 10 * (1 + prng.below(9000)));
    price(text, market, 1);
    text.push(',');
    price(text, market, -1);
    let _ = write!(text, ",{}", 10 * (1 + prng.below(9000)));
}

fn levels(count: usize) -> String {
    let level = |at: usize| format!("asks[{at}].price,asks[{at}].amount,bids[{at}].price,bids[{at}].amount");
    (0..count).map(level).collect::<Vec<_>>().join(",")
}

fn snapshot(text: &mut String, market: &Market, prng: &mut Prng, levels: i64) {
    for level in 1..=levels {
        if level > 1 {
            text.push(',');
        }
        price(text, market, level);
        let _ = write!(text, ",{},", 10 * (1 + prng.below(900)));
        price(text, market, -level);
        let _ = write!(text, ",{}", 10 * (1 + prng.below(900)));
    }
}

fn ticker(text: &mut String, market: &Market, prng: &mut Prng) {
    match prng.below(4) {
        0 => text.push_str(",,,"),
        _ => {
            let funding = market.time / 28_800_000_000 * 28_800_000_000 + 28_800_000_000;
            let _ = write!(text, "{funding},0.000{},-0.0000{},", prng.below(99), prng.below(99));
        }
    }
    let _ = write!(text, "{},", 100_000_000 + prng.below(1_000_000));
    price(text, market, 0);
    text.push(',');
    price(text, market, 1);
    text.push(',');
    price(text, market, -1);
}

fn option(text: &mut String, market: &Market, prng: &mut Prng) {
    let kind = ["call", "put"][prng.below(2) as usize];
    let strike = 20_000 + 1000 * prng.below(80);
    let _ = write!(text, "{kind},{strike},{},{}.5,", market.time + 864_000_000_000, prng.below(900));
    let _ = write!(text, "0.0{},,,,0.0{},{},", prng.below(99), prng.below(99), prng.below(50));
    let _ = write!(text, "{}.{:02},0.01,{}.5,SYN.BTC-30JAN,", 40 + prng.below(60), prng.below(99), 40 + prng.below(60));
    price(text, market, 0);
    let _ = write!(
        text,
        ",0.{:05},0.0000{},{}.12,-{}.5,0.1",
        prng.below(99_999),
        prng.below(9),
        prng.below(40),
        prng.below(90)
    );
}
