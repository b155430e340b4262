//! Errors as plain objects: `{ code, message, … }`. JavaScript makes `Error`s of them.

use narrows_core::{Failure, FailureKind, OptionsError};
use serde::Serialize;
use wasm_bindgen::JsValue;

/// What is thrown.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Thrown<'a> {
    code: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    retryable: bool,
    attempts: u32,
    /// Those thrown away included.
    bytes_received: f64,
    bytes_accepted: f64,
    /// Bytes that would be needed, where memory is what lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<f64>,
}

impl Thrown<'_> {
    fn into_js(self) -> JsValue {
        // A struct of strings and numbers always becomes an object.
        serde_wasm_bindgen::to_value(&self).unwrap_or(JsValue::UNDEFINED)
    }
}

/// Options or arguments that cannot work.
pub(crate) fn invalid(message: impl Into<String>) -> JsValue {
    let message = message.into();
    Thrown { code: "options", message, ..Thrown::default() }.into_js()
}

pub(crate) fn options(error: &OptionsError) -> JsValue {
    let message = error.to_string();
    match error {
        OptionsError::Budget(budget) => {
            let needed = Some(budget.needed as f64);
            Thrown { code: "budget_too_small", message, needed, ..Thrown::default() }.into_js()
        }
        _ => invalid(message),
    }
}

pub(crate) fn failure(failure: &Failure) -> JsValue {
    let (status, needed) = match failure.kind {
        FailureKind::Status(status) => (Some(status), None),
        FailureKind::NeedsRanges { bytes: needed } | FailureKind::TooBigToCollect { needed, .. } => (None, needed),
        _ => (None, None),
    };
    Thrown {
        code: failure.kind.code(),
        message: failure.to_string(),
        url: Some(failure.url.clone()),
        status,
        retryable: failure.retryable(),
        attempts: failure.attempts,
        bytes_received: failure.bytes_received as f64,
        bytes_accepted: failure.bytes_accepted as f64,
        needed: needed.map(|bytes| bytes as f64),
    }
    .into_js()
}

/// The file was closed while somebody waited for it.
pub(crate) fn closed(url: &str) -> JsValue {
    let message = format!("{url}: the file was closed before its end");
    Thrown { code: "cancelled", message, url: Some(url.to_owned()), ..Thrown::default() }.into_js()
}
