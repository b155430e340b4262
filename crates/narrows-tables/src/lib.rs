//! Delimited text to typed Arrow columns, in blocks as they come, and on to Parquet or a stream of Arrow's.
//!
//! ```text
//!  bytes ──> Splitter ──> fields ──> Columns ──> RecordBatch ──> TableFile
//!            csv, tsv     strict     typed       bounded         Parquet, pages spilled; Arrow IPC
//! ```
//!
//! A [`Schema`] is a value: what the columns are called, what they hold, whether there is a header. Rows
//! either fit it or are given back with the row, the column, the value and what is wrong with it; nothing
//! becomes a null or a 0 that was neither. Columns that are not asked for are not parsed.
//!
//! It knows no file, clock or thread: Parquet is written to any [`Write`](std::io::Write), and pages go to
//! a store of the caller's.
//!
//! ```
//! use narrows_tables::{Piece, Schema, Table, tardis};
//!
//! let schema = tardis::schema("trades").expect("it is one of Tardis' types");
//! let mut table = Table::new(&schema, None)?;
//! let mut rows = 0;
//! let mut take = |piece: Piece<'_>| {
//!     match piece {
//!         Piece::Batch(batch) => rows += batch.num_rows(),
//!         Piece::Bad(bad, _) => return Err(bad),
//!     }
//!     Ok(())
//! };
//! table.push(b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n", &mut take)?;
//! table.push(b"deribit,BTC-PERPETUAL,1585699209920000,1585699209974", &mut take)?;
//! table.push(b"125,80003735,buy,6416.5,2000\n", &mut take)?;
//! table.finish(&mut take)?;
//! assert_eq!(rows, 1);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod arrow_stream;
pub mod binance;
mod column;
mod error;
pub mod gdelt;
mod parquet_file;
mod schema;
mod schema_text;
mod splitter;
mod table;
mod table_file;
pub mod tardis;

pub use error::{BadRow, SchemaError};
pub use parquet_file::{About, read_about};
pub use schema::{Column, Header, Kind, Schema, Separator};
pub use schema_text::BadSchema;
pub use table::{Piece, Table};
pub use table_file::{Form, TableFile, WriteError};

pub use arrow_array::RecordBatch;
pub use parquet::arrow::arrow_writer::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
pub use parquet::errors::ParquetError;

/// A table that is known by its name: `tardis.trades`, `gdelt.export`, `binance.spot.aggTrades` and so on.
/// `None` if there is no such table.
///
/// ```
/// assert_eq!(narrows_tables::known("gdelt.mentions").map(|schema| schema.columns.len()), Some(16));
/// ```
pub fn known(name: &str) -> Option<Schema> {
    match name.split_once('.')? {
        ("tardis", name) => tardis::schema(name),
        ("gdelt", name) => gdelt::schema(name),
        ("binance", name) => binance::schema(name),
        _ => None,
    }
}
