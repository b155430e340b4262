//! A bar, and how trades are added to it.

use std::{error::Error, fmt};

use crate::trade::Trade;

/// A range bar. Prices are in units of 10⁻⁸, volumes too, turnovers in units of 10⁻¹⁶.
///
/// No example: that of the crate reads some.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bar {
    /// Time of its first trade, in microseconds since 1970 (UTC).
    pub open_time_us: i64,
    /// Time of its last trade.
    pub close_time_us: i64,
    /// Price of its first trade.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Price of its last trade.
    pub close: i64,
    /// Volume of all its trades.
    pub volume: i128,
    /// Price times quantity of all its trades.
    pub turnover: i128,
    /// Volume of trades in which the buyer came last.
    pub buy_volume: i128,
    /// Volume of trades in which the seller came last.
    pub sell_volume: i128,
    /// Turnover of the former.
    pub buy_turnover: i128,
    /// Turnover of the latter.
    pub sell_turnover: i128,
    /// Number of the first fill.
    pub first_trade_id: i64,
    /// Number of the last fill.
    pub last_trade_id: i64,
    /// Number of the first aggregate trade.
    pub first_agg_trade_id: i64,
    /// Number of the last aggregate trade.
    pub last_agg_trade_id: i64,
    /// Fills.
    pub individual_trade_count: u64,
    /// Aggregate trades.
    pub agg_record_count: u64,
    /// Fills in which the buyer came last.
    pub buy_trade_count: u64,
    /// Fills in which the seller came last.
    pub sell_trade_count: u64,
    /// Mean price by volume, rounded down.
    pub vwap: i64,
}

/// A bar whose turnover is beyond 128 bits, or its fills beyond 64, as no market's are.
///
/// ```
/// let error = narrows_bars::Overflow { id: 7 };
/// assert_eq!(error.to_string(), "aggregate trade 7: the bar's turnover or fills are too large");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Overflow {
    /// The aggregate trade that would be added.
    pub id: i64,
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "aggregate trade {}: the bar's turnover or fills are too large", self.id)
    }
}

impl Error for Overflow {}

impl Bar {
    /// A bar of one trade.
    pub(crate) fn open(trade: &Trade) -> Self {
        let quantity = i128::from(trade.quantity);
        let turnover = i128::from(trade.price) * quantity;
        let is_sale = trade.is_buyer_maker;
        let (bought, sold) = if is_sale { (0, 1) } else { (1, 0) };
        let fills = trade.fills();
        Self {
            open_time_us: trade.time_us,
            close_time_us: trade.time_us,
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            volume: quantity,
            turnover,
            buy_volume: quantity * bought,
            sell_volume: quantity * sold,
            buy_turnover: turnover * bought,
            sell_turnover: turnover * sold,
            first_trade_id: trade.first_trade_id,
            last_trade_id: trade.last_trade_id,
            first_agg_trade_id: trade.id,
            last_agg_trade_id: trade.id,
            individual_trade_count: fills,
            agg_record_count: 1,
            buy_trade_count: if is_sale { 0 } else { fills },
            sell_trade_count: if is_sale { fills } else { 0 },
            vwap: trade.price,
        }
    }

    /// Adds a trade; its mean price is left to [`close`](Self::close).
    pub(crate) fn add(&mut self, trade: &Trade) -> Result<(), Overflow> {
        let quantity = i128::from(trade.quantity);
        let turnover = i128::from(trade.price) * quantity;
        let fills = trade.fills();
        // These bound all the others.
        let whole = self.turnover.checked_add(turnover).ok_or(Overflow { id: trade.id })?;
        let all = self.individual_trade_count.checked_add(fills).ok_or(Overflow { id: trade.id })?;
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        (self.close, self.close_time_us) = (trade.price, trade.time_us);
        (self.last_trade_id, self.last_agg_trade_id) = (trade.last_trade_id, trade.id);
        self.volume += quantity;
        self.turnover = whole;
        self.individual_trade_count = all;
        self.agg_record_count += 1;
        if trade.is_buyer_maker {
            self.sell_volume += quantity;
            self.sell_turnover += turnover;
            self.sell_trade_count += fills;
        } else {
            self.buy_volume += quantity;
            self.buy_turnover += turnover;
            self.buy_trade_count += fills;
        }
        Ok(())
    }

    /// The bar with its mean price.
    pub(crate) fn closed(mut self) -> Self {
        if self.volume > 0 {
            // A mean lies between the lowest and the highest price.
            self.vwap = (self.turnover / self.volume) as i64;
        }
        self
    }
}
