//! Bars of trades that are made here: the edges of bands, gates, gaps, rows that are none.

use narrows_bars::{
    AggTrades, Bar, BarError, Checkpoint, Gap, Overflow, RangeBars, Row, Sequence, Threshold, Trade, csv,
};

fn trade(id: i64, price: i64, time_us: i64) -> Trade {
    Trade {
        id,
        price,
        quantity: 100_000_000,
        first_trade_id: id,
        last_trade_id: id,
        time_us,
        is_buyer_maker: id % 2 == 0,
    }
}

fn maker(dbps: u32, gate: bool) -> RangeBars {
    RangeBars::new(Threshold::new(dbps).unwrap(), gate)
}

fn run(bars: &mut RangeBars, prices: &[f64]) -> Vec<Bar> {
    let trades = prices.iter().enumerate().map(|(at, price)| trade(at as i64 + 1, (price * 1e8) as i64, at as i64));
    trades.filter_map(|trade| bars.push(&trade).unwrap()).collect()
}

#[test]
fn a_band_is_reached_exactly() {
    assert!(run(&mut maker(250, true), &[50000.0, 50100.0, 49900.0]).is_empty());
    let up = run(&mut maker(250, true), &[50000.0, 50125.0]);
    assert_eq!((up[0].high, up[0].close, up[0].low), (5_012_500_000_000, 5_012_500_000_000, 5_000_000_000_000));
    assert_eq!(run(&mut maker(250, true), &[50000.0, 50124.99999999]), []);
    assert_eq!(run(&mut maker(250, true), &[50000.0, 49875.0]).len(), 1);
    let jump = run(&mut maker(250, true), &[50000.0, 51000.0, 60000.0]);
    assert_eq!((jump.len(), jump[0].close), (1, 5_100_000_000_000), "the next bar begins at its own price");
    assert_eq!(run(&mut maker(1, true), &[0.01, 0.01000009]), [], "rounded down: 10 units of 10^-8");
    assert_eq!(run(&mut maker(1, true), &[0.01, 0.01000010]).len(), 1);
}

#[test]
fn the_gate_keeps_a_bar_open_at_the_time_of_its_beginning() {
    let trades = [trade(1, 50000, 7), trade(2, 60000, 7), trade(3, 50001, 8), trade(4, 60000, 9)];
    let close = |gate| {
        let mut bars = maker(250, gate);
        trades.iter().filter_map(|trade| bars.push(trade).unwrap()).map(|bar| bar.last_agg_trade_id).collect::<Vec<_>>()
    };
    assert_eq!(close(false), [2, 4]);
    assert_eq!(close(true), [4], "a later trade ends it, where that one leaves the band");
}

#[test]
fn sums_and_numbers_of_bars_are_those_of_the_trades() {
    let mut bars = maker(10, true);
    let (mut price, mut state) = (1_000_000_000_i64, 7_u64);
    let trades: Vec<Trade> = (1..20_000)
        .map(|id| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            price += (state >> 33) as i64 % 200_001 - 100_000;
            Trade {
                quantity: (state >> 40) as i64,
                last_trade_id: id + (state >> 60) as i64,
                ..trade(id, price, id / 3)
            }
        })
        .collect();
    let closed: Vec<Bar> = trades.iter().filter_map(|trade| bars.push(trade).unwrap()).collect();
    assert!(closed.len() > 100, "{}", closed.len());
    let all: Vec<Bar> = closed.iter().copied().chain(bars.unfinished()).collect();
    let volume: i128 = trades.iter().map(|trade| i128::from(trade.quantity)).sum();
    assert_eq!(all.iter().map(|bar| bar.volume).sum::<i128>(), volume);
    assert_eq!(all.iter().map(|bar| bar.individual_trade_count).sum::<u64>(), trades.iter().map(Trade::fills).sum());
    for pair in all.windows(2) {
        assert_eq!(pair[1].first_agg_trade_id, pair[0].last_agg_trade_id + 1);
    }
    for bar in &all {
        assert!(bar.low <= bar.open.min(bar.close) && bar.high >= bar.open.max(bar.close));
        assert!(bar.low <= bar.vwap && bar.vwap <= bar.high);
        assert_eq!(bar.buy_volume + bar.sell_volume, bar.volume);
    }
}

