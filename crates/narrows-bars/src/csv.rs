//! Bars as CSV: 31 columns, integers as they are, floats in the shortest form that reads back the same.

use std::fmt::{self, Write};

use crate::{bar::Bar, features::Features};

/// The columns, with the line feed.
pub const HEADER: &str = "open_time_us,close_time_us,open_e8,high_e8,low_e8,close_e8,volume_e8,turnover_e16,\
buy_volume_e8,sell_volume_e8,buy_turnover_e16,sell_turnover_e16,first_trade_id,last_trade_id,first_agg_trade_id,\
last_agg_trade_id,individual_trade_count,agg_record_count,buy_trade_count,sell_trade_count,vwap_e8,duration_us,ofi,\
vwap_close_deviation,price_impact,kyle_lambda_proxy,trade_intensity,volume_per_trade,aggression_ratio,\
aggregation_density,turnover_imbalance\n";

/// Writes a bar as one row, with the line feed.
///
/// ```
/// use narrows_bars::{RangeBars, Threshold, Trade, csv};
///
/// let mut bars = RangeBars::new(Threshold::new(250)?, true);
/// bars.push(&Trade { id: 1, price: 100, quantity: 100, first_trade_id: 1, last_trade_id: 1, time_us: 5,
///     is_buyer_maker: false }).expect("small numbers");
/// let mut text = csv::HEADER.to_owned();
/// csv::write(&mut text, &bars.end().expect("one bar")).expect("strings take all");
/// let columns = |line: &str| line.split(',').count();
/// assert!(text.lines().all(|line| columns(line) == 31));
/// # Ok::<_, narrows_bars::BadThreshold>(())
/// ```
///
/// # Errors
///
/// Those of `out`.
pub fn write(out: &mut impl Write, bar: &Bar) -> fmt::Result {
    let Bar { open_time_us, close_time_us, open, high, low, close, volume, turnover, .. } = bar;
    let Bar { buy_volume, sell_volume, buy_turnover, sell_turnover, first_trade_id, last_trade_id, .. } = bar;
    let Bar { first_agg_trade_id, last_agg_trade_id, individual_trade_count, agg_record_count, .. } = bar;
    let Bar { buy_trade_count, sell_trade_count, vwap, .. } = bar;
    write!(out, "{open_time_us},{close_time_us},{open},{high},{low},{close},{volume},{turnover},{buy_volume},")?;
    write!(out, "{sell_volume},{buy_turnover},{sell_turnover},{first_trade_id},{last_trade_id},")?;
    write!(out, "{first_agg_trade_id},{last_agg_trade_id},{individual_trade_count},{agg_record_count},")?;
    write!(out, "{buy_trade_count},{sell_trade_count},{vwap},")?;
    let Features { duration_us, ofi, vwap_close_deviation, price_impact, kyle_lambda_proxy, .. } = bar.features();
    let Features { trade_intensity, volume_per_trade, aggression_ratio, .. } = bar.features();
    let Features { aggregation_density, turnover_imbalance, .. } = bar.features();
    write!(out, "{duration_us},{ofi:?},{vwap_close_deviation:?},{price_impact:?},{kyle_lambda_proxy:?},")?;
    write!(out, "{trade_intensity:?},{volume_per_trade:?},{aggression_ratio:?},")?;
    writeln!(out, "{aggregation_density:?},{turnover_imbalance:?}")
}
