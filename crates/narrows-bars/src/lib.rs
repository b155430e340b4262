//! Trades to range bars: exact, one trade at a time, in memory that does not know how many there are.
//!
//! A range bar ends with the trade that leaves a band around its first price. Prices, quantities and
//! sums are whole numbers (units of 10⁻⁸ and 10⁻¹⁶), so the bars are the same on every machine, however
//! the trades are cut into pieces; a [`Checkpoint`] carries a bar in the making from one file, process
//! or machine to the next.
//!
//! ```text
//!  bytes ──> AggTrades ──> Trade ──> Sequence ──> RangeBars ──> Bar ──> csv::write
//!            rows, strict            order, gaps
//! ```
//!
//! ```
//! use narrows_bars::{AggTrades, BarError, RangeBars, Row, Threshold};
//!
//! let day = b"1,50000.0,1.0,1,1,1000,true\n2,50100.0,1.0,2,2,2000,false\n3,50125.0,2.0,3,3,3000,false\n";
//! let mut bars = RangeBars::new(Threshold::new(250).expect("0.25 %"), true);
//! let mut closed = Vec::new();
//! AggTrades::new().read::<BarError>(day, |row| {
//!     let Row::Trade(trade) = row else { panic!("every row is well-formed") };
//!     closed.extend(bars.push(&trade)?);
//!     Ok(())
//! })?;
//! assert_eq!((closed.len(), closed[0].close, closed[0].volume), (1, 50125_00000000, 4_00000000));
//! # Ok::<_, BarError>(())
//! ```
#![forbid(unsafe_code)]

mod bar;
mod checkpoint;
pub mod csv;
mod decimal;
mod error;
mod features;
mod json;
mod range;
mod reorder;
mod rows;
mod sequence;
mod threshold;
mod trade;

pub use bar::{Bar, Overflow};
pub use checkpoint::{BadCheckpoint, Checkpoint};
pub use decimal::{BadDecimal, decimal};
pub use error::BarError;
pub use features::Features;
pub use range::RangeBars;
pub use reorder::Reorder;
pub use rows::{AggTrades, BadRow, Row};
pub use sequence::{Gap, OutOfOrder, Sequence};
pub use threshold::{BadThreshold, Threshold};
pub use trade::Trade;
