//! A trade.

/// An aggregate trade: fills of one order at one price.
///
/// ```
/// use narrows_bars::Trade;
///
/// let trade = Trade { id: 1, price: 50_000_00000000, quantity: 1_00000000, first_trade_id: 7,
///     last_trade_id: 9, time_us: 1_700_000_000_000_000, is_buyer_maker: true };
/// assert_eq!(trade.fills(), 3);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trade {
    /// Its number among the aggregate trades of its symbol.
    pub id: i64,
    /// Price in units of 10⁻⁸.
    pub price: i64,
    /// Quantity in units of 10⁻⁸.
    pub quantity: i64,
    /// Number of its first fill.
    pub first_trade_id: i64,
    /// Number of its last fill.
    pub last_trade_id: i64,
    /// When, in microseconds since 1970 (UTC).
    pub time_us: i64,
    /// Whether the buyer's order was there first, so that it was a sale.
    pub is_buyer_maker: bool,
}

impl Trade {
    /// How many fills it stands for.
    pub fn fills(&self) -> u64 {
        (i128::from(self.last_trade_id) - i128::from(self.first_trade_id) + 1).clamp(0, u64::MAX.into()) as u64
    }
}
