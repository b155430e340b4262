//! What the npm package's range bars stand on: the pipeline of `narrows_jobs`, with blocks in and bars
//! out as numbers and text. A module of its own, for those who need it.
//!
//! It is no interface for users: `npm/bars.js` wraps it.
#![forbid(unsafe_code)]

use std::{convert::Infallible, time::Duration};

use js_sys::Array;
use narrows_bars::{Bar, BarError, Features, Gap, Threshold, csv};
use narrows_browser::Given;
use narrows_jobs::bars::{BarSink, Broken, OnBadRow, OnGap, Pipeline, Rules};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

/// Rows that are held at most to be put in order.
const REORDER_MAX: usize = 1_000_000;

/// Times are milliseconds. What is left out has the pipeline's default.
fn read(value: &JsValue) -> Result<Rules, String> {
    let given = Given::new(value, "")?;
    let expected = "option `thresholdDbps`: expected a whole number, or several, from 1 to 100000";
    let thresholds = match given.get("thresholdDbps") {
        Some(list) if Array::is_array(&list) => Array::unchecked_from_js(list),
        Some(one) => Array::of1(&one),
        None => return Err(expected.into()),
    };
    let threshold = |value: JsValue| {
        let dbps = value.as_f64().filter(|dbps| dbps.fract() == 0.0 && *dbps >= 0.0 && *dbps <= f64::from(u32::MAX))?;
        Threshold::new(dbps as u32).ok()
    };
    let thresholds: Option<Vec<_>> = thresholds.iter().map(threshold).collect();
    let mut rules = Rules::new(thresholds.filter(|some| !some.is_empty()).ok_or(expected)?);
    rules.gate = given.boolean("gate", rules.gate)?;
    rules.reorder = given.usize("reorder", rules.reorder)?;
    if rules.reorder > REORDER_MAX {
        return Err(format!("option `reorder`: {REORDER_MAX} rows at most, which take 56 bytes each"));
    }
    let silence = given.millis("maxSilence", Duration::MAX)?;
    rules.silence_max_us = (silence != Duration::MAX).then(|| silence.as_micros().min(i64::MAX as u128) as i64);
    rules.on_bad_row = given.word("badRows", &[("fail", OnBadRow::Fail), ("skip", OnBadRow::Skip)])?;
    let gaps = [("report", OnGap::Report), ("end-bar", OnGap::EndBar), ("fail", OnGap::Fail)];
    rules.on_gap = given.word("gaps", &gaps)?;
    given.end()?;
    Ok(rules)
}

/// Numbers of each bar in [`Made::numbers`], its threshold's place included.
const WIDTH: usize = 32;

/// What came of a block.
#[derive(Default)]
struct Made {
    numbers: Vec<f64>,
    /// Exact: a row of CSV for each bar, with its line feed.
    rows: String,
    /// Gaps and rejected rows in their order, as the arguments of the callback.
    told: Array,
}

impl BarSink for Made {
    type Error = Infallible;

    fn bar(&mut self, threshold: usize, bar: &Bar) -> Result<(), Infallible> {
        self.numbers.extend(numbers(threshold, bar));
        // A string takes everything.
        let _ = csv::write(&mut self.rows, bar);
        Ok(())
    }

    fn rejected(&mut self, why: &BarError, row: &[u8]) -> Result<(), Infallible> {
        let row = String::from_utf8_lossy(row).into_owned();
        self.told.push(&Array::of3(&"rejected".into(), &why.to_string().into(), &row.into()));
        Ok(())
    }

    fn gap(&mut self, gap: &Gap) -> Result<(), Infallible> {
        let numbers = [gap.missing as f64, gap.after as f64, gap.before as f64, milliseconds(gap.silence_us)];
        let told: Array = std::iter::once("gap".into()).chain(numbers.map(JsValue::from)).collect();
        self.told.push(&told);
        Ok(())
    }
}

fn milliseconds(microseconds: i64) -> f64 {
    microseconds as f64 / 1000.0
}

