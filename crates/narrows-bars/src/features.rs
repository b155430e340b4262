//! What is computed of a bar when it ends.
//!
//! Floats whose operations come in one fixed order, so that the last bit is the same everywhere.

use crate::bar::Bar;

const EPSILON: f64 = f64::EPSILON;

/// What is computed of a bar when it ends.
///
/// No example: [`Bar::features`] gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features {
    /// From its first trade to its last, in microseconds.
    pub duration_us: i64,
    /// Order flow imbalance: bought less sold, of all volume. From -1 to 1.
    pub ofi: f64,
    /// How far the close is from the mean price, in ranges of the bar.
    pub vwap_close_deviation: f64,
    /// Price moved for a unit of volume.
    pub price_impact: f64,
    /// Relative price moved for the imbalance of volume.
    pub kyle_lambda_proxy: f64,
    /// Fills a second; all of them where the bar took no time.
    pub trade_intensity: f64,
    /// Volume of a fill.
    pub volume_per_trade: f64,
    /// Fills bought for one sold, at most 100; 1 where there are none.
    pub aggression_ratio: f64,
    /// Fills of an aggregate trade.
    pub aggregation_density: f64,
    /// Turnover bought less that sold, of all turnover. From -1 to 1.
    pub turnover_imbalance: f64,
}

impl Features {
    fn of(bar: &Bar) -> Self {
        let unit = |fixed: i128| fixed as f64 / 1e8;
        let price = |fixed: i64| fixed as f64 / 1e8;
        let (bought, sold) = (unit(bar.buy_volume), unit(bar.sell_volume));
        let (both, volume, imbalance) = (bought + sold, unit(bar.volume), bought - sold);
        let reciprocal = if both > EPSILON { 1.0 / both } else { 0.0 };
        let ofi = imbalance * reciprocal;
        let (open, close) = (price(bar.open), price(bar.close));
        let range = price(bar.high) - price(bar.low);
        let fills = bar.individual_trade_count as f64;
        let duration_us = bar.close_time_us.wrapping_sub(bar.open_time_us);
        let seconds = duration_us as f64 * 1e-6;
        let per_second = if seconds > EPSILON { 1.0 / seconds } else { 0.0 };
        let has_moved = ofi.abs() > EPSILON && open.abs() > EPSILON;
        let (bought_for, sold_for) = (bar.buy_turnover as f64, bar.sell_turnover as f64);
        let turnover = bar.buy_turnover.saturating_add(bar.sell_turnover) as f64;
        Self {
            duration_us,
            ofi,
            vwap_close_deviation: if range > EPSILON { (close - price(bar.vwap)) / range } else { 0.0 },
            price_impact: if volume > EPSILON { (close - open).abs() / volume } else { 0.0 },
            kyle_lambda_proxy: if has_moved { ((close - open) / open.abs()) / ofi } else { 0.0 },
            trade_intensity: if per_second > 0.0 { fills * per_second } else { fills },
            volume_per_trade: volume * (1.0 / fills),
            aggression_ratio: match (bar.buy_trade_count, bar.sell_trade_count) {
                (0, 0) => 1.0,
                (_, 0) => 100.0,
                (bought, sold) => (bought as f64 / sold as f64).min(100.0),
            },
            aggregation_density: fills * (1.0 / bar.agg_record_count as f64),
            turnover_imbalance: match turnover.abs() > EPSILON {
                true => (bought_for - sold_for) * (1.0 / turnover),
                false => 0.0,
            },
        }
    }
}

impl Bar {
    /// What is computed of it.
    ///
    /// ```
    /// use narrows_bars::{RangeBars, Threshold, Trade};
    ///
    /// let trade = |id, price, time_us| Trade { id, price, quantity: 100_000_000, first_trade_id: id,
    ///     last_trade_id: id, time_us, is_buyer_maker: false };
    /// let mut bars = RangeBars::new(Threshold::new(250).expect("0.25 %"), true);
    /// assert_eq!(bars.push(&trade(1, 50_000_00000000, 0))?, None);
    /// let bar = bars.push(&trade(2, 51_000_00000000, 2_000_000))?.expect("2 % up");
    /// assert_eq!((bar.features().ofi, bar.features().trade_intensity), (1.0, 1.0));
    /// # Ok::<_, narrows_bars::BarError>(())
    /// ```
    pub fn features(&self) -> Features {
        Features::of(self)
    }
}
