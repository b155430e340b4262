//! Downloads, verifies, unpacks and hands over any number of remote files in an amount of memory
//! that you choose.
//!
//! ```no_run
//! use narrows::{Budget, Client, ClientOptions, Options, Source, TokioClock, Window, for_each};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // A million addresses cost no more than ten: the list is read as places come free.
//!     let slots = (0..96).map(|slot| format!("http://example.com/20260101{slot:02}.export.CSV.zip"));
//!     let client = Client::new(ClientOptions::default())?;
//!     let options = Options { unpack: Some(Default::default()), ..Options::default() };
//!     let budget = Budget::new(64 << 20); // bytes, from the socket to your hand
//!     let mut window = Window::from_iter(slots.map(Source::new), client, TokioClock::new(), &budget, options)?;
//!     for_each(&mut window, |mut file| async move {
//!         let mut rows = 0;
//!         while let Ok(Some(block)) = file.next_block().await {
//!             rows += block.iter().filter(|byte| **byte == b'\n').count();
//!         } // a block's bytes are free for the next when it is dropped
//!         println!("{}: {rows} rows, {:?}", file.source().url, file.report().map(|report| report.outcome));
//!     })
//!     .await;
//!     println!("at most {} bytes in use", budget.peak());
//!     Ok(())
//! }
//! ```
//!
//! The scheduler and the contract are `narrows_core`'s, the decoders `narrows_unpack`'s, sockets
//! and files `narrows_native`'s; everything a program needs is here. Built for wasm32, the adapter
//! is `narrows_browser`'s instead: `BrowserFetch`, `BrowserClock`, `OpfsSpool`.
#![forbid(unsafe_code)]

#[cfg(target_arch = "wasm32")]
pub use narrows_browser::{
    BrowserClock, BrowserError, BrowserFetch, BrowserOptions, MemoryFile, MemorySpool, OpfsFile, OpfsSpool, SpoolError,
};
pub use narrows_core::*;
#[cfg(not(target_arch = "wasm32"))]
pub use narrows_native::{
    BuildError, Client, ClientOptions, Delivery, HttpError, RANDOM_ACCESS_BYTES, RandomAccessError, TempFile,
    TempSpool, TokioClock, blocking, for_each, for_each_entry,
};
