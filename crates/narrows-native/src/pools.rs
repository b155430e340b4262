//! Connections, and places on them.
//!
//! Over HTTP/2 many bodies share a connection and its flow control window. A body that nobody reads
//! keeps its share of that, so a connection whose window is full of bodies at rest would starve the
//! others, and an honest origin would look dead. So a connection has places for a fixed number of
//! bodies, and a window large enough for all of them; who finds no place gets another connection,
//! whichever windows the bodies belong to.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, redirect, retry};

use crate::protocol::Protocol;

/// Bodies on one HTTP/2 connection: as many as origins must be expected to allow (RFC 9113, 6.5.2,
/// recommends no fewer than 100), for one more would wait unseen.
const PLACES: usize = 100;

/// What clients are made of.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) protocol: Protocol,
    /// Flow control window of an HTTP/2 stream.
    pub(crate) window: u32,
    pub(crate) connect_timeout: Duration,
    pub(crate) redirects_max: u32,
    pub(crate) compressed: bool,
    pub(crate) authorities: Vec<Certificate>,
}

/// The connections of a client.
#[derive(Debug)]
pub(crate) struct Pools {
    settings: Settings,
    proxies: Matcher,
    /// One connection to each HTTP/2 origin each; over HTTP/1.1 the first has them all.
    pools: Mutex<Vec<Pool>>,
}

#[derive(Clone, Debug)]
struct Pool {
    http: reqwest::Client,
    /// One handle of it is here, and one with each open body.
    places: Arc<()>,
}

/// A place for a body, given back by drop.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "it counts as long as it lives")] Arc<()>);

impl Pools {
    pub(crate) fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        let first = Pool::new(&settings)?;
        Ok(Self { settings, proxies: Matcher::from_system(), pools: Mutex::new(vec![first]) })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a proxy stands before this address.
    pub(crate) fn is_proxied(&self, url: &str) -> bool {
        url.parse().is_ok_and(|url| self.proxies.intercept(&url).is_some())
    }

    /// A client with a place for one more body.
    pub(crate) fn place(&self) -> (reqwest::Client, Place) {
        let mut pools = self.pools();
        let places = if self.settings.protocol == Protocol::Http1 { usize::MAX } else { PLACES };
        let free = pools.iter().find(|pool| Arc::strong_count(&pool.places) <= places).cloned();
        let pool = free.or_else(|| {
            // What built once builds again; if not, waiting in the first is better than failing.
            let another = Pool::new(&self.settings).ok()?;
            pools.push(another.clone());
            Some(another)
        });
        let pool = pool.unwrap_or_else(|| pools[0].clone());
        let taken = (pool.http, Place(pool.places));
        // Whoever is left without bodies goes, but for the first.
        let mut first = true;
        pools.retain(|pool| std::mem::take(&mut first) || Arc::strong_count(&pool.places) > 1);
        taken
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let connection_window = settings.window.saturating_mul(PLACES as u32 + 1).min(i32::MAX as u32);
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("narrows/", env!("CARGO_PKG_VERSION")))
                // Followed, retried and timed in the core, or here by hand.
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .referer(false)
                .connect_timeout(settings.connect_timeout)
                .tcp_nodelay(true)
                // Soon, for a list may have thousands of hosts, and open files are few.
                .pool_idle_timeout(Duration::from_secs(2));
            match settings.protocol {
                Protocol::Http1 => return builder.http1_only(),
                Protocol::Http2 => builder,
                Protocol::Http2PriorKnowledge => builder.http2_prior_knowledge(),
            }
            .http2_initial_stream_window_size(settings.window)
            .http2_initial_connection_window_size(connection_window)
            .http2_max_header_list_size(16 << 10)
            .http2_keep_alive_interval(Duration::from_secs(20))
        };
        let authorities = || settings.authorities.clone();
        let http = match builder().tls_certs_merge(authorities()).build() {
            // A bare container has no certificates. Plain HTTP needs none, and HTTPS then trusts
            // nobody but the authorities given.
            Err(_) => builder().tls_certs_only(authorities()).build()?,
            Ok(built) => built,
        };
        Ok(Self { http, places: Arc::new(()) })
    }
}
