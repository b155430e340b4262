//! What went wrong in an exchange: its class, told by the types of its causes, and words without
//! secrets.
//!
//! Causes hide in each other in three ways: `source()`, what an `io::Error` wraps (whose `source()`
//! is that of the wrapped error, not the error itself), and the `io::Error` inside one of HTTP/2.
//! [`causes`] walks all three, so that a refusal of TLS is found however deep it lies.

use std::{error::Error as StdError, fmt, io, iter};

use hyper_util::client::legacy::connect::{HttpConnector, proxy::Tunnel};
use narrows_core::fetch::{FetchError, FetchErrorKind};
use tower_service::Service;

use crate::http2;

/// A tunnel through a proxy was refused. The type has no public name but this.
type TunnelError = <Tunnel<HttpConnector> as Service<http::Uri>>::Error;
/// A connection of TCP could not be made.
type ConnectError = <HttpConnector as Service<http::Uri>>::Error;

/// Why an exchange failed. Its text never has the address: that may hold secrets.
///
/// No example: it shows as the failure of a source.
#[derive(Debug)]
pub struct HttpError {
    kind: FetchErrorKind,
    text: String,
    /// Without its address.
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl HttpError {
    pub(crate) fn new(kind: FetchErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    /// Of the client's error; `proxied` says that a proxy stands before the origin.
    pub(crate) fn of(error: reqwest::Error, proxied: bool) -> Self {
        let error = error.without_url();
        let kind = classify(&error, proxied);
        let mut text = describe(&error);
        if kind == FetchErrorKind::Tls && wants_http2(&error) {
            text.push_str("; the origin may speak HTTP/2 only: allow it (Protocol::Http2, --http2)");
        }
        Self { kind, text, source: Some(Box::new(error)) }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for HttpError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl FetchError for HttpError {
    fn kind(&self) -> FetchErrorKind {
        self.kind
    }
}

type Cause<'a> = &'a (dyn StdError + 'static);

/// An error and all that lies behind it, outermost first.
fn causes(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    iter::successors(Some(error), |error| {
        let error: Cause<'_> = *error;
        if let Some(wrapped) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            return Some(wrapped as Cause<'_>);
        }
        http2::wrapped(error).or_else(|| error.source())
    })
}

fn find<T: StdError + 'static>(error: Cause<'_>) -> Option<&T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn has_io(error: Cause<'_>, kinds: &[io::ErrorKind]) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|io| kinds.contains(&io.kind()))
}

fn classify(error: &reqwest::Error, proxied: bool) -> FetchErrorKind {
    if error.is_builder() {
        return FetchErrorKind::BadUrl;
    }
    if find::<TunnelError>(error).is_some() || (proxied && find::<ConnectError>(error).is_some()) {
        return FetchErrorKind::Proxy;
    }
    if error.is_dns() {
        return FetchErrorKind::Dns;
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        // Once connected, a damaged record is the path's fault, an alert the origin's decision.
        let decided = error.is_connect() || matches!(tls, rustls::Error::AlertReceived(_));
        return if decided { FetchErrorKind::Tls } else { FetchErrorKind::Interrupted };
    }
    if error.is_connect() {
        let refused = has_io(error, &[io::ErrorKind::ConnectionRefused]);
        return if refused { FetchErrorKind::Refused } else { FetchErrorKind::Connect };
    }
    if let Some(class) = causes(error).find_map(http2::class) {
        return class;
    }
    if let Some(hyper) = find::<hyper::Error>(error) {
        if hyper.is_canceled() {
            return FetchErrorKind::Interrupted;
        }
        if causes(error).filter_map(|cause| cause.downcast_ref()).any(hyper::Error::is_parse) {
            return FetchErrorKind::Protocol;
        }
    }
    // hyper says of malformed chunks and trailers only that the input is invalid.
    match has_io(error, &[io::ErrorKind::InvalidInput, io::ErrorKind::InvalidData]) {
        true => FetchErrorKind::Protocol,
        false => FetchErrorKind::Interrupted,
    }
}

/// Whether the handshake failed for want of a common protocol.
fn wants_http2(error: Cause<'_>) -> bool {
    let alert = rustls::AlertDescription::NoApplicationProtocol;
    find::<rustls::Error>(error).is_some_and(|error| *error == rustls::Error::AlertReceived(alert))
}

/// Whether a body may have ended before its length, and nothing else was wrong.
pub(crate) fn is_cut(error: &reqwest::Error) -> bool {
    has_io(error, &[io::ErrorKind::UnexpectedEof]) || causes(error).any(http2::is_cut)
}

/// What the causes say, outermost first, each once, none that repeats what is behind it.
fn describe(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in causes(error).skip(1).map(ToString::to_string) {
        // An address may hold secrets, and an outer error often ends in the text of the inner one.
        if text.contains("://") || texts.iter().any(|told| told.contains(&text)) {
            continue;
        }
        texts.push(text);
    }
    match texts.is_empty() {
        true => error.to_string(),
        false => texts.join(": "),
    }
}
