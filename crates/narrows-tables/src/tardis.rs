//! The tables of Tardis (`docs.tardis.dev/downloadable-csv-files`), by the names of their types.

use crate::schema::{Column, Header, Kind, Schema, Separator};

/// The types there are.
///
/// ```
/// use narrows_tables::tardis;
///
/// assert!(tardis::TYPES.iter().all(|name| tardis::schema(name).is_some()));
/// ```
pub const TYPES: [&str; 9] = [
    "trades",
    "incremental_book_L2",
    "quotes",
    "book_ticker",
    "book_snapshot_5",
    "book_snapshot_25",
    "derivative_ticker",
    "liquidations",
    "options_chain",
];

/// The table of a type, or `None` if there is no such type.
///
/// ```
/// let schema = narrows_tables::tardis::schema("book_snapshot_5").expect("there is one");
/// assert_eq!(schema.columns.len(), 24);
/// assert_eq!(&*schema.columns[4].name, "asks[0].price");
/// ```
pub fn schema(name: &str) -> Option<Schema> {
    let own = match name {
        "trades" | "liquidations" => {
            [vec![text("id")], vec![dictionary("side"), float("price"), float("amount")]].concat()
        }
        "incremental_book_L2" => {
            let snapshot = Column::new("is_snapshot", Kind::Boolean);
            vec![snapshot, dictionary("side"), float("price"), float("amount")]
        }
        "quotes" | "book_ticker" => ["ask_amount", "ask_price", "bid_price", "bid_amount"].map(maybe).to_vec(),
        "book_snapshot_5" => levels(5),
        "book_snapshot_25" => levels(25),
        "derivative_ticker" => {
            let numbers =
                ["funding_rate", "predicted_funding_rate", "open_interest", "last_price", "index_price", "mark_price"];
            [vec![time("funding_timestamp").nullable()], numbers.map(maybe).to_vec()].concat()
        }
        "options_chain" => {
            let quoted = [
                "open_interest",
                "last_price",
                "bid_price",
                "bid_amount",
                "bid_iv",
                "ask_price",
                "ask_amount",
                "ask_iv",
                "mark_price",
                "mark_iv",
            ];
            let greeks = ["underlying_price", "delta", "gamma", "vega", "theta", "rho"];
            [
                vec![dictionary("type"), float("strike_price"), time("expiration")],
                quoted.map(maybe).to_vec(),
                vec![dictionary("underlying_index").nullable()],
                greeks.map(maybe).to_vec(),
            ]
            .concat()
        }
        _ => return None,
    };
    let common = vec![dictionary("exchange"), dictionary("symbol"), time("timestamp"), time("local_timestamp")];
    let columns = [common, own].concat();
    Some(Schema::new(format!("tardis.{name}"), Separator::Comma, Header::Required, columns))
}

fn levels(count: usize) -> Vec<Column> {
    let level = |at| {
        [
            format!("asks[{at}].price"),
            format!("asks[{at}].amount"),
            format!("bids[{at}].price"),
            format!("bids[{at}].amount"),
        ]
    };
    (0..count).flat_map(level).map(|name| Column::new(name, Kind::Float64).nullable()).collect()
}

fn text(name: &str) -> Column {
    Column::new(name, Kind::Utf8).nullable()
}

fn dictionary(name: &str) -> Column {
    Column::new(name, Kind::Dictionary)
}

fn time(name: &str) -> Column {
    Column::new(name, Kind::TimestampUs)
}

fn float(name: &str) -> Column {
    Column::new(name, Kind::Float64)
}

fn maybe(name: &str) -> Column {
    Column::new(name, Kind::Float64).nullable()
}
