//! Downloads, verifies, unpacks and hands over any number of sources in a number of bytes that
//! you choose.
//!
//! This crate is the scheduler and nothing else: it names no clock, socket, file, thread, task or
//! random source. A [`Fetch`] and a [`Clock`] come from an adapter crate; `narrows` picks one.
//!
//! ```text
//!  sources -> claim -> transfer ---- exchanges ----> verify -> unpack -> blocks -> consumer -> report
//!  lazy       Budget   retry, resume, Fetch          length    zip, gzip,          commits,    observers
//!                      segments       Clock          digest    zstd                drops
//! ```
//!
//! * [`Budget`]: bytes that may be in use. A byte is charged from before its buffer exists until
//!   the consumer drops it.
//! * [`Window`]: a stream of [`Delivery`], one for each [`Source`], at most a limit at a time.
//! * [`Delivery`]: entries, blocks, lines, at the consumer's pace; [finished](Delivery::finish)
//!   when the consumer has committed what it made of them.
//! * [`Report`]: how a source ended; one for each, told to every [`Observer`].
#![forbid(unsafe_code)]

mod alarm;
mod answer;
pub mod batch;
mod blocks;
pub mod budget;
mod chance;
pub mod clock;
mod delivery;
mod digest;
mod failure;
pub mod fetch;
mod flight;
pub mod guard;
mod handle;
mod head;
mod host;
pub mod hosts;
pub mod journal;
mod lease;
mod ledger;
mod lines;
mod lookahead;
#[cfg(all(test, narrows_loom))]
mod loom_tests;
mod options;
mod pace;
mod patience;
mod pending;
pub mod places;
mod plateau;
mod politeness;
mod prng;
pub mod rate;
pub mod read;
mod reader;
mod ready;
mod replay;
pub mod report;
pub mod respool;
mod retry;
mod setters;
mod slots;
pub mod source;
pub mod spool;
mod stall;
pub mod stats;
mod steer;
mod sync;
pub mod testing;
pub mod text;
mod ticket;
mod trace;
mod transfer;
mod window;
pub mod working_set;

pub use budget::{Budget, BudgetTooSmall};
pub use clock::{Clock, Timestamp};
pub use delivery::Delivery;
pub use failure::{Failure, FailureKind};
pub use fetch::Fetch;
pub use handle::Handle;
pub use lease::Block;
pub use narrows_unpack as unpack;
pub use options::{NotFound, Options, OptionsError, Order};
pub use prng::Prng;
pub use read::Collected;
pub use report::{Observer, Outcome, Proof, Report};
pub use retry::RetryPolicy;
pub use source::{Source, parse_hex};
pub use spool::Spool;
pub use stats::Stats;
pub use text::public_url;
pub use window::Window;
pub use working_set::WorkingSet;
