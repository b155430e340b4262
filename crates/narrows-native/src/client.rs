//! The adapter to HTTP: a connection pool with limits, and what it promises of memory.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use narrows_core::{Fetch, Profile, Request};
use reqwest::{Certificate, redirect, retry};

use crate::exchange::{Exchange, HttpBody};

/// Flow control window of an HTTP/2 stream, in bytes.
const STREAM_WINDOW: u32 = 256 << 10;

/// Longest read of hyper's HTTP/1 connections, in bytes: 8 KiB and a hundred pages.
const READ_MAX: u64 = 8192 + 4096 * 100;

/// What an open exchange holds at most: on HTTP/1, one read in hand and one behind it; on HTTP/2,
/// a stream's window in flight and as much in hand, which is less. TLS adds a record or two.
const EXCHANGE_BYTES: u64 = 2 * READ_MAX + (64 << 10);

/// Settings of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Most exchanges that will be open at once; sizes the HTTP/2 connection window, so that
    /// bodies at rest never block the others, and the pool. Default 10.
    pub limit: usize,
    /// Longest wait for a connection. Default 10 s.
    pub connect_timeout: Duration,
    /// Most redirects that are followed. Default 10.
    pub redirects_max: u32,
    /// Whether to ask for gzip as `Content-Encoding`. By default bytes are asked for as they are.
    pub compressed: bool,
    /// Certificates of further authorities, PEM.
    pub authorities: Vec<u8>,
    /// Whether to speak HTTP/2 over plain connections, which the origin must know.
    pub http2_prior_knowledge: bool,
    /// Whether to speak HTTP/1.1 only.
    pub http1_only: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            limit: 10,
            connect_timeout: Duration::from_secs(10),
            redirects_max: 10,
            compressed: false,
            authorities: Vec::new(),
            http2_prior_knowledge: false,
            http1_only: false,
        }
    }
}

/// Reaches origins over HTTP/1.1 and HTTP/2, through the proxies that the environment names
/// (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`). TLS is rustls with the platform's
/// certificates. Clones share the pool.
///
/// A source's headers and the user and password of its address go to its own origin (scheme,
/// host and port) and follow no redirect to another. A redirect from HTTPS to HTTP is refused.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) redirects_max: u32,
    pub(crate) compressed: bool,
}

impl Client {
    /// A client with these settings.
    ///
    /// It makes ring rustls's provider for the process if there is none yet.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the certificates given are malformed.
    pub fn new(options: ClientOptions) -> Result<Self, BuildError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // It fails only if another thread has just done the same.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let authorities = Certificate::from_pem_bundle(&options.authorities).map_err(BuildError)?;
        let streams = u32::try_from(options.limit.saturating_add(1)).unwrap_or(u32::MAX);
        let connection_window = STREAM_WINDOW.saturating_mul(streams).min(i32::MAX as u32);
        let builder = || {
            let mut builder = reqwest::Client::builder()
                .user_agent(concat!("narrows/", env!("CARGO_PKG_VERSION")))
                // Followed, retried and timed in the core, or here by hand.
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .referer(false)
                .connect_timeout(options.connect_timeout)
                .tcp_nodelay(true)
                .pool_max_idle_per_host(options.limit)
                // Soon, for a list may have thousands of hosts, and open files are few.
                .pool_idle_timeout(Duration::from_secs(2))
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(connection_window)
                .http2_keep_alive_interval(Duration::from_secs(20));
            if options.http2_prior_knowledge {
                builder = builder.http2_prior_knowledge();
            }
            if options.http1_only {
                builder = builder.http1_only();
            }
            builder
        };
        let http = match builder().tls_certs_merge(authorities.clone()).build() {
            // A bare container has no certificates. Plain HTTP needs none, and HTTPS then trusts
            // nobody but the authorities given.
            Err(_) => builder().tls_certs_only(authorities).build(),
            built => built,
        };
        let (redirects_max, compressed) = (options.redirects_max, options.compressed);
        Ok(Self { inner: Arc::new(Inner { http: http.map_err(BuildError)?, redirects_max, compressed }) })
    }
}

impl Fetch for Client {
    type Error = crate::HttpError;
    type Body = HttpBody;
    type Future = Exchange;

    fn profile(&self) -> Profile {
        Profile { holds_back: true, exchange_bytes: EXCHANGE_BYTES }
    }

    fn fetch(&self, request: Request) -> Exchange {
        Exchange::new(self.inner.clone(), request)
    }
}

/// A client could not be made.
#[derive(Debug)]
pub struct BuildError(reqwest::Error);

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the HTTP client could not be set up; are the certificates PEM?")
    }
}

impl StdError for BuildError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}
