//! The few globals of pages, workers and Node that are used by name, so that none of the three
//! need be known.

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use web_sys::{RequestInit, Url};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    pub(crate) fn performance_now() -> f64;

    #[wasm_bindgen(js_name = setTimeout)]
    pub(crate) fn set_timeout(callback: &Function, delay: i32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    pub(crate) fn clear_timeout(id: &JsValue);

    #[wasm_bindgen(catch, js_name = fetch)]
    pub(crate) fn fetch(url: &str, init: &RequestInit) -> Result<Promise, JsValue>;

    /// The platform's Web Locks; web-sys counts them among what may still change.
    #[derive(Clone, Debug)]
    pub(crate) type Locks;

    #[wasm_bindgen(method)]
    pub(crate) fn request(this: &Locks, name: &str, callback: &JsValue) -> Promise;

    #[wasm_bindgen(method, js_name = request)]
    pub(crate) fn request_with(this: &Locks, name: &str, options: &Object, callback: &JsValue) -> Promise;

    /// What a stream's reader gives.
    pub(crate) type ReadResult;

    #[wasm_bindgen(method, getter, catch)]
    pub(crate) fn value(this: &ReadResult) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, getter, catch)]
    pub(crate) fn done(this: &ReadResult) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = btoa)]
    pub(crate) fn base64(bytes: &str) -> Result<String, JsValue>;

    #[wasm_bindgen(catch, js_name = decodeURIComponent)]
    pub(crate) fn percent_decode(text: &str) -> Result<String, JsValue>;
}

/// A property of an object, or `undefined`.
pub(crate) fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// The address of the page or of the worker's script; Node has none.
pub(crate) fn location() -> Option<String> {
    get(&get(&js_sys::global(), "location"), "href").as_string()
}

/// Whose page this is.
pub(crate) struct Page {
    pub(crate) origin: String,
    pub(crate) is_https: bool,
}

impl Page {
    /// The page's, or that of the worker's script; Node has none.
    pub(crate) fn own() -> Option<Self> {
        let url = Url::new(&location()?).ok()?;
        Some(Self { origin: url.origin(), is_https: url.protocol() == "https:" })
    }
}

/// Whether the platform knows that it has no network.
pub(crate) fn is_offline() -> bool {
    get(&get(&js_sys::global(), "navigator"), "onLine") == JsValue::FALSE
}

/// Whether the page is cross-origin isolated.
pub(crate) fn is_isolated() -> bool {
    get(&js_sys::global(), "crossOriginIsolated") == JsValue::TRUE
}

/// What a rejected promise says, whatever it was rejected with. Texts with addresses in them are
/// left out: those may hold secrets.
pub(crate) fn describe(reason: &JsValue) -> String {
    let message = match reason.dyn_ref::<js_sys::Error>() {
        Some(error) => error.message().as_string(),
        None => reason.as_string(),
    };
    message.filter(|text| !text.contains("//")).unwrap_or_else(|| "the platform gives no reason".into())
}
