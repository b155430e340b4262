//! Real trades and the bars that rangebar-core 12.39.0 made of them: the same, to the last digit.

use std::{
    fs,
    path::{Path, PathBuf},
};

use narrows_bars::{AggTrades, Bar, BarError, Checkpoint, RangeBars, Row, Sequence, Threshold, Trade, csv};

fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    if !path.is_dir() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

fn trades(text: &[u8]) -> Vec<Trade> {
    let (mut trades, mut sequence) = (Vec::new(), Sequence::new(None));
    let mut take = |row: Row<'_>| match row {
        Row::Trade(trade) => {
            sequence.check(&trade)?;
            trades.push(trade);
            Ok(())
        }
        Row::Bad(error, _) => Err(BarError::Row(error)),
    };
    let mut rows = AggTrades::new();
    rows.read(text, &mut take).unwrap();
    rows.finish(&mut take).unwrap();
    trades
}

fn bars(bars: &mut RangeBars, trades: &[Trade]) -> Vec<Bar> {
    trades.iter().filter_map(|trade| bars.push(trade).unwrap()).collect()
}

/// The parts of `NAME.DBPSdbps.gateGATE.bars.csv`.
fn parts(name: &str) -> (&str, u32, bool) {
    let name = name.strip_suffix(".bars.csv").unwrap();
    let (name, gate) = name.rsplit_once(".gate").unwrap();
    let (name, dbps) = name.rsplit_once('.').unwrap();
    (name, dbps.strip_suffix("dbps").unwrap().parse().unwrap(), gate == "1")
}

#[test]
fn bars_are_those_of_the_oracle_byte_for_byte() {
    let (Some(oracle), Some(inputs)) = (shared("rangebar-oracle"), shared("aggtrades")) else { return };
    let mut compared = 0;
    for file in fs::read_dir(oracle).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if !name.ends_with(".bars.csv") {
            continue;
        }
        let (input, dbps, gate) = parts(&name);
        let trades = trades(&fs::read(inputs.join(input)).unwrap());
        let mut maker = RangeBars::new(Threshold::new(dbps).unwrap(), gate);
        let mut text = csv::HEADER.to_owned();
        bars(&mut maker, &trades).iter().for_each(|bar| csv::write(&mut text, bar).unwrap());
        let expected = fs::read_to_string(file.path()).unwrap();
        for (line, (ours, theirs)) in text.lines().zip(expected.lines()).enumerate() {
            assert_eq!(ours, theirs, "{name}, line {}", line + 1);
        }
        assert_eq!(text, expected, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 12);
}

#[test]
fn counts_are_those_of_the_oracle() {
    let (Some(oracle), Some(inputs)) = (shared("rangebar-oracle"), shared("aggtrades")) else { return };
    let summary = fs::read_to_string(oracle.join("SUMMARY.csv")).unwrap();
    for line in summary.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let trades = trades(&fs::read(inputs.join(fields[0])).unwrap());
        let mut maker = RangeBars::new(Threshold::new(fields[1].parse().unwrap()).unwrap(), fields[2] == "1");
        assert_eq!(bars(&mut maker, &trades).len().to_string(), fields[3], "{line}");
    }
    assert_eq!(summary.lines().count(), 49);
}

#[test]
fn cut_at_every_trade_and_resumed_from_text_the_bars_are_the_same() {
    let Some(inputs) = shared("aggtrades") else { return };
    for (input, gate) in
        [("BTCUSD_PERP-aggTrades-2024-08-08.cm.csv", true), ("ETHUSDT-aggTrades-2024-08-08.spot.csv", false)]
    {
        let trades = trades(&fs::read(inputs.join(input)).unwrap());
        let threshold = Threshold::new(10).unwrap();
        let mut whole = RangeBars::new(threshold, gate);
        let expected = bars(&mut whole, &trades);
        let mut resumed = RangeBars::new(threshold, gate);
        let mut got = Vec::new();
        for trade in &trades {
            let text = resumed.checkpoint().to_string();
            resumed = RangeBars::resume(&text.parse::<Checkpoint>().unwrap());
            got.extend(resumed.push(trade).unwrap());
        }
        assert_eq!(got, expected, "{input}");
        assert_eq!(resumed.unfinished(), whole.unfinished());
    }
}

#[test]
fn blocks_may_be_cut_anywhere() {
    let Some(inputs) = shared("aggtrades") else { return };
    let text = fs::read(inputs.join("ETHUSDT-aggTrades-2024-08-08.usdm.csv")).unwrap();
    let expected = trades(&text);
    for size in [1, 2, 3, 7, 61, 64, 4096] {
        let mut got = Vec::new();
        let mut take = |row: Row<'_>| match row {
            Row::Trade(trade) => {
                got.push(trade);
                Ok(())
            }
            Row::Bad(error, _) => Err(BarError::Row(error)),
        };
        let mut rows = AggTrades::new();
        text.chunks(size).for_each(|block| rows.read(block, &mut take).unwrap());
        rows.finish(&mut take).unwrap();
        assert_eq!(got, expected, "blocks of {size}");
    }
}
