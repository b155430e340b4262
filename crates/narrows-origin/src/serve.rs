//! An HTTP origin on 127.0.0.1: real files or generated ones, and faults on request.

use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Write},
    net::Ipv4Addr,
    path::PathBuf,
    sync::Arc,
};

use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{self, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;

use crate::{
    body::OriginBody,
    content::{Content, Library},
    faults::Faults,
};

/// Longest content that is packed as it is asked for: that is done in memory.
const GZIP_BYTES_MAX: u64 = 64 << 20;

/// What to serve, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Serve the files of this directory, too.
    pub dir: Option<PathBuf>,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// What generated content is drawn from.
    pub seed: u64,
    /// End when stdin is closed.
    pub until_stdin_closes: bool,
}

/// Serves on 127.0.0.1 until it is interrupted. The first line on stdout is the base address.
///
/// # Errors
///
/// Where the port is taken, or there is no runtime to be had.
pub fn run(origin: Options) -> io::Result<()> {
    if origin.until_stdin_closes {
        std::thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, origin.port)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let mut out = io::stdout().lock();
        writeln!(out, "{base}")?;
        out.flush()?;
        drop(out);
        let library = Arc::new(Library::new(base, origin.dir, origin.seed));
        let served = async {
            loop {
                let (stream, _) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of file descriptors, mostly: wait for some to come free.
                        eprintln!("narrows: {error}");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let _ = stream.set_nodelay(true);
                let library = library.clone();
                tokio::spawn(async move {
                    let serve = service_fn(|request| {
                        let library = library.clone();
                        async move { Ok::<_, Infallible>(answer(&library, &request).await) }
                    });
                    // A client that goes away is no error of the origin.
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), serve).await;
                });
            }
        };
        tokio::select! {
            () = served => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok(())
    })
}

async fn answer(library: &Library, request: &Request<Incoming>) -> Response<OriginBody> {
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => get(library, request).await,
        Method::OPTIONS => status(StatusCode::NO_CONTENT),
        _ => status(StatusCode::METHOD_NOT_ALLOWED),
    };
    let faults = Faults::parse(&wishes(request.uri()).1, 0);
    let headers = response.headers_mut();
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    if !faults.no_cors {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    let exposed = "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Retry-After";
    if !faults.hide {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
    if request.method() == Method::HEAD {
        *response.body_mut() = OriginBody::empty();
    }
    response
}

/// The path and the query of an address. What stands in `/with/NAME=VALUE&.../` before a path is of the
/// query, too: for programs that make their addresses of a base. With `some=N`, it is so for N addresses
/// in a hundred.
fn wishes(uri: &Uri) -> (String, String) {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let Some((wishes, rest)) = path.strip_prefix("/with/").and_then(|rest| rest.split_once('/')) else {
        return (path.to_owned(), query.to_owned());
    };
    let some = wishes.split('&').find_map(|wish| wish.strip_prefix("some=")?.parse::<u64>().ok()).unwrap_or(100);
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    let is_meant = |wish: &&str| !Faults::names(wish) || hasher.finish() % 100 < some;
    let wishes: Vec<&str> = wishes.split('&').filter(is_meant).chain([query]).filter(|wish| !wish.is_empty()).collect();
    (format!("/{rest}"), wishes.join("&"))
}

fn status(status: StatusCode) -> Response<OriginBody> {
    let mut response = Response::new(OriginBody::empty());
    *response.status_mut() = status;
    response
}

async fn get(library: &Library, request: &Request<Incoming>) -> Response<OriginBody> {
    let (path, query) = wishes(request.uri());
    let (path, query) = (path.as_str(), query.as_str());
    let count = if query.is_empty() { 0 } else { library.count(request.uri()) };
    let faults = Faults::parse(query, count);
    if let Some(latency) = faults.latency {
        tokio::time::sleep(latency).await;
    }
    if let Some(code) = faults.status {
        let mut response = status(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        if let Some(seconds) = faults.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        return response;
    }
    if let Some(Ok(target)) = faults.redirect.as_deref().map(HeaderValue::try_from) {
        let mut response = status(StatusCode::FOUND);
        let itself = request.uri().path_and_query().and_then(|address| HeaderValue::try_from(address.as_str()).ok());
        let target = Some(target).filter(|target| !target.is_empty()).or(itself);
        response.headers_mut().extend(target.map(|target| (header::LOCATION, target)));
        return response;
    }
    // A day of Tardis' needs its key, but for the first of a month.
    if let Some(key) = query.split('&').find_map(|wish| wish.strip_prefix("key="))
        && path.rsplit('/').nth(1) != Some("01")
        && request.headers().get(header::AUTHORIZATION).is_none_or(|sent| *sent != format!("Bearer {key}"))
    {
        return status(StatusCode::UNAUTHORIZED);
    }
    let version = if faults.change { count } else { 0 };
    match library.content(path, query, version).await {
        Some(content) => serve(request, content, &faults, version, &library.open),
        None => status(StatusCode::NOT_FOUND),
    }
}

fn serve(
    request: &Request<Incoming>,
    content: Content,
    faults: &Faults,
    version: u64,
    open: &Arc<()>,
) -> Response<OriginBody> {
    if faults.gzip && content.length() > GZIP_BYTES_MAX {
        return status(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let content = if faults.gzip { content.gzipped() } else { content };
    let total = content.length();
    let etag = format!("\"{:016x}-{version}\"", content.tag());
    let mut response = Response::new(OriginBody::empty());
    let headers = response.headers_mut();
    let text = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("-"));
    if !faults.no_etag {
        let etag = if faults.weak_etag { format!("W/{etag}") } else { etag.clone() };
        headers.insert(header::ETAG, text(etag));
    }
    if faults.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let (mut start, mut end) = (0, total);
    if !faults.no_ranges {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some((from, to)) = range(request, &etag, total) {
            if faults.deny_range {
                headers.clear(); // not even how long it is
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                return response;
            }
            if from >= to {
                headers.insert(header::CONTENT_RANGE, text(format!("bytes */{total}")));
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                return response;
            }
            let to = if faults.short { from + (to - from).div_ceil(2) } else { to };
            (start, end) = if faults.wrong_range { (0, to - from) } else { (from, to) };
            headers.insert(header::CONTENT_RANGE, text(format!("bytes {start}-{}/{total}", end - 1)));
            if faults.bare {
                headers.clear();
            }
            if !faults.rewrap && !faults.bare {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
        }
    }
    let is_bare_part = faults.bare && (start, end) != (0, total);
    if !faults.no_length && !is_bare_part {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    }
    *response.body_mut() = OriginBody::new(content, start, end, faults, open.clone());
    response
}

/// The part asked for, unless `If-Range` says that it is of another version.
fn range(request: &Request<Incoming>, etag: &str, total: u64) -> Option<(u64, u64)> {
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|expected| expected != etag) {
        return None;
    }
    let (first, last) = text(header::RANGE)?.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        return Some((total.saturating_sub(last.parse().ok()?), total));
    }
    let end = if last.is_empty() { total } else { last.parse::<u64>().ok()?.saturating_add(1).min(total) };
    Some((first.parse().ok()?, end))
}
