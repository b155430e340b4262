//! Sources, pulled one at a time from JavaScript.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::Stream;
use js_sys::{Array, Function, Object, Promise, Reflect};
use narrows_core::{Source, parse_hex, source::BadLine};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// A stream over what a function gives: promises of `{ url, key, size, md5, sha256, headers }`, or of
/// `undefined` at the end.
pub(crate) struct Pulled {
    pull: Function,
    pulling: Option<JsFuture>,
    ended: bool,
}

impl Pulled {
    pub(crate) fn new(pull: Function) -> Self {
        Self { pull, pulling: None, ended: false }
    }
}

impl Stream for Pulled {
    type Item = Result<Source, BadLine>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.pulling.is_none() {
            let promise = self.pull.call0(&JsValue::UNDEFINED).and_then(|promise| promise.dyn_into::<Promise>());
            self.pulling = promise.ok().map(JsFuture::from);
        }
        let pulled = match &mut self.pulling {
            Some(pulling) => ready!(Pin::new(pulling).poll(cx)),
            None => Ok(JsValue::UNDEFINED),
        };
        self.pulling = None;
        // The function keeps its own errors for the consumer; to the window the list just ends.
        let source = pulled.ok().filter(JsValue::is_object).map(|source| read(&source));
        self.ended = source.is_none();
        Poll::Ready(source)
    }
}

/// A malformed source fails with its reason when its turn comes, so that none vanishes.
fn read(value: &JsValue) -> Result<Source, BadLine> {
    let get = |name: &str| Reflect::get(value, &name.into()).unwrap_or(JsValue::UNDEFINED);
    let url: Arc<str> = get("url").as_string().unwrap_or_default().into();
    let mut source = Source::new(url.clone());
    source.key = get("key").as_string().map(Into::into);
    let mut reason = None;
    let size = get("size");
    match size.as_f64() {
        Some(bytes) if bytes >= 0.0 && bytes.fract() == 0.0 => source.size = Some(bytes as u64),
        None if size.is_undefined() || size.is_null() => {}
        _ => reason = Some("the size is not a number of bytes"),
    }
    match hex(&get("md5")) {
        Ok(md5) => source.md5 = md5,
        Err(()) => reason = Some("the MD5 is not 32 hexadecimal digits"),
    }
    match hex(&get("sha256")) {
        Ok(sha256) => source.sha256 = sha256,
        Err(()) => reason = Some("the SHA-256 is not 64 hexadecimal digits"),
    }
    if let Some(headers) = get("headers").dyn_ref::<Object>() {
        let pair = |pair: JsValue| {
            let pair: Array = pair.dyn_into().ok()?;
            Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
        };
        match Object::entries(headers).iter().map(pair).collect::<Option<Vec<_>>>() {
            Some(headers) => source.headers = headers.into(),
            None => reason = Some("the headers are not strings"),
        }
    }
    reason.map_or(Ok(source), |reason| Err(BadLine::new(&url, reason)))
}

fn hex<const N: usize>(value: &JsValue) -> Result<Option<[u8; N]>, ()> {
    match value.as_string() {
        Some(text) => parse_hex(&text).map(Some).ok_or(()),
        None if value.is_undefined() || value.is_null() => Ok(None),
        None => Err(()),
    }
}
