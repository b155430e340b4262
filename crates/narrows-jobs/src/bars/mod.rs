//! Aggregate trades to range bars: days or months of files, in order, in memory that does not know how
//! many there are.
//!
//! ```text
//!  days ──> Files ──> checksums ──> window ──> delivery ──> Pipeline ──> BarSink ──> commit
//!           names     expected      in list    blocks       rows, order,  bars        state: where a
//!                     digests       order                   gaps, bars                second run goes on
//! ```
//!
//! A file counts once its last trade has been read, its checksum holds and the sink has committed its
//! bars together with the [`State`] behind it. Whatever breaks a file off, the sink rolls back to the
//! state before it; so bars go on from there, bit for bit, in another run or elsewhere.

mod checksums;
mod files;
mod pipeline;
mod run;
mod state;

pub use checksums::{Checksum, ChecksumPolicy, Expectations, expected_digest, sources};
pub use files::{File, Files, Market, Period};
pub use pipeline::{BarSink, Broken, Counts, Done, OnBadRow, OnGap, Pipeline, Rules};
pub use run::{Event, Stopped, run};
pub use state::{BadState, State};
