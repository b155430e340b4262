//! narrows on tokio: the [`Client`] that reaches origins, the [`TokioClock`], temporary files, and
//! [`for_each`], which runs a window on as many cores as the runtime has.
//!
//! Everything works inside the caller's tokio runtime; [`blocking`] is for callers without one. What
//! drives windows ([`for_each`], [`blocking`], [`reader`]) takes any adapter, not this one's alone.
#![forbid(unsafe_code)]

pub mod batches;
pub mod blocking;
mod client;
mod clock;
mod driver;
mod error;
mod exchange;
mod http2;
pub mod memory;
mod pools;
mod protocol;
mod reader;
mod spool;

pub use client::{BuildError, Client, ClientOptions};
pub use clock::{TokioClock, TokioSleep};
pub use driver::{for_each, try_for_each};
pub use error::HttpError;
pub use exchange::{Exchange, HttpBody};
pub use protocol::Protocol;
pub use reader::{TokioReader, reader};
pub use spool::{TempFile, TempSpool};
