//! The adapter: what holds for all its exchanges.

use std::{fmt, rc::Rc};

use narrows_core::fetch::{Fetch, Profile, Request};

use crate::{
    body::{BUFFER_BYTES, FetchedBody},
    error::BrowserError,
    exchange::Exchange,
    shared::{BrowserOptions, Shared},
};

/// Fetches through the platform's `fetch()`, in segments that are drained as they arrive.
///
/// Clones share their connections' places and buffers.
#[derive(Clone)]
pub struct BrowserFetch(Rc<Shared>);

impl BrowserFetch {
    /// An adapter of its own places and buffers.
    pub fn new(options: BrowserOptions) -> Self {
        Self(Rc::new(Shared::new(options)))
    }
}

impl Fetch for BrowserFetch {
    type Error = BrowserError;
    type Body = FetchedBody;
    type Future = Exchange;

    fn profile(&self) -> Profile {
        // Besides what the browser holds: the buffer being read into, and the chunk copied from it.
        Profile { holds_back: false, exchange_bytes: self.0.options.outside_bytes + 2 * u64::from(BUFFER_BYTES) }
    }

    fn fetch(&self, request: Request) -> Exchange {
        Exchange::new(self.0.clone(), request)
    }

    fn is_queued(&self, exchange: &Exchange) -> bool {
        exchange.is_queued()
    }
}

impl fmt::Debug for BrowserFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserFetch").field("options", &self.0.options).finish_non_exhaustive()
    }
}
