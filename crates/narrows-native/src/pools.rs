//! The HTTP clients behind a [`Client`](crate::Client), each with connections of its own: over HTTP/2,
//! a client has one connection to an origin, with places for a hundred bodies and a flow control
//! window for all of them. Who finds no place gets another client (see `narrows_core::places`).

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper_util::client::proxy::matcher::Matcher;
use narrows_core::places::{Place, Places};
use reqwest::{Certificate, redirect, retry};

use crate::protocol::Protocol;

/// Bodies on one HTTP/2 connection: as many as origins must be expected to allow (RFC 9113, 6.5.2,
/// recommends no fewer than 100), for one more would wait unseen.
const PLACES: usize = 100;

/// Header fields of an answer; a head has no more than 8 KiB at first, and 400 KiB at most.
const HEADERS_MAX: usize = 512;

/// What clients are made of.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) protocol: Protocol,
    /// Flow control window of an HTTP/2 stream.
    #[cfg_attr(not(feature = "http2"), expect(dead_code, reason = "nothing speaks HTTP/2"))]
    pub(crate) window: u32,
    pub(crate) connect_timeout: Duration,
    pub(crate) redirects_max: u32,
    pub(crate) compressed: bool,
    pub(crate) authorities: Vec<Certificate>,
    pub(crate) user_agent: Option<String>,
    pub(crate) accepts_any_certificate: bool,
}

/// The connections of a client.
#[derive(Debug)]
pub(crate) struct Pools {
    settings: Settings,
    proxies: Matcher,
    /// Over HTTP/1.1 the first has all bodies.
    clients: Mutex<Places<reqwest::Client>>,
}

impl Pools {
    pub(crate) fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        let places = if settings.protocol == Protocol::Http1 { usize::MAX } else { PLACES };
        let clients = Mutex::new(Places::new(build(&settings)?, places));
        Ok(Self { settings, proxies: Matcher::from_system(), clients })
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
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.take(|| build(&self.settings).ok()) // what built once builds again
    }
}

fn build(settings: &Settings) -> Result<reqwest::Client, reqwest::Error> {
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(settings.user_agent.as_deref().unwrap_or(concat!("narrows/", env!("CARGO_PKG_VERSION"))))
            .tls_danger_accept_invalid_certs(settings.accepts_any_certificate)
            // Followed, retried and timed in the core, or here by hand.
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .tcp_nodelay(true)
            // What honest servers send and no new one should (RFC 9112, 5.2).
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_max_headers(HEADERS_MAX)
            // Soon, for a list may have thousands of hosts, and open files are few.
            .pool_idle_timeout(Duration::from_secs(2));
        match settings.protocol {
            Protocol::Http1 => builder.http1_only(),
            #[cfg(feature = "http2")]
            Protocol::Http2 => with_windows(builder, settings.window),
            #[cfg(feature = "http2")]
            Protocol::Http2PriorKnowledge => with_windows(builder, settings.window).http2_prior_knowledge(),
        }
    };
    let authorities = || settings.authorities.clone();
    match builder().tls_certs_merge(authorities()).build() {
        // A bare container has no certificates. Plain HTTP needs none, and HTTPS then trusts
        // nobody but the authorities given.
        Err(_) => builder().tls_certs_only(authorities()).build(),
        built => built,
    }
}

#[cfg(feature = "http2")]
fn with_windows(builder: reqwest::ClientBuilder, window: u32) -> reqwest::ClientBuilder {
    let connection_window = window.saturating_mul(PLACES as u32 + 1).min(i32::MAX as u32);
    builder
        .http2_initial_stream_window_size(window)
        .http2_initial_connection_window_size(connection_window)
        .http2_max_header_list_size(16 << 10)
        .http2_keep_alive_interval(Duration::from_secs(20))
}
