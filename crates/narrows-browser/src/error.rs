//! What went wrong in an exchange.

use std::{error::Error as StdError, fmt};

use narrows_core::fetch::{FetchError, FetchErrorKind};
use wasm_bindgen::JsValue;

use crate::host;

/// Why an exchange failed, without the address: that may hold secrets.
#[derive(Debug)]
pub struct BrowserError {
    kind: FetchErrorKind,
    text: String,
}

impl BrowserError {
    pub(crate) fn new(kind: FetchErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(crate) fn interrupted(reason: &JsValue) -> Self {
        Self::new(FetchErrorKind::Interrupted, host::describe(reason))
    }
}

impl fmt::Display for BrowserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for BrowserError {}

impl FetchError for BrowserError {
    fn kind(&self) -> FetchErrorKind {
        self.kind
    }
}
