//! One request up to the head of its answer.

use std::{
    borrow::Cow,
    cell::Cell,
    fmt,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use js_sys::Date;
use narrows_core::fetch::{ByteRange, FetchErrorKind, Head, Request, Response};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, RequestCache, RequestInit, RequestMode, RequestRedirect, ResponseType, Url};

use crate::{
    body::{AbortOnDrop, FetchedBody},
    error::BrowserError,
    host::{self, Page},
    shared::Shared,
};

/// An exchange up to the response's head. Dropping it aborts it.
pub struct Exchange {
    run: Pin<Box<dyn Future<Output = Result<Response<FetchedBody>, BrowserError>>>>,
    queued: Rc<Cell<bool>>,
}

impl Exchange {
    pub(crate) fn new(adapter: Rc<Shared>, request: Request) -> Self {
        let queued = Rc::new(Cell::new(false));
        Self { run: Box::pin(run(adapter, request, queued.clone())), queued }
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.queued.get()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("queued", &self.queued).finish_non_exhaustive()
    }
}

impl Future for Exchange {
    type Output = Result<Response<FetchedBody>, BrowserError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.run.as_mut().poll(cx)
    }
}

async fn run(
    adapter: Rc<Shared>,
    request: Request,
    queued: Rc<Cell<bool>>,
) -> Result<Response<FetchedBody>, BrowserError> {
    let target = Target::parse(&request, adapter.page.get_or_init(Page::own).as_ref())?;
    queued.set(true);
    let place = adapter.places(&target.origin).acquire_arc().await;
    queued.set(false);
    // An origin's first range may be the reason for an answer of no use.
    let plainer = request.range.filter(|range| range.start > 0);
    let (mut response, mut abort) = match ask(&adapter, &request, request.range, &target).await {
        Err(reason) => match refusal(&adapter, &target, &reason).await {
            Some(refusal) => return Err(refusal),
            // It may have been a passing fault, or the range: an origin may answer one with an
            // encoding that Chromium then refuses, older engines send a preflight for it, and an
            // empty blob has no first byte.
            None => {
                let again = ask(&adapter, &request, plainer, &target).await;
                again.map_err(|reason| if target.is_blob { unreachable(&reason) } else { blocked() })?
            }
        },
        Ok(answer) => answer,
    };
    let mut head = head(&response);
    if head.status == 206 && head.decoded {
        // A part of what is encoded was decoded as if it were the whole.
        drop(abort);
        if plainer.is_some() {
            let text = "the origin sends parts of a compressed form, which browsers cannot put together";
            return Err(BrowserError::new(FetchErrorKind::Protocol, text));
        }
        (response, abort) = ask(&adapter, &request, None, &target).await.map_err(|reason| unreachable(&reason))?;
        head = self::head(&response);
    }
    if response.type_() == ResponseType::Opaqueredirect {
        let text = "the origin redirects, and headers that were given for it would go along; ask the target itself";
        return Err(BrowserError::new(FetchErrorKind::Redirect, text));
    }
    let body = FetchedBody::new(response.body(), adapter.buffers.clone(), abort, place);
    Ok(Response { head, body })
}

/// Where a request goes, and what its address says besides.
struct Target {
    url: String,
    origin: String,
    /// `Authorization`, from a user and password in the address, with which `fetch()` refuses it.
    authorization: Option<String>,
    is_own_origin: bool,
    is_blob: bool,
    is_mixed: bool,
}

impl Target {
    fn parse(request: &Request, page: Option<&Page>) -> Result<Self, BrowserError> {
        let bad = |text: &str| BrowserError::new(FetchErrorKind::BadUrl, text);
        let relative = || Url::new_with_base(&request.url, &host::location()?).ok();
        let url = Url::new(&request.url).ok().or_else(relative).ok_or_else(|| bad("the address is malformed"))?;
        if !matches!(url.protocol().as_str(), "http:" | "https:" | "blob:") {
            // Not named: in an address without one, it is what stands before the password.
            return Err(bad("the scheme is not http, https or blob"));
        }
        let authorization = match url.username().is_empty() && url.password().is_empty() {
            true => None,
            false => {
                let decoded = |text: String| host::percent_decode(&text).unwrap_or(text);
                let pair = format!("{}:{}", decoded(url.username()), decoded(url.password()));
                // `btoa` takes Latin-1; bytes of UTF-8 are (RFC 7617, 2.1).
                let bytes: String = pair.bytes().map(char::from).collect();
                let encoded = host::base64(&bytes).map_err(|_| bad("user and password cannot be encoded"))?;
                url.set_username("");
                url.set_password("");
                Some(format!("Basic {encoded}"))
            }
        };
        let is_secure = |url: &Url| url.protocol() != "http:" || is_loopback(&url.hostname());
        Ok(Self {
            url: url.href(),
            origin: url.origin(),
            is_blob: url.protocol() == "blob:",
            authorization,
            is_own_origin: page.is_none_or(|page| page.origin == url.origin()),
            is_mixed: page.is_some_and(|page| page.is_https && !is_secure(&url)),
        })
    }
}

