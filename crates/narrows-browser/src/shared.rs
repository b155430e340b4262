//! What the exchanges of an adapter share: options, buffers, places.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    sync::{Arc, Weak},
};

use async_lock::Semaphore;
use web_sys::{RequestCache, RequestCredentials};

use crate::{body::Buffers, host::Page};

/// How exchanges are made.
#[derive(Clone, Copy, Debug)]
pub struct BrowserOptions {
    /// Bodies open at once for one host; browsers open six over HTTP/1.1. Default 6.
    pub bodies_per_host: usize,
    /// Whether cookies are sent. Default: to the page's own origin only.
    pub credentials: RequestCredentials,
    /// What the HTTP cache does. Default: nothing is stored, for segments of two versions must
    /// not mix and large files would only drive others out.
    pub cache: RequestCache,
    /// Bytes that the browser may hold of a body before it is drained, to be charged to every
    /// transfer: those of a segment, and of the caller's copies. Default 1 MiB.
    pub outside_bytes: u64,
}

impl Default for BrowserOptions {
    fn default() -> Self {
        Self {
            bodies_per_host: 6,
            credentials: RequestCredentials::SameOrigin,
            cache: RequestCache::NoStore,
            outside_bytes: 1 << 20,
        }
    }
}

/// What the exchanges of an adapter share.
pub(crate) struct Shared {
    pub(crate) options: BrowserOptions,
    pub(crate) buffers: Buffers,
    /// Whose page this is; asked once, for it does not change.
    pub(crate) page: OnceCell<Option<Page>>,
    /// Places by origin, for as long as somebody has or awaits one.
    places: RefCell<HashMap<String, Weak<Semaphore>>>,
}

/// Origins that are remembered before those without open bodies are forgotten.
const ORIGINS_KEPT: usize = 64;

impl Shared {
    pub(crate) fn new(options: BrowserOptions) -> Self {
        let (buffers, page, places) = (Buffers::default(), OnceCell::new(), RefCell::default());
        Self { options, buffers, page, places }
    }

    /// The places for open bodies of an origin, in the order of asking.
    pub(crate) fn places(&self, origin: &str) -> Arc<Semaphore> {
        let mut places = self.places.borrow_mut();
        if let Some(known) = places.get(origin).and_then(Weak::upgrade) {
            return known;
        }
        if places.len() >= ORIGINS_KEPT {
            places.retain(|_, places| places.strong_count() > 0);
        }
        let new = Arc::new(Semaphore::new(self.options.bodies_per_host.max(1)));
        places.insert(origin.to_owned(), Arc::downgrade(&new));
        new
    }
}
