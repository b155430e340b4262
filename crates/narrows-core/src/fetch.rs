//! The seam to the network: one request, one streaming response.

use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use crate::text::public_url;

pub use crate::head::{ContentRange, Head};

/// Exchanges one request for one streaming response.
///
/// It has no `Send` bound: a [`Window`](crate::Window) is `Send` exactly when the associated
/// types are. Dropping the future or the body aborts the exchange and frees what it holds.
///
/// An adapter reports what the origin said and judges none of it: every status is a response,
/// a short body is just a body that ends. What is retried is decided in one place, in the core.
///
/// ```
/// use narrows_core::{Fetch, fetch::{Profile, Request}, testing::MemoryFetch};
///
/// /// An adapter around another: it counts requests.
/// #[derive(Clone)]
/// struct Counting<F>(F, std::rc::Rc<std::cell::Cell<u32>>);
///
/// impl<F: Fetch> Fetch for Counting<F> {
///     type Error = F::Error;
///     type Body = F::Body;
///     type Future = F::Future;
///
///     fn profile(&self) -> Profile {
///         self.0.profile()
///     }
///
///     fn fetch(&self, request: Request) -> F::Future {
///         self.1.set(self.1.get() + 1);
///         self.0.fetch(request)
///     }
///
///     fn is_queued(&self, exchange: &F::Future) -> bool {
///         self.0.is_queued(exchange)
///     }
/// }
/// # let fetch = Counting(MemoryFetch::new(), Default::default());
/// # assert!(fetch.profile().holds_back);
/// ```
pub trait Fetch {
    /// Why an exchange failed.
    type Error: FetchError;
    /// The body as it arrives.
    type Body: Body<Error = Self::Error> + Unpin;
    /// The exchange up to the response's head.
    type Future: Future<Output = Result<Response<Self::Body>, Self::Error>> + Unpin;

    /// What holds for every exchange of this adapter.
    fn profile(&self) -> Profile;

    /// Begins an exchange; nothing happens until the future is polled.
    fn fetch(&self, request: Request) -> Self::Future;

    /// Whether an exchange still waits for a place of the adapter's own, so that the origin has
    /// not been asked yet: such time is not held against the origin.
    fn is_queued(&self, _exchange: &Self::Future) -> bool {
        false
    }
}

impl<F: Fetch> Fetch for &F {
    type Error = F::Error;
    type Body = F::Body;
    type Future = F::Future;

    fn profile(&self) -> Profile {
        (**self).profile()
    }

    fn fetch(&self, request: Request) -> Self::Future {
        (**self).fetch(request)
    }

    fn is_queued(&self, exchange: &Self::Future) -> bool {
        (**self).is_queued(exchange)
    }
}

impl<F: Fetch> Fetch for Arc<F> {
    type Error = F::Error;
    type Body = F::Body;
    type Future = F::Future;

    fn profile(&self) -> Profile {
        (**self).profile()
    }

    fn fetch(&self, request: Request) -> Self::Future {
        (**self).fetch(request)
    }

    fn is_queued(&self, exchange: &Self::Future) -> bool {
        (**self).is_queued(exchange)
    }
}

/// What an adapter can promise.
///
/// ```
/// use narrows_core::{Fetch, testing::MemoryFetch};
///
/// assert!(MemoryFetch::new().profile().holds_back && !MemoryFetch::new().drained().profile().holds_back);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Profile {
    /// Whether a body that is not polled makes the origin wait. Where it does not (Firefox and
    /// WebKit read a whole body whatever the reader does), large files are fetched in segments.
    pub holds_back: bool,
    /// Memory an open exchange may hold outside the core, in bytes, its current chunk included:
    /// read buffers, flow control windows. It is charged with every transfer.
    pub exchange_bytes: u64,
}

/// What to ask an origin for.
///
/// No example: a window makes it for an adapter.
#[derive(Clone, Eq, PartialEq)]
pub struct Request {
    /// The address.
    pub url: Arc<str>,
    /// Headers for the address's own origin; an adapter sends them to no other.
    pub headers: Arc<[(String, String)]>,
    /// The part wanted, or everything.
    pub range: Option<ByteRange>,
    /// `If-Range` (RFC 9110, 13.1.5): the strong validator the part must belong to. An adapter
    /// that cannot send it may leave it out; the answer's validator is checked in any case.
    pub if_range: Option<Arc<str>>,
}

/// Without secrets: the public address, and headers by name.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("url", &public_url(&self.url))
            .field("headers", &headers)
            .field("range", &self.range)
            .field("if_range", &self.if_range)
            .finish()
    }
}

/// A part of a resource.
///
/// ```
/// use narrows_core::fetch::ByteRange;
///
/// let first_kilobyte = ByteRange { start: 0, end: Some(1000) };
/// assert_eq!(first_kilobyte.end, Some(1000));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// One past the last byte, or up to the end.
    pub end: Option<u64>,
}

/// The head of an answer, and its body.
///
/// No example: an adapter makes it for a window.
#[derive(Debug)]
pub struct Response<B> {
    /// What the headers say.
    pub head: Head,
    /// What follows.
    pub body: B,
}

/// A body as it arrives.
///
/// No example: an adapter has its own.
pub trait Body {
    /// Why it broke off.
    type Error;

    /// The next bytes; `None` at the end of the body, whether or not it was complete.
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>>;
}

/// An adapter's error.
///
/// No example: an adapter has its own.
pub trait FetchError: StdError + 'static {
    /// What class of failure it is; decides whether it is retried.
    fn kind(&self) -> FetchErrorKind;
}

/// Classes of failure of an exchange.
///
/// ```
/// use narrows_core::fetch::FetchErrorKind;
///
/// assert_eq!(FetchErrorKind::Tls.code(), "tls");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// No connection, for a reason that has no class of its own: unreachable, timed out. Retried.
    Connect,
    /// The host's name was not found, or could not be looked up. Retried.
    Dns,
    /// The host refused the connection. Retried.
    Refused,
    /// The proxy could not be reached, or would not connect. Retried.
    Proxy,
    /// The exchange broke off: reset, or closed before its end. Retried.
    Interrupted,
    /// The origin's certificate or protocol was refused. Not retried.
    Tls,
    /// The address is malformed or of an unknown scheme. Not retried.
    BadUrl,
    /// Redirected too often, or to where it must not go. Not retried.
    Redirect,
    /// The platform refuses the exchange (CORS, mixed content). Not retried.
    Blocked,
    /// The answer breaks the protocol, or is over a limit of the adapter. Not retried.
    Protocol,
}

impl FetchErrorKind {
    /// A stable word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Proxy => "proxy",
            Self::Interrupted => "interrupted",
            Self::Tls => "tls",
            Self::BadUrl => "bad_url",
            Self::Redirect => "redirect",
            Self::Blocked => "blocked",
            Self::Protocol => "protocol",
        }
    }
}

impl fmt::Display for FetchErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Dns => "the host's name could not be looked up",
            Self::Refused => "the host refused the connection",
            Self::Proxy => "the proxy gave no connection",
            Self::Interrupted => "the connection broke off",
            Self::Tls => "TLS was refused",
            Self::BadUrl => "the address is not valid",
            Self::Redirect => "redirects were refused",
            Self::Blocked => "the platform refuses the request",
            Self::Protocol => "the answer breaks the protocol",
        })
    }
}