fn blocked() -> BrowserError {
    let text = "the origin answers, and the browser keeps the answer from this page: the origin must send \
                Access-Control-Allow-Origin (CORS), also where it redirects to";
    BrowserError::new(FetchErrorKind::Blocked, text)
}

fn unreachable(reason: &JsValue) -> BrowserError {
    BrowserError::new(FetchErrorKind::Connect, host::describe(reason))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "[::1]"
}

async fn ask(
    adapter: &Shared,
    request: &Request,
    range: Option<ByteRange>,
    target: &Target,
) -> Result<(web_sys::Response, AbortOnDrop), JsValue> {
    let controller = AbortController::new()?;
    let init = RequestInit::new();
    init.set_signal(Some(&controller.signal()));
    init.set_cache(adapter.options.cache);
    init.set_credentials(adapter.options.credentials);
    let headers = Headers::new()?;
    for (name, value) in request.headers.iter() {
        headers.append(name, value)?;
    }
    if let Some(authorization) = &target.authorization {
        headers.set("authorization", authorization)?;
    }
    if !request.headers.is_empty() || target.authorization.is_some() {
        // Headers of one's own would follow to wherever the origin redirects.
        init.set_redirect(RequestRedirect::Manual);
    }
    if let Some(ByteRange { start, end }) = range {
        // In this form no preflight is needed. `If-Range` would need one, so it is left out: the
        // answer's validator is compared in any case.
        let end = end.map_or(String::new(), |end| end.saturating_sub(1).to_string());
        headers.set("range", &format!("bytes={start}-{end}"))?;
    }
    init.set_headers(&headers);
    let abort = AbortOnDrop::new(controller);
    let response = JsFuture::from(host::fetch(&target.url, &init)?).await?;
    Ok((response.dyn_into()?, abort))
}

/// `fetch()` says the same of a dead network and of a refusal by CORS. A request whose answer
/// nobody may read tells whether the origin is there; if so, `None`.
async fn refusal(adapter: &Shared, target: &Target, reason: &JsValue) -> Option<BrowserError> {
    if target.is_mixed {
        let text = "a page loaded over https may not load from http: give an https address";
        return Some(BrowserError::new(FetchErrorKind::Blocked, text));
    }
    if target.is_blob {
        return None;
    }
    if target.is_own_origin {
        return Some(unreachable(reason));
    }
    if host::is_offline() {
        return Some(BrowserError::new(FetchErrorKind::Connect, "the browser is offline"));
    }
    let init = RequestInit::new();
    init.set_method("HEAD");
    init.set_mode(RequestMode::NoCors);
    init.set_cache(RequestCache::NoStore);
    init.set_credentials(adapter.options.credentials);
    let abort = AbortController::new().ok()?;
    init.set_signal(Some(&abort.signal()));
    let _abort = AbortOnDrop::new(abort);
    let Ok(probe) = host::fetch(&target.url, &init) else { return Some(unreachable(reason)) };
    let failed = JsFuture::from(probe).await.is_err();
    failed.then(|| match host::is_isolated() {
        // Such a page sees no answer that has not agreed to it, so the probe proves nothing.
        true => BrowserError::new(
            FetchErrorKind::Connect,
            format!("{}; or the origin does not let this page read it (CORS)", host::describe(reason)),
        ),
        false => unreachable(reason),
    })
}

fn head(response: &web_sys::Response) -> Head {
    let headers = response.headers();
    let header = |name: &str| headers.get(name).ok().flatten().map(Cow::from);
    let mut head = Head::parse(response.status(), header, until).decoded_by_platform();
    head.hidden = response.type_() == ResponseType::Cors;
    head
}

/// The time from now until a date of HTTP.
fn until(date: &str) -> Option<Duration> {
    let left = Date::parse(date) - Date::now();
    // Not a date: not a number.
    (!left.is_nan()).then(|| Duration::from_millis(left.max(0.0) as u64))
}
