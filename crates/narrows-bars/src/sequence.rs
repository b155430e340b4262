//! The order of trades, and what is missing between them.

use std::{error::Error, fmt};

use crate::trade::Trade;

/// A trade that is not after the one before, by time and then by number.
///
/// No example: that of [`Sequence`] meets one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OutOfOrder {
    /// Time and number of the one before.
    pub before: (i64, i64),
    /// Its own.
    pub trade: (i64, i64),
}

impl fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before: (before_time, before), trade: (time, id) } = self;
        write!(f, "aggregate trade {id} at {time} us is not after {before} at {before_time} us")
    }
}

impl Error for OutOfOrder {}

/// Something missing between two trades.
///
/// No example: that of [`Sequence`] finds one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Gap {
    /// Aggregate trades whose numbers are passed over.
    pub missing: u64,
    /// Number of the last one before.
    pub after: i64,
    /// Number of the first one behind.
    pub before: i64,
    /// Time between them, in microseconds.
    pub silence_us: i64,
}

/// Checks that trades are in order, and finds gaps between them: numbers passed over, or silence for
/// longer than stated.
///
/// ```
/// use narrows_bars::{Sequence, Trade};
///
/// let trade = |id, time_us| Trade { id, price: 1, quantity: 1, first_trade_id: id, last_trade_id: id,
///     time_us, is_buyer_maker: false };
/// let mut sequence = Sequence::new(None);
/// assert_eq!(sequence.check(&trade(1, 10)), Ok(None));
/// assert_eq!(sequence.check(&trade(5, 11)).map(|gap| gap.map(|gap| gap.missing)), Ok(Some(3)));
/// assert!(sequence.check(&trade(5, 11)).is_err(), "twice the same");
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sequence {
    /// Time and number of the last trade.
    last: Option<(i64, i64)>,
    silence_max_us: Option<i64>,
}

impl Sequence {
    /// No trade has come yet. Silence for longer than `silence_max_us` is a gap, where that is given.
    pub fn new(silence_max_us: Option<i64>) -> Self {
        Self { last: None, silence_max_us }
    }

    /// One that goes on behind a trade of this time and number.
    pub fn after(last: Option<(i64, i64)>, silence_max_us: Option<i64>) -> Self {
        Self { last, silence_max_us }
    }

    /// Time and number of the last trade.
    pub fn last(&self) -> Option<(i64, i64)> {
        self.last
    }

    /// Takes the next trade, and gives the gap before it.
    ///
    /// # Errors
    ///
    /// [`OutOfOrder`]; the trade then is as if it had not come.
    pub fn check(&mut self, trade: &Trade) -> Result<Option<Gap>, OutOfOrder> {
        let now = (trade.time_us, trade.id);
        let Some((time, id)) = self.last.replace(now) else { return Ok(None) };
        if now <= (time, id) {
            self.last = Some((time, id));
            return Err(OutOfOrder { before: (time, id), trade: now });
        }
        // In order by time, a number may be smaller: then nothing is known to be missing.
        let missing = u64::try_from(i128::from(trade.id) - i128::from(id) - 1).unwrap_or(0);
        let silence_us = trade.time_us.saturating_sub(time);
        let is_silent = self.silence_max_us.is_some_and(|most| silence_us > most);
        Ok((missing > 0 || is_silent).then_some(Gap { missing, after: id, before: trade.id, silence_us }))
    }
}
