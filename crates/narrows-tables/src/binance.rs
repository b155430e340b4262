//! The tables of Binance's public data (`github.com/binance/binance-public-data`).

use crate::schema::{Column, Header, Kind, Schema, Separator};

/// The table of this name: `spot.aggTrades`, `um.aggTrades` (futures in dollars), `cm.aggTrades` (in coins).
/// `None` if there is no such table.
///
/// Prices and quantities are exact, with 8 places. Times are microseconds, whichever of milliseconds and
/// microseconds a file has: spot files have microseconds from 2025 on.
///
/// ```
/// let schema = narrows_tables::binance::schema("um.aggTrades").expect("there is one");
/// assert_eq!((schema.columns.len(), &*schema.columns[5].name), (7, "transact_time"));
/// ```
pub fn schema(name: &str) -> Option<Schema> {
    let amount = Kind::Decimal { scale: 8 };
    let mut columns = vec![
        Column::new("agg_trade_id", Kind::Int64),
        Column::new("price", amount),
        Column::new("quantity", amount),
        Column::new("first_trade_id", Kind::Int64),
        Column::new("last_trade_id", Kind::Int64),
        Column::new("transact_time", Kind::Timestamp),
        Column::new("is_buyer_maker", Kind::Boolean),
    ];
    match name {
        "spot.aggTrades" => columns.push(Column::new("is_best_match", Kind::Boolean)),
        "um.aggTrades" | "cm.aggTrades" => {}
        _ => return None,
    }
    // Files of futures have had one since 2022.
    Some(Schema::new(format!("binance.{name}"), Separator::Comma, Header::Detected, columns))
}