#[test]
fn checkpoints_that_are_none_are_refused_with_the_reason() {
    let mut bars = maker(250, false);
    bars.push(&trade(1, 500, 1)).unwrap();
    let text = bars.checkpoint().to_string();
    let refused = |text: &str| text.parse::<Checkpoint>().unwrap_err().to_string();
    assert_eq!(text.parse::<Checkpoint>().unwrap(), bars.checkpoint());
    assert!(refused("").contains("no object"));
    assert!(refused(&text.replace("\"narrows_bars\":1", "\"narrows_bars\":2")).contains("its version is 2"));
    assert!(refused(&text.replace(":250", ":0")).contains("threshold of 0"));
    assert!(refused(&text.replace("\"low\":500", "\"low\":501")).contains("contradicts itself"));
    assert!(refused(&text.replace("\"vwap\":500", "\"vwap\":5e2")).contains("\"vwap\" is 5e2"));
    for cut in 0..text.len() {
        assert!(text[..cut].parse::<Checkpoint>().is_err(), "{}", &text[..cut]);
    }
}

#[test]
fn a_turnover_beyond_128_bits_is_an_error_and_changes_nothing() {
    let huge = |id| Trade { price: i64::MAX, quantity: i64::MAX, ..trade(id, 1, 0) };
    let mut bars = maker(100_000, true);
    assert_eq!(bars.push(&huge(1)), Ok(None));
    assert_eq!(bars.push(&huge(2)), Ok(None));
    let before = bars.clone();
    assert_eq!(bars.push(&huge(3)), Err(Overflow { id: 3 }));
    assert_eq!(bars, before);
    let fills = Trade { first_trade_id: i64::MIN, last_trade_id: i64::MAX, ..trade(0, 1, 0) };
    let filled = |id| Trade { id, time_us: id, ..fills };
    let mut bars = maker(100_000, true);
    assert_eq!(bars.push(&filled(1)), Ok(None));
    assert_eq!(bars.push(&filled(2)), Err(Overflow { id: 2 }), "more fills than can be counted");
}

#[test]
fn gaps_are_found_by_number_and_by_silence() {
    let mut sequence = Sequence::new(Some(60_000_000));
    let mut check =
        |id, time_us| sequence.check(&trade(id, 1, time_us)).unwrap().map(|gap: Gap| (gap.missing, gap.silence_us));
    assert_eq!(check(10, 0), None);
    assert_eq!(check(11, 60_000_000), None);
    assert_eq!(check(12, 120_000_001), Some((0, 60_000_001)));
    assert_eq!(check(20, 120_000_001), Some((7, 0)));
    assert_eq!(check(3, 120_000_002), None, "a smaller number at a later time tells of nothing missing");
    let error = sequence.check(&trade(2, 1, 120_000_002)).unwrap_err();
    assert_eq!(error.to_string(), "aggregate trade 2 at 120000002 us is not after 3 at 120000002 us");
}

fn rows(text: &[u8]) -> Vec<Result<Trade, String>> {
    let mut found = Vec::new();
    let mut take = |row: Row<'_>| {
        found.push(match row {
            Row::Trade(trade) => Ok(trade),
            Row::Bad(error, _) => Err(error.to_string()),
        });
        Ok::<_, BarError>(())
    };
    let mut reader = AggTrades::new();
    reader.read(text, &mut take).unwrap();
    reader.finish(&mut take).unwrap();
    found
}

#[test]
fn headers_line_ends_and_times_of_all_kinds_are_read() {
    let plain = rows(b"5,1.5,2,7,8,1700000000000,true\n");
    assert_eq!(
        plain,
        [Ok(Trade {
            id: 5,
            price: 150_000_000,
            quantity: 200_000_000,
            first_trade_id: 7,
            last_trade_id: 8,
            time_us: 1_700_000_000_000_000,
            is_buyer_maker: true,
        })]
    );
    let header = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker";
    let same = [
        format!("{header}\n5,1.5,2,7,8,1700000000000,true\n"),
        format!("{header}\r\n5,1.5,2,7,8,1700000000000,true\r\n"),
        format!("\u{feff}{header}\n5,1.50000000,2.0,7,8,1700000000000000,True,False"),
        "a,p,q,f,l,T,m\n5,1.5,2,7,8,1700000000000,TRUE\n".to_owned(),
        "5,1.5,2,7,8,1700000000000,True,True".to_owned(),
    ];
    same.iter().for_each(|text| assert_eq!(rows(text.as_bytes()), plain, "{text}"));
    assert_eq!(rows(b""), []);
    assert_eq!(rows(format!("{header}\n").as_bytes()), []);
}

