//! Trades that are not quite in order.

use std::collections::VecDeque;

use crate::trade::Trade;

/// Puts trades in order of time within a stated number of them; of the same time, they stay as they
/// came. What comes later than that stays where it is, for [`Sequence`](crate::Sequence) to refuse.
///
/// Memory: 56 bytes a trade of its window.
///
/// ```
/// use narrows_bars::{Reorder, Trade};
///
/// let trade = |id, time_us| Trade { id, price: 1, quantity: 1, first_trade_id: id, last_trade_id: id,
///     time_us, is_buyer_maker: false };
/// let mut reorder = Reorder::new(2);
/// let mut ids = Vec::new();
/// for trade in [trade(1, 10), trade(2, 30), trade(3, 20), trade(4, 40)] {
///     ids.extend(reorder.push(trade).map(|trade| trade.id));
/// }
/// ids.extend(reorder.drain().map(|trade| trade.id));
/// assert_eq!((ids, reorder.moved()), (vec![1, 3, 2, 4], 1));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Reorder {
    /// In order of time.
    held: VecDeque<Trade>,
    window: usize,
    moved: u64,
}

impl Reorder {
    /// One that puts trades in order that are at most so many places late.
    pub fn new(window: usize) -> Self {
        Self { held: VecDeque::with_capacity(window + 1), window, moved: 0 }
    }

    /// Trades that were put elsewhere than they came.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Takes a trade, and gives the earliest one once more are held than there may be.
    pub fn push(&mut self, trade: Trade) -> Option<Trade> {
        let later = self.held.iter().rev().take_while(|held| held.time_us > trade.time_us).count();
        match later {
            0 => self.held.push_back(trade),
            _ => {
                self.moved += 1;
                self.held.insert(self.held.len() - later, trade);
            }
        }
        if self.held.len() > self.window { self.held.pop_front() } else { None }
    }

    /// Gives what is held, at the end of a file.
    pub fn drain(&mut self) -> impl Iterator<Item = Trade> + '_ {
        self.held.drain(..)
    }
}
