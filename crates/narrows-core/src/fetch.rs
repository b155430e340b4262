//! The seam to the network: one request, one streaming response.

use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;

/// Exchanges one request for one streaming response.
///
/// It has no `Send` bound: a [`Window`](crate::Window) is `Send` exactly when the associated
/// types are. Dropping the future or the body aborts the exchange and frees what it holds.
///
/// An adapter reports what the origin said and judges none of it: every status is a response,
/// a short body is just a body that ends. What is retried is decided in one place, in the core.
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
#[derive(Clone, Debug, Eq, PartialEq)]
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

/// A part of a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// One past the last byte, or up to the end.
    pub end: Option<u64>,
}

/// The head of an answer, and its body.
#[derive(Debug)]
pub struct Response<B> {
    /// What the headers say.
    pub head: Head,
    /// What follows.
    pub body: B,
}

/// The headers that matter here, parsed and not judged.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Head {
    /// HTTP status after redirects.
    pub status: u16,
    /// `Content-Length`: bytes of this body.
    pub length: Option<u64>,
    /// `Content-Range`: the part this body is.
    pub range: Option<ContentRange>,
    /// `ETag`, quotes and weakness mark included.
    pub etag: Option<Box<str>>,
    /// `Last-Modified` as it was sent. It vouches for nothing, for a file may change twice in a
    /// second, but another one tells another version.
    pub modified: Option<Box<str>>,
    /// Whether `Accept-Ranges: bytes` was sent.
    pub accepts_ranges: bool,
    /// `Retry-After` as a duration from now.
    pub retry_after: Option<Duration>,
    /// `Content-Encoding`, where it is not `identity` and the platform has not decoded it.
    pub encoding: Option<Box<str>>,
    /// Whether there was a `Content-Encoding` that the platform has decoded.
    pub decoded: bool,
    /// Whether the platform may keep headers to itself (CORS), so that the absence of one proves
    /// nothing. The status, `Content-Length` and `Last-Modified` are always shown.
    pub hidden: bool,
}

/// Whether a coding is gzip, the one that every server and every archive of logs may have applied.
pub(crate) fn is_gzip(encoding: &str) -> bool {
    encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip")
}

/// `Content-Range: bytes start-last/total` (RFC 9110, 14.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentRange {
    /// First byte and one past the last, or `None` in the unsatisfied form `bytes */total`.
    pub part: Option<(u64, u64)>,
    /// Length of the whole, unless `*`.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Parses a header's value; `None` if it is malformed.
    pub fn parse(value: &str) -> Option<Self> {
        let (part, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
        let total = if total == "*" { None } else { Some(number(total)?) };
        if part == "*" {
            return Some(Self { part: None, total });
        }
        let (first, last) = part.split_once('-')?;
        let (start, end) = (number(first)?, number(last)?.checked_add(1)?);
        (start < end && total.is_none_or(|total| end <= total)).then_some(Self { part: Some((start, end)), total })
    }
}

/// Digits only: `u64::from_str` would take a plus sign.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// A body as it arrives.
pub trait Body {
    /// Why it broke off.
    type Error;

    /// The next bytes; `None` at the end of the body, whether or not it was complete.
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>>;
}

/// An adapter's error.
pub trait FetchError: StdError + 'static {
    /// What class of failure it is; decides whether it is retried.
    fn kind(&self) -> FetchErrorKind;
}

/// Classes of failure of an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// No connection: refused, unreachable, name not found, timed out. Retried.
    Connect,
    /// The exchange broke off. Retried.
    Interrupted,
    /// The origin's certificate or protocol was refused. Not retried.
    Tls,
    /// The address is malformed or of an unknown scheme. Not retried.
    BadUrl,
    /// Redirected too often, or to where it must not go. Not retried.
    Redirect,
    /// The platform refuses the exchange (CORS, mixed content). Not retried.
    Blocked,
    /// The answer is no HTTP, or over a limit of the adapter. Not retried.
    Protocol,
}

impl fmt::Display for FetchErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Interrupted => "the connection broke off",
            Self::Tls => "TLS was refused",
            Self::BadUrl => "the address is not valid",
            Self::Redirect => "redirects were refused",
            Self::Blocked => "the platform refuses the request",
            Self::Protocol => "the answer is not valid HTTP",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_parsed_strictly() {
        let parse = ContentRange::parse;
        assert_eq!(parse("bytes 0-0/1"), Some(ContentRange { part: Some((0, 1)), total: Some(1) }));
        assert_eq!(parse("bytes 5-9/*"), Some(ContentRange { part: Some((5, 10)), total: None }));
        assert_eq!(parse("bytes */7"), Some(ContentRange { part: None, total: Some(7) }));
        for bad in [
            "",
            "bytes",
            "bytes 5-4/9",
            "bytes 0-9/9",
            "bytes -5/9",
            "bytes +1-2/9",
            "items 0-1/2",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
