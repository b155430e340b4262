//! Downloads, verifies, unpacks and hands over any number of remote files in an amount of memory
//! that you choose.
//!
//! ```
//! use narrows::{Budget, Options, Source, Window, for_each, testing::{MemoryFetch, SkippingClock}};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let fetch = MemoryFetch::new().with("mem://00.csv", *b"a\nb\n");
//! # let clock = SkippingClock::new();
//! // let (fetch, clock) = (Client::new(ClientOptions::new())?, DefaultClock::new());
//! let sources = (0..1).map(|slot| Source::new(format!("mem://{slot:02}.csv"))); // read as places come free
//! let options = Options::new().unpack(narrows::unpack::Options::default());
//! let budget = Budget::new(64 << 20); // bytes, from the socket to your hand
//! let mut window = Window::from_iter(sources, fetch, clock, &budget, options)?;
//! for_each(&mut window, |mut file| async move {
//!     let mut rows = 0;
//!     while let Ok(Some(block)) = file.next_block().await {
//!         rows += block.iter().filter(|byte| **byte == b'\n').count();
//!     } // a block's bytes are free for the next when it is dropped
//!     let report = file.finish(); // committed: it is done
//!     println!("{}: {rows} rows, {}", report.url, report.outcome.name());
//! })
//! .await;
//! println!("at most {} bytes in use", budget.peak());
//! # assert_eq!(window.stats().done, 1);
//! # Ok(())
//! # }
//! ```
//!
//! The scheduler and the contract are `narrows_core`'s, the decoders `narrows_unpack`'s, sockets
//! and files `narrows_native`'s; everything a program needs is here. Built for wasm32, the adapter
//! is `narrows_browser`'s instead. [`DefaultFetch`] and [`DefaultClock`] are those of the target;
//! everything above them works over any [`Fetch`] and [`Clock`], a wrapper of your own included.
#![forbid(unsafe_code)]

pub use narrows_core::{
    Block, Budget, Clock, Failure, FailureKind, Fetch, Handle, NotFound, Observer, Options, OptionsError, Order,
    Outcome, Proof, Report, RetryPolicy, Source, Spool, Stats, Window, batch, budget, clock, fetch, guard, hosts,
    journal, rate, read, report, respool, source, spool, stats, testing, text, unpack, working_set,
};

#[cfg(target_arch = "wasm32")]
pub use narrows_browser::{
    BrowserClock as DefaultClock, BrowserFetch as DefaultFetch, BrowserOptions, MemorySpool, OpfsSpool,
};
#[cfg(not(target_arch = "wasm32"))]
pub use narrows_native::{
    Client, Client as DefaultFetch, ClientOptions, Protocol, TempSpool, TokioClock as DefaultClock, blocking, for_each,
    memory, reader, try_for_each,
};

/// A delivery of the target's own adapter, or of another.
///
/// ```
/// async fn rows(mut file: narrows::Delivery) -> Result<usize, narrows::Failure> {
///     let mut rows = 0;
///     while let Some(block) = file.next_block().await? {
///         rows += block.iter().filter(|byte| **byte == b'\n').count();
///     }
///     Ok(rows)
/// }
/// ```
pub type Delivery<F = DefaultFetch, C = DefaultClock> = narrows_core::Delivery<F, C>;

/// What the target's own adapter says and gives, by name.
pub mod adapter {
    #[cfg(target_arch = "wasm32")]
    pub use narrows_browser::*;
    #[cfg(not(target_arch = "wasm32"))]
    pub use narrows_native::*;
}

#[cfg(all(doctest, not(target_arch = "wasm32")))]
#[doc = include_str!("../README.md")]
struct Readme;
