//! Downloads, verifies, unpacks and hands over any number of sources in a number of bytes that
//! you choose.
//!
//! This crate is the scheduler and nothing else: it names no clock, socket, file, thread, task or
//! random source. A [`Fetch`] and a [`Clock`] come from an adapter crate; `narrows` picks one.
//!
//! ```text
//!  sources -> claim -> transfer ---- exchanges ----> verify -> unpack -> blocks -> consumer
//!  lazy       Budget   retry, resume, Fetch          length    zip, gzip,          drop gives
//!                      segments       Clock          digest    zstd                the bytes back
//! ```
//!
//! * [`Budget`]: bytes that may be in use. A byte is charged from before its buffer exists until
//!   the consumer drops it.
//! * [`Window`]: a stream of [`Delivery`], one for each [`Source`], at most a limit at a time.
//! * [`Delivery`]: entries and blocks, at the consumer's pace; in the end one [`Report`].
#![forbid(unsafe_code)]

mod answer;
mod budget;
mod clock;
mod delivery;
mod digest;
mod failure;
mod fetch;
mod flight;
mod lease;
mod options;
mod patience;
mod prng;
mod reader;
mod report;
mod retry;
mod source;
mod spool;
mod stats;
mod transfer;
mod window;

pub use budget::{Budget, BudgetTooSmall, Claim, Reservation};
pub use clock::{Clock, Timestamp};
pub use delivery::Delivery;
pub use failure::{Failure, FailureKind};
pub use fetch::{Body, ByteRange, ContentRange, Fetch, FetchError, FetchErrorKind, Head, Profile, Request, Response};
pub use lease::{Block, Collected};
pub use narrows_unpack as unpack;
pub use options::{NotFound, Options, OptionsError, Order, WorkingSet};
pub use prng::Prng;
pub use report::{Hex, Outcome, Proof, Report};
pub use retry::RetryPolicy;
pub use source::{BadLine, Source, parse_hex, public_url};
pub use spool::{Spool, SpoolFile};
pub use stats::{Phase, Stats, TransferStats};
pub use window::{Handle, Window};
