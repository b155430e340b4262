//! narrows in a browser's page or worker, and in Node: everything through the platform's own
//! `fetch()`, timers and storage.
//!
//! Two facts shape it. Only Chromium makes an origin wait when a body is not read; Firefox and
//! WebKit take it whole into memory. So bodies are asked for in segments that have memory before
//! they are requested, and are drained at once. And what JavaScript allocates is freed when the
//! collector pleases, so bytes go through few, reused buffers into WebAssembly's memory.
//!
//! ```no_run
//! use narrows_browser::{BrowserClock, BrowserFetch, BrowserOptions};
//! use narrows_core::{Budget, Options, Source, Window};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let fetch = BrowserFetch::new(BrowserOptions::default());
//! let budget = Budget::new(32 << 20); // bytes
//! let sources = [Source::new("https://example.com/a.zip")];
//! let window = Window::from_iter(sources, fetch, BrowserClock, &budget, Options::default())?;
//! # drop(window);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here panics on what comes from outside, and nothing is `unsafe`.
#![forbid(unsafe_code)]

mod body;
mod clock;
mod error;
mod exchange;
mod fetch;
mod given;
mod host;
mod shared;
mod spool;

pub use body::FetchedBody;
pub use clock::{BrowserClock, BrowserSleep};
pub use error::BrowserError;
pub use exchange::Exchange;
pub use fetch::BrowserFetch;
pub use given::Given;
pub use shared::BrowserOptions;
pub use spool::{MemoryFile, MemorySpool, OpfsFile, OpfsSpool, SpoolError};
