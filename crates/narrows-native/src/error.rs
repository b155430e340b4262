//! What went wrong in an exchange, in classes and in words without secrets.

use std::{error::Error as StdError, fmt};

use narrows_core::{FetchError, FetchErrorKind};

/// Why an exchange failed. Its text never has the address: that may hold secrets.
#[derive(Debug)]
pub struct HttpError {
    kind: FetchErrorKind,
    text: String,
}

impl HttpError {
    pub(crate) fn new(kind: FetchErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for HttpError {}

impl FetchError for HttpError {
    fn kind(&self) -> FetchErrorKind {
        self.kind
    }
}

impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let causes: Vec<&(dyn StdError + 'static)> =
            std::iter::successors(error.source(), |cause| (*cause).source()).collect();
        let tls = causes.iter().any(|cause| caused_by_tls(*cause));
        let kind = if error.is_builder() {
            FetchErrorKind::BadUrl
        } else if tls {
            FetchErrorKind::Tls
        } else if error.is_connect() {
            FetchErrorKind::Connect
        } else if causes.iter().any(|cause| is_malformed(&cause.to_string())) {
            FetchErrorKind::Protocol
        } else {
            FetchErrorKind::Interrupted
        };
        // The outer errors only say where; the innermost says what.
        let text = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
        Self { kind, text }
    }
}

/// Whether an answer cannot be read, as hyper puts it.
fn is_malformed(text: &str) -> bool {
    let invalid = text.starts_with("invalid ") && text.ends_with("parsed");
    invalid || text == "message head is too large"
}

/// Whether the origin's certificate or protocol was refused, rather than the connection lost.
fn caused_by_tls(cause: &(dyn StdError + 'static)) -> bool {
    // An `io::Error` wraps the error of the TLS connection without being caused by it.
    let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>())
}
