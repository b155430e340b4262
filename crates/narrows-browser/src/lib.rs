//! narrows in a browser's page or worker, and in Node: everything through the platform's own
//! `fetch()`, timers and storage.
//!
//! Two facts shape it. Only Chromium makes an origin wait when a body is not read; Firefox and
//! WebKit take it whole into memory. So bodies are asked for in segments that have memory before
//! they are requested, and are drained at once. And what JavaScript allocates is freed when the
//! collector pleases, so bytes go through few, reused buffers into WebAssembly's memory.
//!
//! Nothing here panics on what comes from outside, and nothing is `unsafe`.
#![forbid(unsafe_code)]

mod body;
mod clock;
mod error;
mod exchange;
mod fetch;
mod host;

pub use body::FetchedBody;
pub use clock::{BrowserClock, BrowserSleep};
pub use error::BrowserError;
pub use exchange::Exchange;
pub use fetch::{BrowserFetch, BrowserOptions};