/// In the order of `NAMES` in `npm/bars.js`: prices and volumes in units, times in milliseconds.
fn numbers(threshold: usize, bar: &Bar) -> [f64; WIDTH] {
    let price = |fixed: i64| fixed as f64 / 1e8;
    let volume = |fixed: i128| fixed as f64 / 1e8;
    let turnover = |fixed: i128| fixed as f64 / 1e16;
    let Features { duration_us, ofi, vwap_close_deviation, price_impact, kyle_lambda_proxy, trade_intensity, .. } =
        bar.features();
    let Features { volume_per_trade, aggression_ratio, aggregation_density, turnover_imbalance, .. } = bar.features();
    [
        threshold as f64,
        milliseconds(bar.open_time_us),
        milliseconds(bar.close_time_us),
        price(bar.open),
        price(bar.high),
        price(bar.low),
        price(bar.close),
        volume(bar.volume),
        turnover(bar.turnover),
        volume(bar.buy_volume),
        volume(bar.sell_volume),
        turnover(bar.buy_turnover),
        turnover(bar.sell_turnover),
        bar.first_trade_id as f64,
        bar.last_trade_id as f64,
        bar.first_agg_trade_id as f64,
        bar.last_agg_trade_id as f64,
        bar.individual_trade_count as f64,
        bar.agg_record_count as f64,
        bar.buy_trade_count as f64,
        bar.sell_trade_count as f64,
        price(bar.vwap),
        milliseconds(duration_us),
        ofi,
        vwap_close_deviation,
        price_impact,
        kyle_lambda_proxy,
        trade_intensity,
        volume_per_trade,
        aggression_ratio,
        aggregation_density,
        turnover_imbalance,
    ]
}

/// Bars in the making. What is thrown is a message: of options, or with `rejected: ` before it, of trades.
#[wasm_bindgen]
pub struct RawBars {
    pipeline: Pipeline,
    /// As it was at the end of the last file.
    whole: Pipeline,
    /// A file was begun.
    is_within: bool,
    made: Made,
}

#[wasm_bindgen]
impl RawBars {
    /// At the beginning, or going on from a state.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &JsValue, state: Option<String>) -> Result<RawBars, String> {
        let rules = read(options)?;
        let mut pipeline = match state {
            None => Pipeline::new(rules),
            Some(text) => {
                let state = text.parse().map_err(|error| format!("option `state`: {error}"))?;
                let other = "option `state`: it is of other thresholds or another gate";
                Pipeline::resume(rules, &state).ok_or(other)?
            }
        };
        pipeline.begin();
        Ok(Self { whole: pipeline.clone(), pipeline, is_within: false, made: Made::default() })
    }

    /// Takes a block of the file.
    pub fn push(&mut self, block: &[u8]) -> Result<(), String> {
        self.is_within = true;
        let done = self.pipeline.take(block, &mut self.made);
        self.or_back(done)
    }

    /// The file has ended. It counts once [`commit`](Self::commit) is called.
    #[wasm_bindgen(js_name = endFile)]
    pub fn end_file(&mut self) -> Result<(), String> {
        let done = self.pipeline.end(&mut self.made);
        self.or_back(done)
    }

    /// Ends the file that was begun, and the bars in the making: there are no more files. It counts once
    /// [`commit`](Self::commit) is called.
    #[wasm_bindgen(js_name = endBars)]
    pub fn end_bars(&mut self) -> Result<(), String> {
        if self.is_within {
            self.end_file()?;
        }
        let done = self.pipeline.end_bars(&mut self.made);
        self.or_back(done)
    }

    /// What has come so far counts; another file may begin.
    pub fn commit(&mut self) {
        self.is_within = false;
        self.pipeline.begin();
        self.whole = self.pipeline.clone();
    }

    /// The file that was begun does not count, and begins anew.
    #[wasm_bindgen(js_name = rollBack)]
    pub fn roll_back(&mut self) {
        self.pipeline = self.whole.clone();
        self.is_within = false;
        self.made = Made::default();
    }

    fn or_back(&mut self, done: Result<(), Broken<Infallible>>) -> Result<(), String> {
        done.map_err(|broken| {
            self.roll_back();
            format!("rejected: {broken}")
        })
    }

    /// Takes the numbers of the bars that have ended since, one bar after another.
    pub fn numbers(&mut self) -> Vec<f64> {
        std::mem::take(&mut self.made.numbers)
    }

    /// Takes their rows.
    pub fn rows(&mut self) -> String {
        std::mem::take(&mut self.made.rows)
    }

    /// Takes what there is to tell.
    pub fn told(&mut self) -> Array {
        std::mem::take(&mut self.made.told)
    }

    /// What goes on from the end of the last file, as text.
    pub fn state(&self) -> String {
        self.whole.state().to_string()
    }

    /// Trades, bars, rejected rows, trades put in order, gaps, trades missing in them.
    pub fn counts(&self) -> Vec<f64> {
        let counts = self.pipeline.counts();
        let all = [counts.trades, counts.bars, counts.rejected, counts.reordered, counts.gaps, counts.missing_trades];
        all.map(|count| count as f64).to_vec()
    }
}

/// The columns of rows, with the line feed.
#[wasm_bindgen]
pub fn header() -> String {
    csv::HEADER.to_owned()
}
