//! The adapter to HTTP: its settings, and what it promises of memory.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use narrows_core::{
    Fetch,
    fetch::{Profile, Request},
    setters,
};
use reqwest::Certificate;

use crate::{
    error::HttpError,
    exchange::{Exchange, HttpBody},
    pools::{Pools, Settings},
    protocol::Protocol,
};

/// Longest read of hyper's HTTP/1 connections, in bytes: 8 KiB and a hundred pages.
const READ_MAX: u64 = 8192 + 4096 * 100;

/// What an open exchange of HTTP/1.1 holds at most: one read in hand and one behind it. TLS adds a
/// record or two. What waits in the kernel is the kernel's.
const EXCHANGE_BYTES: u64 = 2 * READ_MAX + TLS_BYTES;

/// TLS records between the socket and the reader.
const TLS_BYTES: u64 = 64 << 10;

/// Settings of a [`Client`].
///
/// ```
/// use narrows_native::{ClientOptions, Protocol};
///
/// let options = ClientOptions::new().protocol(Protocol::Http2).http2_window(8 << 20);
/// assert_eq!(options.http2_window, 8 << 20);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Which versions of HTTP are spoken. Default: HTTP/1.1.
    pub protocol: Protocol,
    /// Flow control window of an HTTP/2 stream in bytes, reserved for every transfer. A transfer
    /// gets at most so much a round trip. Default 4 MiB; HTTP/1.1 has no need of it.
    pub http2_window: u32,
    /// Longest wait for a connection. Default 10 s.
    pub connect_timeout: Duration,
    /// Most redirects that are followed. Default 10.
    pub redirects_max: u32,
    /// Whether to ask for gzip as `Content-Encoding`. By default bytes are asked for as they are.
    pub compressed: bool,
    /// Certificates of further authorities, PEM.
    pub authorities: Vec<u8>,
    /// What the client calls itself. Default `narrows/` and its version.
    pub user_agent: Option<String>,
    /// Whether any certificate will do: whoever is on the way can then read and change everything. Default `false`.
    pub accepts_any_certificate: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            protocol: Protocol::default(),
            http2_window: 4 << 20,
            connect_timeout: Duration::from_secs(10),
            redirects_max: 10,
            compressed: false,
            authorities: Vec::new(),
            user_agent: None,
            accepts_any_certificate: false,
        }
    }
}

impl ClientOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        protocol: [Protocol],
        http2_window: [u32],
        connect_timeout: [Duration],
        redirects_max: [u32],
        compressed: [bool],
        authorities: [into Vec<u8>],
        user_agent: [into Option<String>],
        accepts_any_certificate: [bool],
    }
}

/// Reaches origins over HTTP, through the proxies that the environment names (`HTTP_PROXY`,
/// `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`). TLS is rustls with the platform's certificates. Clones
/// share their connections; any number of windows may share a client.
///
/// A source's headers and the user and password of its address go to its own origin (scheme,
/// host and port) and follow no redirect to another. A redirect from HTTPS to HTTP is refused.
///
/// ```
/// use narrows_native::{Client, ClientOptions};
///
/// let client = Client::new(ClientOptions::new().redirects_max(3))?;
/// # Ok::<_, narrows_native::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    pools: Arc<Pools>,
}

impl Client {
    /// A client with these settings.
    ///
    /// It makes ring rustls's provider for the process if there is none yet (feature `ring`).
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the certificates given are malformed, or if the process has no provider
    /// of cryptography and the feature `ring` is off.
    pub fn new(options: ClientOptions) -> Result<Self, BuildError> {
        #[cfg(feature = "ring")]
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // It fails only if another thread has just done the same.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        #[cfg(not(feature = "ring"))]
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(BuildError(None)); // reqwest would panic
        }
        let authorities = Certificate::from_pem_bundle(&options.authorities).map_err(BuildError::of)?;
        let settings = Settings {
            protocol: options.protocol,
            window: options.http2_window.clamp(64 << 10, 64 << 20),
            connect_timeout: options.connect_timeout,
            redirects_max: options.redirects_max,
            compressed: options.compressed,
            authorities,
            user_agent: options.user_agent,
            accepts_any_certificate: options.accepts_any_certificate,
        };
        Ok(Self { pools: Arc::new(Pools::new(settings).map_err(BuildError::of)?) })
    }
}

impl Fetch for Client {
    type Error = HttpError;
    type Body = HttpBody;
    type Future = Exchange;

    fn profile(&self) -> Profile {
        let settings = self.pools.settings();
        let exchange_bytes = match settings.protocol {
            Protocol::Http1 => EXCHANGE_BYTES,
            // A stream's window in flight or in hand; where the origin has no HTTP/2, the other.
            #[cfg(feature = "http2")]
            _ => EXCHANGE_BYTES.max(u64::from(settings.window) + TLS_BYTES),
        };
        Profile { holds_back: true, exchange_bytes }
    }

    fn fetch(&self, request: Request) -> Exchange {
        Exchange::new(self.pools.clone(), request)
    }
}

/// A client could not be made.
///
/// ```
/// use narrows_native::{Client, ClientOptions};
///
/// let pem = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
/// assert!(Client::new(ClientOptions::new().authorities(pem)).is_err());
/// ```
pub struct BuildError(Option<reqwest::Error>);

impl BuildError {
    fn of(error: reqwest::Error) -> Self {
        Self(Some(error))
    }
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BuildError").field(&self.0.as_ref().map(ToString::to_string)).finish()
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "the HTTP client could not be set up; are the certificates PEM?",
            None => "rustls has no provider of cryptography: install one, or use the feature `ring`",
        })
    }
}

impl StdError for BuildError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.as_ref().map(|error| error as _)
    }
}