#[test]
fn rows_that_are_none_say_where_and_why() {
    let cases = [
        ("1,0,1,1,1,5,true", "row 1, price \"0\": not above 0"),
        ("1,-1,1,1,1,5,true", "row 1, price \"-1\": not above 0"),
        ("1,1e5,1,1,1,5,true", "row 1, price \"1e5\": not a decimal number"),
        ("1,0.123456789,1,1,1,5,true", "row 1, price \"0.123456789\": more than 8 decimal places"),
        ("1,1,-2,1,1,5,true", "row 1, quantity \"-2\": below 0"),
        ("1,1,99999999999999,1,1,5,true", "row 1, quantity \"99999999999999\": too large"),
        ("1,1,1,2,1,5,true", "row 1, last_trade_id \"1\": before first_trade_id"),
        ("1,1,1,1,1,soon,true", "row 1, transact_time \"soon\": not a whole number of 64 bits"),
        ("1,1,1,1,1,-5,true", "row 1, transact_time \"-5\": not a time"),
        ("+1,1,1,1,1,5,true", "row 1, agg_trade_id \"+1\": not a whole number of 64 bits"),
        ("1,1,1,1,1,5,yes", "row 1, is_buyer_maker \"yes\": neither true nor false"),
        ("1,1,1,1,1,5,true,x", "row 1, is_best_match \"x\": neither true nor false"),
        ("1,1,1,1,1,5", "row 1, \"1,1,1,1,1,5\": fewer than 7 columns"),
        ("1,1,1,1,1,5,true,true,1", "row 1, \"1,1,1,1,1,5,true,true,1\": more than 8 columns"),
        ("", ""),
        ("price;size", "row 1, \"price;size\": not a header of aggregate trades, and no row of them"),
        ("<html>\x1b[31m", "row 1, \"<html>\\x1b[31m\": not a header of aggregate trades, and no row of them"),
    ];
    for (line, expected) in cases {
        let found = rows(line.as_bytes());
        let told: Vec<_> = found.iter().filter_map(|row| row.as_ref().err().map(String::as_str)).collect();
        assert_eq!(told, [expected].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>(), "{line:?}");
    }
    let third = rows(b"1,1,1,1,1,5,true\n\n2,1,1,1,1,6,true\n");
    assert_eq!(third[1], Err("row 2, \"\": fewer than 7 columns".to_owned()));
    assert!(third[0].is_ok() && third[2].is_ok(), "the others are not lost");
    let long = "1".repeat(5000) + "\n3,1,1,1,1,7,true\n";
    let found = rows(long.as_bytes());
    assert!(found[0].as_ref().unwrap_err().starts_with("row 1, \"1111"), "{found:?}");
    assert!(found[1].is_ok());
    let cut: Vec<_> = long.as_bytes().chunks(700).collect();
    let mut reader = AggTrades::new();
    let mut kinds = Vec::new();
    for block in cut {
        reader
            .read::<BarError>(block, |row| {
                kinds.push(matches!(row, Row::Trade(_)));
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(kinds, [false, true]);
}

/// The quick way and the strict one read the same; whole lines and cut ones, too.
#[test]
fn both_ways_of_reading_agree() {
    let mut state = 1_u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let alphabet = b"0123456789012345678901234567890.,,,-+eTrueFalse\r \"x";
    for _ in 0..20_000 {
        let mut line = b"12,345.67,0.5,8,9,1700000000000,true".to_vec();
        for _ in 0..below(4) {
            let at = below(line.len() as u64) as usize;
            match below(3) {
                0 => line[at] = alphabet[below(alphabet.len() as u64) as usize],
                1 => line.insert(at, alphabet[below(alphabet.len() as u64) as usize]),
                _ => drop(line.remove(at)),
            }
        }
        // Cut after the first byte, a line is read the strict way.
        let whole = [&line[..], b"\n"].concat();
        let mut cut = Vec::new();
        let mut reader = AggTrades::new();
        for block in [&whole[..1], &whole[1..]] {
            reader
                .read::<BarError>(block, |row| {
                    cut.push(match row {
                        Row::Trade(trade) => Ok(trade),
                        Row::Bad(error, _) => Err(error.to_string()),
                    });
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(rows(&whole), cut, "{}", line.escape_ascii());
    }
}

#[test]
fn a_row_of_csv_reads_back_the_same() {
    let mut bars = maker(250, true);
    bars.push(&trade(1, 5_000_000_000_000, 1)).unwrap();
    let bar = bars.push(&trade(2, 5_100_000_000_000, 1_000_001)).unwrap().unwrap();
    let mut text = String::new();
    csv::write(&mut text, &bar).unwrap();
    let fields: Vec<&str> = text.trim_end().split(',').collect();
    assert_eq!(fields.len(), csv::HEADER.split(',').count());
    let features = bar.features();
    assert_eq!(fields[24].parse::<f64>().unwrap(), features.price_impact);
    assert_eq!(fields[21], "1000000");
}
