//! One request, its redirects, and its body.

use std::{
    borrow::Cow,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body::Body as _;
use narrows_core::{
    fetch::{Body, ByteRange, FetchErrorKind, Head, Request, Response},
    places::Place,
};
use reqwest::{
    Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    error::{HttpError, is_cut},
    pools::{Pools, Settings},
};

/// An exchange up to the response's head.
///
/// No example: a window polls it.
pub struct Exchange(Pin<Box<dyn Future<Output = Result<Response<HttpBody>, HttpError>> + Send>>);

impl Exchange {
    pub(crate) fn new(pools: Arc<Pools>, request: Request) -> Self {
        Self(Box::pin(run(pools, request)))
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

impl Future for Exchange {
    type Output = Result<Response<HttpBody>, HttpError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

async fn run(pools: Arc<Pools>, request: Request) -> Result<Response<HttpBody>, HttpError> {
    let own = parse(&request.url)?;
    let mut url = own.clone();
    let mut followed = 0;
    let settings = pools.settings();
    let (client, place) = pools.place();
    loop {
        let is_own = url.origin() == own.origin();
        let headers = headers(settings, &request, if is_own { &request.headers } else { &[] })?;
        // The builder turns the address's user and password into a header; no redirect keeps them.
        let proxied = pools.is_proxied(url.as_str());
        let sent = client.get(url).headers(headers).send().await;
        let response = sent.map_err(|error| HttpError::of(error, proxied))?;
        if let Some(coding) = packed_transfer(&response) {
            let text = format!("the transfer encoding {coding:?} is not supported");
            return Err(HttpError::new(FetchErrorKind::Protocol, text));
        }
        let Some(location) = location(&response) else { return Ok(convert(response, place)) };
        let url_now = response.url();
        let target = url_now.join(&location).map_err(|_| redirect("a redirect to a malformed address"))?;
        if followed == settings.redirects_max {
            return Err(redirect(&format!("more than {followed} redirects")));
        }
        if url_now.scheme() == "https" && target.scheme() != "https" {
            return Err(redirect("a redirect from HTTPS to an unprotected address"));
        }
        if !matches!(target.scheme(), "http" | "https") {
            return Err(redirect("a redirect to an address that is not HTTP"));
        }
        url = target;
        followed += 1;
    }
}

fn redirect(text: &str) -> HttpError {
    HttpError::new(FetchErrorKind::Redirect, text)
}

fn parse(url: &str) -> Result<Url, HttpError> {
    let bad = |text: String| HttpError::new(FetchErrorKind::BadUrl, text);
    let url = Url::parse(url).map_err(|error| bad(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        // Not named: in an address without one, it is what stands before the password.
        _ => Err(bad("the scheme is not http or https".into())),
    }
}

fn headers(settings: &Settings, request: &Request, own: &[(String, String)]) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::new();
    let bad = |what: String| HttpError::new(FetchErrorKind::BadUrl, what);
    for (name, value) in own {
        let named = HeaderName::try_from(name).map_err(|_| bad(format!("header name {name:?} is malformed")))?;
        let mut value =
            HeaderValue::try_from(value).map_err(|_| bad(format!("the value of header {name:?} is malformed")))?;
        value.set_sensitive(true);
        headers.append(named, value);
    }
    let encodings = if settings.compressed { "gzip, identity;q=0.5" } else { "identity" };
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encodings));
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    if let Some(ByteRange { start, end }) = request.range {
        let range = match end {
            Some(end) => format!("bytes={start}-{}", end.saturating_sub(1)),
            None => format!("bytes={start}-"),
        };
        headers.insert(header::RANGE, HeaderValue::try_from(range).map_err(|error| bad(error.to_string()))?);
        let validator = request.if_range.as_deref().map(HeaderValue::try_from);
        if let Some(Ok(validator)) = validator {
            headers.insert(header::IF_RANGE, validator);
        }
    }
    Ok(headers)
}

/// Where the response sends its reader, if it does (RFC 9110, 15.4).
/// A transfer coding other than `chunked`: the bytes would be stored packed, under a name that says otherwise.
fn packed_transfer(response: &reqwest::Response) -> Option<String> {
    let all = response.headers().get_all(header::TRANSFER_ENCODING);
    let mut codings = all.iter().flat_map(|value| value.to_str().unwrap_or("unreadable").split(','));
    let is_packed =
        |name: &&str| !["", "chunked", "identity"].iter().any(|known| name.trim().eq_ignore_ascii_case(known));
    codings.find(is_packed).map(|name| name.trim().to_owned())
}

fn location(response: &reqwest::Response) -> Option<String> {
    let follows = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(header::LOCATION).filter(|_| follows)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

fn convert(response: reqwest::Response, place: Place) -> Response<HttpBody> {
    let header = |name: &str| {
        let mut values = response.headers().get_all(name).iter().map(|value| value.to_str().unwrap_or("unreadable"));
        let first = values.next()?;
        Some(values.fold(Cow::from(first), |all, value| format!("{all}, {value}").into()))
    };
    let head = Head::parse(response.status().as_u16(), header, until);
    let left = head.length;
    Response { head, body: HttpBody { body: response.into(), left, _place: place } }
}

/// The time from now until a date of HTTP.
fn until(date: &str) -> Option<Duration> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// A body as it arrives. While it is not polled, the origin waits.
///
/// No example: a window reads it.
#[derive(Debug)]
pub struct HttpBody {
    body: reqwest::Body,
    /// Bytes still to come, where the head said how many: then a body that ends early is just
    /// that, and what is missing is told by the one who counts.
    left: Option<u64>,
    /// Its place on the connection.
    _place: Place,
}

impl Body for HttpBody {
    type Error = HttpError;

    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpError>>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => {
                        self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
                        Some(Ok(bytes))
                    }
                    _ => continue, // trailers
                },
                Some(Err(error)) if self.left.is_some_and(|left| left > 0) && is_cut(&error) => None,
                Some(Err(error)) => Some(Err(HttpError::of(error, false))),
                None => None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_times_from_now() {
        assert_eq!(until("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = until(&date).unwrap();
        assert!(Duration::from_secs(97) < wait && wait <= Duration::from_secs(100));
        assert_eq!(until("soon"), None);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |one, other| Url::parse(one).unwrap().origin() == Url::parse(other).unwrap().origin();
        assert!(same("https://host/a", "https://host:443/b"));
        assert!(!same("https://host/a", "http://host/a"));
        assert!(!same("http://host/a", "http://host:81/a"));
        assert!(!same("http://host/a", "http://host.evil/a"));
    }
}
