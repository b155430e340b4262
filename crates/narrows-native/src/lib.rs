//! narrows on tokio: the [`Client`] that reaches origins, the [`TokioClock`], temporary files, and
//! [`for_each`], which runs a window on as many cores as the runtime has.
//!
//! Everything works inside the caller's tokio runtime; [`blocking`] is for callers without one.
#![forbid(unsafe_code)]

pub mod blocking;
mod client;
mod clock;
mod driver;
mod error;
mod exchange;
mod random_access;
mod spool;

pub use client::{BuildError, Client, ClientOptions};
pub use clock::TokioClock;
pub use driver::for_each;
pub use error::HttpError;
pub use exchange::{Exchange, HttpBody};
pub use random_access::{RANDOM_ACCESS_BYTES, RandomAccessError, for_each_entry};
pub use spool::{TempFile, TempSpool};

/// A delivery of this adapter.
pub type Delivery = narrows_core::Delivery<Client, TokioClock>;
/// A window of this adapter over the sources `S`.
pub type Window<S> = narrows_core::Window<Client, TokioClock, S>;
